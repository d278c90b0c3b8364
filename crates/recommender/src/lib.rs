//! What do we say, to whom, and why? Item models that learn while customers shop, and decisions made from them.
//!
//! Knows: sessions of all customers and what follows from them (one file each model); the steps of a
//! decision: candidates, filters, ranking, explanation, decision, one file each; when to be silent.
//! Must not know: Kafka, RocksDB, Avro, tokio, a clock. Time arrives in events, and the one clock
//! reading that makes a decision stale arrives in [`Speech`].

mod abandoned_carts;
mod candidates;
mod catalogue;
mod customer;
mod decision;
mod explanation;
mod filters;
#[cfg(test)]
mod histories;
mod item_models;
mod look_up;
mod popularity;
mod postings;
mod ranking;
mod rules;
mod session_index;
mod speech;

pub use catalogue::{Catalogue, Listing};
pub use customer::Customer;
pub use decision::{Decision, Knowledge, decide};
pub use item_models::{ItemModels, Offered, TenantModels};
pub use look_up::{Shown, look_up};
pub use popularity::Popularity;
pub use rules::{ModelSettings, Neighbourhood, Rules};
pub use session_index::{Predicted, Prediction, SessionIndex, Visit};
pub use speech::Speech;
