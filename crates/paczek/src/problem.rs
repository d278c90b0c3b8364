use std::path::PathBuf;

use state_store::{DirectoryError, StoreError};
use stream_runtime::RuntimeError;
use stream_runtime::broker::BrokerError;
use thiserror::Error;

/// What keeps a command from doing its work: one sentence that says what to do, and an exit code.
#[derive(Debug, Error)]
pub enum Problem {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(String),
    /// Kafka does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// A topic is not there.
    #[error("topic {topic} does not exist; make it with `paczek topics apply`{hint}")]
    MissingTopic {
        /// The topic.
        topic: String,
        /// Anything else to say, beginning with a comma or semicolon, or empty.
        hint: String,
    },
    /// A topic has another number of partitions than its place in the topology asks for.
    #[error(
        "topic {topic} has {found} partitions where {expected} are needed ({reason}); state lives where its key falls, \
         so make the topic anew with {expected} partitions"
    )]
    PartitionCount {
        /// The topic.
        topic: String,
        /// What it has.
        found: i32,
        /// What it should have.
        expected: i32,
        /// Why.
        reason: String,
    },
    /// A topic is not there any more.
    #[error("{0}")]
    TopicGone(String),
    /// State was made with another number of partitions.
    #[error("{0}")]
    OtherPartitions(String),
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state directory or what is in it.
    #[error("{0}")]
    State(String),
    /// The disk of the state directory is full.
    #[error("{0}")]
    DiskFull(String),
    /// Anything else that went wrong on the way.
    #[error("{0}")]
    Failed(String),
}

impl Problem {
    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Config(_) | Self::File { .. } => 2,
            Self::Unreachable(_) => 3,
            Self::MissingTopic { .. } | Self::TopicGone(_) => 4,
            Self::PartitionCount { .. } | Self::OtherPartitions(_) => 5,
            Self::State(_) => 6,
            Self::DiskFull(_) => 7,
        }
    }
}

impl From<BrokerError> for Problem {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Refused(reason) => Self::Config(reason),
            BrokerError::Unreachable(reason) => Self::Unreachable(reason),
            BrokerError::NotYet(reason) | BrokerError::Doubt(reason) => Self::Failed(reason),
        }
    }
}

impl From<RuntimeError> for Problem {
    fn from(error: RuntimeError) -> Self {
        if let Some(error @ StoreError::Full { .. }) = error.store_error() {
            return Self::DiskFull(error.to_string());
        }
        match error {
            RuntimeError::Broker(error) => error.into(),
            RuntimeError::Processor { ref source, .. } if source.is::<StoreError>() => {
                Self::State(source.to_string())
            }
            RuntimeError::Processor { .. } => Self::Failed(error.to_string()),
            RuntimeError::TopicGone(_) => Self::TopicGone(error.to_string()),
            RuntimeError::Moved { .. } => Self::Config(error.to_string()),
            RuntimeError::OtherPartitions { .. } => Self::OtherPartitions(error.to_string()),
            RuntimeError::Store(_)
            | RuntimeError::OtherPartitioner { .. }
            | RuntimeError::InputLost { .. }
            | RuntimeError::ChangelogCut { .. }
            | RuntimeError::OtherChangelog { .. }
            | RuntimeError::OtherVersion { .. }
            | RuntimeError::ChangelogLost { .. }
            | RuntimeError::OtherLog { .. }
            | RuntimeError::GroupAhead { .. } => Self::State(error.to_string()),
        }
    }
}

impl From<DirectoryError> for Problem {
    fn from(error: DirectoryError) -> Self {
        Self::State(error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        RuntimeError::from(error).into()
    }
}
