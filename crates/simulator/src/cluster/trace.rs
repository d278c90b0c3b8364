use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use stream_runtime::broker::memory::MemoryClock;
use stream_runtime::{Observer, Step};

/// Who did what and what went wrong, line by line. It costs much, so it is written only where somebody reads it.
pub struct Trace {
    kept: bool,
    clock: MemoryClock,
    began: i64,
    lines: Mutex<Vec<String>>,
}

impl Trace {
    /// A trace by this clock; nothing is written unless it is to be kept.
    #[must_use]
    pub fn new(clock: &MemoryClock, kept: bool) -> Self {
        Self { kept, clock: clock.clone(), began: clock.now(), lines: Mutex::default() }
    }

    /// Writes a line.
    pub fn note(&self, who: &str, what: impl FnOnce() -> String) {
        if self.kept {
            let line = format!("{:>9} ms  {who:<20} {}", self.clock.now() - self.began, what());
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    /// What has been written.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Notes each step of a worker's transactions.
pub(super) struct Steps {
    pub(super) who: String,
    pub(super) trace: Arc<Trace>,
    pub(super) last: Arc<AtomicUsize>,
    pub(super) copies: Arc<AtomicU64>,
}

/// Before a worker's first transaction.
pub(super) const NAMES: [&str; 9] = [
    "Opening",
    "Processing",
    "OutputsSent",
    "Sealed",
    "Drained",
    "TrailersWritten",
    "OffsetsSent",
    "Committed",
    "Applied",
];

impl Observer for Steps {
    fn reached(&self, _: &str, step: Step, records: usize) {
        self.last.store(1 + step as usize, Ordering::Relaxed);
        self.trace.note(&self.who, || format!("  · {step:?}, {records} records so far"));
    }

    fn restored(&self, _: &str, partition: i32, from: i64, records: u64) {
        self.last.store(0, Ordering::Relaxed);
        self.trace.note(&self.who, || {
            format!(
                "  · partition {partition} is open, {records} records of its changelog from offset {from} on"
            )
        });
    }

    fn copied(&self, _: &str, partition: i32) {
        self.copies.fetch_add(1, Ordering::Relaxed);
        self.trace.note(&self.who, || format!("  · keeps a copy of partition {partition} from here on"));
    }
}
