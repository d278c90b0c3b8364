use events::EventTime;

/// The newest event time that one raw partition has shown.
///
/// It only grows. An event is held against what its own raw partition had shown *before* it, so neither a
/// crash nor the lead of another partition changes whether it is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frontier(EventTime);

impl Frontier {
    /// The frontier of a partition that has shown nothing yet: nothing is late against it.
    pub const START: Self = Self(EventTime::MIN);

    /// A frontier that has reached `time`, such as one read back from a committed position.
    #[must_use]
    pub fn new(time: EventTime) -> Self {
        Self(time)
    }

    /// The newest event time shown; [`EventTime::MIN`] at the start.
    #[must_use]
    pub fn time(self) -> EventTime {
        self.0
    }

    /// Takes the next event of the partition. It is late when it is older by more than `lateness`
    /// milliseconds than the newest event before it.
    pub fn take(&mut self, event_time: EventTime, lateness: i64) -> Mark {
        let late = event_time < self.0.minus(lateness);
        self.advance_to(event_time);
        Mark { frontier: self.0, late }
    }

    /// Moves up to `time`; an older `time` moves nothing.
    pub fn advance_to(&mut self, time: EventTime) {
        self.0 = self.0.max(time);
    }
}

/// How an event stands to its raw partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The newest event time of the partition, this event included.
    pub frontier: EventTime,
    /// Whether the event was older by more than the lateness than the newest event before it.
    pub late: bool,
}

#[cfg(test)]
mod tests {
    use events::{HOUR, MINUTE};

    use super::*;

    const NOON: EventTime = EventTime(1_773_489_600_000);
    const LATENESS: i64 = 10 * MINUTE;

    #[test]
    fn nothing_is_late_at_the_start() {
        let mut frontier = Frontier::START;
        assert!(!frontier.take(EventTime(i64::MIN + 1), LATENESS).late);
        let mut frontier = Frontier::START;
        assert_eq!(frontier.take(NOON, 0), Mark { frontier: NOON, late: false });
    }

    #[test]
    fn an_event_older_by_exactly_the_lateness_is_not_late_and_one_millisecond_more_is() {
        let mut frontier = Frontier::new(NOON);
        assert!(!frontier.take(NOON.minus(LATENESS), LATENESS).late);
        assert!(frontier.take(NOON.minus(LATENESS + 1), LATENESS).late);
    }

    #[test]
    fn an_older_event_does_not_lower_the_frontier() {
        let mut frontier = Frontier::new(NOON);
        let mark = frontier.take(NOON.minus(HOUR), LATENESS);
        assert_eq!(mark, Mark { frontier: NOON, late: true });
        frontier.advance_to(NOON.minus(HOUR));
        assert_eq!(frontier.time(), NOON);
    }

    #[test]
    fn an_event_is_held_against_what_came_before_it_and_not_against_itself() {
        let mut frontier = Frontier::new(NOON);
        let ahead = NOON.plus(HOUR);
        assert_eq!(frontier.take(ahead, LATENESS), Mark { frontier: ahead, late: false });
        assert_eq!(frontier.take(NOON, LATENESS), Mark { frontier: ahead, late: true });
    }
}
