//! Bytes to events and back, and bytes to stored state and back.
//!
//! Knows: the schemas of `schemas/`, Avro and JSON for what travels, postcard for what is stored.
//! Must not know: I/O of any kind, Kafka, RocksDB, a clock, or what an event means.
//!
//! A value on an inner topic is one byte schema version and then an Avro datum; outward it is JSON, or Avro behind
//! Confluent's frame ([`Outward`]). Every decoder takes bytes from anywhere: it refuses what is too large, too short, too long or not in its schema with a
//! [`CodecError`], never panics, and never quotes what it read.

mod avro;
mod error;
mod frame;
mod outward;
mod schema_ids;
pub mod stored;
mod subject;
mod wire;

use events::{
    AbandonedCart, DeadLetter, Event, Exclusion, Heartbeat, ProfileUpdate, Recommendation, RecommendedItem,
    SessionEntry, SpeechControl, Suppression,
};
use serde_json::Value;

pub use avro::MAX_VALUE_BYTES;
pub use error::CodecError;
pub use events::deterministic_id;
pub use outward::Outward;
pub use schema_ids::{RegistryError, SchemaIds};
pub use subject::Subject;
pub use wire::dead_letter::MAX_DEAD_LETTER_BYTES;

/// The bytes of a canonical event.
///
/// # Errors
/// [`CodecError::TooLarge`] above [`MAX_VALUE_BYTES`].
pub fn encode_event(event: &Event) -> Result<Vec<u8>, CodecError> {
    wire::event::encode(event)
}

/// The canonical event in `bytes`.
///
/// # Errors
/// Whatever is not exactly one event of the version this build reads.
pub fn decode_event(bytes: &[u8]) -> Result<Event, CodecError> {
    wire::event::decode(bytes)
}

/// The JSON that `ingest` reads, of a canonical event that a shop wrote in Avro: our schema, behind the version byte or
/// behind Confluent's frame with `schema_id`. It says no more and no less than the datum does, so it keeps no bound yet.
///
/// # Errors
/// Whatever is not exactly one event of that schema; [`CodecError::UnknownSchema`] for any other id in a frame.
pub fn canonical_json(bytes: &[u8], schema_id: Option<u32>) -> Result<Vec<u8>, CodecError> {
    wire::event::canonical_json(bytes, schema_id)
}

/// The bytes of a profile update.
///
/// # Errors
/// [`CodecError::TooLarge`] above [`MAX_VALUE_BYTES`]; [`CodecError::Unencodable`] when a counter is
/// over `i64::MAX`.
pub fn encode_profile_update(update: &ProfileUpdate) -> Result<Vec<u8>, CodecError> {
    wire::profile_update::encode(update)
}

/// The profile update in `bytes`.
///
/// # Errors
/// Whatever is not exactly one profile update of the version this build reads, and one whose cause
/// contradicts itself.
pub fn decode_profile_update(bytes: &[u8]) -> Result<ProfileUpdate, CodecError> {
    wire::profile_update::decode(bytes)
}

/// The bytes of a heartbeat. An origin that has ended is written as `i64::MAX`.
///
/// # Errors
/// [`CodecError::TooLarge`] above [`MAX_VALUE_BYTES`].
pub fn encode_heartbeat(heartbeat: &Heartbeat) -> Result<Vec<u8>, CodecError> {
    wire::heartbeat::encode(heartbeat)
}

/// The heartbeat in `bytes`.
///
/// # Errors
/// Whatever is not exactly one heartbeat of the version this build reads.
pub fn decode_heartbeat(bytes: &[u8]) -> Result<Heartbeat, CodecError> {
    wire::heartbeat::decode(bytes)
}

/// The bytes of a dead letter. It never fails for a letter whose key and payload together are under
/// 2,000,000 bytes and whose other texts are short.
///
/// # Errors
/// [`CodecError::TooLarge`] above [`MAX_DEAD_LETTER_BYTES`]; [`CodecError::Unencodable`] when
/// `payload_bytes` is over `i64::MAX`.
pub fn encode_dead_letter(letter: &DeadLetter, form: Outward) -> Result<Vec<u8>, CodecError> {
    wire::dead_letter::encode(letter, form)
}

/// The dead letter in `bytes`.
///
/// # Errors
/// Whatever is not exactly one value of the schema, in one of the two outward forms.
pub fn decode_dead_letter(bytes: &[u8]) -> Result<DeadLetter, CodecError> {
    wire::dead_letter::decode(bytes)
}

/// The bytes of a session entry.
///
/// # Errors
/// [`CodecError::TooLarge`] above [`MAX_VALUE_BYTES`]; [`CodecError::Unencodable`] when a number has no
/// form on the wire or fields contradict each other.
pub fn encode_session_entry(value: &SessionEntry) -> Result<Vec<u8>, CodecError> {
    wire::session_event::encode(value)
}

