//! Names of the record headers. What differs between two honest runs stands here and not in values.

use stream_runtime::{Header, SourceRecord};

/// Number of the line a raw record was loaded from.
pub(crate) const LINE: &str = "line";
/// A raw record with this header and no value says that its partition has ended.
pub(crate) const END_OF_SOURCE: &str = "end-of-source";
/// What a record of an inner topic is, where it is no event: [`HEARTBEAT`].
pub(crate) const KIND: &str = "kind";
/// See [`KIND`].
pub(crate) const HEARTBEAT: &[u8] = b"heartbeat";
/// Newest event time of the raw partition, this event included, in milliseconds.
pub(crate) const FRONTIER: &str = "frontier";
/// Ingest marked the event LATE.
pub(crate) const LATE: &str = "late";
/// Due time of the timer that caused the record, in milliseconds.
pub(crate) const DUE: &str = "due";
/// Deterministic id of a decision, and of what a timer caused.
pub(crate) const ID: &str = "id";
/// The one reading of the clock that a decision was made by, in milliseconds, where it looked at the clock.
pub(crate) const CLOCK: &str = "clock";
/// Where a refused record came from.
pub(crate) const ORIGIN_TOPIC: &str = "origin-topic";
/// See [`ORIGIN_TOPIC`].
pub(crate) const ORIGIN_PARTITION: &str = "origin-partition";
/// See [`ORIGIN_TOPIC`].
pub(crate) const ORIGIN_OFFSET: &str = "origin-offset";
/// When the refused record was written, in milliseconds.
pub(crate) const ORIGIN_TIMESTAMP: &str = "origin-timestamp";
/// Stable code of the refusal; also in the value.
pub(crate) const CODE: &str = "code";

/// A header with a text.
pub(crate) fn text(name: &str, value: &str) -> Header {
    (name.to_owned(), value.as_bytes().to_vec())
}

/// A header with a number, in decimal.
pub(crate) fn number(name: &str, value: i64) -> Header {
    text(name, &value.to_string())
}

/// The number in a header; `None` if it is absent or no number.
pub(crate) fn read_number(record: &SourceRecord, name: &str) -> Option<i64> {
    std::str::from_utf8(record.header(name)?).ok()?.parse().ok()
}

/// Whether the record is a heartbeat.
pub(crate) fn is_heartbeat(record: &SourceRecord) -> bool {
    record.header(KIND) == Some(HEARTBEAT)
}
