use std::collections::BTreeMap;
use std::sync::Arc;

use super::clock::millis;
use super::groups::MemoryFence;
use super::state::State;
use crate::Output;
use crate::broker::{BrokerError, ProducerSettings};

/// What the broker knows of a transactional id.
pub(super) struct Producer {
    id: String,
    /// Counts those who have had the id; only the newest may write.
    epoch: u32,
    timeout: i64,
    open: Option<Transaction>,
}

/// An open transaction. What it wrote stands in the logs already, above their stable ends.
struct Transaction {
    number: u64,
    deadline: i64,
    partitions: Vec<(Arc<str>, i32)>,
    offsets: BTreeMap<GroupPartition, i64>,
}

/// What tells a partition, or the groups, how a transaction has ended.
pub(super) struct Marker {
    producer: usize,
    committed: bool,
    tells: Told,
}

enum Told {
    Partition(Arc<str>, i32, u64),
    Groups(BTreeMap<GroupPartition, i64>),
}

/// A group, a topic and a partition of that.
type GroupPartition = (String, String, i32);

/// Who asks: a transactional id and the epoch in which it was given.
#[derive(Clone, Copy)]
pub(super) struct Session {
    producer: usize,
    epoch: u32,
}

impl Producer {
    /// When its open transaction runs out.
    pub(super) fn deadline(&self) -> Option<i64> {
        self.open.as_ref().map(|open| open.deadline)
    }
}

impl State {
    /// Gives a transactional id to somebody new: the former one is fenced, its transaction aborted.
    pub(super) fn init_producer(&mut self, settings: &ProducerSettings) -> Session {
        let id = &settings.transactional_id;
        let known = self.producers.iter().position(|producer| producer.id == *id);
        let producer = known.unwrap_or_else(|| {
            self.producers.push(Producer { id: id.clone(), epoch: 0, timeout: 0, open: None });
            self.producers.len() - 1
        });
        self.fence(producer);
        self.write_markers_of(producer);
        let entry = &mut self.producers[producer];
        entry.timeout = millis(settings.transaction_timeout);
        Session { producer, epoch: entry.epoch }
    }

    /// Whether the session is the newest of its id.
    pub(super) fn check(&self, session: Session) -> Result<(), BrokerError> {
        let known = &self.producers[session.producer];
        if known.epoch == session.epoch {
            return Ok(());
        }
        Err(BrokerError::Doubt(format!("transaction: {} is fenced by a newer producer", known.id)))
    }

    /// Writes a record in the open transaction; its offset.
    pub(super) fn append(&mut self, session: Session, output: &Output) -> Result<i64, BrokerError> {
        self.check(session)?;
        self.write_markers_of(session.producer);
        let number = self.transaction(session).number;
        let now = self.now;
        let missing = || {
            let (topic, partition) = (&output.topic, output.partition);
            BrokerError::Doubt(format!("a record was not written: there is no {topic}-{partition}"))
        };
        let topic = self.topics.get_mut(&*output.topic).ok_or_else(missing)?;
        if topic.compacts && output.key.is_none() {
            let topic = &output.topic;
            return Err(BrokerError::Doubt(format!(
                "a record was not written: {topic} is compacted, it wants keys"
            )));
        }
        let log = topic.log(output.partition).ok_or_else(missing)?;
        let is_first = !log.holds(number);
        let offset = log.append(number, now, output);
        if is_first {
            let partition = (Arc::clone(&output.topic), output.partition);
            self.transaction(session).partitions.push(partition);
        }
        Ok(offset)
    }

    /// Puts offsets into the open transaction, if the fence is one of a current member.
    pub(super) fn stage_offsets(
        &mut self,
        session: Session,
        topic: &str,
        offsets: &BTreeMap<i32, i64>,
        fence: &MemoryFence,
    ) -> Result<(), BrokerError> {
        self.check(session)?;
        self.check_fence(fence)?;
        self.write_markers_of(session.producer);
        let staged = &mut self.transaction(session).offsets;
        for (partition, offset) in offsets {
            staged.insert((fence.group.clone(), topic.to_owned(), *partition), *offset);
        }
        Ok(())
    }

