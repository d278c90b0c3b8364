//! What the tests stand on is the fault bench's: a Kafka cluster, a shop on it, worker processes that do as told.

pub(crate) use chaos::{clickstreams, cluster, shop, worker};
