use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use state_store::{RocksOptions, RocksStore, StateStore, StoreError, Timer};
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::broker::{Broker as _, NewTopic, ProducerSettings, TransactionalProducer as _};
use stream_runtime::{
    Context, Failure, Frame, Guards, Health, InputPosition, Metrics, Observer, Output, Outputs, Processor,
    SourceRecord, Standby, StartFrom, StreamTime, SystemClock, TRAILER_KEY, TaskTime, Trailer, Worker,
    WorkerSettings, run_worker, state_key,
};

const KEY: usize = 16;
const VALUE: usize = 200;
const BATCH: u64 = 50_000;
const PATIENCE: Duration = Duration::from_secs(300);
/// Linux counts processor time in these, whatever its own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// What it took to read a changelog into a store that had nothing.
pub(crate) struct Restored {
    pub(crate) rows: u64,
    pub(crate) bytes: usize,
    pub(crate) wall_seconds: f64,
    /// Of this process, the client's threads among it.
    pub(crate) cpu_seconds: f64,
}

/// Writes a changelog as compaction leaves it, and opens the task on it that has no store.
pub(crate) fn restore(bootstrap: &str, store: &Path, rows: u64) -> anyhow::Result<Restored> {
    let broker = KafkaBroker::new(bootstrap, &BTreeMap::new())?;
    for (name, policy) in [("rows", "delete"), ("rows-changelog", "compact")] {
        let settings = BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]);
        broker.create_topic(&NewTopic { name: name.to_owned(), partitions: 1, replication: -1, settings })?;
    }
    eprintln!("writing a changelog of {rows} rows");
    write_changelog(&broker, rows)?;
    eprintln!("reading it into an empty store");
    let (opened, health) = (Opened(AtomicBool::new(false)), Health::default());
    thread::scope(|scope| {
        let (begun, before) = (Instant::now(), cpu_seconds()?);
        let worker = scope.spawn(|| work(&broker, store, &opened, &health));
        while !opened.0.load(Ordering::Relaxed) && !worker.is_finished() && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        let (wall_seconds, cpu_seconds) = (begun.elapsed().as_secs_f64(), cpu_seconds()? - before);
        health.stop();
        worker.join().map_err(|_| anyhow::anyhow!("the worker panicked"))??;
        ensure!(opened.0.load(Ordering::Relaxed), "the store was not filled within {PATIENCE:?}");
        eprintln!("{rows} rows in {wall_seconds:.1} s, {cpu_seconds:.1} s of processor time");
        Ok(Restored { rows, bytes: KEY + VALUE, wall_seconds, cpu_seconds })
    })
}

fn write_changelog(broker: &KafkaBroker, rows: u64) -> anyhow::Result<()> {
    let settings =
        ProducerSettings { transactional_id: "rows".into(), transaction_timeout: Duration::from_secs(60) };
    let mut producer = broker.producer(&settings)?;
    for first in (0..rows).step_by(usize::try_from(BATCH)?) {
        producer.begin()?;
        for number in first..(first + BATCH).min(rows) {
            producer.send(&record(state_key(&key(number)), value(number)), 0)?;
        }
        if first + BATCH >= rows {
            producer.drain()?;
            producer.send(&record(TRAILER_KEY.to_vec(), trailer().encode()), 0)?;
        }
        producer.drain()?;
        let _ = producer.commit()?;
    }
    Ok(())
}

fn record(key: Vec<u8>, value: Vec<u8>) -> Output {
    let (key, value) = (Some(key), Some(value));
    Output { topic: Arc::from("rows-changelog"), partition: 0, key, value, headers: Vec::new() }
}

/// Keys in no order, as customers come.
fn key(number: u64) -> Vec<u8> {
    format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes()
}

/// The due time of a timer, for every third row, and bytes that do not compress to nothing.
fn value(number: u64) -> Vec<u8> {
    let due = if number.is_multiple_of(3) { number } else { 0 };
    let rest = (8..VALUE as u64).map(|at| (at.wrapping_mul(number | 1) >> 3) as u8);
    due.to_le_bytes().into_iter().chain(rest).collect()
}

/// Of a late transaction: before it there were many, of which compaction has left the newest of each key.
fn trailer() -> Trailer {
    let input = InputPosition { topic: "rows".into(), partition: 0, next_offset: 0 };
    Trailer::new(1_000, &Frame::default(), input, &StreamTime::default(), "rows")
}

fn work(broker: &KafkaBroker, store: &Path, opened: &Opened, health: &Health) -> anyhow::Result<()> {
    let open_store = |_| -> Result<Box<dyn StateStore>, StoreError> {
        Ok(Box::new(RocksStore::open(store, &RocksOptions::default())?))
    };
    let settings = WorkerSettings {
        processor: "rows".into(),
        input: "rows".into(),
        changelog: "rows-changelog".into(),
        group: "rows".into(),
        transactional_id: "rows-0".into(),
        commit_interval: Duration::from_millis(40),
        max_records: 10_000,
        max_bytes: 8 << 20,
        hot_states: 10,
        session_timeout: Duration::from_secs(6),
        transaction_timeout: Duration::from_secs(10),
        start_from: StartFrom::Earliest,
        accept_reset: false,
        standby: Standby::default(),
        guards: Guards::default(),
    };
    Ok(run_worker(&Worker {
        broker,
        processor: &Rows,
        settings: &settings,
        open_store: &open_store,
        clock: &SystemClock::default(),
        metrics: &Metrics::default(),
        observer: opened,
        health,
    })?)
}

struct Opened(AtomicBool);

impl Observer for Opened {
    fn restored(&self, _: &str, _: i32, _: i64, _: u64) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Bytes that begin with the due time of their timer.
struct Rows;

impl Processor for Rows {
    type State = Vec<u8>;

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        Ok(bytes.to_vec())
    }

    fn encode(&self, state: &Vec<u8>) -> Result<Vec<u8>, Failure> {
        Ok(state.clone())
    }

    fn timer(&self, state: &Vec<u8>) -> Option<i64> {
        let due = i64::from_le_bytes(*state.first_chunk()?);
        (due != 0).then_some(due)
    }

    fn settled(&self, _: &StreamTime) -> i64 {
        i64::MIN
    }

    fn process(&self, _: &SourceRecord, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        Ok(())
    }

    fn fire(&self, _: &Timer, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        Ok(())
    }

    fn heartbeat(&self, _: &[TaskTime<'_>], _: &mut Outputs) -> Result<(), Failure> {
        Ok(())
    }
}

/// User and system time of this process: fields 14 and 15. The second field, a name, may contain anything.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let ticks = stat.rsplit_once(')').and_then(|(_, behind_name)| {
        let mut fields = behind_name.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<f64>().ok();
        Some(ticks()? + ticks()?)
    });
    Ok(ticks.context("/proc shows no processor time")? / TICKS_PER_SECOND)
}
