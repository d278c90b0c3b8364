//! The fault bench: real `paczek` processes on a real Apache Kafka, faults, and the question whether the committed
//! outputs are those of an undisturbed run.
//!
//! Knows: how a cluster, a worker and a network fail; the faults F-01 to F-30; how a run is compared with the
//! demo's. Its cluster, shop and workers are also what the tests on Kafka stand on.
//! Must not know: how exactly-once is done. It decides nothing and never looks into a store or a transaction.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "what the bench cannot do is a try that has failed, and is recorded as such"
)]

pub mod bench;
mod clicks;
pub mod clickstreams;
pub mod cluster;
mod crew;
mod feed;
pub mod ledger;
mod oracle;
mod proxy;
mod request;
pub mod rows;
pub mod shop;
pub mod stage;
pub mod table;
mod tried;
pub mod worker;

pub use tried::Tried;
