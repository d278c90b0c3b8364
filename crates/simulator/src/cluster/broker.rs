//! The log as a worker meets it: every call is a point of the schedule and may go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stream_runtime::broker::memory::{MemoryFence, MemoryMembership, MemoryProducer, MemoryReader};
use stream_runtime::broker::{
    Broker, BrokerError, Committed, Extent, GroupSettings, LogReader, Membership, ProducerSettings, Read,
    Rebalance, TransactionalProducer,
};
use stream_runtime::{Output, SourceRecord, StartFrom};

use super::Seat;
use super::faults::{Copy, Fate};

impl<'y> Broker for Seat<'y> {
    type Fence = MemoryFence;
    type Membership = SeatMembership<'y>;
    type Reader = SeatReader<'y>;
    type Producer = SeatProducer<'y>;

    fn join(&self, group: &GroupSettings) -> Result<SeatMembership<'y>, BrokerError> {
        let inner = self.call("join", || self.desk.broker.join(group))?;
        Ok(SeatMembership { seat: self.clone(), inner })
    }

    fn reader(&self) -> Result<SeatReader<'y>, BrokerError> {
        Ok(SeatReader { seat: self.clone(), inner: self.desk.broker.reader()?, last: None })
    }

    fn producer(&self, settings: &ProducerSettings) -> Result<SeatProducer<'y>, BrokerError> {
        let inner = self.call("new producer", || self.desk.broker.producer(settings))?;
        Ok(SeatProducer { seat: self.clone(), inner, in_doubt: false })
    }

    fn log_name(&self, topic: &str) -> Result<String, BrokerError> {
        self.call("log name", || self.desk.broker.log_name(topic))
    }

    fn partitions(&self, topic: &str) -> Result<Option<i32>, BrokerError> {
        self.call("partitions", || self.desk.broker.partitions(topic))
    }

    fn extent(&self, topic: &str, partition: i32) -> Result<Extent, BrokerError> {
        self.call("extent", || self.desk.broker.extent(topic, partition))
    }

    fn members(&self, group: &str, topic: &str) -> Result<BTreeMap<String, BTreeSet<i32>>, BrokerError> {
        self.call("members", || self.desk.broker.members(group, topic))
    }

    fn last_committer(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Result<Option<String>, BrokerError> {
        self.call("last committer", || self.desk.broker.last_committer(group, topic, partition))
    }

    fn start_offset(&self, topic: &str, partition: i32, from: StartFrom) -> Result<i64, BrokerError> {
        self.call("start offset", || self.desk.broker.start_offset(topic, partition, from))
    }
}

/// See [`Seat`].
pub struct SeatMembership<'y> {
    seat: Seat<'y>,
    inner: MemoryMembership,
}

impl Membership for SeatMembership<'_> {
    type Fence = MemoryFence;

    fn poll(&mut self) -> Result<Option<Rebalance>, BrokerError> {
        if self.seat.desk.chance(self.seat.desk.faults().deaf) {
            return Ok(None);
        }
        let change = self.seat.call("poll", || self.inner.poll())?;
        if let Some(change) = &change {
            self.seat.note(|| format!("hears {change:?}"));
        }
        Ok(change)
    }

    fn acknowledge(&mut self, rebalance: &Rebalance) -> Result<(), BrokerError> {
        self.seat.call("acknowledge", || self.inner.acknowledge(rebalance))
    }

    fn committed(&mut self, partition: i32) -> Result<Option<i64>, BrokerError> {
        self.seat.call("committed offset", || self.inner.committed(partition))
    }

    fn fence(&mut self) -> Result<MemoryFence, BrokerError> {
        let Self { seat, inner } = self;
        let fence = seat.call("fence", || inner.fence())?;
        if seat.desk.faults().accepts_stale { inner.no_fence() } else { Ok(fence) }
    }

    fn no_fence(&mut self) -> Result<MemoryFence, BrokerError> {
        self.inner.no_fence()
    }

    fn commit_outside(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), BrokerError> {
        self.seat.call("commit outside", || self.inner.commit_outside(offsets))
    }

    fn leave(&mut self) {
        // Whether the broker has heard it, nobody knows.
        let _ = self.seat.call("leave", || {
            self.inner.leave();
            Ok(())
        });
    }
}

/// See [`Seat`].
pub struct SeatReader<'y> {
    seat: Seat<'y>,
    inner: MemoryReader,
    last: Option<SourceRecord>,
}

