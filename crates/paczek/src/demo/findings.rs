use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use events::AbandonedCart;
use stream_runtime::SourceRecord;

use super::diaries::Diaries;
use crate::config::Config;
use crate::digest::Digests;
use crate::headers;
use crate::problem::Problem;

/// What came of a run, taken from the topics while it is written.
pub(crate) struct Findings {
    kinds: BTreeMap<String, Kind>,
    began: Instant,
    pub(crate) digests: Digests,
    counts: BTreeMap<Kind, u64>,
    pub(crate) abandoned_carts: u64,
    pub(crate) rejected_by_code: BTreeMap<String, u64>,
    /// What was decided about carts.
    pub(crate) carts: Vec<AbandonedCart>,
    /// How long after the beginning something was first said.
    pub(crate) first_result: Option<Duration>,
    /// Of some customers everything; `None` where nobody reads it.
    pub(crate) diaries: Option<Diaries>,
}

/// What a topic holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Events,
    ProfileUpdates,
    Sessions,
    DeadLetters,
    Recommendations,
    AbandonedCarts,
    Suppressions,
}

impl Kind {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Events, "events"),
        (Self::ProfileUpdates, "profile-updates"),
        (Self::Sessions, "sessions"),
        (Self::DeadLetters, "dead-letters"),
        (Self::Recommendations, "recommendations"),
        (Self::AbandonedCarts, "abandoned-carts"),
        (Self::Suppressions, "suppressions"),
    ];
}

impl Findings {
    pub(super) fn new(config: &Config, diaries: Option<Diaries>, began: Instant) -> Self {
        Self {
            kinds: Kind::ALL.iter().map(|(kind, name)| (config.topic(name), *kind)).collect(),
            began,
            digests: Digests::of(config),
            counts: BTreeMap::new(),
            abandoned_carts: 0,
            rejected_by_code: BTreeMap::new(),
            carts: Vec::new(),
            first_result: None,
            diaries,
        }
    }

    /// The topics whose records it takes.
    pub(super) fn topics(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// Records of that kind so far, heartbeats apart.
    pub(crate) fn count(&self, kind: Kind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// Takes the next record of its partition.
    pub(super) fn take(&mut self, record: &SourceRecord) -> Result<(), Problem> {
        self.digests.add(record);
        let Some(kind) = self.kinds.get(&*record.topic).copied() else { return Ok(()) };
        if headers::is_heartbeat(record) {
            return Ok(());
        }
        *self.counts.entry(kind).or_default() += 1;
        match kind {
            Kind::ProfileUpdates => {
                self.abandoned_carts += u64::from(record.header(headers::DUE).is_some());
            }
            Kind::DeadLetters => {
                let code = String::from_utf8_lossy(record.header(headers::CODE).unwrap_or_default());
                *self.rejected_by_code.entry(code.into_owned()).or_default() += 1;
            }
            Kind::AbandonedCarts => self.carts.push(read(record, codec::decode_abandoned_cart)?),
            Kind::Events | Kind::Sessions | Kind::Recommendations | Kind::Suppressions => {}
        }
        if matches!(kind, Kind::Recommendations | Kind::AbandonedCarts) {
            self.first_result.get_or_insert_with(|| self.began.elapsed());
        }
        match &mut self.diaries {
            Some(diaries) => diaries.take(kind, record),
            None => Ok(()),
        }
    }
}

/// What a record that this process has written says.
pub(super) fn read<T>(
    record: &SourceRecord,
    decode: impl FnOnce(&[u8]) -> Result<T, codec::CodecError>,
) -> Result<T, Problem> {
    let failed = |error| Problem::Failed(format!("{}: {error}", record.topic));
    decode(record.value.as_deref().unwrap_or_default()).map_err(failed)
}
