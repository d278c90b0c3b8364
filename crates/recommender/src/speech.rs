use events::{EventTime, Silence};

/// Whether anything may be said at all. All of it but the clock reading is a function of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speech {
    /// Recommendations may be spoken.
    pub recommendations: bool,
    /// Reminders of carts may be spoken.
    pub abandoned_carts: bool,
    /// What was due before is not said.
    pub speak_after: Option<EventTime>,
    /// What was due longer ago, in milliseconds, is not said; `None` for a source that is read again.
    pub max_decision_age: Option<i64>,
    /// The clock, as it was read once for the transaction. Only `max_decision_age` looks at it.
    pub now: EventTime,
}

impl Speech {
    /// Everything is said, whatever its age.
    #[must_use]
    pub fn always() -> Self {
        Self {
            recommendations: true,
            abandoned_carts: true,
            speak_after: None,
            max_decision_age: None,
            now: EventTime::MIN,
        }
    }

    /// Why what was due at `due` is not said.
    ///
    /// This is asked before anything that depends on what else is known by now, so that the outcome of a
    /// replay does not depend on when that became known.
    pub(crate) fn silence(&self, on: bool, due: EventTime) -> Option<Silence> {
        if !on {
            Some(Silence::SpeakingOff)
        } else if self.speak_after.is_some_and(|after| due < after) {
            Some(Silence::Backfill)
        } else if self.max_decision_age.is_some_and(|age| due < self.now.minus(age)) {
            Some(Silence::Stale)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_silence_has_its_reason() {
        let always = Speech::always();
        assert_eq!(always.silence(true, EventTime(0)), None);
        assert_eq!(always.silence(false, EventTime(0)), Some(Silence::SpeakingOff));
        let after = Speech { speak_after: Some(EventTime(10)), ..always };
        assert_eq!(after.silence(true, EventTime(9)), Some(Silence::Backfill));
        assert_eq!(after.silence(true, EventTime(10)), None);
        let young = Speech { max_decision_age: Some(5), now: EventTime(15), ..always };
        assert_eq!(young.silence(true, EventTime(9)), Some(Silence::Stale));
        assert_eq!(young.silence(true, EventTime(10)), None);
    }
}
