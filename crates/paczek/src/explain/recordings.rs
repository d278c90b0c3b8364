//! The decisions that were written, by what caused them.

use std::collections::BTreeMap;

use events::{Cause, EventTime, ProfileUpdate, ReasonCode, Silence, Suppression, WouldHaveBeen};
use recommender::Decision;
use stream_runtime::broker::Broker;
use stream_runtime::{Header, SourceRecord, partition_for};
use xxhash_rust::xxh3::xxh3_128;

use crate::config::Config;
use crate::headers;
use crate::problem::Problem;
use crate::read::{Records, Until, count_partitions};

/// The topics that decisions are written to.
pub(super) const TOPICS: [&str; 3] = ["recommendations", "abandoned-carts", "suppressions"];

/// A decision as it was written. Its value is known by length and hash, so that the decisions of a whole log
/// fit into memory.
#[derive(Clone, Debug)]
pub(super) struct Recording {
    pub(super) id: String,
    bytes: usize,
    hash: u128,
    /// The epoch of the item models that it names.
    pub(super) epoch: Option<i64>,
    clock: Option<EventTime>,
    /// It is silent because this kind of speech was switched off.
    off: Option<Kind>,
}

/// What speech can be switched off by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Recommendation,
    AbandonedCart,
}

/// What an update is known by among those of its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    Event(String),
    Timer(EventTime),
}

/// The decisions of a customer with one origin.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) recordings: Vec<Recording>,
    /// The log still holds an update of that origin.
    pub(super) lived: bool,
}

/// The decisions that were written, by key and by what caused them.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    groups: BTreeMap<String, BTreeMap<Origin, Group>>,
    pub(super) decisions: u64,
    /// Ids of records that are no decision.
    pub(super) unreadable: Vec<String>,
}

impl Recordings {
    /// Every decision.
    pub(super) fn all<B: Broker>(broker: &B, config: &Config) -> Result<Self, Problem> {
        Self::gather(broker, config, None)
    }

    /// Every decision about one customer.
    pub(super) fn of_key<B: Broker>(broker: &B, config: &Config, key: &[u8]) -> Result<Self, Problem> {
        Self::gather(broker, config, Some(key))
    }

    fn gather<B: Broker>(broker: &B, config: &Config, key: Option<&[u8]>) -> Result<Self, Problem> {
        let mut gathered = Self::default();
        for name in TOPICS {
            let topic = config.topic(name);
            let partitions = count_partitions(broker, &topic)?;
            let only = key.map(|key| partition_for(key, partitions));
            for record in Records::of(broker, &topic, only, Until::End)? {
                let record = record?;
                if key.is_none_or(|key| record.key.as_deref() == Some(key)) {
                    gathered.add(name, &record);
                }
            }
        }
        Ok(gathered)
    }

    fn add(&mut self, name: &str, record: &SourceRecord) {
        self.decisions += 1;
        let Some(decision) = read_decision(name, record) else {
            self.unreadable.push(id_of(&record.headers));
            return;
        };
        let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        let group = self.groups.entry(key).or_default().entry(origin_of(&decision)).or_default();
        group.recordings.push(Recording::of(&decision, record));
    }

    /// What was recorded of an update.
    pub(super) fn group(&mut self, update: &ProfileUpdate) -> Option<&mut Group> {
        self.groups.get_mut(&update.profile.to_string())?.get_mut(&Origin::from(&update.cause))
    }

    /// The newest epoch of item models that a decision names.
    pub(super) fn newest_epoch(&self) -> Option<i64> {
        self.groups.values().flat_map(BTreeMap::values).filter_map(Group::epoch).max()
    }

    /// The same, parted by the partition of `profile-updates` that a key falls into.
    pub(super) fn split(self, partitions: i32) -> Vec<Self> {
        let mut parts: Vec<Self> = (0..partitions).map(|_| Self::default()).collect();
        for (key, groups) in self.groups {
            let part = usize::try_from(partition_for(key.as_bytes(), partitions)).unwrap_or_default();
            if let Some(part) = parts.get_mut(part) {
                part.groups.insert(key, groups);
            }
        }
        parts
    }

