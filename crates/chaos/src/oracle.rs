//! Whether anything was lost or doubled: the committed outputs against those of an undisturbed run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use paczek::TopicDigest;
use stream_runtime::SourceRecord;
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::broker::{Broker as _, LogReader as _, Read};
use xxhash_rust::xxh3::Xxh3;

use crate::shop::Shop;
use crate::tried::Tried;

/// The topics in which every output of an honest run is there once, for rows that each have an id of their own.
const COUNTED: [&str; 3] = ["events", "profile-updates", "sessions"];
/// With nothing new for so long a live reader has seen it all.
const REST: Duration = Duration::from_secs(2);

/// Digests by topic.
pub(crate) type Digests = BTreeMap<String, TopicDigest>;

/// How often each output of a topic was seen.
type Outputs = BTreeMap<u128, u32>;

/// Compares what a shop wrote with the reference, topic by topic of `topics`, and counts where they differ.
pub(crate) fn judge(shop: &Shop, reference: &Digests, topics: &[&str], tried: &mut Tried) {
    let found = shop.digests();
    let differ: Vec<&str> =
        topics.iter().copied().filter(|topic| found[*topic] != reference[*topic]).collect();
    for topic in &differ {
        let (lost, doubled) = count(shop, topic, reference[*topic].records);
        tried.lost += lost;
        tried.doubled += doubled;
    }
    let told = || {
        let of = |topic: &&str| format!("{topic} {:?}, not {:?}", found[*topic], reference[*topic]);
        format!("not what the demo writes: {}", differ.iter().map(of).collect::<Vec<_>>().join("; "))
    };
    tried.holds(differ.is_empty(), told);
}

/// Lost and doubled outputs of a topic of which an honest run writes so many, no two of them alike.
fn count(shop: &Shop, topic: &str, honest: u64) -> (u64, u64) {
    if !COUNTED.contains(&topic) {
        return (0, 0);
    }
    let mut outputs = Outputs::new();
    shop.read(topic, i64::MAX, |record| note(&mut outputs, &record));
    (honest.saturating_sub(outputs.len() as u64), repeated(&outputs))
}

fn repeated(outputs: &Outputs) -> u64 {
    outputs.values().map(|times| u64::from(*times) - 1).sum()
}

fn note(outputs: &mut Outputs, record: &SourceRecord) {
    if record.header("kind") == Some(b"heartbeat") {
        return;
    }
    let mut hash = Xxh3::new();
    let id = if record.header("due").is_some() { record.header("id") } else { None };
    for part in [record.key.as_deref(), record.value.as_deref(), id] {
        let part = part.unwrap_or_default();
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    *outputs.entry(hash.digest128()).or_default() += 1;
}

/// Reads committed records while the faults happen, as the tools behind Pączek do.
pub(crate) struct LiveReader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeMap<String, Outputs>>,
}

impl LiveReader {
    /// Begins to read what the shop writes.
    pub(crate) fn start(shop: &Shop, bootstrap: &str) -> Self {
        let topics: Vec<String> = COUNTED.iter().map(|topic| shop.topic(topic)).collect();
        let (stop, bootstrap) = (Arc::new(AtomicBool::new(false)), bootstrap.to_owned());
        let asked = Arc::clone(&stop);
        let thread = std::thread::spawn(move || follow(&bootstrap, &topics, &asked));
        Self { stop, thread }
    }

    /// Reads on to the end; what it saw must be what stands there now, and nothing of it twice.
    pub(crate) fn finish(self, shop: &Shop, tried: &mut Tried) {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.join().expect("the live reader");
        for topic in COUNTED {
            let mut standing = Outputs::new();
            shop.read(topic, i64::MAX, |record| note(&mut standing, &record));
            let seen = seen.get(&shop.topic(topic)).cloned().unwrap_or_default();
            let told = || format!("a live reader of {topic} saw other outputs than stand there");
            tried.holds(seen == standing, told);
        }
    }
}

fn follow(bootstrap: &str, topics: &[String], stop: &AtomicBool) -> BTreeMap<String, Outputs> {
    let broker = KafkaBroker::new(bootstrap, &BTreeMap::new()).unwrap();
    let mut reader = broker.reader().unwrap();
    let mut positions = Vec::new();
    for topic in topics {
        let partitions = broker.partitions(topic).unwrap().unwrap();
        positions.extend((0..partitions).map(|partition| (topic.as_str(), partition, 0)));
    }
    reader.assign(&positions).unwrap();
    let mut seen: BTreeMap<String, Outputs> = BTreeMap::new();
    loop {
        match reader.poll(REST) {
            Ok(Some(Read::Record(record))) => {
                note(seen.entry(record.topic.to_string()).or_default(), &record)
            }
            Ok(Some(Read::End { .. })) => {}
            // A broker that is away comes back.
            Ok(None) | Err(_) if stop.load(Ordering::Relaxed) => return seen,
            Ok(None) | Err(_) => {}
        }
    }
}
