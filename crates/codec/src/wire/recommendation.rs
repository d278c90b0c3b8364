use events::{
    EventKind, EventTime, Exclusion, ExclusionCode, Placement, ProfileKey, Reason, ReasonCode,
    Recommendation, RecommendedItem,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::adaptors::{Borrowed, KindName, List, Millis, Wire, mirror};
use super::{as_json, outward};
use crate::{CodecError, Outward, Subject};

const SUBJECT: Subject = Subject::Recommendation;
pub(super) const NOT_FINITE: &str = "a score or weight is not a finite number";

pub(crate) fn encode(recommendation: &Recommendation, form: Outward) -> Result<Vec<u8>, CodecError> {
    if !recommendation.items.iter().all(is_finite) {
        return Err(CodecError::Unencodable { what: SUBJECT.name(), reason: NOT_FINITE });
    }
    outward::encode(SUBJECT, &RecommendationWire::from(recommendation), form)
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Recommendation, CodecError> {
    let wire = outward::decode::<RecommendationWire>(SUBJECT, bytes)?;
    match wire.items.iter().all(is_finite) {
        true => Ok(wire.into()),
        false => Err(outward::malformed(SUBJECT, NOT_FINITE)),
    }
}

pub(crate) fn to_json(recommendation: &Recommendation) -> Result<Value, CodecError> {
    as_json(SUBJECT, &RecommendationWire::from(recommendation))
}

fn is_finite(item: &RecommendedItem) -> bool {
    item.score.is_finite() && all_finite(&item.reasons)
}

/// Products and exclusions alone, as a recommendation has them.
pub(crate) fn shown_to_json(
    items: &Vec<RecommendedItem>,
    excluded: &Vec<Exclusion>,
) -> Result<(Value, Value), CodecError> {
    let items = as_json(SUBJECT, &Borrowed::<List<ItemWire>>(items))?;
    Ok((items, as_json(SUBJECT, &Borrowed::<List<ExclusionWire>>(excluded))?))
}

/// JSON has no other numbers, and what can be said must not depend on the form it is said in.
pub(super) fn all_finite(reasons: &[Reason]) -> bool {
    reasons.iter().all(|reason| reason.weight.is_finite())
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecommendationWire {
    decision_id: String,
    tenant_id: String,
    profile_id: String,
    user_id: Option<String>,
    #[serde(with = "PlacementWire")]
    placement: Placement,
    trigger_event_id: String,
    #[serde(with = "KindName")]
    trigger_type: EventKind,
    #[serde(with = "Millis")]
    decided_at: EventTime,
    rule_version: String,
    model_epoch: Option<i64>,
    #[serde(with = "List::<ItemWire>")]
    items: Vec<RecommendedItem>,
    #[serde(with = "List::<ExclusionWire>")]
    excluded: Vec<Exclusion>,
    #[serde(with = "Millis")]
    valid_until: EventTime,
}

impl From<&Recommendation> for RecommendationWire {
    fn from(word: &Recommendation) -> Self {
        let word = word.clone();
        Self {
            decision_id: word.decision_id,
            tenant_id: word.profile.tenant().to_owned(),
            profile_id: word.profile.id().to_owned(),
            user_id: word.user_id,
            placement: word.placement,
            trigger_event_id: word.trigger_event_id,
            trigger_type: word.trigger_kind,
            decided_at: word.decided_at,
            rule_version: word.rule_version,
            model_epoch: word.model_epoch,
            items: word.items,
            excluded: word.excluded,
            valid_until: word.valid_until,
        }
    }
}

impl From<RecommendationWire> for Recommendation {
    fn from(wire: RecommendationWire) -> Self {
        Self {
            decision_id: wire.decision_id,
            profile: ProfileKey::new(&wire.tenant_id, &wire.profile_id),
            user_id: wire.user_id,
            placement: wire.placement,
            trigger_event_id: wire.trigger_event_id,
            trigger_kind: wire.trigger_type,
            decided_at: wire.decided_at,
            rule_version: wire.rule_version,
            model_epoch: wire.model_epoch,
            items: wire.items,
            excluded: wire.excluded,
            valid_until: wire.valid_until,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RecommendedItem", deny_unknown_fields)]
struct ItemWire {
    product_id: String,
    rank: u32,
    score: f64,
    price_minor: Option<i64>,
    currency: Option<String>,
    #[serde(with = "List::<ReasonWire>")]
    reasons: Vec<Reason>,
}
mirror!(ItemWire, RecommendedItem);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Reason", deny_unknown_fields)]
pub(super) struct ReasonWire {
    #[serde(with = "ReasonCodeWire")]
    code: ReasonCode,
    weight: f64,
    source_event_ids: Vec<String>,
}
mirror!(ReasonWire, Reason);

#[derive(Serialize, Deserialize)]
#[serde(remote = "ReasonCode", rename_all = "SCREAMING_SNAKE_CASE")]
enum ReasonCodeWire {
    SimilarSessions,
    Popular,
    Wished,
    CartLeft,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Exclusion", deny_unknown_fields)]
struct ExclusionWire {
    product_id: String,
    #[serde(rename = "reason_code", with = "ExclusionCodeWire")]
    code: ExclusionCode,
}
mirror!(ExclusionWire, Exclusion);

#[derive(Serialize, Deserialize)]
#[serde(remote = "ExclusionCode", rename_all = "SCREAMING_SNAKE_CASE")]
enum ExclusionCodeWire {
    Bought,
    InCart,
    OutOfStock,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Placement", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum PlacementWire {
    ForYou,
    SimilarUsers,
}
mirror!(PlacementWire, Placement);
