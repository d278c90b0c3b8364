//! Sums on a log in memory, with stores on disk, and workers that are stopped and started.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use state_store::{RocksOptions, StateStore, open_sound};
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock};
use stream_runtime::broker::{
    Broker as _, LogReader as _, NewTopic, ProducerSettings, Read, TransactionalProducer as _,
};
use stream_runtime::{
    Guards, Health, Metrics, RuntimeError, Silent, SourceRecord, Standby, StartFrom, SystemClock, Worker,
    WorkerSettings, run_worker,
};
use tempfile::TempDir;

use crate::sums::{KEYS, PARTITIONS, Sums, record_of};

/// A log with its topics, and the disks of those who work on it.
pub(crate) struct Shop {
    pub(crate) broker: MemoryBroker,
    pub(crate) disks: TempDir,
    /// Numbers that have come in.
    written: AtomicU64,
}

impl Shop {
    pub(crate) fn open() -> Self {
        let broker = MemoryBroker::new(&MemoryClock::automatic(), 11);
        let shop = Self { broker, disks: tempfile::tempdir().unwrap(), written: AtomicU64::new(0) };
        ["numbers", "sums", "changelog"].iter().for_each(|topic| shop.make(topic));
        shop
    }

    /// Makes one of its topics.
    pub(crate) fn make(&self, name: &str) {
        let policy = if name == "changelog" { "compact" } else { "delete" };
        let settings = BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]);
        let topic = NewTopic { name: name.to_owned(), partitions: PARTITIONS, replication: 1, settings };
        self.broker.create_topic(&topic).unwrap();
    }

    /// So many more numbers come in.
    pub(crate) fn write(&self, count: u64) {
        let settings = ProducerSettings {
            transactional_id: "source".into(),
            transaction_timeout: Duration::from_secs(60),
        };
        let mut producer = self.broker.producer(&settings).unwrap();
        producer.begin().unwrap();
        let written = self.written();
        for number in written..written + count {
            let key = format!("key-{}", number % KEYS).into_bytes();
            producer.send(&record_of("numbers", key, number.to_le_bytes().to_vec()), 0).unwrap();
        }
        let _ = producer.commit().unwrap();
        self.written.store(written + count, Ordering::Relaxed);
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// The sums said so far, by key, in order.
    pub(crate) fn sums(&self) -> BTreeMap<Vec<u8>, Vec<u64>> {
        let mut sums = BTreeMap::<_, Vec<u64>>::new();
        for record in self.records("sums") {
            let sum = u64::from_le_bytes(record.value.unwrap().try_into().unwrap());
            sums.entry(record.key.unwrap()).or_default().push(sum);
        }
        sums
    }

    /// What is committed in a topic.
    pub(crate) fn records(&self, topic: &str) -> Vec<SourceRecord> {
        let mut reader = self.broker.reader().unwrap();
        let mut records = Vec::new();
        for partition in 0..self.broker.partitions(topic).unwrap().unwrap() {
            let start = self.broker.extent(topic, partition).unwrap().start;
            reader.assign(&[(topic, partition, start)]).unwrap();
            while let Some(Read::Record(record)) = reader.poll(Duration::ZERO).unwrap() {
                records.push(record);
            }
        }
        records
    }

    /// What one who adds up by hand would have said.
    pub(crate) fn expected(&self) -> BTreeMap<Vec<u8>, Vec<u64>> {
        let mut sums = BTreeMap::<Vec<u8>, Vec<u64>>::new();
        for number in 0..self.written() {
            let said = sums.entry(format!("key-{}", number % KEYS).into_bytes()).or_default();
            said.push(said.last().unwrap_or(&0) + number);
        }
        sums
    }

    /// Whether all that came in has been counted.
    pub(crate) fn is_done(&self) -> bool {
        self.sums().values().map(Vec::len).sum::<usize>() as u64 >= self.written()
    }

    /// Lets a worker do all there is to do.
    pub(crate) fn work(&self, worker: &OneWorker) -> Result<(), RuntimeError> {
        self.work_until(worker, || self.is_done())
    }

    /// Lets a worker work until something is so, or until it refuses.
    pub(crate) fn work_until(
        &self,
        worker: &OneWorker,
        is_so: impl Fn() -> bool,
    ) -> Result<(), RuntimeError> {
        let health = Health::default();
        thread::scope(|scope| {
            let working = scope.spawn(|| worker.run(self, &health));
            let deadline = Instant::now() + Duration::from_secs(60);
            while !working.is_finished() && !is_so() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
            health.stop();
            working.join().unwrap()
        })
    }
}

/// Who works, and on which disk.
pub(crate) struct OneWorker {
    pub(crate) name: &'static str,
    pub(crate) disk: &'static str,
    pub(crate) group: &'static str,
    pub(crate) guards: Guards,
    pub(crate) accept_reset: bool,
}

impl OneWorker {
    pub(crate) fn named(name: &'static str) -> Self {
        Self { name, disk: name, group: "summing", guards: Guards::default(), accept_reset: false }
    }

    pub(crate) fn store(&self, shop: &Shop, partition: i32) -> std::path::PathBuf {
        shop.disks.path().join(self.disk).join(partition.to_string())
    }

    pub(crate) fn run(&self, shop: &Shop, health: &Health) -> Result<(), RuntimeError> {
        let settings = WorkerSettings {
            processor: "sums".into(),
            input: "numbers".into(),
            changelog: "changelog".into(),
            group: self.group.into(),
            transactional_id: self.name.into(),
            commit_interval: Duration::from_millis(5),
            max_records: 100,
            max_bytes: 1 << 20,
            hot_states: 10,
            session_timeout: Duration::from_millis(700),
            transaction_timeout: Duration::from_secs(2),
            start_from: StartFrom::Earliest,
            accept_reset: self.accept_reset,
            standby: Standby::default(),
            guards: self.guards,
        };
        let open_store = |partition| {
            let path = self.store(shop, partition);
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
            Ok(Box::new(open_sound(&path, &RocksOptions::default())?.store) as Box<dyn StateStore>)
        };
        run_worker(&Worker {
            broker: &shop.broker,
            clock: &SystemClock::default(),
            processor: &Sums,
            settings: &settings,
            open_store: &open_store,
            metrics: &Metrics::default(),
            observer: &Silent,
            health,
        })
    }
}
