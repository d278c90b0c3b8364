use std::collections::VecDeque;

use events::Event;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// How many events of a profile are remembered to recognise one that is sent again.
const REMEMBERED: usize = 64;

/// The ids of the newest accepted events, with a hash of what each said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Duplicates {
    seen: VecDeque<(u64, u16)>,
}

/// Whether an event has been here before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Novelty {
    New,
    /// The same event once more.
    Again,
    /// Its id, but it says something else.
    Conflict,
}

impl Duplicates {
    pub(crate) fn apply(&mut self, event: &Event) -> Novelty {
        let (id, content) = (identity_of(event), content_of(event));
        match self.seen.iter().find(|(seen, _)| *seen == id) {
            Some((_, said)) if *said == content => Novelty::Again,
            Some(_) => Novelty::Conflict,
            None => {
                self.remember(id, content);
                Novelty::New
            }
        }
    }

    fn remember(&mut self, id: u64, content: u16) {
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back((id, content));
    }
}

fn identity_of(event: &Event) -> u64 {
    xxh3_64(&[event.source.as_bytes(), b"\0", event.event_id.as_bytes()].concat())
}

/// A retry keeps what happened and when; times of sending and receiving change.
fn content_of(event: &Event) -> u16 {
    // Put together and hashed at once: the state of a hash that is fed in parts is larger than most contents.
    let mut content = Vec::with_capacity(128);
    content.extend_from_slice(event.kind.name().as_bytes());
    content.extend_from_slice(&event.event_time.0.to_le_bytes());
    for item in &event.items {
        content.extend_from_slice(item.product_id.as_bytes());
        content.extend_from_slice(&item.quantity.to_le_bytes());
    }
    if let Some(order) = &event.order {
        content.extend_from_slice(order.order_id.as_bytes());
        content.extend_from_slice(order.status.as_bytes());
    }
    (xxh3_64(&content) >> 48) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::EventTime;

    fn event(id: &str, time: i64) -> Event {
        Event { event_id: id.into(), event_time: EventTime(time), ..Event::default() }
    }

    #[test]
    fn the_same_event_is_recognised_and_another_of_its_id_is_a_conflict() {
        let mut duplicates = Duplicates::default();
        assert_eq!(duplicates.apply(&event("a", 1)), Novelty::New);
        assert_eq!(duplicates.apply(&Event { received_at: EventTime(9), ..event("a", 1) }), Novelty::Again);
        assert_eq!(duplicates.apply(&event("a", 2)), Novelty::Conflict);
    }

    #[test]
    fn memory_is_bounded() {
        let mut duplicates = Duplicates::default();
        for number in 0..1_000 {
            duplicates.apply(&event(&number.to_string(), number));
        }
        assert_eq!(duplicates.seen.len(), REMEMBERED);
        assert_eq!(duplicates.apply(&event("999", 999)), Novelty::Again);
        assert_eq!(duplicates.apply(&event("1", 1)), Novelty::New);
    }
}
