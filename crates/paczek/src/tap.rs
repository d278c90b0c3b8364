use codec::Subject;
use serde_json::{Value, json};
use stream_runtime::SourceRecord;

use crate::config::Config;
use crate::headers;

/// Shows the records of one topic, decoded.
pub(crate) struct Tap {
    subject: Option<Subject>,
    changelog: Option<Changelog>,
}

/// What the rows of a changelog are.
#[derive(Clone, Copy)]
enum Changelog {
    Positions,
    Profiles,
    Customers,
}

impl Changelog {
    fn of(config: &Config, topic: &str) -> Option<Self> {
        if is_of(config, "profile-updater-changelog", topic) {
            Some(Self::Profiles)
        } else if is_of(config, "recommender-changelog", topic) {
            Some(Self::Customers)
        } else {
            let mut sources = config.sources.iter().map(|source| format!("{}-changelog", source.processor()));
            sources.any(|changelog| is_of(config, &changelog, topic)).then_some(Self::Positions)
        }
    }
}

impl Tap {
    pub(crate) fn of(config: &Config, topic: &str) -> Self {
        let subjects = [
            ("events", Subject::ClickstreamEvent),
            ("profile-updates", Subject::ProfileUpdate),
            ("dead-letters", Subject::DeadLetter),
            ("sessions", Subject::SessionEvent),
            ("recommendations", Subject::Recommendation),
            ("abandoned-carts", Subject::AbandonedCart),
            ("suppressions", Subject::Suppression),
            ("control", Subject::Control),
        ];
        let subject = subjects.into_iter().find(|(name, _)| is_of(config, name, topic));
        Self { subject: subject.map(|(_, subject)| subject), changelog: Changelog::of(config, topic) }
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
        if self.changelog.is_some() { stream_runtime::store_key(key).unwrap_or(b"(trailer)") } else { key }
    }

    fn value(&self, record: &SourceRecord, value: &[u8]) -> Value {
        if self.changelog.is_some()
            && record.key.as_deref().is_some_and(|key| stream_runtime::store_key(key).is_some())
        {
            return self.state(value).unwrap_or_else(|| text(value));
        }
        let subject = if headers::is_heartbeat(record) { Some(Subject::Heartbeat) } else { self.subject };
        match subject {
            Some(subject) => codec::to_json(subject, value)
                .unwrap_or_else(|error| json!({ "undecodable": error.to_string(), "bytes": value.len() })),
            None => serde_json::from_slice(value).unwrap_or_else(|_| text(value)),
        }
    }

    fn state(&self, value: &[u8]) -> Option<Value> {
        Some(match self.changelog? {
            Changelog::Profiles => json!(codec::stored::decode_profile(value).ok()?),
            Changelog::Customers => json!(codec::stored::decode_customer(value).ok()?),
            Changelog::Positions => return None,
        })
    }
}

/// Whether one of our own topics has, or had, this name.
fn is_of(config: &Config, name: &str, topic: &str) -> bool {
    config.topics_of(name).iter().any(|known| known == topic)
}

/// Text as it is, with control characters escaped by JSON; other bytes in hexadecimal.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => Value::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}
