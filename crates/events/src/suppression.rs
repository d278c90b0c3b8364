use crate::{Cause, EventTime, Placement, ProfileKey};

/// A silence, explained: what would have been said, and why it was not.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppression {
    /// The id that the decision would have had.
    pub decision_id: String,
    /// To whom.
    pub profile: ProfileKey,
    /// The customer, once known.
    pub user_id: Option<String>,
    /// What.
    pub would_have_been: WouldHaveBeen,
    /// Why not.
    pub reason: Silence,
    /// What asked for it.
    pub trigger: Cause,
    /// Version of the rules it was decided by.
    pub rule_version: String,
    /// The sealed second of the item models that were asked; `None` when none were, or empty ones.
    pub model_epoch: Option<i64>,
}

impl Suppression {
    /// When it was decided: the time of what asked for it.
    #[must_use]
    pub fn decided_at(&self) -> EventTime {
        match self.trigger {
            Cause::Event { event_time, .. } => event_time,
            Cause::Timer { due } => due,
        }
    }
}

/// What would have been said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WouldHaveBeen {
    /// A recommendation.
    Recommendation {
        /// Where.
        placement: Placement,
    },
    /// A reminder of a cart.
    AbandonedCart {
        /// Its trigger.
        trigger_id: String,
        /// Which of the reminders.
        step: u32,
    },
}

/// Why nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Silence {
    /// The tenant has switched this kind of speech off.
    SpeakingOff,
    /// Due before the time from which on anything is said.
    Backfill,
    /// Due too long ago.
    Stale,
    /// A product of the cart has been bought.
    Purchased,
    /// Nothing of the cart can be had.
    Stock,
    /// Nothing is relevant enough, or the cart is worth too little.
    BelowFloor,
}
