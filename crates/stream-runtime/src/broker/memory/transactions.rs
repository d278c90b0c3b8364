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

    /// Whether an open transaction holds an offset of the group for this partition.
    pub(super) fn is_unstable(&self, group: &str, topic: &str, partition: i32) -> bool {
        let mut staged = self.producers.iter().filter_map(|producer| producer.open.as_ref());
        let concerned = (group.to_owned(), topic.to_owned(), partition);
        staged.any(|open| open.offsets.contains_key(&concerned))
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
        for (topic, partition) in ended.partitions {
            let Some(topic) = self.topics.get_mut(&topic) else { continue };
            let compacts = topic.compacts;
            let Some(log) = topic.log(partition) else { continue };
            log.finish(ended.number, committed);
            if compacts {
                log.compact_if_dirty();
            }
        }
        if committed {
            for ((group, topic, partition), offset) in ended.offsets {
                let group = self.groups.entry(group).or_default();
                group.committers.insert((topic.clone(), partition), self.producers[producer].id.clone());
                group.offsets.insert((topic, partition), offset);
            }
        }
        self.stirred = true;
    }
}
