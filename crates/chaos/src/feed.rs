use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use paczek::{RawRecord, write_raw};
use stream_runtime::broker::kafka::KafkaBroker;

use crate::shop::Shop;

/// Portions written in one second.
const PORTIONS: usize = 2;

/// Writes the clickstream while the faults happen, so many rows a second.
pub(crate) struct Feed {
    hurry: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Feed {
    /// Begins; what is left when it is asked to hurry comes at once.
    pub(crate) fn start(shop: &Shop, bootstrap: &str, records: Vec<RawRecord>, per_second: usize) -> Self {
        let (topic, bootstrap) = (shop.topic("clickstream"), bootstrap.to_owned());
        let hurry = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&hurry);
        let thread = std::thread::spawn(move || {
            let broker = KafkaBroker::new(&bootstrap, &BTreeMap::new()).unwrap();
            let mut rest = records.as_slice();
            while !rest.is_empty() {
                let portion = if asked.load(Ordering::Relaxed) { rest.len() } else { per_second / PORTIONS };
                let (now, later) = rest.split_at(rest.len().min(portion.max(1)));
                // A transaction of the feed that nobody knows the end of would make the input another one.
                write_raw(&broker, &topic, now).expect("the clickstream is written");
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
