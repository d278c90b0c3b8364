use events::{
    AbandonedCart, Cause, Placement, ProfileUpdate, Recommendation, Silence, Suppression, WouldHaveBeen,
    deterministic_id,
};

use crate::candidates::Sources;
use crate::catalogue::Catalogue;
use crate::customer::{Customer, asks_for_recommendation};
use crate::filters::Filters;
use crate::item_models::ItemModels;
use crate::rules::Rules;
use crate::speech::Speech;
use crate::{abandoned_carts, explanation, ranking};

/// What comes of an update: something is said, or a silence is explained.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Products to show.
    Recommendation(Box<Recommendation>),
    /// A reminder of a cart, or its taking back.
    AbandonedCart(Box<AbandonedCart>),
    /// An explained silence.
    Suppression(Box<Suppression>),
}

/// What decisions are made by, beside the customer.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge<'a> {
    /// The item models.
    pub models: &'a ItemModels,
    /// What the shop says of its products.
    pub catalogue: &'a Catalogue,
    /// What the tenant has set.
    pub rules: &'a Rules,
    /// Whether anything may be said.
    pub speech: &'a Speech,
}

/// Takes an update in and decides what to say.
///
/// An event that changes what the customer may want gets one answer for each placement. A purchase takes
/// back the reminders of its products. An abandoned cart is spoken about, or its silence is explained.
pub fn decide(customer: &mut Customer, update: &ProfileUpdate, by: &Knowledge<'_>) -> Vec<Decision> {
    customer.learn(update);
    let mut decisions = abandoned_carts::take_back(customer, update, by);
    decisions.extend(abandoned_carts::remind(customer, update, by));
    if matches!(&update.cause, Cause::Event { kind, .. } if asks_for_recommendation(*kind)) {
        let filters = Filters::of(customer, update, by.catalogue);
        let sources = Sources::of(customer, update, by);
        let placements = Placement::ALL.iter();
        decisions.extend(placements.filter_map(|placement| recommend(&filters, &sources, *placement)));
    }
    decisions
}

/// What to show in one place because of an event: candidates → filters → ranking → explanation → decision. `None`
/// for an update that a timer caused.
pub(crate) fn recommend(
    filters: &Filters<'_>,
    sources: &Sources<'_>,
    placement: Placement,
) -> Option<Decision> {
    let Sources { update, by, .. } = sources;
    let Cause::Event { event_id, kind, event_time } = &update.cause else { return None };
    let decision_id = recommendation_id(update, placement, event_id, &by.rules.version);
    let silent = |reason, model_epoch| Suppression {
        decision_id: decision_id.clone(),
        profile: update.profile.clone(),
        user_id: update.user_id.clone(),
        would_have_been: WouldHaveBeen::Recommendation { placement },
        reason,
        trigger: update.cause.clone(),
        rule_version: by.rules.version.clone(),
        model_epoch,
    };
    if let Some(reason) = by.speech.silence(by.speech.recommendations, *event_time) {
        return Some(Decision::Suppression(Box::new(silent(reason, None))));
    }
    let (allowed, excluded) = filters.sift(sources.gather(placement));
    let ranked = ranking::rank(allowed, by.rules.floor, by.rules.places);
    if ranked.is_empty() {
        return Some(Decision::Suppression(Box::new(silent(Silence::BelowFloor, by.models.epoch()))));
    }
    Some(Decision::Recommendation(Box::new(Recommendation {
        decision_id,
        profile: update.profile.clone(),
        user_id: update.user_id.clone(),
        placement,
        trigger_event_id: event_id.clone(),
        trigger_kind: *kind,
        decided_at: *event_time,
        rule_version: by.rules.version.clone(),
        model_epoch: by.models.epoch(),
        items: explanation::explain(ranked, by.catalogue),
        excluded,
        valid_until: event_time.plus(by.rules.valid_for),
    })))
}

fn recommendation_id(update: &ProfileUpdate, placement: Placement, event_id: &str, rules: &str) -> String {
    let (tenant, profile) = (update.profile.tenant(), update.profile.id());
    deterministic_id(&[tenant, profile, placement.name(), event_id, rules]).to_string()
}
