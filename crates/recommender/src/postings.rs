use std::collections::VecDeque;

use events::EventTime;
use serde::{Deserialize, Serialize};

/// When a session's last event was, and the session's number: newer sessions are greater.
pub(crate) type Place = (EventTime, u64);

/// The sessions that hold one product, oldest first.
///
/// Changes happen near the end, where the newest sessions are, and expiry at the front: both are cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Postings(VecDeque<Place>);

impl Postings {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn insert(&mut self, place: Place) {
        let at = self.0.partition_point(|known| *known < place);
        self.0.insert(at, place);
    }

    /// Takes a session out; false if it was not there.
    pub(crate) fn remove(&mut self, place: Place) -> bool {
        self.0.binary_search(&place).is_ok_and(|at| self.0.remove(at).is_some())
    }

    /// The sessions, newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = Place> + '_ {
        self.0.iter().rev().copied()
    }
}