    /// Commits the open transaction, if there is one.
    pub(super) fn commit(&mut self, session: Session) -> Result<(), BrokerError> {
        self.check(session)?;
        self.end_transaction(session.producer, true);
        Ok(())
    }

    /// Whether the session has a transaction open.
    pub(super) fn is_open(&self, session: Session) -> bool {
        self.producers[session.producer].open.is_some()
    }

    /// Whether a transaction that is open, or whose end has not been told, holds an offset of the group for this
    /// partition.
    pub(super) fn is_unstable(&self, group: &str, topic: &str, partition: i32) -> bool {
        let open = self.producers.iter().filter_map(|producer| Some(&producer.open.as_ref()?.offsets));
        let untold = self.markers.iter().filter_map(|marker| match &marker.tells {
            Told::Groups(offsets) => Some(offsets),
            Told::Partition(..) => None,
        });
        let concerned = (group.to_owned(), topic.to_owned(), partition);
        open.chain(untold).any(|offsets| offsets.contains_key(&concerned))
    }

    pub(super) fn hold_markers(&mut self, hold: bool) {
        self.holds_markers = hold;
        while !hold && !self.markers.is_empty() {
            self.write_marker(0);
        }
    }

    pub(super) fn write_marker(&mut self, number: usize) {
        if number < self.markers.len() {
            let marker = self.markers.remove(number);
            self.write(marker);
        }
    }

    /// A producer goes on only once all have been told how its last transaction ended.
    fn write_markers_of(&mut self, producer: usize) {
        while let Some(number) = self.markers.iter().position(|marker| marker.producer == producer) {
            self.write_marker(number);
        }
    }

    pub(super) fn abort_timed_out(&mut self) {
        for producer in 0..self.producers.len() {
            if self.producers[producer].deadline().is_some_and(|deadline| deadline <= self.now) {
                self.fence(producer);
            }
        }
    }

    fn fence(&mut self, producer: usize) {
        self.producers[producer].epoch += 1;
        self.end_transaction(producer, false);
    }

    /// The open transaction of the session; it is open from the first time somebody asks for it.
    fn transaction(&mut self, session: Session) -> &mut Transaction {
        let Self { now, numbered, next_deadline, producers, .. } = self;
        let Producer { open, timeout, .. } = &mut producers[session.producer];
        open.get_or_insert_with(|| {
            *numbered += 1;
            let deadline = now.saturating_add(*timeout);
            *next_deadline = deadline.min(*next_deadline);
            Transaction { number: *numbered, deadline, partitions: Vec::new(), offsets: BTreeMap::new() }
        })
    }

    fn end_transaction(&mut self, producer: usize, committed: bool) {
        let Some(ended) = self.producers[producer].open.take() else { return };
        let partitions = ended.partitions.into_iter();
        let partitions = partitions.map(|(topic, partition)| Told::Partition(topic, partition, ended.number));
        for tells in partitions.chain([Told::Groups(ended.offsets)]) {
            let marker = Marker { producer, committed, tells };
            if self.holds_markers {
                self.markers.push(marker);
            } else {
                self.write(marker);
            }
        }
    }

    fn write(&mut self, Marker { producer, committed, tells }: Marker) {
        match tells {
            Told::Partition(topic, partition, number) => self.finish(&topic, partition, number, committed),
            Told::Groups(offsets) if committed => {
                for ((group, topic, partition), offset) in offsets {
                    let group = self.groups.entry(group).or_default();
                    group.committers.insert((topic.clone(), partition), self.producers[producer].id.clone());
                    group.offsets.insert((topic, partition), offset);
                }
            }
            Told::Groups(_) => {}
        }
        self.stirred = true;
    }

    fn finish(&mut self, topic: &str, partition: i32, number: u64, committed: bool) {
        let Some(topic) = self.topics.get_mut(topic) else { return };
        let compacts = topic.compacts;
        let Some(log) = topic.log(partition) else { return };
        log.finish(number, committed);
        if compacts {
            log.compact_if_dirty();
        }
    }
}
