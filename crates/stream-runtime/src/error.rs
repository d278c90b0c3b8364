use thiserror::Error;

use state_store::StoreError;

use crate::broker::BrokerError;
use crate::processor::Failure;

/// Why a worker stopped.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// The broker refused or cannot be reached.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The state store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A processor could not go on.
    #[error("{processor}: {source}")]
    Processor {
        /// Its name.
        processor: String,
        /// Why.
        source: Failure,
    },
    /// The changelog ends before what the store has absorbed.
    #[error(
        "{topic}-{partition} ends at offset {end}, but the state store has absorbed it up to {absorbed}: the topic was \
         deleted or truncated; restore the topic, or delete the state directory to start from what the topic holds"
    )]
    ChangelogLost {
        /// The changelog.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Where it ends.
        end: i64,
        /// Up to where the store knows it.
        absorbed: i64,
    },
    /// The state is of another topic or cluster.
    #[error(
        "the state directory knows {known}, not {log}: it is of another topic or cluster; set another state_dir"
    )]
    OtherLog {
        /// What is configured.
        log: String,
        /// What the state is of.
        known: String,
    },
    /// The group's offset is ahead of the changelog's.
    #[error(
        "the group's offset of {topic}-{partition} is {group}, ahead of {trailer} in the changelog: somebody reset the \
         group or lost the changelog; set the group back, or start once with accept_reset = true to skip what lies between"
    )]
    GroupAhead {
        /// The input topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The group's offset.
        group: i64,
        /// The changelog's.
        trailer: i64,
    },
}

impl RuntimeError {
    /// Whether a new producer and tasks opened anew can go on.
    pub(crate) fn is_recoverable(&self) -> bool {
        matches!(
            self,
            Self::Broker(BrokerError::Doubt(_) | BrokerError::Unreachable(_) | BrokerError::NotYet(_))
        )
    }
}
