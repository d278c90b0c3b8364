//! The port on a log in memory: all that the runtime rests on, in one process and without a network.
//!
//! It behaves as Apache Kafka does where the runtime can tell: what a transaction wrote stands in the log at
//! once and counts once it has committed, what ends a transaction takes an offset, a newer producer fences an
//! older one of its id, a group refuses the offsets of a generation that is over. Its time is a clock that it
//! is given, its chance a seed.

mod assignment;
mod chance;
mod clock;
mod groups;
mod log;
mod membership;
mod producer;
mod reader;
mod state;
mod transactions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use clock::MemoryClock;
pub use groups::MemoryFence;
pub use membership::MemoryMembership;
pub use producer::{CommitRequest, MemoryProducer};
pub use reader::MemoryReader;

use super::{Broker, BrokerError, Extent, GroupSettings, NewTopic, ProducerSettings, TopicState};
use crate::StartFrom;
use groups::Group;
use log::Log;
use state::{State, Topic};

/// A log in memory. Clones share it.
#[derive(Clone)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
}

/// What the broker and all its clients share.
struct Shared {
    state: Mutex<State>,
    /// Something may have come to be readable.
    stirred: Condvar,
    clock: MemoryClock,
    seed: u64,
}

impl MemoryBroker {
    /// An empty log. Whatever is chosen is chosen by `seed`: with a clock moved by hand, the same calls get the
    /// same answers.
    #[must_use]
    pub fn new(clock: &MemoryClock, seed: u64) -> Self {
        let state = Mutex::new(State::new(clock.now()));
        let shared = Shared { state, stirred: Condvar::new(), clock: clock.clone(), seed };
        Self { shared: Arc::new(shared) }
    }

    /// Makes a topic. With `cleanup.policy` `compact` its partitions are compacted once about half of their
    /// records can have been overwritten; its other settings are kept and change nothing.
    ///
    /// # Errors
    /// When there is a topic of that name already, or it would have no partition.
    pub fn create_topic(&self, topic: &NewTopic) -> Result<(), BrokerError> {
        self.shared.ask(|state| state.create_topic(topic))
    }

    /// A topic's partitions and settings; `None` if there is none of that name.
    #[must_use]
    pub fn topic_state(&self, topic: &str) -> Option<TopicState> {
        self.shared.ask(|state| state.topics.get(topic).map(Topic::state))
    }

    /// The topics and their partitions.
    #[must_use]
    pub fn topics(&self) -> BTreeMap<String, i32> {
        self.shared.ask(|state| {
            state.topics.iter().map(|(name, topic)| (name.to_string(), topic.partitions())).collect()
        })
    }

    /// The offsets of a group, for the partitions that have one; open transactions do not count.
    #[must_use]
    pub fn group_offsets(&self, group: &str, topic: &str) -> BTreeMap<i32, i64> {
        self.shared.ask(|state| {
            let known = state.groups.get(group).into_iter().flat_map(|group| &group.offsets);
            let of_topic = known.filter(|((known, _), _)| known == topic);
            of_topic.map(|((_, partition), offset)| (*partition, *offset)).collect()
        })
    }

    /// Deletes a topic, with all offsets that groups have in it, as Apache Kafka does.
    pub fn delete_topic(&self, topic: &str) {
        self.shared.ask(|state| state.delete_topic(topic));
    }

    /// Gives a topic more partitions.
    ///
    /// # Errors
    /// When there is no such topic, or it has as many already.
    pub fn add_partitions(&self, topic: &str, partitions: usize) -> Result<(), BrokerError> {
        self.shared.ask(|state| state.add_partitions(topic, partitions))
    }

