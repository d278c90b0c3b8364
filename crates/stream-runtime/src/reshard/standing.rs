//! What a processor leaves behind when it has stopped.

use super::{LOOK, Move, ReshardProblem, ReshardSettings, SETTLING};
use crate::broker::Broker;
use crate::trailer::Trailer;
use crate::worker::{last_trailer, read_through};
use crate::{RuntimeError, StreamTime};

/// Where a processor stands on one partition.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) partition: i32,
    /// How many partitions its input has.
    pub(super) partitions: i32,
    trailer: Option<Trailer>,
    /// Where it would go on reading.
    pub(super) next_offset: i64,
    /// Where its changelog ends.
    pub(super) changelog_end: i64,
}

impl Standing {
    /// Whether nobody has worked in between. Where nobody ever has, a source may go on growing.
    pub(super) fn is_untouched(&self, since: &Self) -> bool {
        (&self.trailer, self.changelog_end) == (&since.trailer, since.changelog_end)
    }

    pub(super) fn sequence(&self) -> u64 {
        self.trailer.as_ref().map_or(0, |trailer| trailer.sequence)
    }

    pub(super) fn time(&self) -> StreamTime {
        self.trailer.as_ref().map(Trailer::time).unwrap_or_default()
    }
}

/// Where a stopped processor stands on each partition of an input that it has read to its end.
pub(super) fn standings<B: Broker>(
    (broker, reader): (&B, &mut B::Reader),
    one: &Move,
    settings: &ReshardSettings<'_>,
) -> Result<Vec<Standing>, ReshardProblem> {
    let count = |topic: &str| {
        let found = broker.partitions(topic)?;
        found.ok_or_else(|| ReshardProblem::from(RuntimeError::TopicGone(topic.to_owned())))
    };
    let (partitions, expected) = (count(&one.from.input)?, count(&one.from.changelog)?);
    if partitions != expected {
        let (topic, changelog) = (one.from.input.clone(), one.from.changelog.clone());
        return Err(RuntimeError::OtherPartitions { topic, changelog, found: partitions, expected }.into());
    }
    let all = 0..partitions;
    all.map(|partition| standing((broker, &mut *reader), one, settings, (partition, partitions))).collect()
}

/// The stream time that each partition of new topics begins with: of an origin the least that any partition has
/// heard, of a note the greatest, since it is a promise that does not fall.
pub(super) fn merged(standing: &[Standing]) -> StreamTime {
    let mut merged = StreamTime::default();
    for time in standing.iter().map(Standing::time) {
        for (source, partition, time) in time.origins() {
            let time = match merged.origin(source, partition) {
                Some(known) if source.contains('/') => time.max(known),
                Some(known) => time.min(known),
                None => time,
            };
            merged.hear(source, partition, time);
        }
    }
    merged
}

/// The offset of the first committed record of a partition from an offset on.
pub(super) fn first_record<B: Broker>(
    (broker, reader): (&B, &mut B::Reader),
    topic: &str,
    partition: i32,
    from: i64,
) -> Result<Option<i64>, ReshardProblem> {
    let extent = broker.extent(topic, partition)?;
    let mut first = None;
    let from = (topic, partition, from.max(extent.start));
    read_through(reader, from, extent.stable_end, |record| {
        first.get_or_insert(record.offset);
        Ok::<_, ReshardProblem>(())
    })?;
    Ok(first)
}

fn standing<B: Broker>(
    (broker, reader): (&B, &mut B::Reader),
    one: &Move,
    settings: &ReshardSettings<'_>,
    (partition, partitions): (i32, i32),
) -> Result<Standing, ReshardProblem> {
    let (input, changelog) = (&one.from.input, &one.from.changelog);
    let changelog_end = stable_end(broker, settings, changelog, partition)?;
    let trailer = last_trailer(broker, reader, changelog, partition)?;
    if let Some(moved_to) = trailer.as_ref().and_then(|trailer| trailer.moved_to.clone()) {
        return Err(RuntimeError::Moved { changelog: changelog.clone(), moved_to }.into());
    }
    let next_offset = match &trailer {
        Some(trailer) => trailer.next_offset(),
        None => broker.start_offset(input, partition, settings.start_from)?,
    };
    if !one.keeps_input() {
        stable_end(broker, settings, input, partition)?;
        if first_record((broker, reader), input, partition, next_offset)?.is_some() {
            let (processor, topic) = (one.processor.clone(), input.clone());
            return Err(ReshardProblem::NotDrained { processor, topic, partition, next: next_offset });
        }
    }
    Ok(Standing { partition, partitions, trailer, next_offset, changelog_end })
}

/// Where a partition ends on which no transaction is open. The end of one is told to its partitions a moment later.
pub(super) fn stable_end<B: Broker>(
    broker: &B,
    settings: &ReshardSettings<'_>,
    topic: &str,
    partition: i32,
) -> Result<i64, ReshardProblem> {
    let begun = settings.clock.uptime();
    loop {
        let extent = broker.extent(topic, partition)?;
        if extent.stable_end >= extent.end {
            return Ok(extent.end);
        }
        if settings.clock.uptime().saturating_sub(begun) > SETTLING {
            return Err(ReshardProblem::Open { topic: topic.to_owned(), partition });
        }
        settings.clock.sleep(LOOK);
    }
}
