//! Tables that every process builds for itself from all partitions of a topic: Kafka Streams' global stores.
//!
//! Such a table has neither changelog nor group: the topic is its log, and a snapshot in the local store keeps
//! a restart from reading all of it again.

mod snapshot;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use state_store::StateStore;

use crate::broker::{Broker, BrokerError, LogReader, Read};
use crate::processor::Failure;
use crate::{Health, Metric, Metrics, RuntimeError, SourceRecord};
use snapshot::Snapshot;

/// The longest wait for a record, so that a request to stop is heard.
const POLL: Duration = Duration::from_millis(50);
/// Wait before a reader that was interrupted begins anew.
const RETRY: Duration = Duration::from_millis(200);
/// The longest run of reading between two looks whether to stop.
const RUN: Duration = Duration::from_millis(100);
/// How often the lag is looked up.
const GAUGE_INTERVAL: Duration = Duration::from_secs(5);

/// What is built from the records of all partitions. Others read it meanwhile.
pub trait GlobalTable: Sync {
    /// Takes a record. One that cannot be read is counted and left out.
    fn take(&self, record: &SourceRecord, metrics: &Metrics);

    /// All that was taken so far, as bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    fn snapshot(&self) -> Result<Vec<u8>, Failure>;

    /// Goes on from a snapshot; without one, from nothing.
    ///
    /// # Errors
    /// When this version cannot read it. The table is then built anew from the topic.
    fn restore(&self, snapshot: Option<&[u8]>) -> Result<(), Failure>;
}

/// What a global table is kept up to date with.
pub struct GlobalWorker<'a, B: Broker, T: GlobalTable> {
    /// The log it follows.
    pub broker: &'a B,
    /// What is built.
    pub table: &'a T,
    /// Its name in metrics.
    pub name: &'a str,
    /// The topic it is built from.
    pub topic: &'a str,
    /// Where snapshots go; `None` to read the topic from its beginning at every start.
    pub store: Option<Box<dyn StateStore>>,
    /// Time between two snapshots.
    pub snapshot_interval: Duration,
    /// Where it counts.
    pub metrics: &'a Metrics,
    /// How it is asked to stop; ready once it has reached the end that the topic had at start.
    pub health: &'a Health,
}

/// Follows the topic until asked to stop.
///
/// # Errors
/// When the broker refuses, or the store fails. What is only interrupted is tried again.
pub fn run_global<B: Broker, T: GlobalTable>(worker: GlobalWorker<'_, B, T>) -> Result<(), RuntimeError> {
    let health = worker.health;
    let mut follower = match Follower::begin(worker) {
        // It was asked to stop while no broker answered.
        Err(error) if error.is_recoverable() && health.is_stopping() => return Ok(()),
        begun => begun?,
    };
    while !follower.given.health.is_stopping() {
        match follower.follow() {
            Ok(()) => break,
            Err(error) if error.is_recoverable() => {
                tracing::warn!(table = follower.given.name, %error, "interrupted: reading on from there");
                follower.given.health.turned(false);
                std::thread::sleep(RETRY);
                follower.reader = follower.given.broker.reader()?;
            }
            Err(error) => return Err(error),
        }
    }
    follower.keep_snapshot()
}

struct Follower<'a, B: Broker, T: GlobalTable> {
    given: GlobalWorker<'a, B, T>,
    reader: B::Reader,
    log: String,
    next: BTreeMap<i32, i64>,
    /// Where the partitions ended at start; one that has been reached is out.
    behind: BTreeMap<i32, i64>,
    kept: Instant,
    gauged: Option<Instant>,
    changed: bool,
}

impl<'a, B: Broker, T: GlobalTable> Follower<'a, B, T> {
    fn begin(given: GlobalWorker<'a, B, T>) -> Result<Self, RuntimeError> {
        // First, since its client needs a while until it can read.
        let reader = given.broker.reader()?;
        let log = patiently(&given, |given| given.broker.log_name(given.topic))?;
        let extents = patiently(&given, |given| {
            let partitions = given.broker.partitions(given.topic)?.unwrap_or(0);
            let extent = |partition| Ok((partition, given.broker.extent(given.topic, partition)?));
            (0..partitions).map(extent).collect::<Result<BTreeMap<_, _>, BrokerError>>()
        })?;
        let mut next: BTreeMap<i32, i64> =
            extents.iter().map(|(part, extent)| (*part, extent.start)).collect();
        if let Some(known) = restored(&given, &log)? {
            let fits = |(partition, offset): (&i32, &i64)| {
                extents.get(partition).is_some_and(|extent| *offset <= extent.end)
            };
            if known.len() == next.len() && known.iter().all(fits) {
                known.iter().for_each(|(partition, offset)| {
                    next.entry(*partition).and_modify(|start| *start = (*start).max(*offset));
                });
            } else {
                tracing::warn!(table = given.name, "the topic is not the one of the snapshot: built anew");
                given.table.restore(None).map_err(|source| failed(&given, source))?;
            }
        }
        let behind = extents.iter().filter(|(partition, extent)| next[*partition] < extent.stable_end);
        let behind = behind.map(|(partition, extent)| (*partition, extent.stable_end)).collect();
        Ok(Self { given, reader, log, next, behind, kept: Instant::now(), gauged: None, changed: false })
    }

