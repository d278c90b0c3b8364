use events::{Abandonment, Cause, Event, EventTime, ProfileKey, ProfileUpdate, SessionEntry};
use serde::{Deserialize, Serialize};

use crate::carts::Carts;
use crate::duplicates::{Duplicates, Novelty};
use crate::identity::Identity;
use crate::idleness::Idleness;
use crate::interest;
use crate::items::Items;
use crate::orders::Orders;
use crate::rules::{Notice, Rules};
use crate::sessions::Sessions;

/// What is remembered of one customer or visitor: one field a facet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    identity: Identity,
    events: u64,
    duplicates: Duplicates,
    sessions: Sessions,
    idleness: Idleness,
    carts: Carts,
    items: Items,
    orders: Orders,
}

/// How an event arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Ingest marked it LATE.
    pub late: bool,
    /// Settled time: no event of this time or before is still to come, but for LATE ones.
    pub settled: EventTime,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The profile took it in.
    Applied(Box<Applied>),
    /// It had been here before: nothing happened.
    Duplicate,
    /// Too old to be taken in: nothing happened.
    Late,
    /// Another event had its id: nothing happened.
    Conflict,
}

/// What an event that was taken in has to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// How the profile looks now.
    pub update: ProfileUpdate,
    /// What item models can learn from it, if anything.
    pub session_entry: Option<SessionEntry>,
}

/// Takes an event into the profile of `key`.
///
/// For an event that is not LATE the outcome does not depend on `settled`, which only bounds what the profile
/// has to keep waiting.
pub fn apply(
    profile: &mut Profile,
    key: &ProfileKey,
    event: &Event,
    arrival: Arrival,
    rules: &Rules,
) -> Outcome {
    if arrival.late && !event.kind.stands_alone() {
        return Outcome::Late;
    }
    match profile.duplicates.apply(event) {
        Novelty::Again => return Outcome::Duplicate,
        Novelty::Conflict => return Outcome::Conflict,
        Novelty::New => {}
    }
    if !profile.orders.apply(event) {
        return Outcome::Duplicate;
    }
    profile.take_in(event, arrival, rules);
    let update = profile.view(key, event);
    let session_entry = interest::entry(event, &update);
    Outcome::Applied(Box::new(Applied { update, session_entry }))
}

/// Judges every silence that was over by `settled`, oldest first: the carts that were left in it.
///
/// A silence begins at `a`, the last event of a run, and ends at `T = a + rules.idle`. A cart was left at
/// `T` if it held a line after `a` and holds one still at `T`; what it held at `T` is what is noticed.
pub fn fire(
    profile: &mut Profile,
    key: &ProfileKey,
    settled: EventTime,
    rules: &Rules,
) -> Vec<ProfileUpdate> {
    let mut noticed = Vec::new();
    while let Some(last) = profile.idleness.first().filter(|last| last.plus(rules.idle) <= settled) {
        noticed.extend(profile.judge(key, last, rules));
        profile.idleness.judged();
    }
    profile.settle(settled, rules);
    noticed
}

impl Profile {
    /// When the next silence is to be judged; `None` while no cart could be left.
    #[must_use]
    pub fn timer(&self, rules: &Rules) -> Option<EventTime> {
        let last = self.idleness.first().filter(|_| !self.carts.is_empty())?;
        Some(last.plus(rules.idle))
    }

    fn take_in(&mut self, event: &Event, arrival: Arrival, rules: &Rules) {
        self.settle(arrival.settled, rules);
        self.events += 1;
        self.identity.apply(event);
        self.items.apply(event);
        self.carts.apply(event);
        if !arrival.late {
            self.sessions.apply(event.event_time, rules.session_gap);
            self.idleness.apply(event.event_time, rules.idle);
        }
        self.settle(arrival.settled, rules);
    }

    /// Settles what no later judgement needs apart: changes up to the oldest silence not judged yet.
    fn settle(&mut self, settled: EventTime, rules: &Rules) {
        let unjudged = self.idleness.first().unwrap_or(EventTime::MAX);
        self.carts.settle(settled.min(unjudged));
        if self.carts.is_empty() {
            self.idleness.forget(settled, rules.idle);
        }
    }

    fn judge(&mut self, key: &ProfileKey, last: EventTime, rules: &Rules) -> Vec<ProfileUpdate> {
        let due = last.plus(rules.idle);
        self.carts.settle(last);
        let held = self.carts.settled_keys();
        self.carts.settle(due);
        held.iter().filter_map(|cart| self.notice(key, cart, last, due, rules)).collect()
    }

    fn notice(
        &mut self,
        key: &ProfileKey,
        cart: &str,
        last: EventTime,
        due: EventTime,
        rules: &Rules,
    ) -> Option<ProfileUpdate> {
        let (view, fingerprint, stage) = self.carts.settled_view(cart, key.id())?;
        let new = self.carts.notice(cart, fingerprint);
        if !new && rules.notice == Notice::OncePerContent {
            return None;
        }
        let abandonment = Abandonment {
            cart: view,
            fingerprint: format!("{fingerprint:016x}"),
            stage,
            last_activity_at: last,
            abandoned_at: due,
        };
        Some(ProfileUpdate {
            profile: key.clone(),
            user_id: None,
            anonymous_id: None,
            cause: Cause::Timer { due },
            session: None,
            carts: Vec::new(),
            recently_viewed: Vec::new(),
            purchased: Vec::new(),
            wished: Vec::new(),
            events: 0,
            orders: 0,
            abandonment: Some(abandonment),
        })
    }

    fn view(&self, key: &ProfileKey, event: &Event) -> ProfileUpdate {
        ProfileUpdate {
            profile: key.clone(),
            user_id: self.identity.user_id(),
            anonymous_id: self.identity.anonymous_id(),
            cause: Cause::Event {
                event_id: event.event_id.clone(),
                kind: event.kind,
                event_time: event.event_time,
            },
            session: self.sessions.view(key, event.event_time),
            carts: self.carts.live_view(key.id()),
            recently_viewed: self.items.viewed(),
            purchased: self.items.purchased(),
            wished: self.items.wished(),
            events: self.events,
            orders: self.orders.placed(),
            abandonment: None,
        }
    }
}
