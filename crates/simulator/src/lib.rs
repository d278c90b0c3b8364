//! Worlds that never were, made from a seed: a shop's clickstream and the truth about it, and a cluster in which
//! whatever can go wrong does.
//!
//! Knows: a catalogue, people, visits and how each is meant to end; the noise of real trackers; Segment's
//! JSON; which carts were truly abandoned; workers on a log in memory under one schedule, their disks, crashes.
//! Must not know: Kafka, RocksDB, Avro, tokio, this machine's clock; how the pipeline finds an abandoned cart.
//!
//! The truth comes first. For each visit its ending is written down, then the events that lead there, then
//! the noise. So what a pipeline noticed is held against an intention, not against a second pipeline.
//!
//! The same [`Options`] give the same bytes on every machine: chance is whole numbers only.

mod acts;
mod bots;
mod catalogue;
mod chance;
pub mod cluster;
mod generator;
mod names;
mod noise;
mod options;
mod people;
mod plan;
mod rhythm;
mod segment;
mod truth;

pub use catalogue::{Catalogue, Product};
pub use generator::Generator;
pub use noise::{Line, Sort};
pub use options::{Noise, Options};
pub use plan::Ending;
pub use truth::{Abandoned, Comparison, Counts, Reminder, Truth};