    fn follow(&mut self) -> Result<(), RuntimeError> {
        let topic = self.given.topic;
        let positions: Vec<_> =
            self.next.iter().map(|(partition, next)| (topic, *partition, *next)).collect();
        self.reader.assign(&positions)?;
        while !self.given.health.is_stopping() {
            self.read_run()?;
            self.given.health.turned(self.behind.is_empty());
            if self.kept.elapsed() > self.given.snapshot_interval {
                self.keep_snapshot()?;
            }
        }
        Ok(())
    }

    fn read_run(&mut self) -> Result<(), RuntimeError> {
        let until = Instant::now() + RUN;
        while Instant::now() < until {
            match self.reader.poll(POLL)? {
                Some(Read::Record(record)) => self.take(&record),
                Some(Read::End { partition }) => {
                    self.behind.remove(&partition);
                }
                None => break,
            }
        }
        self.gauge()
    }

    fn take(&mut self, record: &SourceRecord) {
        self.given.table.take(record, self.given.metrics);
        let next = record.offset + 1;
        self.next.insert(record.partition, next);
        if self.behind.get(&record.partition).is_some_and(|end| next >= *end) {
            self.behind.remove(&record.partition);
        }
        self.changed = true;
    }

    fn keep_snapshot(&mut self) -> Result<(), RuntimeError> {
        self.kept = Instant::now();
        if self.given.health.is_held() || !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        let Some(store) = &mut self.given.store else { return Ok(()) };
        let bytes = self.given.table.snapshot();
        let bytes = bytes
            .map_err(|source| RuntimeError::Processor { processor: self.given.name.to_owned(), source })?;
        Ok(snapshot::keep(&mut **store, &bytes, &self.log, &self.next)?)
    }

    fn gauge(&mut self) -> Result<(), RuntimeError> {
        if self.gauged.is_some_and(|at| at.elapsed() < GAUGE_INTERVAL) {
            return Ok(());
        }
        self.gauged = Some(Instant::now());
        for (partition, next) in &self.next {
            let end = self.given.broker.extent(self.given.topic, *partition)?.stable_end;
            let labels = [self.given.name, &partition.to_string()];
            self.given.metrics.set(Metric::LagRecords, &labels, (end - next).max(0) as f64);
        }
        Ok(())
    }
}

/// Asks until the broker answers or the process is to stop.
fn patiently<B: Broker, T: GlobalTable, A>(
    given: &GlobalWorker<'_, B, T>,
    ask: impl Fn(&GlobalWorker<'_, B, T>) -> Result<A, BrokerError>,
) -> Result<A, RuntimeError> {
    loop {
        match ask(given).map_err(RuntimeError::from) {
            Err(error) if error.is_recoverable() && !given.health.is_stopping() => {
                given.health.turned(false);
                std::thread::sleep(RETRY);
            }
            answer => return answer,
        }
    }
}

/// The positions of the kept snapshot, once the table has taken it in.
fn restored<B: Broker, T: GlobalTable>(
    given: &GlobalWorker<'_, B, T>,
    log: &str,
) -> Result<Option<BTreeMap<i32, i64>>, RuntimeError> {
    let Some(store) = &given.store else { return Ok(None) };
    let kept = snapshot::kept(&**store).unwrap_or_else(|error| {
        tracing::warn!(table = given.name, %error, "the snapshot is damaged: built anew");
        None
    });
    let kept = kept.filter(|snapshot| snapshot.log == log);
    let Some(Snapshot { bytes, next, .. }) = kept else { return Ok(None) };
    match given.table.restore(Some(&bytes)) {
        Ok(()) => Ok(Some(next)),
        Err(error) => {
            tracing::warn!(table = given.name, %error, "the snapshot cannot be read: built anew");
            given.table.restore(None).map_err(|source| failed(given, source))?;
            Ok(None)
        }
    }
}

fn failed<B: Broker, T: GlobalTable>(given: &GlobalWorker<'_, B, T>, source: Failure) -> RuntimeError {
    RuntimeError::Processor { processor: given.name.to_owned(), source }
}
