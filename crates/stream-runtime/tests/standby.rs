//! Standby copies on the log in memory, each instance with a disk of its own: who takes over, and who joins, reads
//! only what its copy has not got.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use state_store::{RocksOptions, RocksStore, StateStore, StoreError, Timer};
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock};
use stream_runtime::broker::{Broker as _, NewTopic, ProducerSettings, TransactionalProducer as _};
use stream_runtime::{
    Context, Failure, Guards, Health, Metrics, Observer, Output, Outputs, Processor, RuntimeError,
    SourceRecord, Standby, StartFrom, StreamTime, SystemClock, TaskTime, Worker, WorkerSettings, run_worker,
};

const PARTITIONS: i32 = 4;
const ROWS: u64 = 2_000;

/// Keeps the last value of each key.
struct Newest;

impl Processor for Newest {
    type State = Vec<u8>;

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(bytes.to_vec())
    }

    fn encode(&self, state: &Vec<u8>) -> Result<Vec<u8>, Failure> {
        Ok(state.clone())
    }

    fn timer(&self, _: &Vec<u8>) -> Option<i64> {
        None
    }

    fn settled(&self, _: &StreamTime) -> i64 {
        i64::MIN
    }

    fn process(&self, record: &SourceRecord, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        *context.state(record.key.as_deref().unwrap_or_default())? = record.value.clone().unwrap_or_default();
        Ok(())
    }

    fn fire(&self, _: &Timer, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        Ok(())
    }

    fn heartbeat(&self, _: &[TaskTime<'_>], _: &mut Outputs) -> Result<(), Failure> {
        Ok(())
    }
}

/// Remembers where each opening of a task began to read the changelog.
#[derive(Default)]
struct Openings(Mutex<Vec<(i32, i64)>>);

impl Observer for Openings {
    fn restored(&self, _: &str, partition: i32, from: i64, _: u64) {
        self.0.lock().unwrap().push((partition, from));
    }
}

fn shop() -> MemoryBroker {
    let broker = MemoryBroker::new(&MemoryClock::automatic(), 5);
    for (name, policy) in [("rows", "delete"), ("changelog", "compact")] {
        let settings = BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]);
        let topic = NewTopic { name: name.to_owned(), partitions: PARTITIONS, replication: 1, settings };
        broker.create_topic(&topic).unwrap();
    }
    let settings = ProducerSettings { transactional_id: "source".into(), transaction_timeout: LONG };
    let mut producer = broker.producer(&settings).unwrap();
    producer.begin().unwrap();
    for number in 0..ROWS {
        let key = Some(number.to_le_bytes().to_vec());
        let partition = i32::try_from(number % PARTITIONS as u64).unwrap();
        let output =
            Output { topic: Arc::from("rows"), partition, value: key.clone(), key, headers: Vec::new() };
        producer.send(&output, 0).unwrap();
    }
    let _ = producer.commit().unwrap();
    broker
}

const LONG: Duration = Duration::from_secs(60);

/// A process with a disk.
struct Instance<'a> {
    broker: &'a MemoryBroker,
    name: &'static str,
    disk: &'a Path,
    standby: Standby,
    openings: Openings,
    metrics: Metrics,
    health: Health,
}

impl<'a> Instance<'a> {
    fn new(broker: &'a MemoryBroker, name: &'static str, disk: &'a Path, standby: Standby) -> Self {
        let (openings, metrics, health) = (Openings::default(), Metrics::default(), Health::default());
        Self { broker, name, disk, standby, openings, metrics, health }
    }

    fn work(&self) -> Result<(), RuntimeError> {
        let open_store = |partition: i32| -> Result<Box<dyn StateStore>, StoreError> {
            let path = self.disk.join(format!("{}-{partition}", self.name));
            Ok(Box::new(RocksStore::open(&path, &RocksOptions::default())?))
        };
        run_worker(&Worker {
            broker: self.broker,
            processor: &Newest,
            settings: &self.settings(),
            open_store: &open_store,
            clock: &SystemClock::default(),
            metrics: &self.metrics,
            observer: &self.openings,
            health: &self.health,
        })
    }

