use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::broker::{Broker as _, LogReader as _, Read};

use crate::shop::PARTITIONS;

/// A partition that spoke within so long flows.
const FLOWS: Duration = Duration::from_millis(500);
/// All partitions flow for so long: it is over.
const STEADY: Duration = Duration::from_secs(3);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// A kill that leaves no silence of this length has not been noticed yet.
const SILENCE: Duration = Duration::from_secs(1);

/// Reads what is committed on the output topic as it comes, and remembers when each partition spoke.
pub(crate) struct Watch {
    records: AtomicU64,
    silences: Mutex<BTreeMap<i32, Voice>>,
}

/// How long until the first partition that a kill had silenced spoke again, and how long until all did.
#[derive(Clone, Copy)]
pub(crate) struct Recovery {
    pub(crate) first: Duration,
    pub(crate) all: Duration,
}

impl fmt::Display for Recovery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.1} / {:.1}", self.first.as_secs_f64(), self.all.as_secs_f64())
    }
}

/// What is known of one partition since the last kill.
#[derive(Clone, Copy)]
struct Voice {
    last: Instant,
    /// The longest silence since the kill, and when it ended.
    longest: Duration,
    ended: Instant,
    /// When the first silence that was noticed ended.
    back: Option<Instant>,
}

impl Voice {
    fn at(now: Instant) -> Self {
        Self { last: now, longest: Duration::ZERO, ended: now, back: None }
    }
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self { records: AtomicU64::new(0), silences: Mutex::new(BTreeMap::new()) }
    }

    /// Reads the topic from its beginning until told to stop.
    pub(crate) fn read(&self, bootstrap: &str, topic: &str, stop: &AtomicBool) -> anyhow::Result<()> {
        let mut reader = KafkaBroker::new(bootstrap, &BTreeMap::new())?.reader()?;
        let starts: Vec<_> = (0..PARTITIONS).map(|partition| (topic, partition, 0)).collect();
        reader.assign(&starts)?;
        while !stop.load(Ordering::Relaxed) {
            if let Some(Read::Record(record)) = reader.poll(Duration::from_millis(20))? {
                self.records.fetch_add(1, Ordering::Relaxed);
                self.hear(record.partition, Instant::now());
            }
        }
        Ok(())
    }

    /// Committed records so far.
    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Forgets the silences before this moment.
    pub(crate) fn begin(&self, now: Instant) {
        let mut voices = self.voices();
        *voices = (0..PARTITIONS).map(|partition| (partition, Voice::at(now))).collect();
    }

    /// Waits until every partition speaks steadily again; how long since then until the first and the last one of those
    /// that had fallen silent did.
    pub(crate) fn recovered(&self, since: Instant, patience: Duration) -> anyhow::Result<Recovery> {
        let mut steady = Instant::now();
        loop {
            ensure!(since.elapsed() < patience, "not every partition spoke again within {patience:?}");
            let voices = self.next_look();
            let silent = voices.values().filter_map(|voice| Some((voice.back?, voice.ended)));
            let (backs, ends): (Vec<Instant>, Vec<Instant>) = silent.unzip();
            let extremes = backs.iter().min().zip(ends.iter().max());
            if voices.values().any(|voice| voice.last.elapsed() > FLOWS) || extremes.is_none() {
                steady = Instant::now();
            }
            if let Some((first, all)) = extremes.filter(|_| steady.elapsed() >= STEADY) {
                let [first, all] = [first, all].map(|end| end.saturating_duration_since(since));
                return Ok(Recovery { first, all });
            }
        }
    }

    /// Waits until no partition has been silent for so long.
    pub(crate) fn rest(&self, rest: Duration, patience: Duration) -> anyhow::Result<()> {
        let (begun, mut since) = (Instant::now(), Instant::now());
        self.begin(since);
        while since.elapsed() < rest {
            ensure!(begun.elapsed() < patience, "not every partition speaks on for {rest:?}");
            let voices = self.next_look();
            if voices.values().any(|voice| voice.longest.max(voice.last.elapsed()) >= SILENCE) {
                since = Instant::now();
                self.begin(since);
            }
        }
        Ok(())
    }

    /// What is known a moment later.
    fn next_look(&self) -> BTreeMap<i32, Voice> {
        std::thread::sleep(LOOK);
        self.voices().clone()
    }

    fn voices(&self) -> MutexGuard<'_, BTreeMap<i32, Voice>> {
        self.silences.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, partition: i32, now: Instant) {
        let mut voices = self.voices();
        let voice = voices.entry(partition).or_insert(Voice::at(now));
        let silence = now - voice.last;
        if silence >= SILENCE {
            voice.back.get_or_insert(now);
        }
        if silence > voice.longest {
            (voice.longest, voice.ended) = (silence, now);
        }
        voice.last = now;
    }
}
