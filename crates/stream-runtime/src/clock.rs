use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time a worker lives in. Whatever it does or leaves because of time, it asks here, so that another clock
/// gives another run, and the same clock the same one.
pub trait Clock {
    /// Milliseconds since 1970: for waiting and measuring, never for event time but where a live source is idle.
    fn now(&self) -> i64;

    /// Time since some beginning; it never goes back.
    fn uptime(&self) -> Duration;

    /// Comes back after a while.
    fn sleep(&self, duration: Duration);
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    begun: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { begun: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        system_time()
    }

    fn uptime(&self) -> Duration {
        self.begun.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// Milliseconds since 1970 by this machine's clock.
pub(crate) fn system_time() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
