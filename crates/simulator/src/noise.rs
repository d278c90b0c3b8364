use std::cmp::Reverse;

use events::{EventTime, MINUTE, SECOND};

use crate::Options;
use crate::acts::{Act, Draft};
use crate::chance::Chance;

/// A record of the shop's clickstream, in order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The bytes: one JSON object of Segment's tracking API, unless it is malformed.
    pub value: Vec<u8>,
    /// Whom it is about, as the tracker knows it: the customer's id, else the visitor's.
    pub key: String,
    /// When it happened.
    pub event_time: EventTime,
    /// When the shop received it: never before it happened, and not later by more than the lateness, but for
    /// orders under `late_orders`. Lines come in this order.
    pub arrived_at: EventTime,
    /// What noise made of it.
    pub sort: Sort,
}

/// What noise made of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// An event, for the first time.
    Fresh,
    /// An event, for the second time.
    Duplicate,
    /// No event: ingest must reject it.
    Malformed,
}

/// How a line is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    CutOff,
    NotUtf8,
    NotAnObject,
    NameTwice,
    NoIdentity,
    NoTime,
    BadTime,
    LongAgo,
    UnknownEvent,
    BadContext,
}

const DAMAGES: [(Damage, u32); 10] = [
    (Damage::CutOff, 4),
    (Damage::NotUtf8, 1),
    (Damage::NotAnObject, 1),
    (Damage::NameTwice, 1),
    (Damage::NoIdentity, 2),
    (Damage::NoTime, 2),
    (Damage::BadTime, 2),
    (Damage::LongAgo, 1),
    (Damage::UnknownEvent, 2),
    (Damage::BadContext, 1),
];

/// A line on its way, ordered so that the one to arrive first is the greatest.
pub(crate) struct Pending {
    pub(crate) arrives_at: i64,
    order: u64,
    pub(crate) draft: Draft,
    pub(crate) sort: Sort,
    pub(crate) damage: Option<Damage>,
}

impl Pending {
    fn rank(&self) -> Reverse<(i64, u64)> {
        Reverse((self.arrives_at, self.order))
    }
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Pending {}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// What happens to the events of a visit on their way.
pub(crate) struct Way<'a> {
    pub(crate) options: &'a Options,
    /// Whether events of this visit come twice or broken.
    pub(crate) is_noisy: bool,
    /// Whether the events are so close that a second sending must follow soon: who removes duplicates
    /// remembers some dozens of events of a profile, as trackers repeat within seconds.
    pub(crate) is_dense: bool,
    /// The number of the first line.
    pub(crate) first: u64,
}

impl Way<'_> {
    pub(crate) fn send(&self, drafts: Vec<Draft>, chance: &mut Chance) -> Vec<Pending> {
        let mut lines = Vec::with_capacity(drafts.len() + 4);
        for draft in drafts {
            let (repeats, breaks) = match self.is_noisy {
                true => {
                    let noise = self.options.noise;
                    (chance.permille(noise.duplicates), chance.permille(noise.malformed))
                }
                false => (false, false),
            };
            let arrives_at = self.arrival(&draft, chance);
            let mut push = |arrives_at, draft, sort, damage| {
                let order = self.first + lines.len() as u64;
                lines.push(Pending { arrives_at, order, draft, sort, damage });
            };
            if repeats {
                let again = self.again(&draft, arrives_at, chance);
                push(again, draft.clone(), Sort::Duplicate, None);
            }
            if breaks {
                let damage = chance.weighted(&DAMAGES, Damage::CutOff);
                push(arrives_at, draft.clone(), Sort::Malformed, Some(damage));
            }
            push(arrives_at, draft, Sort::Fresh, None);
        }
        lines
    }

    /// At most nine tenths of the lateness after it happened. No line is received before it happened, so it
    /// is older than none before it by more than that, however lines are dealt over partitions.
    fn arrival(&self, draft: &Draft, chance: &mut Chance) -> i64 {
        let delay = match draft.act {
            Act::Order { .. } if self.options.late_orders => chance.between(0, 30 * MINUTE),
            _ if chance.permille(self.options.noise.delayed) => chance.between(0, self.longest_delay()),
            _ => chance.between(20, SECOND).min(self.longest_delay()),
        };
        draft.at + delay
    }

    fn again(&self, draft: &Draft, arrives_at: i64, chance: &mut Chance) -> i64 {
        let soon = if self.is_dense { 10 * SECOND } else { 4 * MINUTE };
        let latest = draft.at + self.longest_delay();
        (arrives_at + chance.between(1, soon)).min(latest.max(arrives_at))
    }

    fn longest_delay(&self) -> i64 {
        self.options.lateness.max(0) / 10 * 9
    }
}
