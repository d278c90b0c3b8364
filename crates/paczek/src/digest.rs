mod decisions;

use std::collections::BTreeMap;

use serde::Serialize;
use stream_runtime::SourceRecord;
use stream_runtime::broker::Broker;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::config::Config;
use crate::problem::Problem;
use crate::read::{Records, Until};
use crate::{headers, topics};
use decisions::Decisions;

/// Under this name stand the decisions of all outward topics together.
const DECISIONS: &str = "decisions";

/// The digests of all that a run has written so far, by topic, and one for all decisions.
///
/// # Errors
/// When a topic is gone, or the broker does not answer.
pub fn digests<B: Broker>(broker: &B, config: &Config) -> Result<BTreeMap<String, TopicDigest>, Problem> {
    let mut digests = Digests::of(config);
    for topic in digests.topics() {
        for record in Records::of(broker, &topic, None, Until::End)? {
            digests.add(&record?);
        }
    }
    Ok(digests.finish())
}

/// The digests of a whole run.
pub(crate) struct Digests {
    /// By the name that a topic had at first: its later generations go on where the former ended.
    topics: BTreeMap<String, Digest>,
    /// Every name that a topic has had, the oldest first, with its first one.
    names: Vec<(String, String)>,
    /// The outward topics. What is said in which of them depends on what was known when it was written, so
    /// they are looked at together.
    outward: [String; 3],
    decisions: Decisions,
}

impl Digests {
    pub(crate) fn of(config: &Config) -> Self {
        let digested = topics::digested(config);
        let first = |names: &Vec<String>| names.first().cloned().unwrap_or_default();
        let known = |names: &Vec<String>| {
            let first = first(names);
            names.iter().map(|name| (name.clone(), first.clone())).collect::<Vec<_>>()
        };
        Self {
            topics: digested.iter().map(|names| (first(names), Digest::default())).collect(),
            names: digested.iter().flat_map(known).collect(),
            outward: ["recommendations", "abandoned-carts", "suppressions"].map(|name| config.topic(name)),
            decisions: Decisions::default(),
        }
    }

    /// The topics whose records it wants, in the order in which it wants them.
    pub(crate) fn topics(&self) -> Vec<String> {
        self.names.iter().map(|(name, _)| name).chain(&self.outward).cloned().collect()
    }

    /// Takes the next record of its partition.
    pub(crate) fn add(&mut self, record: &SourceRecord) {
        let named = self.names.iter().find(|(name, _)| **name == *record.topic);
        if let Some(digest) = named.and_then(|(_, first)| self.topics.get_mut(first)) {
            return digest.add(record);
        }
        let [recommendations, carts, suppressions] = &self.outward;
        if *record.topic == **recommendations {
            self.decisions.add_recommendation(record);
        } else if *record.topic == **carts {
            self.decisions.add_cart(record);
        } else if *record.topic == **suppressions {
            self.decisions.add_suppression(record);
        }
    }

    /// Decisions that were taken more than once.
    pub(crate) fn repeated_decisions(&self) -> usize {
        self.decisions.repeated()
    }

    /// By topic, and one for all decisions.
    pub(crate) fn finish(self) -> BTreeMap<String, TopicDigest> {
        let topics = self.topics.into_iter().map(|(topic, digest)| (topic, digest.finish()));
        topics.chain([(DECISIONS.to_owned(), self.decisions.finish())]).collect()
    }
}

/// Two hashes over what a topic says, by which two runs are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TopicDigest {
    /// Records counted.
    pub records: u64,
    /// Over the sequence of (key, value) of each key, of what events caused: equal when every key comes from
    /// one raw partition.
    pub by_event: String,
    /// Over what timers caused, by (key, due time, id): equal however the input was partitioned.
    pub by_timer: String,
}

/// Takes the records of one topic, each partition in order, and makes its [`TopicDigest`].
#[derive(Default)]
pub struct Digest {
    records: u64,
    keys: BTreeMap<Vec<u8>, Xxh3>,
    timers: Vec<(Vec<u8>, i64, Vec<u8>, u128)>,
}

impl Digest {
    /// Takes the next record; heartbeats do not count.
    pub fn add(&mut self, record: &SourceRecord) {
        if headers::is_heartbeat(record) {
            return;
        }
        self.records += 1;
        let key = record.key.clone().unwrap_or_default();
        let value = record.value.as_deref().unwrap_or_default();
        match headers::read_number(record, headers::DUE) {
            Some(due) => {
                let id = record.header(headers::ID).unwrap_or_default().to_vec();
                self.timers.push((key, due, id, xxh3_128(value)));
            }
            None => {
                let hash = self.keys.entry(key).or_default();
                take_texts(hash, &[value]);
            }
        }
    }

    /// The digest of all that was taken.
    #[must_use]
    pub fn finish(mut self) -> TopicDigest {
        let mut by_event = Xxh3::new();
        for (key, values) in &self.keys {
            take_texts(&mut by_event, &[key]);
            by_event.update(&values.digest128().to_le_bytes());
        }
        self.timers.sort_unstable();
        let mut by_timer = Xxh3::new();
        for (key, due, id, value) in &self.timers {
            take_texts(&mut by_timer, &[key, id]);
            by_timer.update(&due.to_le_bytes());
            by_timer.update(&value.to_le_bytes());
        }
        TopicDigest { records: self.records, by_event: shown(&by_event), by_timer: shown(&by_timer) }
    }
}

fn shown(hash: &Xxh3) -> String {
    format!("{:032x}", hash.digest128())
}

/// Takes texts in such a way that no other sequence of texts is taken in the same way.
fn take_texts(hash: &mut Xxh3, texts: &[&[u8]]) {
    for text in texts {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &str, due: Option<i64>) -> SourceRecord {
        let headers = due.map(|due| headers::number(headers::DUE, due)).into_iter().collect();
        let (key, value) = (Some(key.into()), Some(value.into()));
        SourceRecord { key, value, headers, ..SourceRecord::default() }
    }

    fn digest(records: &[SourceRecord]) -> TopicDigest {
        let mut digest = Digest::default();
        records.iter().for_each(|record| digest.add(record));
        digest.finish()
    }

    #[test]
    fn keys_may_interleave_but_the_order_within_one_counts() {
        let (a1, a2, b) = (record("a", "1", None), record("a", "2", None), record("b", "1", None));
        let one = digest(&[a1.clone(), a2.clone(), b.clone()]);
        assert_eq!(one, digest(&[b.clone(), a1.clone(), a2.clone()]));
        assert_ne!(one, digest(&[a2.clone(), a1.clone(), b.clone()]));
        assert_ne!(one, digest(&[a1.clone(), a2.clone(), b.clone(), b]), "a doubled record shows");
        assert_ne!(one, digest(&[a1, a2]), "a lost record shows");
    }

    #[test]
    fn what_timers_caused_has_no_order() {
        let (early, late) = (record("a", "1", Some(1)), record("a", "2", Some(2)));
        let one = digest(&[early.clone(), late.clone()]);
        assert_eq!(one, digest(&[late.clone(), early.clone()]));
        assert_ne!(one, digest(&[late.clone(), early, late]));
    }
}
