//! Reads what is committed in a topic.

use std::collections::BTreeSet;
use std::time::Duration;

use stream_runtime::SourceRecord;
use stream_runtime::broker::{Broker, LogReader, Read};

use crate::problem::Problem;

const WAIT: Duration = Duration::from_millis(200);

/// How far to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// To the end of what is committed now.
    End,
    /// On and on, as records come.
    Stopped,
}

/// The committed records of a topic, each partition in order.
pub(crate) struct Records<R> {
    reader: R,
    /// Partitions whose end has not been reached.
    open: BTreeSet<i32>,
    until: Until,
}

impl<R: LogReader> Records<R> {
    /// With `only`, of that partition.
    pub(crate) fn of<B: Broker<Reader = R>>(
        broker: &B,
        topic: &str,
        only: Option<i32>,
        until: Until,
    ) -> Result<Self, Problem> {
        let partitions = count_partitions(broker, topic)?;
        let (mut open, mut positions) = (BTreeSet::new(), Vec::new());
        for partition in (0..partitions).filter(|partition| only.is_none_or(|only| only == *partition)) {
            let extent = broker.extent(topic, partition)?;
            if extent.start < extent.stable_end || until == Until::Stopped {
                open.insert(partition);
                positions.push((topic, partition, extent.start));
            }
        }
        let mut reader = broker.reader()?;
        reader.assign(&positions)?;
        Ok(Self { reader, open, until })
    }
}

impl<R: LogReader> Iterator for Records<R> {
    type Item = Result<SourceRecord, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.open.is_empty() {
            match self.reader.poll(WAIT) {
                Ok(Some(Read::Record(record))) => return Some(Ok(record)),
                Ok(Some(Read::End { partition })) if self.until == Until::End => {
                    self.open.remove(&partition);
                }
                Ok(Some(Read::End { .. }) | None) => {}
                Err(error) => {
                    self.open.clear();
                    return Some(Err(error.into()));
                }
            }
        }
        None
    }
}

/// How many partitions a topic has that has to be there.
pub(crate) fn count_partitions<B: Broker>(broker: &B, topic: &str) -> Result<i32, Problem> {
    let partitions = broker.partitions(topic)?;
    partitions.ok_or_else(|| Problem::MissingTopic { topic: topic.to_owned(), hint: String::new() })
}
