use serde::{Deserialize, Serialize};

/// One second in milliseconds.
pub const SECOND: i64 = 1_000;
/// One minute in milliseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour in milliseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// One day in milliseconds.
pub const DAY: i64 = 24 * HOUR;

/// When something happened in the shop: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventTime(pub i64);

impl EventTime {
    /// Before every event.
    pub const MIN: Self = Self(i64::MIN);
    /// After every event.
    pub const MAX: Self = Self(i64::MAX);

    /// This time and `millis` more; the ends of time stay where they are.
    #[must_use]
    pub fn plus(self, millis: i64) -> Self {
        match self {
            Self::MIN | Self::MAX => self,
            Self(time) => Self(time.saturating_add(millis)),
        }
    }

    /// This time less `millis`; the ends of time stay where they are.
    #[must_use]
    pub fn minus(self, millis: i64) -> Self {
        match self {
            Self::MIN | Self::MAX => self,
            Self(time) => Self(time.saturating_sub(millis)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_time_do_not_move() {
        assert_eq!(EventTime::MAX.minus(MINUTE), EventTime::MAX);
        assert_eq!(EventTime::MIN.plus(MINUTE), EventTime::MIN);
        assert_eq!(EventTime(5).plus(7).minus(2), EventTime(10));
    }
}
