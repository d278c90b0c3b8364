//! What the tests stand on: a Kafka cluster, a shop on it, worker processes that do as they are told.

pub(crate) mod clickstreams;
#[path = "../../../../../deploy/kafka/cluster.rs"]
pub(crate) mod cluster;
pub(crate) mod shop;
pub(crate) mod worker;
