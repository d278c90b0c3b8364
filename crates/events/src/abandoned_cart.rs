use crate::{CartView, EventTime, ProfileKey, Reason, Stage};

/// A decision about a cart that was left: speak, speak otherwise, or take back what was said.
///
/// A reader tells two decisions about one trigger apart by `trigger_id`, `action` and `version`.
#[derive(Clone, Debug, PartialEq)]
pub struct AbandonedCart {
    /// UUIDv5 of trigger, time of abandonment, action and version.
    pub decision_id: String,
    /// UUIDv5 of tenant, rule, profile, cart key, fingerprint and step.
    pub trigger_id: String,
    /// Whose cart it is.
    pub profile: ProfileKey,
    /// The customer, once known.
    pub user_id: Option<String>,
    /// What to do.
    pub action: CartAction,
    /// Why it is taken back; set exactly when `action` is [`CartAction::Cancel`].
    pub cancel_reason: Option<CancelReason>,
    /// Counts the decisions of one trigger and action, from 1.
    pub version: u32,
    /// How far the cart had come.
    pub kind: Stage,
    /// Which of the reminders it is, from 1.
    pub step: u32,
    /// How many reminders there are at most.
    pub steps_total: u32,
    /// The cart as it was at `abandoned_at`.
    pub cart: CartView,
    /// Hash of its lines, in hexadecimal.
    pub cart_fingerprint: String,
    /// The last thing the customer did.
    pub last_activity_at: EventTime,
    /// When the cart counted as left.
    pub abandoned_at: EventTime,
    /// When the step is due.
    pub fire_at: EventTime,
    /// The due time, or the time of the event that took it back.
    pub decided_at: EventTime,
    /// Version of the rules it was decided by.
    pub rule_version: String,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// What a reader does about a cart that was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CartAction {
    /// Speak.
    Fire,
    /// Say this instead of what was said before.
    Update,
    /// Say nothing, or stop saying it.
    Cancel,
}

/// Why a decision about a cart is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CancelReason {
    /// A product of the cart was bought.
    Purchased,
}
