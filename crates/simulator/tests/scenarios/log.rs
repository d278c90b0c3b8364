//! Reading the log in memory as somebody behind the pipeline does.

use std::collections::BTreeMap;
use std::time::Duration;

use paczek::{Digest, TopicDigest};
use serde_json::Value;
use stream_runtime::SourceRecord;
use stream_runtime::broker::memory::MemoryBroker;
use stream_runtime::broker::{Broker as _, LogReader as _, Read};

/// A record on an outward topic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) key: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) value: Value,
}

/// What is committed in a topic, each partition in order.
pub(crate) fn said(broker: &MemoryBroker, topic: &str) -> Vec<Said> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let decoded = |record: SourceRecord| Said {
        key: record.key.as_deref().map(text).unwrap_or_default(),
        headers: record.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        value: serde_json::from_slice(&record.value.unwrap()).unwrap(),
    };
    records(broker, topic).into_iter().map(decoded).collect()
}

/// The digests of the topics that `paczek digest` counts.
pub(crate) fn digests(broker: &MemoryBroker) -> BTreeMap<&'static str, TopicDigest> {
    let digest = |topic| {
        let mut digest = Digest::default();
        records(broker, topic).iter().for_each(|record| digest.add(record));
        (topic, digest.finish())
    };
    ["dead-letters", "events", "profile-updates", "sessions"].map(digest).into()
}

/// Every decision with its topic and key, in an order of its own.
pub(crate) fn decisions(broker: &MemoryBroker) -> Vec<String> {
    let mut decisions: Vec<String> = ["abandoned-carts", "recommendations", "suppressions"]
        .iter()
        .flat_map(|topic| said(broker, topic).into_iter().map(move |said| (topic, said)))
        .map(|(topic, said)| format!("{topic} {} {}", said.key, said.value))
        .collect();
    decisions.sort();
    decisions
}

/// Whether a group has read a topic to its end, and no transaction on it is open.
pub(crate) fn consumed(broker: &MemoryBroker, group: &str, topic: &str) -> bool {
    let offsets = broker.group_offsets(group, topic);
    let partitions = broker.partitions(topic).unwrap().unwrap();
    (0..partitions).all(|partition| {
        let extent = broker.extent(topic, partition).unwrap();
        let next = offsets.get(&partition).copied().unwrap_or(extent.start);
        // Behind the last record stand the marks of transactions, so offsets alone do not tell.
        extent.stable_end == extent.end && is_at_end(broker, topic, partition, next)
    })
}

fn is_at_end(broker: &MemoryBroker, topic: &str, partition: i32, next: i64) -> bool {
    let mut reader = broker.reader().unwrap();
    reader.assign(&[(topic, partition, next)]).unwrap();
    matches!(reader.poll(Duration::ZERO).unwrap(), Some(Read::End { .. }))
}

fn records(broker: &MemoryBroker, topic: &str) -> Vec<SourceRecord> {
    let partitions = broker.partitions(topic).unwrap().unwrap();
    (0..partitions).flat_map(|partition| partition_records(broker, topic, partition)).collect()
}

fn partition_records(broker: &MemoryBroker, topic: &str, partition: i32) -> Vec<SourceRecord> {
    let (mut reader, mut records) = (broker.reader().unwrap(), Vec::new());
    reader.assign(&[(topic, partition, 0)]).unwrap();
    while let Some(Read::Record(record)) = reader.poll(Duration::ZERO).unwrap() {
        records.push(record);
    }
    records
}
