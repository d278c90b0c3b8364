pub(crate) mod abandoned_cart;
pub(crate) mod adaptors;
pub(crate) mod control;
pub(crate) mod dead_letter;
pub(crate) mod event;
pub(crate) mod heartbeat;
mod outward;
pub(crate) mod profile_update;
pub(crate) mod recommendation;
pub(crate) mod session_event;
pub(crate) mod suppression;

use serde::Serialize;
use serde_json::Value;

use crate::{CodecError, Subject};

/// The wire form as JSON: its field names are those of the schema, because Avro refuses any other.
fn as_json<T: Serialize>(subject: Subject, value: &T) -> Result<Value, CodecError> {
    serde_json::to_value(value)
        .map_err(|_| CodecError::Unencodable { what: subject.name(), reason: "it has no form in JSON" })
}
