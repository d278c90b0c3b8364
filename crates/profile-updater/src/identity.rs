use events::{Event, EventTime};
use serde::{Deserialize, Serialize};

/// The ids a profile is known by: of each the newest by event time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    user: Option<(EventTime, String)>,
    visitor: Option<(EventTime, String)>,
}

impl Identity {
    pub(crate) fn apply(&mut self, event: &Event) {
        newest(&mut self.user, event.event_time, event.user_id.as_deref());
        newest(&mut self.visitor, event.event_time, event.anonymous_id.as_deref());
    }

    pub(crate) fn user_id(&self) -> Option<String> {
        self.user.as_ref().map(|(_, id)| id.clone())
    }

    pub(crate) fn anonymous_id(&self) -> Option<String> {
        self.visitor.as_ref().map(|(_, id)| id.clone())
    }
}

fn newest(known: &mut Option<(EventTime, String)>, at: EventTime, id: Option<&str>) {
    let Some(id) = id else { return };
    if known.as_ref().is_none_or(|(time, known)| (*time, known.as_str()) < (at, id)) {
        *known = Some((at, id.to_owned()));
    }
}
