//! Whether a store, its changelog and its input still belong together. Each is a topic or directory that
//! somebody can delete, grow or swap while nobody looks.

use std::time::Duration;

use super::Shift;
use crate::broker::{Broker, BrokerError, Extent, LogReader, Read};
use crate::processor::Processor;
use crate::restore::Mark;
use crate::task::Start;
use crate::trailer::PARTITIONER;
use crate::{RuntimeError, SourceRecord, TRAILER_KEY, Trailer};

/// The longest wait for an answer that a reader gives in pieces, so many times.
const POLL: Duration = Duration::from_millis(100);
const PATIENCE: u32 = 300;
/// Offsets looked at first for a trailer, from the end.
const NEAR_THE_END: i64 = 64;

/// The newest trailer on a changelog partition, read with this reader; `None` if it has none.
///
/// # Errors
/// When the broker does not answer, or the trailer is none that this version reads.
pub fn last_trailer<B: Broker>(
    broker: &B,
    reader: &mut B::Reader,
    changelog: &str,
    partition: i32,
) -> Result<Option<Trailer>, RuntimeError> {
    let extent = broker.extent(changelog, partition)?;
    let mut reach = NEAR_THE_END;
    loop {
        let from = extent.start.max(extent.stable_end.saturating_sub(reach));
        let mut found = None;
        read_through(reader, (changelog, partition, from), extent.stable_end, |record| {
            if record.key.as_deref() == Some(TRAILER_KEY) {
                found = record.value;
            }
            Ok::<_, BrokerError>(())
        })?;
        if let Some(value) = found {
            let unreadable = |reason| RuntimeError::OtherVersion { log: changelog.to_owned(), reason };
            return Trailer::decode(&value).map(Some).map_err(unreadable);
        }
        if from <= extent.start {
            return Ok(None);
        }
        reach = reach.saturating_mul(8);
    }
}

/// Shows what is committed from a position to an offset.
pub(crate) fn read_through<R: LogReader, E: From<BrokerError>>(
    reader: &mut R,
    from: (&str, i32, i64),
    end: i64,
    mut see: impl FnMut(SourceRecord) -> Result<(), E>,
) -> Result<(), E> {
    if from.2 >= end {
        return Ok(());
    }
    reader.assign(&[from])?;
    let mut silent = 0;
    while silent < PATIENCE {
        match reader.poll(POLL)? {
            Some(Read::Record(record)) if record.offset < end => {
                silent = 0;
                see(record)?;
            }
            Some(_) => return Ok(()),
            None => silent += 1,
        }
    }
    Err(BrokerError::Unreachable(format!("{}-{} cannot be read: no answer", from.0, from.1)).into())
}

/// Whether an input still holds the offset at which the work goes on.
pub(crate) fn check_held<B: Broker>(
    broker: &B,
    topic: &str,
    partition: i32,
    next: i64,
) -> Result<(), RuntimeError> {
    let Extent { start, end, .. } = broker.extent(topic, partition)?;
    if (start..=end).contains(&next) {
        return Ok(());
    }
    Err(RuntimeError::InputLost { topic: topic.to_owned(), partition, start, end, next })
}

