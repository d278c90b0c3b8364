//! Reads what is committed in a topic.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use stream_runtime::SourceRecord;
use stream_runtime::broker::{Broker, LogReader as _, Read};

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

/// Hands every committed record of `topic` to `take`, each partition in order, until `take` breaks off.
/// With `only`, of that partition.
pub(crate) fn read_topic<B: Broker>(
    broker: &B,
    topic: &str,
    only: Option<i32>,
    until: Until,
    mut take: impl FnMut(SourceRecord) -> Result<ControlFlow<()>, Problem>,
) -> Result<(), Problem> {
    let partitions = broker
        .partitions(topic)?
        .ok_or_else(|| Problem::MissingTopic { topic: topic.to_owned(), hint: String::new() })?;
    let mut open = BTreeSet::new();
    let mut positions = Vec::new();
    for partition in (0..partitions).filter(|partition| only.is_none_or(|only| only == *partition)) {
        let extent = broker.extent(topic, partition)?;
        if extent.start < extent.stable_end || until == Until::Stopped {
            open.insert(partition);
            positions.push((topic, partition, extent.start));
        }
    }
    let mut reader = broker.reader()?;
    reader.assign(&positions)?;
    while !open.is_empty() {
        match reader.poll(WAIT)? {
            Some(Read::Record(record)) => {
                if take(record)?.is_break() {
                    return Ok(());
                }
            }
            Some(Read::End { partition }) if until == Until::End => {
                open.remove(&partition);
            }
            Some(Read::End { .. }) | None => {}
        }
    }
    Ok(())
}
