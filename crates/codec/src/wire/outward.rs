//! What travels outward: one JSON object with exactly the fields of its schema, or the same in Avro behind
//! Confluent's frame.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::avro::{self, MAX_VALUE_BYTES, library, refuse_large};
use crate::{CodecError, MAX_DEAD_LETTER_BYTES, Outward, Subject, frame};

pub(crate) fn encode<T: Serialize>(
    subject: Subject,
    value: &T,
    outward: Outward,
) -> Result<Vec<u8>, CodecError> {
    let bytes = match outward {
        Outward::Json => serde_json::to_vec(value).map_err(|_| CodecError::Unencodable {
            what: subject.name(),
            reason: "it has no form in JSON",
        })?,
        Outward::ConfluentAvro { schema_id } => library::write(subject, &frame::head(schema_id), value)?,
    };
    refuse_large(subject, bytes.len(), limit(subject))?;
    Ok(bytes)
}

/// Tells the two forms apart by the first byte. A topic of ours has one schema, whatever id it was given, so
/// the id in a frame is not asked for.
pub(crate) fn decode<T: DeserializeOwned>(subject: Subject, bytes: &[u8]) -> Result<T, CodecError> {
    refuse_large(subject, bytes.len(), limit(subject))?;
    if bytes.first() != Some(&frame::MAGIC) {
        return serde_json::from_slice(bytes).map_err(|error| malformed(subject, reason(&error)));
    }
    let (_, datum) = frame::open(subject.name(), bytes)?;
    avro::read(subject, datum)
}

pub(crate) fn malformed(subject: Subject, reason: &'static str) -> CodecError {
    CodecError::Malformed { what: subject.name(), reason }
}

fn limit(subject: Subject) -> usize {
    if subject == Subject::DeadLetter { MAX_DEAD_LETTER_BYTES } else { MAX_VALUE_BYTES }
}

/// serde_json's own messages may quote what was read, so they are told in our words.
fn reason(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a field is missing, unknown, doubled or of another type",
        _ => "it is not JSON",
    }
}
