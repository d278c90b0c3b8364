//! What travels outward: one JSON object with exactly the fields of its schema.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::avro::{MAX_VALUE_BYTES, refuse_large};
use crate::{CodecError, Subject};

pub(crate) fn encode<T: Serialize>(subject: Subject, value: &T) -> Result<Vec<u8>, CodecError> {
    let what = subject.name();
    let json = serde_json::to_vec(value)
        .map_err(|_| CodecError::Unencodable { what, reason: "it has no form in JSON" })?;
    refuse_large(what, json.len(), MAX_VALUE_BYTES)?;
    Ok(json)
}

pub(crate) fn decode<T: DeserializeOwned>(subject: Subject, bytes: &[u8]) -> Result<T, CodecError> {
    refuse_large(subject.name(), bytes.len(), MAX_VALUE_BYTES)?;
    serde_json::from_slice(bytes).map_err(|error| malformed(subject, reason(&error)))
}

pub(crate) fn malformed(subject: Subject, reason: &'static str) -> CodecError {
    CodecError::Malformed { what: subject.name(), reason }
}

/// serde_json's own messages may quote what was read, so they are told in our words.
pub(crate) fn reason(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a field is missing, unknown, doubled or of another type",
        _ => "it is not JSON",
    }
}
