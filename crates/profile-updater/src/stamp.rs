use events::{Event, EventKind, EventTime};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// The place of an event among those of its profile, whatever order they arrive in.
///
/// At one time and sequence number a purchase comes last, so that it closes what was added with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) time: EventTime,
    seq: i64,
    rank: u8,
    id: u64,
}

impl Stamp {
    pub(crate) fn of(event: &Event) -> Self {
        let rank = match event.kind {
            EventKind::CartItemAdded => 0,
            EventKind::OrderCompleted => 2,
            _ => 1,
        };
        let id = xxh3_64(event.event_id.as_bytes());
        Self { time: event.event_time, seq: event.seq.unwrap_or(0), rank, id }
    }
}
