use thiserror::Error;

use state_store::StoreError;

use crate::broker::BrokerError;
use crate::processor::Failure;
use crate::trailer::UnreadableTrailer;

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
    /// A topic that the worker rests on is not there.
    #[error(
        "topic {0} does not exist: it was deleted, or never made; make it again, and if it was deleted, start with a new \
         application name and state_dir"
    )]
    TopicGone(String),
    /// The state was made with another number of partitions than the input has.
    #[error(
        "{topic} has {found} partitions, and the state in {changelog} was made with {expected}: keys would be sought where \
         they are not; give the topics {expected} partitions again, and change their number with `paczek reshard`"
    )]
    OtherPartitions {
        /// The input topic.
        topic: String,
        /// Its changelog.
        changelog: String,
        /// What the topic has.
        found: i32,
        /// What the state was made with.
        expected: i32,
    },
    /// The state has been moved to topics with another number of partitions.
    #[error(
        "the state in {changelog} has moved to {moved_to}: `paczek reshard` was run; set `generation` to the one that \
         {moved_to} ends with, and start again"
    )]
    Moved {
        /// The changelog.
        changelog: String,
        /// The one that goes on.
        moved_to: String,
    },
    /// The keys of the state were spread by another rule.
    #[error(
        "the state in {changelog} was spread by a partitioner that this version does not have; run the version that wrote it"
    )]
    OtherPartitioner {
        /// The changelog.
        changelog: String,
    },
    /// What a worker stands before is not in its input any more, or not yet again.
    #[error(
        "{topic}-{partition} holds offsets {start} to {end}, and the work goes on at {next}: the topic was deleted, truncated, \
         or its retention was too short; restore it, or start once with accept_reset = true to go on at {start}"
    )]
    InputLost {
        /// The input topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Its first offset.
        start: i64,
        /// Behind its last.
        end: i64,
        /// Where the work goes on.
        next: i64,
    },
    /// The changelog has lost its beginning.
    #[error(
        "{topic}-{partition} begins at offset {start}, and the state store knows it up to {absorbed}: what lies between is \
         gone, so the state cannot be told; restore the topic, or start once with accept_reset = true to go on with what it holds"
    )]
    ChangelogCut {
        /// The changelog.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Where it begins.
        start: i64,
        /// Up to where the store knows it.
        absorbed: i64,
    },
    /// The changelog does not go on from what the store has absorbed.
    #[error(
        "{topic}-{partition} is not the changelog that the state store was filled from: the topic was made anew, or the store is \
         of another partition; set another state_dir, or delete the state directory to start from what the topic holds"
    )]
    OtherChangelog {
        /// The changelog.
        topic: String,
        /// Its partition.
        partition: i32,
    },
    /// State is not in a form that this version reads.
    #[error("a position of {log} cannot be read: {reason}")]
    OtherVersion {
        /// The changelog.
        log: String,
        /// Why not.
        reason: UnreadableTrailer,
    },
}

impl RuntimeError {
    /// How often it is looked at again before it is believed: what one look at a cluster in motion says may be
    /// wrong.
    pub(crate) fn second_looks(&self) -> u32 {
        match self {
            Self::GroupAhead { .. } => 3,
            // A broker that has just started may not have heard of every topic yet.
            Self::TopicGone(_) => 8,
            _ => 0,
        }
    }

    /// Whether a new producer and tasks opened anew can go on. A damaged store is set aside when it is opened anew.
    pub(crate) fn is_recoverable(&self) -> bool {
        match self {
            Self::Broker(error) => !matches!(error, BrokerError::Refused(_)),
            other => other.store_error().is_some_and(StoreError::is_damaged),
        }
    }

    /// The failure of a store, wherever it was met.
    #[must_use]
    pub fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::Processor { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }
}