impl LogReader for SeatReader<'_> {
    fn assign(&mut self, positions: &[(&str, i32, i64)]) -> Result<(), BrokerError> {
        self.last = None;
        self.seat.call("assign", || self.inner.assign(positions))
    }

    fn poll(&mut self, timeout: Duration) -> Result<Option<Read>, BrokerError> {
        if self.last.is_some() && self.seat.desk.chance(self.seat.desk.faults().repeats) {
            self.seat.note(|| "a record is read once more".to_owned());
            return Ok(self.last.clone().map(Read::Record));
        }
        let mut read = self.seat.call("read", || self.inner.poll(timeout))?;
        if read.is_none() && !timeout.is_zero() {
            self.seat.wait(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
            read = self.inner.poll(timeout)?;
        }
        if let Some(Read::Record(record)) = &read {
            let SourceRecord { topic, partition, offset, .. } = record;
            self.seat.note(|| format!("reads {topic}-{partition} at {offset}"));
            self.last = (self.seat.desk.faults().repeats > 0).then(|| record.clone());
        }
        Ok(read)
    }
}

/// See [`Seat`].
pub struct SeatProducer<'y> {
    seat: Seat<'y>,
    inner: MemoryProducer,
    /// As with the client of Apache Kafka: after a failure nothing works any more.
    in_doubt: bool,
}

impl<'y> SeatProducer<'y> {
    fn call<T>(
        &mut self,
        name: &str,
        ask: impl FnOnce(&mut MemoryProducer) -> Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        self.in_doubt |= self.seat.desk.is_torn(&self.seat.life.name);
        if self.in_doubt {
            return Err(BrokerError::Doubt(format!("{name}: the producer is in doubt")));
        }
        let Self { seat, inner, .. } = self;
        let answer = seat.call(name, || ask(inner));
        self.in_doubt = answer.is_err();
        answer.map_err(|error| match error {
            BrokerError::Unreachable(why) => BrokerError::Doubt(why),
            error => error,
        })
    }

    /// The request to commit may be lost, may linger, or may be answered and lost on the way back.
    fn ask_to_commit(&mut self) -> Result<Committed, BrokerError> {
        let doubt = |why: &str| Err(BrokerError::Doubt(why.to_owned()));
        match self.seat.desk.fate() {
            Fate::Fails => {
                self.seat.note(|| "✗ the commit lingers in the network, the client gives up".to_owned());
                self.seat.desk.linger(self.inner.commit_request(), &self.seat.life.name);
                return doubt("the commit was not answered");
            }
            Fate::AnswerLost => {
                let ended = self.inner.commit();
                self.seat.desk.note_commit();
                self.seat.note(|| format!("✗ commit: {ended:?}, and the answer is lost"));
                return doubt("the commit was not answered");
            }
            Fate::Slow(millis) => self.seat.wait(millis),
            Fate::Done => {}
        }
        let request = self.inner.commit_request();
        let committed = self.inner.commit()?;
        self.seat.desk.note_commit();
        let copy = self.seat.desk.copy();
        if copy == Copy::None {
            return Ok(committed);
        }
        self.seat.note(|| {
            format!("✗ the commit was sent twice ({copy:?}), the first request lingers in the network")
        });
        self.seat.desk.linger(request, &self.seat.life.name);
        Ok(if copy == Copy::Told { Committed::ReplaceProducer } else { committed })
    }
}

impl TransactionalProducer for SeatProducer<'_> {
    type Fence = MemoryFence;

    fn begin(&mut self) -> Result<(), BrokerError> {
        self.call("begin", MemoryProducer::begin)
    }

    fn send(&mut self, output: &Output, mark: usize) -> Result<(), BrokerError> {
        self.call("send", |inner| inner.send(output, mark))
    }

    fn drain(&mut self) -> Result<BTreeMap<usize, i64>, BrokerError> {
        self.call("drain", MemoryProducer::drain)
    }

    fn send_offsets(
        &mut self,
        topic: &str,
        offsets: &BTreeMap<i32, i64>,
        fence: &MemoryFence,
    ) -> Result<(), BrokerError> {
        self.seat.note(|| format!("offsets {offsets:?} of {topic}"));
        self.call("send offsets", |inner| inner.send_offsets(topic, offsets, fence))
    }

    fn commit(&mut self) -> Result<Committed, BrokerError> {
        if self.in_doubt {
            return Err(BrokerError::Doubt("commit: the producer is in doubt".to_owned()));
        }
        self.seat.pass();
        let ended = self.ask_to_commit();
        self.in_doubt = ended.is_err();
        self.seat.note(|| format!("commit: {ended:?}"));
        self.seat.pass();
        ended
    }
}
