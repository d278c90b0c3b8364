use events::{AbandonedCart, CancelReason, CartAction, CartView, EventTime, ProfileKey, Reason, Stage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::adaptors::{List, Millis, Optional, Wire, mirror};
use super::profile_update::{CartViewWire, StageWire};
use super::recommendation::{NOT_FINITE, ReasonWire, all_finite};
use super::{as_json, outward};
use crate::{CodecError, Outward, Subject};

const SUBJECT: Subject = Subject::AbandonedCart;
const CONTRADICTION: &str = "its action and its cancel_reason contradict each other";

pub(crate) fn encode(decision: &AbandonedCart, form: Outward) -> Result<Vec<u8>, CodecError> {
    let unencodable = |reason| Err(CodecError::Unencodable { what: SUBJECT.name(), reason });
    if !all_finite(&decision.reasons) {
        return unencodable(NOT_FINITE);
    }
    if contradicts(decision.action, decision.cancel_reason) {
        return unencodable(CONTRADICTION);
    }
    outward::encode(SUBJECT, &AbandonedCartWire::from(decision), form)
}

pub(crate) fn decode(bytes: &[u8]) -> Result<AbandonedCart, CodecError> {
    let wire = outward::decode::<AbandonedCartWire>(SUBJECT, bytes)?;
    if contradicts(wire.action, wire.cancel_reason) {
        return Err(outward::malformed(SUBJECT, CONTRADICTION));
    }
    if !all_finite(&wire.reasons) {
        return Err(outward::malformed(SUBJECT, NOT_FINITE));
    }
    Ok(wire.into())
}

pub(crate) fn to_json(decision: &AbandonedCart) -> Result<Value, CodecError> {
    as_json(SUBJECT, &AbandonedCartWire::from(decision))
}

fn contradicts(action: CartAction, reason: Option<CancelReason>) -> bool {
    (action == CartAction::Cancel) != reason.is_some()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AbandonedCartWire {
    decision_id: String,
    tenant_id: String,
    profile_id: String,
    user_id: Option<String>,
    trigger_id: String,
    #[serde(with = "ActionWire")]
    action: CartAction,
    #[serde(with = "Optional::<CancelReasonWire>")]
    cancel_reason: Option<CancelReason>,
    version: u32,
    #[serde(with = "StageWire")]
    kind: Stage,
    step: u32,
    steps_total: u32,
    #[serde(with = "CartViewWire")]
    cart: CartView,
    cart_fingerprint: String,
    #[serde(with = "Millis")]
    last_activity_at: EventTime,
    #[serde(with = "Millis")]
    abandoned_at: EventTime,
    #[serde(with = "Millis")]
    fire_at: EventTime,
    #[serde(with = "Millis")]
    decided_at: EventTime,
    rule_version: String,
    #[serde(with = "List::<ReasonWire>")]
    reasons: Vec<Reason>,
}

impl From<&AbandonedCart> for AbandonedCartWire {
    fn from(word: &AbandonedCart) -> Self {
        let word = word.clone();
        Self {
            decision_id: word.decision_id,
            tenant_id: word.profile.tenant().to_owned(),
            profile_id: word.profile.id().to_owned(),
            user_id: word.user_id,
            trigger_id: word.trigger_id,
            action: word.action,
            cancel_reason: word.cancel_reason,
            version: word.version,
            kind: word.kind,
            step: word.step,
            steps_total: word.steps_total,
            cart: word.cart,
            cart_fingerprint: word.cart_fingerprint,
            last_activity_at: word.last_activity_at,
            abandoned_at: word.abandoned_at,
            fire_at: word.fire_at,
            decided_at: word.decided_at,
            rule_version: word.rule_version,
            reasons: word.reasons,
        }
    }
}

impl From<AbandonedCartWire> for AbandonedCart {
    fn from(wire: AbandonedCartWire) -> Self {
        Self {
            decision_id: wire.decision_id,
            trigger_id: wire.trigger_id,
            profile: ProfileKey::new(&wire.tenant_id, &wire.profile_id),
            user_id: wire.user_id,
            action: wire.action,
            cancel_reason: wire.cancel_reason,
            version: wire.version,
            kind: wire.kind,
            step: wire.step,
            steps_total: wire.steps_total,
            cart: wire.cart,
            cart_fingerprint: wire.cart_fingerprint,
            last_activity_at: wire.last_activity_at,
            abandoned_at: wire.abandoned_at,
            fire_at: wire.fire_at,
            decided_at: wire.decided_at,
            rule_version: wire.rule_version,
            reasons: wire.reasons,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CartAction", rename_all = "SCREAMING_SNAKE_CASE")]
enum ActionWire {
    Fire,
    Update,
    Cancel,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CancelReason", rename_all = "SCREAMING_SNAKE_CASE")]
enum CancelReasonWire {
    Purchased,
}
mirror!(CancelReasonWire, CancelReason);
