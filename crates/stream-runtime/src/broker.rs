//! What the runtime asks of a broker: a narrow port, so that the same worker runs on Apache Kafka and on a
//! log in memory.

pub mod kafka;
pub mod memory;
mod topic;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use thiserror::Error;

pub use topic::{NewTopic, TopicState};

use crate::{Output, SourceRecord, StartFrom};

/// A log with partitions, consumer groups and transactions.
pub trait Broker {
    /// Proof of being a current member of a group, for the transaction that carries its offsets.
    type Fence;
    /// Membership of a group.
    type Membership: Membership<Fence = Self::Fence>;
    /// Reads partitions from given offsets.
    type Reader: LogReader;
    /// Writes in transactions.
    type Producer: TransactionalProducer<Fence = Self::Fence>;

    /// Joins a group for a topic.
    ///
    /// # Errors
    /// When the client cannot be made.
    fn join(&self, group: &GroupSettings) -> Result<Self::Membership, BrokerError>;

    /// A reader of committed records.
    ///
    /// # Errors
    /// When the client cannot be made.
    fn reader(&self) -> Result<Self::Reader, BrokerError>;

    /// A producer. It fences every other of the same id and ends the transaction that one left open.
    ///
    /// # Errors
    /// When the broker does not answer or refuses.
    fn producer(&self, settings: &ProducerSettings) -> Result<Self::Producer, BrokerError>;

    /// A name by which a topic of this cluster is told from any other.
    ///
    /// # Errors
    /// When the broker does not answer.
    fn log_name(&self, topic: &str) -> Result<String, BrokerError>;

    /// How many partitions a topic has; `None` if there is no such topic.
    ///
    /// # Errors
    /// When the broker does not answer.
    fn partitions(&self, topic: &str) -> Result<Option<i32>, BrokerError>;

    /// Where a partition begins and ends.
    ///
    /// # Errors
    /// When the broker does not answer.
    fn extent(&self, topic: &str, partition: i32) -> Result<Extent, BrokerError>;

    /// The members of a group as of now, by the names they joined with, and what of the topic each holds.
    ///
    /// # Errors
    /// [`BrokerError::NotYet`] while partitions change hands; anything else when the broker does not answer.
    fn members(&self, group: &str, topic: &str) -> Result<BTreeMap<String, BTreeSet<i32>>, BrokerError>;

    /// The `transactional.id` under which the group's offset of a partition was committed last, as far as that is
    /// known. An open transaction is not waited for and does not count.
    ///
    /// # Errors
    /// When the broker does not answer.
    fn last_committer(&self, group: &str, topic: &str, partition: i32)
    -> Result<Option<String>, BrokerError>;

    /// The offset to start from where no position exists.
    ///
    /// # Errors
    /// When the broker does not answer.
    fn start_offset(&self, topic: &str, partition: i32, from: StartFrom) -> Result<i64, BrokerError>;
}

/// The offsets of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its oldest record.
    pub start: i64,
    /// Behind its newest record of a transaction that has ended: what a reader of committed records can reach.
    pub stable_end: i64,
    /// Behind its newest record, also one of an open transaction.
    pub end: i64,
}

/// How to join a group.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    /// The group.
    pub group: String,
    /// The topic whose partitions it shares out.
    pub topic: String,
    /// Name of this member, the same after a restart.
    pub member: String,
    /// Silence after which a member counts as dead.
    pub session_timeout: Duration,
}

/// How to write.
#[derive(Clone, Debug)]
pub struct ProducerSettings {
    /// The id that fences.
    pub transactional_id: String,
    /// Time after which the broker aborts a transaction that was left open.
    pub transaction_timeout: Duration,
}

/// A share in the partitions of a topic.
pub trait Membership {
    /// See [`Broker::Fence`].
    type Fence;

    /// What has changed since it was last asked. Ask often: a member that does not counts as dead.
    ///
    /// # Errors
    /// When the membership cannot go on.
    fn poll(&mut self) -> Result<Option<Rebalance>, BrokerError>;