impl<B: Broker, P: Processor> Shift<'_, B, P> {
    /// How many partitions input and changelog have: as many as each other, and as ever.
    pub(super) fn spread(&self) -> Result<i32, RuntimeError> {
        let broker = self.given.broker;
        let count =
            |topic: &str| broker.partitions(topic)?.ok_or_else(|| RuntimeError::TopicGone(topic.to_owned()));
        let (found, expected) = (count(&self.input)?, count(&self.changelog)?);
        if found == expected { Ok(found) } else { Err(self.other_partitions(found, expected)) }
    }

    /// Whether the position of a store is one of this partition, and the changelog goes on from there; where the
    /// changelog begins.
    pub(super) fn check_position(
        &self,
        partition: i32,
        mark: Option<&Mark>,
        end: i64,
    ) -> Result<i64, RuntimeError> {
        let topic = self.changelog.to_string();
        let start = self.given.broker.extent(&topic, partition)?.start;
        let absorbed = mark.map_or(0, |mark| mark.changelog_next);
        if let Some(mark) = mark.filter(|mark| mark.log != *self.log) {
            return Err(RuntimeError::OtherLog { log: self.log.to_string(), known: mark.log.clone() });
        }
        if absorbed > end {
            return Err(RuntimeError::ChangelogLost { topic, partition, end, absorbed });
        }
        if absorbed < start && !self.given.settings.accept_reset {
            return Err(RuntimeError::ChangelogCut { topic, partition, start, absorbed });
        }
        let input = mark.and_then(|mark| mark.trailer.inputs.first());
        match input.is_none_or(|input| input.partition == partition) {
            true => Ok(start),
            false => Err(self.other_changelog(partition)),
        }
    }

    /// The record directly before what is to be restored is the trailer of the position. Compaction may have taken
    /// it; another one means that the topic is another.
    pub(super) fn check_last_absorbed(
        &self,
        mark: Option<&Mark>,
        record: &SourceRecord,
    ) -> Result<(), RuntimeError> {
        let Some(mark) = mark.filter(|mark| mark.changelog_next == record.offset + 1) else { return Ok(()) };
        let standing = record.value.as_deref().map(Trailer::decode);
        if standing.is_some_and(|trailer| trailer.as_ref() == Ok(&mark.trailer)) {
            return Ok(());
        }
        Err(self.other_changelog(record.partition))
    }

    /// Whether keys are still spread as they were when the state was made.
    pub(super) fn check_spread(
        &mut self,
        partition: i32,
        partitions: i32,
        mark: Option<&Mark>,
    ) -> Result<(), RuntimeError> {
        if let Some(mark) = mark {
            return self.check_trailer(&mark.trailer, partitions);
        }
        // A partition without state may be one that was added: its neighbours know.
        for other in (0..partitions).filter(|other| *other != partition) {
            if let Some(trailer) = last_trailer(self.given.broker, &mut self.reader, &self.changelog, other)?
            {
                return self.check_trailer(&trailer, partitions);
            }
        }
        Ok(())
    }

    fn check_trailer(&self, trailer: &Trailer, partitions: i32) -> Result<(), RuntimeError> {
        if trailer.partitioner.as_deref().is_some_and(|known| known != PARTITIONER) {
            return Err(RuntimeError::OtherPartitioner { changelog: self.changelog.to_string() });
        }
        match trailer.partitions {
            Some(expected) if expected != partitions => Err(self.other_partitions(partitions, expected)),
            _ => Ok(()),
        }
    }

    /// Where to begin, if the input still holds that offset.
    pub(super) fn within_input(&self, partition: i32, start: Start) -> Result<Start, RuntimeError> {
        let (next, trailer) = match &start {
            Start::At(next) => (*next, None),
            Start::Reset(trailer, next) => (*next, Some(trailer)),
            Start::After(trailer) => (trailer.next_offset(), Some(trailer)),
        };
        match check_held(self.given.broker, &self.input, partition, next) {
            Ok(()) => Ok(start),
            Err(RuntimeError::InputLost { start, .. }) if self.given.settings.accept_reset => {
                Ok(trailer.map_or(Start::At(start), |trailer| Start::Reset(trailer.clone(), start)))
            }
            Err(error) => Err(error),
        }
    }

    fn other_changelog(&self, partition: i32) -> RuntimeError {
        RuntimeError::OtherChangelog { topic: self.changelog.to_string(), partition }
    }

    fn other_partitions(&self, found: i32, expected: i32) -> RuntimeError {
        let (topic, changelog) = (self.input.to_string(), self.changelog.to_string());
        RuntimeError::OtherPartitions { topic, changelog, found, expected }
    }
}
