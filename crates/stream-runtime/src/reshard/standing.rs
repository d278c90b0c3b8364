//! What a processor leaves behind when it has stopped.

use super::{LOOK, Move, ReshardProblem, ReshardSettings, SETTLING};
use crate::broker::Broker;
use crate::trailer::Trailer;
use crate::worker::{check_held, last_trailer, read_through};
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
    /// Whether nobody has worked in between. A source that nobody has taken from may go on growing.
    pub(super) fn is_untouched(&self, since: &Self) -> bool {
        self.changelog_end == since.changelog_end
    }

    /// Up to where the changelog says that the input was taken; `None` for not at all.
    pub(super) fn taken(&self) -> Option<i64> {
        self.trailer.as_ref().map(Trailer::next_offset)
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
    if let Some(known) = trailer.as_ref().and_then(Trailer::input).filter(|known| known != input) {
        return Err(RuntimeError::OtherLog { log: input.clone(), known: known.to_owned() }.into());
    }
    let next_offset = match &trailer {
        Some(trailer) => trailer.next_offset(),
        None => broker.start_offset(input, partition, settings.start_from)?,
    };
    check_held(broker, input, partition, next_offset)?;
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
    let ask = || {
        let extent = broker.extent(topic, partition)?;
        Ok((extent.stable_end >= extent.end).then_some(extent.end))
    };
    settled(settings, ask)?.ok_or_else(|| ReshardProblem::Open { topic: topic.to_owned(), partition })
}

/// What is known once it has come to rest; `None` if it does not.
pub(super) fn settled<T>(
    settings: &ReshardSettings<'_>,
    mut ask: impl FnMut() -> Result<Option<T>, ReshardProblem>,
) -> Result<Option<T>, ReshardProblem> {
    let begun = settings.clock.uptime();
    loop {
        let answer = ask()?;
        if answer.is_some() || settings.clock.uptime().saturating_sub(begun) > SETTLING {
            return Ok(answer);
        }
        settings.clock.sleep(LOOK);
    }
}