    /// Takes in those of another partition.
    pub(super) fn take_in(&mut self, other: Self) {
        self.groups.extend(other.groups);
    }

    /// What is left of each update.
    pub(super) fn rest(self) -> impl Iterator<Item = Group> {
        self.groups.into_values().flat_map(BTreeMap::into_values)
    }
}

impl Recording {
    fn of(decision: &Decision, record: &SourceRecord) -> Self {
        let value = record.value.as_deref().unwrap_or_default();
        let (epoch, off) = match decision {
            Decision::Recommendation(said) => (said.model_epoch, None),
            Decision::AbandonedCart(_) => (None, None),
            Decision::Suppression(silence) => (silence.model_epoch, switched_off(silence)),
        };
        let clock = headers::read_number(record, headers::CLOCK).map(EventTime);
        Self { id: id_of(&record.headers), bytes: value.len(), hash: xxh3_128(value), epoch, clock, off }
    }

    /// Whether these are its bytes.
    pub(super) fn is(&self, value: &[u8]) -> bool {
        self.bytes == value.len() && self.hash == xxh3_128(value)
    }
}

impl Group {
    /// The epoch of the item models; all that one update leads to is decided by the same.
    pub(super) fn epoch(&self) -> Option<i64> {
        self.recordings.iter().filter_map(|recording| recording.epoch).max()
    }

    /// The reading of the clock; before all time where nobody looked at it.
    pub(super) fn clock(&self) -> EventTime {
        self.recordings.iter().find_map(|recording| recording.clock).unwrap_or(EventTime::MIN)
    }

    pub(super) fn speaks_of_recommendations(&self) -> bool {
        !self.is_off(Kind::Recommendation)
    }

    pub(super) fn speaks_of_carts(&self) -> bool {
        !self.is_off(Kind::AbandonedCart)
    }

    fn is_off(&self, kind: Kind) -> bool {
        self.recordings.iter().any(|recording| recording.off == Some(kind))
    }
}

impl From<&Cause> for Origin {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Event { event_id, .. } => Self::Event(event_id.clone()),
            Cause::Timer { due } => Self::Timer(*due),
        }
    }
}

/// The decision in a record of that topic; `None` if there is none to be read.
pub(super) fn read_decision(name: &str, record: &SourceRecord) -> Option<Decision> {
    let value = record.value.as_deref()?;
    Some(match name {
        "recommendations" => Decision::Recommendation(Box::new(codec::decode_recommendation(value).ok()?)),
        "abandoned-carts" => Decision::AbandonedCart(Box::new(codec::decode_abandoned_cart(value).ok()?)),
        _ => Decision::Suppression(Box::new(codec::decode_suppression(value).ok()?)),
    })
}

/// What caused a decision.
pub(super) fn origin_of(decision: &Decision) -> Origin {
    match decision {
        Decision::Recommendation(said) => Origin::Event(said.trigger_event_id.clone()),
        Decision::AbandonedCart(said) => {
            let left = said.reasons.iter().filter(|reason| reason.code == ReasonCode::CartLeft);
            match left.flat_map(|reason| &reason.source_event_ids).next() {
                Some(event_id) => Origin::Event(event_id.clone()),
                None => Origin::Timer(said.fire_at),
            }
        }
        Decision::Suppression(silence) => Origin::from(&silence.trigger),
    }
}

/// The id in the header of a decision.
pub(super) fn id_of(written: &[Header]) -> String {
    let id = written.iter().find(|(name, _)| name == headers::ID);
    id.map(|(_, id)| String::from_utf8_lossy(id).into_owned()).unwrap_or_default()
}

fn switched_off(silence: &Suppression) -> Option<Kind> {
    (silence.reason == Silence::SpeakingOff).then_some(match silence.would_have_been {
        WouldHaveBeen::Recommendation { .. } => Kind::Recommendation,
        WouldHaveBeen::AbandonedCart { .. } => Kind::AbandonedCart,
    })
}
