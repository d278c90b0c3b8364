use codec::Subject;
use serde_json::{Value, json};
use stream_runtime::SourceRecord;

use crate::config::Config;
use crate::headers;

/// Shows the records of one topic, decoded.
pub(crate) struct Tap {
    subject: Option<Subject>,
    changelog: bool,
}

impl Tap {
    pub(crate) fn of(config: &Config, topic: &str) -> Self {
        let subjects = [
            ("events", Subject::ClickstreamEvent),
            ("profile-updates", Subject::ProfileUpdate),
            ("dead-letters", Subject::DeadLetter),
        ];
        let subject = subjects.into_iter().find(|(name, _)| config.topic(name) == topic);
        Self { subject: subject.map(|(_, subject)| subject), changelog: topic.ends_with("-changelog") }
    }

    /// The record as one JSON object.
    pub(crate) fn show(&self, record: &SourceRecord) -> Value {
        let headers = record.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        json!({
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": record.key.as_deref().map(|key| text(self.row_key(key))),
            "headers": Value::Object(headers),
            "value": record.value.as_deref().map(|value| self.value(record, value)),
        })
    }

    fn row_key<'a>(&self, key: &'a [u8]) -> &'a [u8] {
        if self.changelog { stream_runtime::store_key(key).unwrap_or(b"(trailer)") } else { key }
    }

    fn value(&self, record: &SourceRecord, value: &[u8]) -> Value {
        if self.changelog && record.key.as_deref().is_some_and(|key| stream_runtime::store_key(key).is_some())
        {
            let profile = codec::stored::decode_profile(value);
            return profile.map_or_else(|_| text(value), |profile| json!(profile));
        }
        let subject = if headers::is_heartbeat(record) { Some(Subject::Heartbeat) } else { self.subject };
        match subject {
            Some(subject) => codec::to_json(subject, value)
                .unwrap_or_else(|error| json!({ "undecodable": error.to_string(), "bytes": value.len() })),
            None => serde_json::from_slice(value).unwrap_or_else(|_| text(value)),
        }
    }
}

/// Text as it is, with control characters escaped by JSON; other bytes in hexadecimal.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => Value::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}