    /// Lets the group go on after a change has been dealt with.
    ///
    /// # Errors
    /// When the client refuses.
    fn acknowledge(&mut self, rebalance: &Rebalance) -> Result<(), BrokerError>;

    /// The group's offset of a partition, once no transaction about it is open any more.
    ///
    /// # Errors
    /// [`BrokerError::NotYet`] while one is; anything else when the broker refuses.
    fn committed(&mut self, partition: i32) -> Result<Option<i64>, BrokerError>;

    /// Proof of membership as of now.
    ///
    /// # Errors
    /// When this is no member.
    fn fence(&mut self) -> Result<Self::Fence, BrokerError>;

    /// A proof that proves nothing: only for the twin test that shows what the fence is for.
    ///
    /// # Errors
    /// When the client cannot be made.
    fn no_fence(&mut self) -> Result<Self::Fence, BrokerError>;

    /// Commits offsets outside any transaction: only for the twin test that shows why not to.
    ///
    /// # Errors
    /// When the broker refuses.
    fn commit_outside(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), BrokerError>;

    /// Leaves the group for good, as far as the broker can be told: its share goes to others at once. A member that
    /// goes without it keeps its share until its session is over, or it comes back by its name.
    fn leave(&mut self);
}

/// A change of what a member owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebalance {
    /// These partitions are its own now.
    Assigned(Vec<i32>),
    /// These go once it has committed what it did with them.
    Revoked(Vec<i32>),
    /// These are somebody else's already.
    Lost(Vec<i32>),
}

/// Reads partitions from given offsets.
pub trait LogReader {
    /// Reads these from now on, and nothing else: topic, partition, offset of the next record.
    ///
    /// # Errors
    /// When the client refuses.
    fn assign(&mut self, positions: &[(&str, i32, i64)]) -> Result<(), BrokerError>;

    /// The next record or end, waiting at most `timeout`.
    ///
    /// # Errors
    /// When a partition cannot be read.
    fn poll(&mut self, timeout: Duration) -> Result<Option<Read>, BrokerError>;
}

/// What a reader came upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A record.
    Record(SourceRecord),
    /// The end of what is committed in a partition, for now.
    End {
        /// The partition.
        partition: i32,
    },
}

/// Writes in transactions.
pub trait TransactionalProducer {
    /// See [`Broker::Fence`].
    type Fence;

    /// Begins a transaction.
    ///
    /// # Errors
    /// When the producer has been fenced or is in doubt.
    fn begin(&mut self) -> Result<(), BrokerError>;

    /// Writes a record; `mark` other than 0 asks for its offset, see [`TransactionalProducer::drain`].
    ///
    /// # Errors
    /// When it cannot be written.
    fn send(&mut self, output: &Output, mark: usize) -> Result<(), BrokerError>;

    /// Waits until all is acknowledged; the offsets of the marked records, by mark.
    ///
    /// # Errors
    /// When one was not written.
    fn drain(&mut self) -> Result<BTreeMap<usize, i64>, BrokerError>;

    /// Puts the group's offsets into the transaction, and its id beside them.
    ///
    /// # Errors
    /// When the fence is not one of a current member, or the producer has been fenced.
    fn send_offsets(
        &mut self,
        topic: &str,
        offsets: &BTreeMap<i32, i64>,
        fence: &Self::Fence,
    ) -> Result<(), BrokerError>;

    /// Commits.
    ///
    /// # Errors
    /// When it has not committed, or nobody knows.
    fn commit(&mut self) -> Result<Committed, BrokerError>;
}

/// A transaction has committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Committed {
    /// And the producer can go on.
    Clean,
    /// But something happened on the way that leaves the producer in doubt: replace it before the next one.
    ReplaceProducer,
}

/// What a broker, or the client to it, did not do.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// It will not do it however often it is asked.
    #[error("{0}")]
    Refused(String),
    /// It does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// Not now, but ask again.
    #[error("{0}")]
    NotYet(String),
    /// A transaction failed, or nobody knows whether it did: the producer is to be replaced, and the state
    /// read back from the changelog.
    #[error("{0}")]
    Doubt(String),
}