/// The session entry in `bytes`.
///
/// # Errors
/// Whatever is not exactly one session entry of the version this build reads, and one whose kind and other fields
/// contradict each other.
pub fn decode_session_entry(bytes: &[u8]) -> Result<SessionEntry, CodecError> {
    wire::session_event::decode(bytes)
}

/// The bytes of a recommendation.
///
/// # Errors
/// [`CodecError::TooLarge`] above [`MAX_VALUE_BYTES`]; [`CodecError::Unencodable`] when a number has no
/// form on the wire or fields contradict each other.
pub fn encode_recommendation(value: &Recommendation, form: Outward) -> Result<Vec<u8>, CodecError> {
    wire::recommendation::encode(value, form)
}

/// The recommendation in `bytes`.
///
/// # Errors
/// Whatever is not exactly one value of the schema, in one of the two outward forms.
pub fn decode_recommendation(bytes: &[u8]) -> Result<Recommendation, CodecError> {
    wire::recommendation::decode(bytes)
}

/// The products of a recommendation and what it leaves out, as JSON in the form that they have in one.
///
/// # Errors
/// [`CodecError::Unencodable`] when they have no form in JSON.
pub fn shown_to_json(
    items: &Vec<RecommendedItem>,
    excluded: &Vec<Exclusion>,
) -> Result<(Value, Value), CodecError> {
    wire::recommendation::shown_to_json(items, excluded)
}

/// The bytes of a decision about an abandoned cart.
///
/// # Errors
/// [`CodecError::TooLarge`] above [`MAX_VALUE_BYTES`]; [`CodecError::Unencodable`] when a number has no
/// form on the wire or fields contradict each other.
pub fn encode_abandoned_cart(value: &AbandonedCart, form: Outward) -> Result<Vec<u8>, CodecError> {
    wire::abandoned_cart::encode(value, form)
}

/// The decision about an abandoned cart in `bytes`.
///
/// # Errors
/// Whatever is not exactly one value of the schema, in one of the two outward forms, and one whose action and reason contradict
/// each other.
pub fn decode_abandoned_cart(bytes: &[u8]) -> Result<AbandonedCart, CodecError> {
    wire::abandoned_cart::decode(bytes)
}

/// The bytes of a suppression.
///
/// # Errors
/// [`CodecError::TooLarge`] above [`MAX_VALUE_BYTES`]; [`CodecError::Unencodable`] when a number has no
/// form on the wire or fields contradict each other.
pub fn encode_suppression(value: &Suppression, form: Outward) -> Result<Vec<u8>, CodecError> {
    wire::suppression::encode(value, form)
}

/// The suppression in `bytes`.
///
/// # Errors
/// Whatever is not exactly one value of the schema, in one of the two outward forms, and one that contradicts itself.
pub fn decode_suppression(bytes: &[u8]) -> Result<Suppression, CodecError> {
    wire::suppression::decode(bytes)
}

/// The JSON of a switch of speech.
///
/// # Errors
/// [`CodecError::TooLarge`] above [`MAX_VALUE_BYTES`].
pub fn encode_control(value: &SpeechControl, form: Outward) -> Result<Vec<u8>, CodecError> {
    wire::control::encode(value, form)
}

/// The switch of speech in `bytes`.
///
/// # Errors
/// Whatever is not exactly one JSON object with the fields of the schema and no other.
pub fn decode_control(bytes: &[u8]) -> Result<SpeechControl, CodecError> {
    wire::control::decode(bytes)
}

/// What `bytes` say, as JSON for a person: field names as in the schema, absent values as `null`, times
/// in milliseconds since 1970.
///
/// # Errors
/// Those of the subject's decoder.
pub fn to_json(subject: Subject, bytes: &[u8]) -> Result<Value, CodecError> {
    match subject {
        Subject::ClickstreamEvent => wire::event::to_json(&decode_event(bytes)?),
        Subject::ProfileUpdate => wire::profile_update::to_json(&decode_profile_update(bytes)?),
        Subject::Heartbeat => wire::heartbeat::to_json(&decode_heartbeat(bytes)?),
        Subject::DeadLetter => wire::dead_letter::to_json(&decode_dead_letter(bytes)?),
        Subject::SessionEvent => wire::session_event::to_json(&decode_session_entry(bytes)?),
        Subject::Recommendation => wire::recommendation::to_json(&decode_recommendation(bytes)?),
        Subject::AbandonedCart => wire::abandoned_cart::to_json(&decode_abandoned_cart(bytes)?),
        Subject::Suppression => wire::suppression::to_json(&decode_suppression(bytes)?),
        Subject::Control => wire::control::to_json(&decode_control(bytes)?),
    }
}
