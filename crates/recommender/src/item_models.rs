use std::collections::BTreeMap;

use events::{EventTime, Interest, SECOND, SessionEntry, SessionFact};
use serde::{Deserialize, Serialize};

use crate::popularity::Popularity;
use crate::rules::ModelSettings;
use crate::session_index::{SessionIndex, Visit};

/// An entry belongs to the second of its own time, or of its partition's frontier less this, if that is later.
const PATIENCE: i64 = 30 * SECOND;

/// The item models of all tenants. They change only when a second is sealed, so that the models at an epoch
/// are a function of the log, however it was partitioned and in whatever order its partitions were read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemModels {
    settings: ModelSettings,
    sealed: Option<i64>,
    epoch: Option<i64>,
    waiting: BTreeMap<i64, Vec<Waiting>>,
    tenants: BTreeMap<String, TenantModels>,
}

/// The item models of one tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TenantModels {
    /// What sessions went on to.
    pub sessions: SessionIndex,
    /// What drew interest of late.
    pub popularity: Popularity,
    /// A limit on the number of sessions has dropped sessions up to this time ahead of their age.
    pub shortened_to: Option<EventTime>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It waits for its second to be sealed.
    Waits,
    /// Its second was sealed before: it is not learned. No honest log holds such an entry.
    AfterSeal,
}

/// Fields in the order in which entries of a second are learned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Waiting {
    at: EventTime,
    forgets: bool,
    session_id: Option<String>,
    sequence: u64,
    tenant: String,
    profile_id: String,
    strength: u8,
    product_ids: Vec<String>,
}

impl ItemModels {
    /// Models that have learned nothing.
    #[must_use]
    pub fn new(settings: ModelSettings) -> Self {
        Self { settings, sealed: None, epoch: None, waiting: BTreeMap::new(), tenants: BTreeMap::new() }
    }

    /// Takes an entry of `sessions`, which waits for its second to be sealed. `frontier` is the newest event time
    /// that the event's raw partition had shown.
    pub fn offer(&mut self, entry: SessionEntry, frontier: EventTime) -> Offered {
        let epoch = epoch_of(entry.event_time.max(frontier.minus(PATIENCE)));
        if self.sealed.is_some_and(|sealed| epoch <= sealed) {
            return Offered::AfterSeal;
        }
        self.waiting.entry(epoch).or_default().push(Waiting::from(entry));
        Offered::Waits
    }

    /// Seals every second that ended 30 seconds or longer before `stream_time`, the minimum over the
    /// partitions of `sessions`; true if the models changed.
    pub fn seal(&mut self, stream_time: EventTime) -> bool {
        let last = match stream_time {
            EventTime::MAX => self.waiting.last_key_value().map(|(epoch, _)| *epoch),
            EventTime::MIN => None,
            time => Some(epoch_of(time.minus(PATIENCE)).saturating_sub(1)),
        };
        last.is_some_and(|last| self.seal_through(last))
    }

    /// Seals every second up to `last`, in seconds since 1970; true if the models changed.
    pub fn seal_through(&mut self, last: i64) -> bool {
        let before = self.epoch;
        while let Some((&epoch, _)) = self.waiting.first_key_value().filter(|(epoch, _)| **epoch <= last) {
            let entries = self.waiting.remove(&epoch).unwrap_or_default();
            self.learn(epoch, entries);
        }
        self.sealed = self.sealed.max(Some(last));
        self.epoch != before
    }

    /// The newest sealed second that changed the models, in seconds since 1970.
    #[must_use]
    pub fn epoch(&self) -> Option<i64> {
        self.epoch
    }

    /// From the first to the last second that waits to be sealed.
    #[must_use]
    pub fn unlearned_seconds(&self) -> i64 {
        let (first, last) = (self.waiting.first_key_value(), self.waiting.last_key_value());
        first.zip(last).map_or(0, |((first, _), (last, _))| last - first + 1)
    }

    /// How many entries wait for their second to be sealed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    /// The models alone, as a function of the epoch: without what waits and what is sealed beyond it.
    #[must_use]
    pub fn without_waiting(&self) -> Self {
        let waiting = BTreeMap::new();
        Self { waiting, sealed: self.epoch, epoch: self.epoch, ..self.clone() }
    }

    /// The models of a tenant; `None` while nothing was learned from it.
    #[must_use]
    pub fn tenant(&self, tenant: &str) -> Option<&TenantModels> {
        self.tenants.get(tenant)
    }

    /// How the models learn and answer.
    #[must_use]
    pub fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    fn learn(&mut self, epoch: i64, mut entries: Vec<Waiting>) {
        entries.sort_unstable();
        let now = EventTime(epoch.saturating_mul(SECOND));
        for models in self.tenants.values_mut() {
            models.popularity.advance(now);
        }
        for entry in &entries {
            let half_life = self.settings.half_life;
            let models =
                self.tenants.entry(entry.tenant.clone()).or_insert_with(|| TenantModels::new(half_life, now));
            models.learn(entry, &self.settings);
        }
        for models in self.tenants.values_mut() {
            models.expire(now, &self.settings);
        }
        self.epoch = Some(epoch);
    }
}

impl TenantModels {
    fn new(half_life: i64, now: EventTime) -> Self {
        let mut popularity = Popularity::new(half_life);
        popularity.advance(now);
        Self { sessions: SessionIndex::default(), popularity, shortened_to: None }
    }

    fn learn(&mut self, entry: &Waiting, settings: &ModelSettings) {
        let session_id = entry.session_id.as_deref();
        if entry.forgets {
            return self.sessions.forget(&entry.profile_id, session_id, &mut self.popularity);
        }
        let visit = Visit {
            profile_id: &entry.profile_id,
            session_id: session_id.unwrap_or_default(),
            at: entry.at,
            interest: entry.interest(),
            product_ids: &entry.product_ids,
        };
        self.sessions.learn(&visit, settings, &mut self.popularity);
    }

    fn expire(&mut self, now: EventTime, settings: &ModelSettings) {
        let oldest = now.minus(settings.max_age);
        self.sessions.expire(oldest, usize::MAX, &mut self.popularity);
        if self.sessions.sessions() > settings.max_sessions {
            self.sessions.expire(oldest, settings.max_sessions, &mut self.popularity);
            self.shortened_to = self.sessions.oldest();
        }
    }
}

impl Waiting {
    fn interest(&self) -> Interest {
        match self.strength {
            0 => Interest::Viewed,
            1 => Interest::Added,
            _ => Interest::Purchased,
        }
    }
}

impl From<SessionEntry> for Waiting {
    fn from(entry: SessionEntry) -> Self {
        let (forgets, session_id, strength, product_ids) = match entry.fact {
            SessionFact::Seen { session_id, interest, product_ids, .. } => {
                (false, Some(session_id), interest as u8, product_ids)
            }
            SessionFact::Forget { session_id } => (true, session_id, 0, Vec::new()),
        };
        Self {
            at: entry.event_time,
            forgets,
            session_id,
            sequence: entry.sequence,
            tenant: entry.profile.tenant().to_owned(),
            profile_id: entry.profile.id().to_owned(),
            strength,
            product_ids,
        }
    }
}

fn epoch_of(time: EventTime) -> i64 {
    time.0.div_euclid(SECOND)
}
