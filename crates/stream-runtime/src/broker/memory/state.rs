use std::collections::BTreeMap;
use std::sync::Arc;

use super::groups::Group;
use super::log::Log;
use super::transactions::{Marker, Producer};
use crate::broker::{BrokerError, NewTopic, TopicState};

/// All that the broker knows.
pub(super) struct State {
    /// What the clock showed when somebody last asked for anything.
    pub(super) now: i64,
    pub(super) topics: BTreeMap<Arc<str>, Topic>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) producers: Vec<Producer>,
    /// What has been decided and not been told yet, oldest first.
    pub(super) markers: Vec<Marker>,
    pub(super) holds_markers: bool,
    /// Counts transactions, members and readers: a number is never given twice.
    pub(super) numbered: u64,
    /// Nothing runs out before this time.
    pub(super) next_deadline: i64,
    /// Something has changed that somebody may be waiting for.
    pub(super) stirred: bool,
}

pub(super) struct Topic {
    settings: BTreeMap<String, String>,
    pub(super) compacts: bool,
    pub(super) logs: Vec<Log>,
}

impl Topic {
    pub(super) fn partitions(&self) -> i32 {
        i32::try_from(self.logs.len()).unwrap_or(i32::MAX)
    }

    pub(super) fn state(&self) -> TopicState {
        TopicState { partitions: self.partitions(), settings: self.settings.clone() }
    }

    pub(super) fn log(&mut self, partition: i32) -> Option<&mut Log> {
        self.logs.get_mut(usize::try_from(partition).ok()?)
    }
}

impl State {
    pub(super) fn new(now: i64) -> Self {
        Self {
            now,
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            producers: Vec::new(),
            markers: Vec::new(),
            holds_markers: false,
            numbered: 0,
            next_deadline: i64::MAX,
            stirred: false,
        }
    }

    /// Lets time go on: who was silent too long is out, what was open too long is aborted.
    pub(super) fn pass_time(&mut self, now: i64) {
        self.now = self.now.max(now);
        if self.now < self.next_deadline {
            return;
        }
        self.abort_timed_out();
        self.evict_silent();
        let transactions = self.producers.iter().filter_map(Producer::deadline);
        let sessions = self.groups.values().filter_map(Group::deadline);
        self.next_deadline = transactions.chain(sessions).min().unwrap_or(i64::MAX);
    }

    /// Takes note that something runs out then.
    pub(super) fn expect(&mut self, deadline: i64) {
        self.next_deadline = self.next_deadline.min(deadline);
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }

    pub(super) fn create_topic(&mut self, new: &NewTopic) -> Result<(), BrokerError> {
        let refused =
            |why: &str| Err(BrokerError::Refused(format!("topic {} was not made: {why}", new.name)));
        if self.topics.contains_key(new.name.as_str()) {
            return refused("it exists already");
        }
        if new.partitions < 1 {
            return refused("it needs a partition");
        }
        let compacts = new.settings.get("cleanup.policy").is_some_and(|policy| policy.contains("compact"));
        let logs = (0..new.partitions).map(|_| Log::default()).collect();
        let topic = Topic { settings: new.settings.clone(), compacts, logs };
        self.topics.insert(Arc::from(new.name.as_str()), topic);
        self.share_out_again(&new.name);
        Ok(())
    }

    pub(super) fn delete_topic(&mut self, topic: &str) {
        self.topics.remove(topic);
        for group in self.groups.values_mut() {
            group.offsets.retain(|(known, _), _| known != topic);
        }
        self.stirred = true;
    }

    pub(super) fn add_partitions(&mut self, topic: &str, partitions: usize) -> Result<(), BrokerError> {
        let found = self.topics.get_mut(topic).filter(|found| found.logs.len() < partitions);
        let Some(found) = found else {
            return Err(BrokerError::Refused(format!("topic {topic} got no more partitions")));
        };
        found.logs.resize_with(partitions, Log::default);
        self.share_out_again(topic);
        Ok(())
    }

    /// As on Apache Kafka, a topic that was deleted cannot be told from one that is not there yet.
    pub(super) fn log(&mut self, topic: &str, partition: i32) -> Result<&mut Log, BrokerError> {
        let log = self.topics.get_mut(topic).and_then(|topic| topic.log(partition));
        log.ok_or_else(|| BrokerError::Unreachable(format!("there is no {topic}-{partition}")))
    }
}
