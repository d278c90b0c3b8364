use state_store::StoreError;
use thiserror::Error;

use super::{Move, ReshardSettings};
use crate::RuntimeError;
use crate::broker::BrokerError;

/// Why states were not moved. Everything is then as it was, but for rows that the next try clears away.
#[derive(Debug, Error)]
pub enum ReshardProblem {
    /// The broker, a store or a position.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Somebody works.
    #[error(
        "group {group} has members: stop every instance, wait {seconds} s if one of them was killed, and repeat; nothing has moved"
    )]
    Busy {
        /// The group.
        group: String,
        /// After so many seconds it takes a member for dead.
        seconds: u64,
    },
    /// An input is not read to its end.
    #[error(
        "{processor} has not read {topic}-{partition} to its end, it stands at {next}: run {processor} alone until it has \
         no lag, stop it and repeat; nothing has moved"
    )]
    NotDrained {
        /// Who should have read it.
        processor: String,
        /// The input.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Where the work goes on.
        next: i64,
    },
    /// A transaction has not ended.
    #[error(
        "a transaction on {topic}-{partition} is still open: the broker ends it when its time is over; wait a moment and \
         repeat, nothing has moved"
    )]
    Open {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
    },
    /// A new changelog is not as wide as its input.
    #[error("{topic} has {found} partitions and its input {input} has {expected}: delete {topic} and repeat")]
    Uneven {
        /// The changelog.
        topic: String,
        /// What it has.
        found: i32,
        /// Its input.
        input: String,
        /// What that has.
        expected: i32,
    },
    /// Somebody has worked on the new topics.
    #[error(
        "{topic} is in use, although no state has moved to it: delete it and repeat, or set another generation"
    )]
    InUse {
        /// The topic.
        topic: String,
    },
    /// A row has come to where its key does not belong.
    #[error("a row in {topic}-{partition} is of another partition; nothing has moved, please report it")]
    Misplaced {
        /// The changelog.
        topic: String,
        /// Its partition.
        partition: i32,
    },
    /// Not everything has arrived.
    #[error("{processor}: {sent} were sent and {arrived} have arrived; nothing has moved, please report it")]
    Different {
        /// Whose rows.
        processor: String,
        /// What was sent.
        sent: String,
        /// What was read back.
        arrived: String,
    },
}

impl ReshardProblem {
    pub(super) fn busy(one: &Move, settings: &ReshardSettings<'_>) -> Self {
        Self::Busy { group: one.group.clone(), seconds: settings.session_timeout.as_secs() }
    }
}

impl From<BrokerError> for ReshardProblem {
    fn from(error: BrokerError) -> Self {
        Self::Runtime(error.into())
    }
}

impl From<StoreError> for ReshardProblem {
    fn from(error: StoreError) -> Self {
        Self::Runtime(error.into())
    }
}
