use std::collections::VecDeque;

use events::{Event, EventKind};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// How many orders of a profile are remembered to recognise one that two sources report.
const REMEMBERED: usize = 64;

/// The orders placed: how many, and the newest by id and status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Orders {
    placed: u64,
    seen: VecDeque<u64>,
}

impl Orders {
    /// How many orders were placed.
    #[must_use]
    pub(crate) fn placed(&self) -> u64 {
        self.placed
    }

    /// Counts the order; false if this order is known in this status already.
    pub(crate) fn apply(&mut self, event: &Event) -> bool {
        let (EventKind::OrderCompleted, Some(order)) = (event.kind, &event.order) else {
            return true;
        };
        let id = xxh3_64(format!("{}\0{}", order.order_id, order.status).as_bytes());
        if self.seen.contains(&id) {
            return false;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(id);
        self.placed += 1;
        true
    }
}
