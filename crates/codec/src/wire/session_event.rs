use events::{EventTime, Interest, ProfileKey, SessionEntry, SessionFact};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::adaptors::{Millis, Wire};
use super::as_json;
use super::outward::malformed;
use crate::{CodecError, Subject, avro};

const SUBJECT: Subject = Subject::SessionEvent;

pub(crate) fn encode(entry: &SessionEntry) -> Result<Vec<u8>, CodecError> {
    avro::encode(SUBJECT, &SessionWire::try_from(entry)?)
}

pub(crate) fn decode(bytes: &[u8]) -> Result<SessionEntry, CodecError> {
    avro::decode::<SessionWire>(SUBJECT, bytes)?.try_into()
}

pub(crate) fn to_json(entry: &SessionEntry) -> Result<Value, CodecError> {
    as_json(SUBJECT, &SessionWire::try_from(entry)?)
}

#[derive(Serialize, Deserialize)]
struct SessionWire {
    tenant_id: String,
    profile_id: String,
    #[serde(with = "Millis")]
    event_time: EventTime,
    sequence: i64,
    kind: KindWire,
    session_id: Option<String>,
    event_id: Option<String>,
    product_ids: Vec<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum KindWire {
    Viewed,
    Added,
    Purchased,
    Forget,
}

impl TryFrom<&SessionEntry> for SessionWire {
    type Error = CodecError;

    fn try_from(entry: &SessionEntry) -> Result<Self, CodecError> {
        let sequence = i64::try_from(entry.sequence).map_err(|_| CodecError::Unencodable {
            what: SUBJECT.name(),
            reason: "its sequence is over 2^63 - 1",
        })?;
        let (kind, session_id, event_id, product_ids) = match &entry.fact {
            SessionFact::Seen { session_id, event_id, interest, product_ids } => (
                KindWire::from(*interest),
                Some(session_id.clone()),
                Some(event_id.clone()),
                product_ids.clone(),
            ),
            SessionFact::Forget { session_id } => (KindWire::Forget, session_id.clone(), None, Vec::new()),
        };
        Ok(Self {
            tenant_id: entry.profile.tenant().to_owned(),
            profile_id: entry.profile.id().to_owned(),
            event_time: entry.event_time,
            sequence,
            kind,
            session_id,
            event_id,
            product_ids,
        })
    }
}

impl TryFrom<SessionWire> for SessionEntry {
    type Error = CodecError;

    fn try_from(wire: SessionWire) -> Result<Self, CodecError> {
        let seen = |interest, session_id, event_id, product_ids| SessionFact::Seen {
            session_id,
            event_id,
            interest,
            product_ids,
        };
        let fact = match (wire.kind.interest(), wire.session_id, wire.event_id) {
            (Some(interest), Some(session), Some(event)) => seen(interest, session, event, wire.product_ids),
            (None, session_id, None) if wire.product_ids.is_empty() => SessionFact::Forget { session_id },
            _ => return Err(malformed(SUBJECT, "its kind and its other fields contradict each other")),
        };
        Ok(Self {
            profile: ProfileKey::new(&wire.tenant_id, &wire.profile_id),
            event_time: wire.event_time,
            sequence: u64::try_from(wire.sequence)
                .map_err(|_| malformed(SUBJECT, "its sequence is negative"))?,
            fact,
        })
    }
}

impl KindWire {
    fn interest(self) -> Option<Interest> {
        match self {
            Self::Viewed => Some(Interest::Viewed),
            Self::Added => Some(Interest::Added),
            Self::Purchased => Some(Interest::Purchased),
            Self::Forget => None,
        }
    }
}

impl From<Interest> for KindWire {
    fn from(interest: Interest) -> Self {
        match interest {
            Interest::Viewed => Self::Viewed,
            Interest::Added => Self::Added,
            Interest::Purchased => Self::Purchased,
        }
    }
}
