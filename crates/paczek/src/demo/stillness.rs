use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stream_runtime::Health;
use stream_runtime::broker::memory::MemoryBroker;
use stream_runtime::broker::{Broker as _, LogReader as _, Read};

use crate::problem::Problem;

/// Whole turns of every worker in which nothing may be written. A turn begins with the timers that are due
/// and then takes what is there to be read, so one would do; a worker that is opening its tasks anew takes one more.
const TURNS: u32 = 3;

/// Where each partition ends, and where what is committed of it does.
type Ends = BTreeMap<(String, i32), (i64, i64)>;

/// Whether anything is still to come: nothing is, once every group has read its input to the end, and every
/// worker has since then looked for timers and records and found none.
pub(super) struct Stillness<'a> {
    broker: &'a MemoryBroker,
    /// Each group with its input.
    groups: &'a [(String, String)],
    ends: Ends,
    turns: u32,
    since: Instant,
}

impl<'a> Stillness<'a> {
    pub(super) fn new(broker: &'a MemoryBroker, groups: &'a [(String, String)]) -> Self {
        Self { broker, groups, ends: Ends::new(), turns: 0, since: Instant::now() }
    }

    /// Looks again. Whoever asks has made sure that no more is fed.
    pub(super) fn look(&mut self, workers: &[Health]) -> Result<bool, Problem> {
        let ends = self.ends()?;
        if ends != self.ends || !workers.iter().all(Health::is_ready) {
            self.ends = ends;
            self.turns = 0;
            self.since = Instant::now();
            return Ok(false);
        }
        let since = self.since.elapsed();
        if workers.iter().all(|worker| worker.is_alive(since)) {
            self.turns += 1;
            self.since = Instant::now();
        }
        // The first turn that was seen to begin may have begun before the logs stood still.
        Ok(self.turns > TURNS && self.all_read()?)
    }

    fn ends(&self) -> Result<Ends, Problem> {
        let mut ends = Ends::new();
        for (topic, partitions) in self.broker.topics() {
            for partition in 0..partitions {
                let extent = self.broker.extent(&topic, partition)?;
                ends.insert((topic.clone(), partition), (extent.end, extent.stable_end));
            }
        }
        Ok(ends)
    }

    fn all_read(&self) -> Result<bool, Problem> {
        for (group, input) in self.groups {
            if self.is_behind(group, input)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether there is a record that the group has not taken. Behind the last one stand the marks of
    /// transactions, so the offsets alone do not tell.
    fn is_behind(&self, group: &str, input: &str) -> Result<bool, Problem> {
        let partitions = self.broker.partitions(input)?.unwrap_or(0);
        let taken = self.broker.group_offsets(group, input);
        let from = |partition: i32| (input, partition, taken.get(&partition).copied().unwrap_or(0));
        let mut reader = self.broker.reader()?;
        reader.assign(&(0..partitions).map(from).collect::<Vec<_>>())?;
        while let Some(read) = reader.poll(Duration::ZERO)? {
            if matches!(read, Read::Record(_)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
