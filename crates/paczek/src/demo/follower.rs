use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stream_runtime::SourceRecord;
use stream_runtime::broker::memory::{MemoryBroker, MemoryReader};
use stream_runtime::broker::{Broker as _, LogReader as _, Read};

use crate::problem::Problem;

/// Reads along what is written, and lets go of what everybody has read: a demo may be long, and its log is in
/// memory.
pub(super) struct Follower<'a> {
    broker: &'a MemoryBroker,
    reader: MemoryReader,
    partitions: i32,
    /// By topic and partition, the offset of the next record.
    next: BTreeMap<(Arc<str>, i32), i64>,
}

impl<'a> Follower<'a> {
    pub(super) fn new<'t>(
        broker: &'a MemoryBroker,
        topics: impl Iterator<Item = &'t str>,
        partitions: i32,
    ) -> Result<Self, Problem> {
        let mut reader = broker.reader()?;
        let starts: Vec<_> =
            topics.flat_map(|topic| (0..partitions).map(move |partition| (topic, partition, 0))).collect();
        reader.assign(&starts)?;
        let next = starts.iter().map(|(topic, partition, _)| ((Arc::from(*topic), *partition), 0)).collect();
        Ok(Self { broker, reader, partitions, next })
    }

    /// Hands out the records that are there, at most so many, and waits a moment for the first. True if there
    /// may be more.
    pub(super) fn read(
        &mut self,
        most: usize,
        mut take: impl FnMut(&SourceRecord) -> Result<(), Problem>,
        wait: Duration,
    ) -> Result<bool, Problem> {
        for _ in 0..most {
            match self.reader.poll(wait)? {
                Some(Read::Record(record)) => {
                    take(&record)?;
                    self.next.insert((record.topic, record.partition), record.offset + 1);
                }
                Some(Read::End { .. }) => {}
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Lets go of what was read here and by the groups. The item models read `kept` by themselves.
    pub(super) fn tidy(&self, groups: &[(String, String)], kept: &str) {
        let mut read: BTreeMap<(&str, i32), i64> = BTreeMap::new();
        for ((topic, partition), next) in &self.next {
            read.insert((topic, *partition), *next);
        }
        for (group, input) in groups {
            let taken = self.broker.group_offsets(group, input);
            for partition in 0..self.partitions {
                let taken = taken.get(&partition).copied().unwrap_or(0);
                let next = read.entry((input, partition)).or_insert(taken);
                *next = taken.min(*next);
            }
        }
        for ((topic, partition), before) in read {
            if topic != kept && before > 0 {
                self.broker.delete_records(topic, partition, before);
            }
        }
    }
}
