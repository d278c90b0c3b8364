//! Runs keyed, stateful processors over Kafka topics, exactly once.
//!
//! Outputs, changelog and input offsets of a cycle commit in one Kafka transaction; the state store is a
//! cache of the committed changelog, written after the commit with its position in the same batch.
//!
//! Knows: topics, partitions, records, offsets, transactions, groups, rebalances, restore, stream time,
//! threads; the only room that knows rdkafka.
//! Must not know: items, customers, Avro.

pub mod broker;
mod clock;
mod error;
mod global;
mod metrics;
mod observer;
mod partitioner;
mod processor;
mod queries;
mod record;
mod reshard;
mod restore;
mod settings;
mod stream_time;
mod task;
mod trailer;
mod worker;

pub use clock::{Clock, SystemClock};
pub use error::RuntimeError;
pub use global::{GlobalTable, GlobalWorker, run_global};
pub use metrics::{Metric, Metrics};
pub use observer::{Observer, Silent, Step};
pub use partitioner::partition_for;
pub use processor::{Context, Failure, Outputs, Processor, TaskTime};
pub use queries::{Answer, Queries};
pub use record::{Header, Output, SourceRecord};
pub use reshard::{Copied, Move, Place, Reshard, ReshardProblem, ReshardSettings, Tally, moved_to};
pub use restore::absorbed;
pub use settings::{Guards, Standby, StartFrom, WorkerSettings};
pub use stream_time::StreamTime;
pub use task::{Start, Task};
pub use trailer::{
    Frame, InputPosition, OriginPosition, TRAILER_KEY, Trailer, UnreadableTrailer, state_key, store_key,
};
pub use worker::{Health, Worker, last_trailer, run_worker};
