use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The only time a [`MemoryBroker`](super::MemoryBroker) knows. Clones show the same time.
#[derive(Clone, Debug)]
pub struct MemoryClock(Arc<Mode>);

#[derive(Debug)]
enum Mode {
    /// Milliseconds since 1970, moved by hand.
    ByHand(AtomicI64),
    /// What the machine's clock showed at the beginning, and when that was: it never jumps from then on.
    Automatic { began: i64, since: Instant },
}

impl MemoryClock {
    /// A clock that stands still unless it is moved; it shows `now`, in milliseconds since 1970. Under it
    /// nothing ever waits: who asks for a record that is not there is told so at once.
    #[must_use]
    pub fn by_hand(now: i64) -> Self {
        Self(Arc::new(Mode::ByHand(AtomicI64::new(now))))
    }

    /// A clock that goes on by itself, for workers on threads.
    #[must_use]
    pub fn automatic() -> Self {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Arc::new(Mode::Automatic { began: millis(began), since: Instant::now() }))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        match &*self.0 {
            Mode::ByHand(now) => now.load(Ordering::SeqCst),
            Mode::Automatic { began, since } => began.saturating_add(millis(since.elapsed())),
        }
    }

    /// Moves the hand on. A clock that goes by itself is left alone.
    pub fn advance(&self, by: Duration) {
        if let Mode::ByHand(now) = &*self.0 {
            now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Until when somebody who wants to wait may: `None` for not at all.
    pub(super) fn deadline(&self, patience: Duration) -> Option<Instant> {
        match &*self.0 {
            Mode::ByHand(_) => None,
            Mode::Automatic { .. } => Instant::now().checked_add(patience),
        }
    }
}

/// Milliseconds as the broker counts them.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
