//! The words every room of Pączek shares: who did what, when, and what we came to know of it.
//!
//! Knows: tenants and profiles, event time, money in minor units, the canonical [`Event`], the
//! [`ProfileUpdate`] and the [`Heartbeat`] that carries time.
//! Must not know: Kafka, RocksDB, Avro or JSON, tokio, a clock.

mod dead_letter;
mod event;
mod heartbeat;
mod identity;
mod profile_update;
mod time;

pub use dead_letter::DeadLetter;
pub use event::{
    Attribution, Cart, CartOp, Channel, Consent, Event, EventKind, Geo, Item, ListContext, Order, Raw,
};
pub use heartbeat::{END_OF_SOURCE, Heartbeat, OriginTime};
pub use identity::ProfileKey;
pub use profile_update::{
    Abandonment, CartLine, CartView, Cause, ItemSeen, ProfileUpdate, SessionView, Stage,
};
pub use time::{DAY, EventTime, HOUR, MINUTE, SECOND};
