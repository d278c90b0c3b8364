use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;

use crate::contract::{entries, schemas};

const TOPICS: [&str; 12] = [
    "abandoned-carts",
    "clickstream",
    "control",
    "dead-letters",
    "events",
    "ingest-clickstream-changelog",
    "profile-updater-changelog",
    "profile-updates",
    "recommendations",
    "recommender-changelog",
    "sessions",
    "suppressions",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Topic {
    name: String,
    doc: String,
    owner: String,
    writer: String,
    readers: Vec<String>,
    key: String,
    partitions: i32,
    cleanup: String,
    retention_ms: i64,
    schema: String,
    format: String,
    digest: bool,
    settings: BTreeMap<String, String>,
}

#[test]
fn the_topics_are_these() {
    let names: Vec<_> = topics().into_iter().map(|topic| topic.name).collect();
    assert_eq!(names, TOPICS);
}

#[test]
fn every_topic_says_all_of_itself() {
    for topic in topics() {
        let name = &topic.name;
        assert!(!topic.doc.is_empty() && !topic.key.is_empty() && !topic.writer.is_empty(), "{name}");
        assert!(!topic.readers.is_empty() && topic.partitions > 0 && topic.retention_ms >= -1, "{name}");
        assert!(["shop", "paczek"].contains(&topic.owner.as_str()), "{name}");
        assert!(["delete", "compact"].contains(&topic.cleanup.as_str()), "{name}");
        assert!(["json", "avro", "raw"].contains(&topic.format.as_str()), "{name}");
        // Each of these has a field of its own, and two answers to one question would come apart.
        for setting in ["cleanup.policy", "retention.ms"] {
            assert!(!topic.settings.contains_key(setting), "{name}");
        }
    }
}

#[test]
fn every_schema_a_topic_names_exists() {
    for topic in topics().iter().filter(|topic| topic.schema != "none") {
        assert!(schemas().join(&topic.schema).join("v1.avsc").is_file(), "{}", topic.name);
    }
}

#[test]
fn outputs_count_for_the_digest_and_nothing_else_does() {
    let counted: Vec<_> = topics().into_iter().filter(|topic| topic.digest).map(|topic| topic.name).collect();
    assert_eq!(counted, ["dead-letters", "events", "profile-updates", "sessions"]);
}

fn topics() -> Vec<Topic> {
    let read = |path: &std::path::PathBuf| -> Topic {
        let text = fs::read_to_string(path).unwrap();
        let topic: Topic =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), format!("{}.toml", topic.name));
        topic
    };
    entries(&schemas().join("topics")).iter().map(read).collect()
}
