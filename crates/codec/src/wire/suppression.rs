use events::{Cause, EventKind, EventTime, Placement, ProfileKey, Silence, Suppression, WouldHaveBeen};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::adaptors::{KindName, Millis, Optional, Wire};
use super::profile_update::CauseKind;
use super::recommendation::PlacementWire;
use super::{as_json, outward};
use crate::{CodecError, Outward, Subject};

const SUBJECT: Subject = Subject::Suppression;

pub(crate) fn encode(suppression: &Suppression, form: Outward) -> Result<Vec<u8>, CodecError> {
    outward::encode(SUBJECT, &SuppressionWire::from(suppression), form)
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Suppression, CodecError> {
    outward::decode::<SuppressionWire>(SUBJECT, bytes)?.try_into()
}

pub(crate) fn to_json(suppression: &Suppression) -> Result<Value, CodecError> {
    as_json(SUBJECT, &SuppressionWire::from(suppression))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SuppressionWire {
    decision_id: String,
    tenant_id: String,
    profile_id: String,
    user_id: Option<String>,
    would_have_been: OutputKind,
    #[serde(with = "Optional::<PlacementWire>")]
    placement: Option<Placement>,
    trigger_id: Option<String>,
    step: Option<u32>,
    #[serde(with = "SilenceWire")]
    reason_code: Silence,
    cause: CauseKind,
    cause_event_id: Option<String>,
    #[serde(with = "Optional::<KindName>")]
    cause_event_type: Option<EventKind>,
    #[serde(with = "Millis")]
    decided_at: EventTime,
    rule_version: String,
    model_epoch: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum OutputKind {
    Recommendation,
    AbandonedCart,
}

impl From<&Suppression> for SuppressionWire {
    fn from(word: &Suppression) -> Self {
        let (would_have_been, placement, trigger_id, step) = match &word.would_have_been {
            WouldHaveBeen::Recommendation { placement } => {
                (OutputKind::Recommendation, Some(*placement), None, None)
            }
            WouldHaveBeen::AbandonedCart { trigger_id, step } => {
                (OutputKind::AbandonedCart, None, Some(trigger_id.clone()), Some(*step))
            }
        };
        let (cause, cause_event_id, cause_event_type) = match &word.trigger {
            Cause::Event { event_id, kind, .. } => (CauseKind::Event, Some(event_id.clone()), Some(*kind)),
            Cause::Timer { .. } => (CauseKind::Timer, None, None),
        };
        Self {
            decision_id: word.decision_id.clone(),
            tenant_id: word.profile.tenant().to_owned(),
            profile_id: word.profile.id().to_owned(),
            user_id: word.user_id.clone(),
            would_have_been,
            placement,
            trigger_id,
            step,
            reason_code: word.reason,
            cause,
            cause_event_id,
            cause_event_type,
            decided_at: word.decided_at(),
            rule_version: word.rule_version.clone(),
            model_epoch: word.model_epoch,
        }
    }
}

impl TryFrom<SuppressionWire> for Suppression {
    type Error = CodecError;

    fn try_from(wire: SuppressionWire) -> Result<Self, CodecError> {
        let contradiction = |reason| Err(outward::malformed(SUBJECT, reason));
        let would_have_been = match (wire.would_have_been, wire.placement, wire.trigger_id, wire.step) {
            (OutputKind::Recommendation, Some(placement), None, None) => {
                WouldHaveBeen::Recommendation { placement }
            }
            (OutputKind::AbandonedCart, None, Some(trigger_id), Some(step)) => {
                WouldHaveBeen::AbandonedCart { trigger_id, step }
            }
            _ => return contradiction("what would have been said contradicts itself"),
        };
        let trigger = match (wire.cause, wire.cause_event_id, wire.cause_event_type) {
            (CauseKind::Event, Some(event_id), Some(kind)) => {
                Cause::Event { event_id, kind, event_time: wire.decided_at }
            }
            (CauseKind::Timer, None, None) => Cause::Timer { due: wire.decided_at },
            _ => return contradiction("its cause and the event of its cause contradict each other"),
        };
        Ok(Self {
            decision_id: wire.decision_id,
            profile: ProfileKey::new(&wire.tenant_id, &wire.profile_id),
            user_id: wire.user_id,
            would_have_been,
            reason: wire.reason_code,
            trigger,
            rule_version: wire.rule_version,
            model_epoch: wire.model_epoch,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Silence", rename_all = "SCREAMING_SNAKE_CASE")]
enum SilenceWire {
    SpeakingOff,
    Backfill,
    Stale,
    Purchased,
    Stock,
    BelowFloor,
}
