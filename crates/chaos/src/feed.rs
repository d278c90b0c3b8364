use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use paczek::{RawRecord, write_raw};
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::broker::{Broker as _, BrokerError, LogReader as _, Read};

use crate::shop::{PATIENCE, Shop};

/// Portions written in one second.
const PORTIONS: usize = 2;
/// Between two tries while no broker answers.
const RETRY: Duration = Duration::from_millis(500);

/// Writes the clickstream while the faults happen, so many rows a second. Each row is written once, also where
/// brokers go away in the middle of it.
pub(crate) struct Feed {
    hurry: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Feed {
    /// Begins; what is left when it is asked to hurry comes at once.
    pub(crate) fn start(shop: &Shop, bootstrap: &str, records: Vec<RawRecord>, per_second: usize) -> Self {
        let hurry = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&hurry);
        let broker = KafkaBroker::new(bootstrap, &BTreeMap::new()).unwrap();
        let topic = shop.topic("clickstream");
        // Only where its ends are told can it be counted.
        let _ = shop.extents(&topic);
        let mut writer = Writer { broker, topic, stands: 0 };
        writer.stands = writer.count().expect("the topic is read");
        let thread = std::thread::spawn(move || {
            let mut rest = records.as_slice();
            while !rest.is_empty() {
                let portion = if asked.load(Ordering::Relaxed) { rest.len() } else { per_second / PORTIONS };
                let (now, later) = rest.split_at(rest.len().min(portion.max(1)));
                writer.write(now);
                rest = later;
                std::thread::sleep(Duration::from_millis(1_000 / PORTIONS as u64));
            }
        });
        Self { hurry, thread }
    }

    /// Whether all is written.
    pub(crate) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Writes the rest.
    pub(crate) fn finish(self) {
        self.hurry.store(true, Ordering::Relaxed);
        self.thread.join().expect("the feed");
    }
}

struct Writer {
    broker: KafkaBroker,
    topic: String,
    /// Records that stand in the topic.
    stands: usize,
}

impl Writer {
    /// Writes these. Where nobody knows what became of a transaction, it is ended, and then the topic says.
    fn write(&mut self, records: &[RawRecord]) {
        let (before, deadline) = (self.stands, Instant::now() + PATIENCE);
        while let Err(error) = write_raw(&self.broker, &self.topic, &records[self.stands - before..]) {
            // A new producer of the same id ends what the last one left open.
            while write_raw(&self.broker, &self.topic, &[]).is_err() {
                assert!(Instant::now() < deadline, "the clickstream cannot be written: {error}");
                std::thread::sleep(RETRY);
            }
            self.stands = loop {
                match self.count() {
                    Ok(count) => break count,
                    Err(error) => {
                        assert!(Instant::now() < deadline, "the clickstream cannot be read: {error}")
                    }
                }
                std::thread::sleep(RETRY);
            };
        }
        self.stands = before + records.len();
    }

    /// Counts the committed records of the topic.
    fn count(&self) -> Result<usize, BrokerError> {
        let partitions = self.broker.partitions(&self.topic)?.unwrap_or_default();
        let mut open = BTreeSet::new();
        let mut positions = Vec::new();
        for partition in 0..partitions {
            let extent = self.broker.extent(&self.topic, partition)?;
            if extent.start < extent.stable_end {
                positions.push((self.topic.as_str(), partition, extent.start));
                open.insert(partition);
            }
        }
        let mut reader = self.broker.reader()?;
        reader.assign(&positions)?;
        let mut count = 0;
        while !open.is_empty() {
            match reader.poll(Duration::from_millis(200))? {
                Some(Read::Record(_)) => count += 1,
                Some(Read::End { partition }) => {
                    open.remove(&partition);
                }
                None => {}
            }
        }
        Ok(count)
    }
}
