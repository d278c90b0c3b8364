use events::{EventTime, ProfileKey, SessionView};
use serde::{Deserialize, Serialize};

/// How many visits stay open to an event that arrives out of order.
const OPEN: usize = 8;

/// The newest visits of a profile, oldest first.
///
/// A visit is a run of events without a pause of the session gap or more. An event that arrives out of
/// order extends the visit it falls into and joins two visits whose pause it fills.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sessions {
    recent: Vec<Session>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    started: EventTime,
    last: EventTime,
    events: u32,
}

impl Sessions {
    pub(crate) fn apply(&mut self, at: EventTime, gap: i64) {
        let mut joined = Session { started: at, last: at, events: 1 };
        self.recent.retain(|session| {
            let touches = session.started.minus(gap) < at && at < session.last.plus(gap);
            if touches {
                joined.started = joined.started.min(session.started);
                joined.last = joined.last.max(session.last);
                joined.events = joined.events.saturating_add(session.events);
            }
            !touches
        });
        let place = self.recent.partition_point(|session| session.started < joined.started);
        self.recent.insert(place, joined);
        if self.recent.len() > OPEN {
            self.recent.remove(0);
        }
    }

    /// The visit that `at` falls into.
    pub(crate) fn view(&self, profile: &ProfileKey, at: EventTime) -> Option<SessionView> {
        let session = self.recent.iter().find(|session| session.started <= at && at <= session.last)?;
        Some(SessionView {
            session_id: format!("{profile}:{}", session.started.0),
            started_at: session.started,
            last_event_at: session.last,
            events: session.events,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(times: &[i64]) -> Sessions {
        let mut sessions = Sessions::default();
        times.iter().for_each(|at| sessions.apply(EventTime(*at), 30));
        sessions
    }

    #[test]
    fn a_pause_of_the_gap_starts_a_new_session() {
        assert_eq!(fold(&[0, 29, 58]).recent.len(), 1);
        assert_eq!(fold(&[0, 30]).recent.len(), 2);
    }

    #[test]
    fn an_event_out_of_order_joins_the_sessions_whose_pause_it_fills() {
        assert_eq!(fold(&[0, 40, 20]), fold(&[0, 20, 40]));
        assert_eq!(fold(&[100, 0, 40, 20]), fold(&[0, 20, 40, 100]));
    }
}