    /// Lets go of a partition's committed records before an offset; it begins there from then on.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        self.shared.ask(|state| state.log(topic, partition).map(|log| log.delete_before(before)).ok());
    }

    /// From now on the decision about a transaction and the markers that tell it to each partition and to its
    /// groups are apart: a marker waits until it is written by [`MemoryBroker::write_marker`], or its producer
    /// begins anew. With `false` all that wait are written.
    pub fn hold_markers(&self, hold: bool) {
        self.shared.ask(|state| state.hold_markers(hold));
    }

    /// How many markers wait.
    #[must_use]
    pub fn held_markers(&self) -> usize {
        self.shared.ask(|state| state.markers.len())
    }

    /// Writes one of the markers that wait, counting from 0; nothing if there is none.
    pub fn write_marker(&self, number: usize) {
        self.shared.ask(|state| state.write_marker(number));
    }

    /// Compacts a compacted topic now: of what is committed, the newest record of each key stays.
    pub fn compact(&self, topic: &str) {
        self.shared.ask(|state| {
            let topic = state.topics.get_mut(topic).filter(|topic| topic.compacts);
            topic.into_iter().flat_map(|topic| &mut topic.logs).for_each(Log::compact);
        });
    }
}

impl Broker for MemoryBroker {
    type Fence = MemoryFence;
    type Membership = MemoryMembership;
    type Reader = MemoryReader;
    type Producer = MemoryProducer;

    fn join(&self, group: &GroupSettings) -> Result<MemoryMembership, BrokerError> {
        MemoryMembership::join(&self.shared, group)
    }

    fn reader(&self) -> Result<MemoryReader, BrokerError> {
        Ok(MemoryReader::new(&self.shared))
    }

    fn producer(&self, settings: &ProducerSettings) -> Result<MemoryProducer, BrokerError> {
        Ok(MemoryProducer::new(&self.shared, settings))
    }

    /// The seed is all that one such log can be told from another by.
    fn log_name(&self, topic: &str) -> Result<String, BrokerError> {
        Ok(format!("memory-{}/{topic}", self.shared.seed))
    }

    fn partitions(&self, topic: &str) -> Result<Option<i32>, BrokerError> {
        Ok(self.topic_state(topic).map(|topic| topic.partitions))
    }

    fn extent(&self, topic: &str, partition: i32) -> Result<Extent, BrokerError> {
        self.shared.ask(|state| Ok(state.log(topic, partition)?.extent()))
    }

    fn members(&self, group: &str, _: &str) -> Result<BTreeMap<String, BTreeSet<i32>>, BrokerError> {
        Ok(self.shared.ask(|state| state.groups.get(group).map(Group::holders).unwrap_or_default()))
    }

    fn last_committer(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Result<Option<String>, BrokerError> {
        let committer = |group: &Group| group.committers.get(&(topic.to_owned(), partition)).cloned();
        Ok(self.shared.ask(|state| state.groups.get(group).and_then(committer)))
    }

    fn start_offset(&self, topic: &str, partition: i32, from: StartFrom) -> Result<i64, BrokerError> {
        self.shared.ask(|state| {
            let log = state.log(topic, partition)?;
            Ok(match from {
                StartFrom::Earliest => log.extent().start,
                StartFrom::Latest => log.stable_end(),
                StartFrom::Time(time) => log.offset_at(time).unwrap_or(log.stable_end()),
            })
        })
    }
}

impl Shared {
    /// Asks the state, after all that time has brought.
    fn ask<T>(&self, ask: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.ask_locked(&mut state, ask)
    }

    fn ask_locked<T>(&self, state: &mut MutexGuard<'_, State>, ask: impl FnOnce(&mut State) -> T) -> T {
        state.pass_time(self.clock.now());
        let answer = ask(state);
        if std::mem::take(&mut state.stirred) {
            self.stirred.notify_all();
        }
        answer
    }

    /// Asks again after each change until the answer is yes or patience is over.
    fn wait_for(
        &self,
        patience: Duration,
        mut ask: impl FnMut(&mut State) -> Result<bool, BrokerError>,
    ) -> Result<(), BrokerError> {
        let deadline = self.clock.deadline(patience);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.ask_locked(&mut state, &mut ask)? {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let Some(left) = left.filter(|left| !left.is_zero()) else { break };
            // What time brings, it brings to a waiting reader too.
            let event = state.next_deadline.saturating_sub(self.clock.now()).max(1);
            let event = Duration::from_millis(u64::try_from(event).unwrap_or(u64::MAX));
            let woken = self.stirred.wait_timeout(state, left.min(event));
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}
