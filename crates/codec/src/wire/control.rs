use events::{SpeechControl, SpeechKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{as_json, outward};
use crate::{CodecError, Outward, Subject};

const SUBJECT: Subject = Subject::Control;

pub(crate) fn encode(control: &SpeechControl, form: Outward) -> Result<Vec<u8>, CodecError> {
    outward::encode(SUBJECT, &ControlWire::from(control), form)
}

pub(crate) fn decode(bytes: &[u8]) -> Result<SpeechControl, CodecError> {
    let ControlWire { tenant_id, kind, speaking } = outward::decode(SUBJECT, bytes)?;
    Ok(SpeechControl { tenant: tenant_id, kind, speaking })
}

pub(crate) fn to_json(control: &SpeechControl) -> Result<Value, CodecError> {
    as_json(SUBJECT, &ControlWire::from(control))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlWire {
    tenant_id: String,
    #[serde(with = "SpeechKindWire")]
    kind: SpeechKind,
    speaking: bool,
}

impl From<&SpeechControl> for ControlWire {
    fn from(word: &SpeechControl) -> Self {
        Self { tenant_id: word.tenant.clone(), kind: word.kind, speaking: word.speaking }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SpeechKind", rename_all = "SCREAMING_SNAKE_CASE")]
enum SpeechKindWire {
    Recommendations,
    AbandonedCarts,
}