    fn settings(&self) -> WorkerSettings {
        WorkerSettings {
            processor: "newest".into(),
            input: "rows".into(),
            changelog: "changelog".into(),
            group: "group".into(),
            transactional_id: format!("{}-0", self.name),
            commit_interval: Duration::from_millis(5),
            max_records: 100,
            max_bytes: 1 << 20,
            hot_states: 10,
            session_timeout: Duration::from_secs(2),
            transaction_timeout: LONG,
            start_from: StartFrom::Earliest,
            accept_reset: false,
            standby: self.standby,
            guards: Guards::default(),
        }
    }

    /// What it holds, by the group.
    fn held(&self) -> BTreeSet<i32> {
        let members = self.broker.members("group", "rows").unwrap();
        members.get(&format!("{}-0", self.name)).cloned().unwrap_or_default()
    }

    fn is_through(&self) -> bool {
        let ends = (0..PARTITIONS).map(|one| self.broker.extent("rows", one).unwrap().stable_end);
        self.broker.group_offsets("group", "rows").values().sum::<i64>() + i64::from(PARTITIONS)
            >= ends.sum::<i64>()
    }

    fn copies(&self) -> usize {
        let text = self.metrics.text();
        let of_copies = text.lines().filter(|line| line.starts_with("paczek_standby_lag_records{"));
        of_copies.filter(|line| line.ends_with(" 0")).count()
    }

    fn opened(&self) -> Vec<(i32, i64)> {
        self.openings.0.lock().unwrap().clone()
    }

    /// Whether it has opened all it holds, by the group.
    fn has_opened(&self) -> bool {
        let opened = self.opened().into_iter().map(|(partition, _)| partition).collect();
        self.held().is_subset(&opened)
    }
}

/// Stops it also where the test has failed.
impl Drop for Instance<'_> {
    fn drop(&mut self) {
        self.health.stop();
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// One instance has done all the work and shares it with another one, then stops; where the other one began to read
/// what it took over.
fn take_over(standby: Standby) -> Vec<i64> {
    let (disk, broker) = (tempfile::tempdir().unwrap(), shop());
    let one = Instance::new(&broker, "one", disk.path(), standby);
    let two = Instance::new(&broker, "two", disk.path(), standby);
    thread::scope(|scope| {
        let stop = [StopsAll(&one.health), StopsAll(&two.health)];
        let first = scope.spawn(|| one.work());
        wait_until("all taken", || one.is_through());
        let second = scope.spawn(|| two.work());
        wait_until("shared out", || one.held().len() == 2 && two.held().len() == 2 && two.has_opened());
        wait_until("copies", || standby.copies == 0 || two.copies() == 2);
        let before = two.opened().len();
        one.health.stop();
        first.join().unwrap().unwrap();
        wait_until("taken over", || two.held().len() == 4 && two.has_opened());
        drop(stop);
        second.join().unwrap().unwrap();
        two.opened()[before..].iter().map(|(_, from)| *from).collect()
    })
}

/// One instance has done all the work, another one joins; where that one began to read what it got.
fn join(standby: Standby) -> Vec<i64> {
    let (disk, broker) = (tempfile::tempdir().unwrap(), shop());
    let one = Instance::new(&broker, "one", disk.path(), Standby::default());
    let two = Instance::new(&broker, "two", disk.path(), standby);
    thread::scope(|scope| {
        let stop = [StopsAll(&one.health), StopsAll(&two.health)];
        let first = scope.spawn(|| one.work());
        wait_until("all taken", || one.is_through());
        let second = scope.spawn(|| two.work());
        wait_until("joined", || two.held().len() == 2 && two.has_opened());
        assert!(!two.health.is_warming());
        drop(stop);
        first.join().unwrap().unwrap();
        second.join().unwrap().unwrap();
        two.opened().iter().map(|(_, from)| *from).collect()
    })
}

struct StopsAll<'a>(&'a Health);

impl Drop for StopsAll<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[test]
fn a_standby_copy_is_handed_over_open_and_only_the_rest_is_read() {
    let copies = Standby { copies: 1, ..Standby::default() };
    let begun = take_over(copies);
    assert!(begun.iter().all(|from| *from > 400), "{begun:?}");
    let begun = take_over(Standby::default());
    assert!(begun.starts_with(&[0, 0]), "without copies there is nothing: {begun:?}");
}

#[test]
fn a_newcomer_joins_once_it_is_warm() {
    let warm = Standby { join_when_warm: true, warm_lag: 0, ..Standby::default() };
    let begun = join(warm);
    assert!(begun.iter().all(|from| *from > 400), "{begun:?}");
    assert!(join(Standby::default()).contains(&0), "otherwise it joins cold");
}
