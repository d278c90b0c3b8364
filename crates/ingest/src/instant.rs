use events::EventTime;

/// The last millisecond of the year 9999, the last that RFC 3339 can write.
const LAST: i64 = 253_402_300_799_999;

/// The longest text that is read as a time: an RFC 3339 time with nanoseconds has 35 characters.
const LONGEST: usize = 64;

/// The time `millis` milliseconds after 1970-01-01T00:00:00Z; `None` outside the years 0 to 9999. Thus no
/// record can carry the end of time, which means *end of source*.
pub(crate) fn from_millis(millis: i64) -> Option<EventTime> {
    (-62_167_219_200_000..=LAST).contains(&millis).then_some(EventTime(millis))
}

/// The time written as RFC 3339 with an offset, cut to milliseconds; `None` if it is not.
pub(crate) fn from_rfc3339(text: &str) -> Option<EventTime> {
    if text.len() > LONGEST {
        return None;
    }
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    from_millis(timestamp.as_millisecond())
}

/// When it happened by the receiver's clock: the client's own delay between event and sending is taken
/// from the time of receipt, so that a client clock that is wrong by any constant drops out.
///
/// Source: Segment, *Common fields*: `timestamp = receivedAt - (sentAt - originalTimestamp)`.
pub(crate) fn without_skew(happened: EventTime, sent: EventTime, received: EventTime) -> Option<EventTime> {
    from_millis(received.0 - (sent.0 - happened.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hour_that_summer_time_skips_takes_no_time() {
        let before = from_rfc3339("2026-03-29T01:59:59.000+01:00");
        let after = from_rfc3339("2026-03-29T03:00:00.000+02:00");
        assert_eq!(before, Some(EventTime(1_774_745_999_000)));
        assert_eq!(after, Some(EventTime(1_774_746_000_000)));
    }

    #[test]
    fn one_moment_has_one_time_whatever_its_offset() {
        let utc = from_rfc3339("2026-03-14T12:00:00.250Z");
        assert_eq!(utc, Some(EventTime(1_773_489_600_250)));
        assert_eq!(from_rfc3339("2026-03-14T17:45:00.250+05:45"), utc);
        assert_eq!(from_rfc3339("2026-03-14T02:30:00.250-09:30"), utc);
    }

    #[test]
    fn a_time_without_offset_or_outside_the_calendar_is_none() {
        for text in ["", "now", "2026-03-14", "2026-03-14T12:00:00", "2026-02-30T12:00:00Z", "1773489600250"]
        {
            assert_eq!(from_rfc3339(text), None, "{text}");
        }
        assert_eq!(from_rfc3339(&"2".repeat(100_000)), None);
    }

    #[test]
    fn the_ends_of_time_are_not_to_be_had() {
        assert_eq!(from_millis(i64::MAX), None);
        assert_eq!(from_millis(i64::MIN), None);
        assert_eq!(from_millis(LAST + 1), None);
        assert_eq!(from_millis(LAST), Some(EventTime(LAST)));
        assert_eq!(from_rfc3339("9999-12-31T23:59:59.999-12:00"), None);
    }

    #[test]
    fn a_wrong_client_clock_drops_out() {
        let received = EventTime(1_773_489_600_000);
        let (happened, sent) = (EventTime(1_000_000), EventTime(1_002_500));
        assert_eq!(without_skew(happened, sent, received), Some(received.minus(2_500)));
        assert_eq!(without_skew(EventTime(LAST), EventTime(0), received), None);
    }
}
