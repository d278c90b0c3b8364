//! A global table on the log in memory: whatever its snapshot is worth, it ends up with all that the topic holds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use state_store::{RocksOptions, RocksStore, Row, StateStore, WriteBatch};
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock};
use stream_runtime::broker::{Broker as _, NewTopic, ProducerSettings, TransactionalProducer as _};
use stream_runtime::{Failure, GlobalTable, GlobalWorker, Health, Metrics, Output, SourceRecord, run_global};

const TOPIC: &str = "sessions";
const PARTITIONS: i32 = 3;

/// Adds up numbers, and counts how many of them it was handed.
#[derive(Default)]
struct Sum(Mutex<(u64, usize)>);

impl Sum {
    fn is(&self) -> u64 {
        self.0.lock().unwrap().0
    }

    fn taken(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl GlobalTable for Sum {
    fn take(&self, record: &SourceRecord, _: &Metrics) {
        let number: [u8; 8] = record.value.as_deref().unwrap().try_into().unwrap();
        let mut sum = self.0.lock().unwrap();
        *sum = (sum.0 + u64::from_le_bytes(number), sum.1 + 1);
    }

    fn snapshot(&self) -> Result<Vec<u8>, Failure> {
        Ok(self.is().to_le_bytes().to_vec())
    }

    fn restore(&self, snapshot: Option<&[u8]>) -> Result<(), Failure> {
        let sum = snapshot.map(|bytes| bytes.try_into().map(u64::from_le_bytes)).transpose()?;
        *self.0.lock().unwrap() = (sum.unwrap_or(0), 0);
        Ok(())
    }
}

fn broker(seed: u64) -> MemoryBroker {
    let broker = MemoryBroker::new(&MemoryClock::automatic(), seed);
    let settings = BTreeMap::from([("cleanup.policy".to_owned(), "delete".to_owned())]);
    let topic = NewTopic { name: TOPIC.to_owned(), partitions: PARTITIONS, replication: 1, settings };
    broker.create_topic(&topic).unwrap();
    broker
}

/// Writes the numbers `from..to` and gives their sum.
fn write(broker: &MemoryBroker, from: u64, to: u64) -> u64 {
    let settings =
        ProducerSettings { transactional_id: "source".into(), transaction_timeout: Duration::from_secs(60) };
    let mut producer = broker.producer(&settings).unwrap();
    producer.begin().unwrap();
    for number in from..to {
        let output = Output {
            topic: Arc::from(TOPIC),
            partition: i32::try_from(number % 3).unwrap(),
            key: None,
            value: Some(number.to_le_bytes().to_vec()),
            headers: Vec::new(),
        };
        producer.send(&output, 0).unwrap();
    }
    let _ = producer.commit().unwrap();
    (from..to).sum()
}

/// Runs the table until it has caught up, then stops it: what it holds, and how many records it was handed.
fn caught_up(broker: &MemoryBroker, directory: &Path) -> (u64, usize) {
    let (table, metrics, health) = (Sum::default(), Metrics::default(), Health::default());
    let store: Box<dyn StateStore> = Box::new(RocksStore::open(directory, &RocksOptions::default()).unwrap());
    let worker = GlobalWorker {
        broker,
        table: &table,
        name: "sum",
        topic: TOPIC,
        store: Some(store),
        snapshot_interval: Duration::from_secs(3_600),
        metrics: &metrics,
        health: &health,
    };
    thread::scope(|scope| {
        let running = scope.spawn(|| run_global(worker));
        let deadline = Instant::now() + Duration::from_secs(30);
        while !health.is_ready() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        health.stop();
        running.join().unwrap().unwrap();
    });
    (table.is(), table.taken())
}

#[test]
fn a_restart_goes_on_from_the_snapshot() {
    let (broker, directory) = (broker(1), tempfile::tempdir().unwrap());
    let first = write(&broker, 0, 1_000);
    assert_eq!(caught_up(&broker, directory.path()), (first, 1_000));
    let second = write(&broker, 1_000, 1_010);
    assert_eq!(caught_up(&broker, directory.path()), (first + second, 10));
    assert_eq!(caught_up(&broker, directory.path()), (first + second, 0));
}

#[test]
fn a_damaged_snapshot_is_built_anew_from_the_topic() {
    let (broker, directory) = (broker(1), tempfile::tempdir().unwrap());
    let all = write(&broker, 0, 100);
    caught_up(&broker, directory.path());
    let mut store = RocksStore::open(directory.path(), &RocksOptions::default()).unwrap();
    let mut damage = WriteBatch::default();
    damage.put(
        0u32.to_be_bytes().to_vec(),
        Row { value: b"not what was written".to_vec(), timer: None },
        None,
    );
    store.write(damage).unwrap();
    drop(store);
    assert_eq!(caught_up(&broker, directory.path()), (all, 100));
    assert_eq!(caught_up(&broker, directory.path()), (all, 0), "the next snapshot is whole again");
}

#[test]
fn the_snapshot_of_another_log_does_not_count() {
    let directory = tempfile::tempdir().unwrap();
    let other = broker(2);
    write(&other, 0, 500);
    caught_up(&other, directory.path());
    let broker = broker(1);
    let all = write(&broker, 0, 10);
    assert_eq!(caught_up(&broker, directory.path()), (all, 10));
}
