//! Who is it, and what do we know? What a profile becomes when an event arrives or when time passes.
//!
//! Knows: the profile and its facets, one file each; sessions, carts, idleness, duplicates; the rule
//! by which a cart counts as abandoned. It remembers and never decides what to say.
//! Must not know: Kafka, RocksDB, Avro, tokio, a clock.

mod carts;
mod duplicates;
mod identity;
mod idleness;
mod interest;
mod items;
mod orders;
mod profile;
mod rules;
mod sessions;
mod stamp;

pub use profile::{Applied, Arrival, Outcome, Profile, apply, fire};
pub use rules::{Notice, Rules};
