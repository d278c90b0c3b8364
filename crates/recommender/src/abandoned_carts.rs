use events::{
    AbandonedCart, Abandonment, CancelReason, CartAction, Cause, EventTime, ProfileUpdate, Reason,
    ReasonCode, Silence, Suppression, WouldHaveBeen, deterministic_id,
};

use crate::customer::{Customer, Fired};
use crate::decision::{Decision, Knowledge};

/// The rule's name, part of every trigger id.
const RULE: &str = "abandoned-cart";
/// The reminder that is sent when a cart is left, and how many there are.
const STEP: u32 = 1;
const STEPS_TOTAL: u32 = 1;

/// Speaks about the cart that an update shows as left, or explains why not.
///
/// What depends on the due time alone is asked first; so whether a purchase was known before the reminder
/// or after it, the outcome is the same: a reminder that is taken back, or one that was never sent.
pub(crate) fn remind(
    customer: &mut Customer,
    update: &ProfileUpdate,
    by: &Knowledge<'_>,
) -> Option<Decision> {
    let left = update.abandonment.as_ref()?;
    let trigger_id = trigger_id(update, left);
    let Some(reason) = silence(customer, left, by) else {
        customer.remember_fired(Fired::of(&trigger_id, left));
        let spoken = spoken(customer, update, left, &trigger_id, by);
        return Some(Decision::AbandonedCart(Box::new(spoken)));
    };
    Some(Decision::Suppression(Box::new(Suppression {
        decision_id: decision_id(&trigger_id, left, CartAction::Fire),
        profile: update.profile.clone(),
        user_id: customer.user_id.clone(),
        would_have_been: WouldHaveBeen::AbandonedCart { trigger_id, step: STEP },
        reason,
        trigger: Cause::Timer { due: left.abandoned_at },
        rule_version: by.rules.version.clone(),
        model_epoch: None,
    })))
}

/// Takes back the reminders of carts of which something is now known as bought.
pub(crate) fn take_back(
    customer: &mut Customer,
    update: &ProfileUpdate,
    by: &Knowledge<'_>,
) -> Vec<Decision> {
    let Cause::Event { event_id, event_time, .. } = &update.cause else { return Vec::new() };
    let fired = std::mem::take(&mut customer.fired);
    let mut taken_back = Vec::new();
    for sent in fired {
        let left = sent.abandonment();
        if !customer.bought_of(&left.cart, left.last_activity_at, given_up(&left, by)) {
            // A purchase can be reported late; one that is reported later than this finds nothing to take back.
            if *event_time <= given_up(&left, by).plus(by.rules.give_up) {
                customer.fired.push(sent);
            }
            continue;
        }
        taken_back.push(Decision::AbandonedCart(Box::new(AbandonedCart {
            decision_id: decision_id(&sent.trigger_id, &left, CartAction::Cancel),
            action: CartAction::Cancel,
            cancel_reason: Some(CancelReason::Purchased),
            decided_at: *event_time,
            reasons: vec![Reason {
                code: ReasonCode::CartLeft,
                weight: 1.0,
                source_event_ids: vec![event_id.clone()],
            }],
            ..spoken(customer, update, &left, &sent.trigger_id, by)
        })));
    }
    taken_back
}

fn silence(customer: &Customer, left: &Abandonment, by: &Knowledge<'_>) -> Option<Silence> {
    let gate = by.speech.silence(by.speech.abandoned_carts, left.abandoned_at);
    if gate.is_some() {
        return gate;
    }
    let gone = |line: &events::CartLine| by.catalogue.out_of_stock(&line.product_id);
    if customer.bought_of(&left.cart, left.last_activity_at, given_up(left, by)) {
        Some(Silence::Purchased)
    } else if left.cart.lines.iter().all(gone) {
        Some(Silence::Stock)
    } else {
        (left.cart.total_minor < by.rules.cart_floor_minor).then_some(Silence::BelowFloor)
    }
}

/// Until when a purchase still counts as the end of this cart.
fn given_up(left: &Abandonment, by: &Knowledge<'_>) -> EventTime {
    left.last_activity_at.plus(by.rules.give_up)
}

fn spoken(
    customer: &Customer,
    update: &ProfileUpdate,
    left: &Abandonment,
    trigger_id: &str,
    by: &Knowledge<'_>,
) -> AbandonedCart {
    AbandonedCart {
        decision_id: decision_id(trigger_id, left, CartAction::Fire),
        trigger_id: trigger_id.to_owned(),
        profile: update.profile.clone(),
        user_id: customer.user_id.clone(),
        action: CartAction::Fire,
        cancel_reason: None,
        version: 1,
        kind: left.stage,
        step: STEP,
        steps_total: STEPS_TOTAL,
        cart: left.cart.clone(),
        cart_fingerprint: left.fingerprint.clone(),
        last_activity_at: left.last_activity_at,
        abandoned_at: left.abandoned_at,
        fire_at: left.abandoned_at,
        decided_at: left.abandoned_at,
        rule_version: by.rules.version.clone(),
        reasons: vec![Reason { code: ReasonCode::CartLeft, weight: 1.0, source_event_ids: Vec::new() }],
    }
}

fn trigger_id(update: &ProfileUpdate, left: &Abandonment) -> String {
    let (tenant, profile) = (update.profile.tenant(), update.profile.id());
    let parts = [tenant, RULE, profile, &left.cart.cart_key, &left.fingerprint, &STEP.to_string()];
    deterministic_id(&parts).to_string()
}

fn decision_id(trigger_id: &str, left: &Abandonment, action: CartAction) -> String {
    let action = match action {
        CartAction::Fire => "FIRE",
        CartAction::Update => "UPDATE",
        CartAction::Cancel => "CANCEL",
    };
    let abandoned_at = left.abandoned_at.0.to_string();
    deterministic_id(&[trigger_id, &abandoned_at, action, "1"]).to_string()
}
