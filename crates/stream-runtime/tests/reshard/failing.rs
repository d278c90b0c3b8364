//! A log in memory that answers so many calls, and then no more.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use stream_runtime::broker::memory::{
    MemoryBroker, MemoryFence, MemoryMembership, MemoryProducer, MemoryReader,
};
use stream_runtime::broker::{
    Broker, BrokerError, Committed, Extent, GroupSettings, ProducerSettings, TransactionalProducer,
};
use stream_runtime::{Output, StartFrom};

pub(crate) struct Failing<'a> {
    broker: &'a MemoryBroker,
    calls: Rc<Calls>,
}

pub(crate) struct FailingProducer {
    producer: MemoryProducer,
    calls: Rc<Calls>,
}

struct Calls {
    left: Cell<i64>,
    /// The last call is carried out, and its answer is lost.
    last: bool,
}

impl Calls {
    fn make<T>(&self, call: impl FnOnce() -> Result<T, BrokerError>) -> Result<T, BrokerError> {
        let left = self.left.replace(self.left.get() - 1);
        let answer = if left > 0 || (left == 0 && self.last) { Some(call()) } else { None };
        match answer {
            Some(answer) if left > 0 => answer,
            _ => Err(BrokerError::Unreachable("the wire is cut".to_owned())),
        }
    }
}

impl<'a> Failing<'a> {
    /// The call after so many fails, and all after it.
    pub(crate) fn at(broker: &'a MemoryBroker, calls: i64, last: bool) -> Self {
        Self { broker, calls: Rc::new(Calls { left: Cell::new(calls), last }) }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.calls.left.get() < 0
    }
}

impl Broker for Failing<'_> {
    type Fence = MemoryFence;
    type Membership = MemoryMembership;
    type Reader = MemoryReader;
    type Producer = FailingProducer;

    fn join(&self, group: &GroupSettings) -> Result<MemoryMembership, BrokerError> {
        self.calls.make(|| self.broker.join(group))
    }

    fn reader(&self) -> Result<MemoryReader, BrokerError> {
        self.calls.make(|| self.broker.reader())
    }

    fn producer(&self, settings: &ProducerSettings) -> Result<FailingProducer, BrokerError> {
        let producer = self.calls.make(|| self.broker.producer(settings))?;
        Ok(FailingProducer { producer, calls: Rc::clone(&self.calls) })
    }

    fn log_name(&self, topic: &str) -> Result<String, BrokerError> {
        self.broker.log_name(topic)
    }

    fn partitions(&self, topic: &str) -> Result<Option<i32>, BrokerError> {
        self.calls.make(|| self.broker.partitions(topic))
    }

    fn extent(&self, topic: &str, partition: i32) -> Result<Extent, BrokerError> {
        self.calls.make(|| self.broker.extent(topic, partition))
    }

    fn members(&self, group: &str, topic: &str) -> Result<BTreeMap<String, BTreeSet<i32>>, BrokerError> {
        self.calls.make(|| self.broker.members(group, topic))
    }

    fn last_committer(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Result<Option<String>, BrokerError> {
        self.broker.last_committer(group, topic, partition)
    }

    fn start_offset(&self, topic: &str, partition: i32, from: StartFrom) -> Result<i64, BrokerError> {
        self.calls.make(|| self.broker.start_offset(topic, partition, from))
    }
}

impl TransactionalProducer for FailingProducer {
    type Fence = MemoryFence;

    fn begin(&mut self) -> Result<(), BrokerError> {
        self.calls.make(|| self.producer.begin())
    }

    fn send(&mut self, output: &Output, mark: usize) -> Result<(), BrokerError> {
        self.calls.make(|| self.producer.send(output, mark))
    }

    fn drain(&mut self) -> Result<BTreeMap<usize, i64>, BrokerError> {
        self.calls.make(|| self.producer.drain())
    }

    fn send_offsets(
        &mut self,
        topic: &str,
        offsets: &BTreeMap<i32, i64>,
        fence: &MemoryFence,
    ) -> Result<(), BrokerError> {
        self.calls.make(|| self.producer.send_offsets(topic, offsets, fence))
    }

    fn commit(&mut self) -> Result<Committed, BrokerError> {
        self.calls.make(|| self.producer.commit())
    }
}
