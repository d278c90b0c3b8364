//! Moves the states of stopped processors to topics with another number of partitions.
//!
//! Rows are copied first, and mean nothing until a trailer ends them. One transaction then writes the trailers of
//! all new changelogs, ends all old ones for good, and carries offsets of every group, so that nobody can have
//! worked meanwhile: before it nothing has moved, after it everything has.

mod problem;
mod standing;
mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use state_store::{StateStore, StoreError};

use crate::broker::{
    Broker, BrokerError, Committed, GroupSettings, Membership, ProducerSettings, Rebalance,
    TransactionalProducer as _,
};
use crate::trailer::{Frame, InputPosition, Trailer, state_key};
use crate::worker::{check_held, last_trailer};
use crate::{Clock, Output, RuntimeError, StartFrom, StreamTime, TRAILER_KEY, partition_for};
pub use problem::ReshardProblem;
use standing::{Standing, first_record, merged, settled, stable_end, standings};
use tally::{each_row, filled};

pub use tally::Tally;

/// Rows written in one transaction.
const CHUNK: usize = 10_000;
/// Between two looks at what takes a moment.
const LOOK: Duration = Duration::from_millis(20);
/// What a group takes to share out its partitions, or a transaction to be told as ended, at most.
const SETTLING: Duration = Duration::from_secs(10);

/// A processor whose state moves.
#[derive(Clone, Debug)]
pub struct Move {
    /// Its name.
    pub processor: String,
    /// Its consumer group until now.
    pub group: String,
    /// Where it works until now.
    pub from: Place,
    /// Where it is to work. With the same input its partitions stay as they are, and so does its position; a new
    /// input is read from its beginning, by keys spread anew.
    pub to: Place,
}

/// The topics that a processor stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it reads.
    pub input: String,
    /// Its changelog, with as many partitions.
    pub changelog: String,
}

impl Move {
    fn keeps_input(&self) -> bool {
        self.from.input == self.to.input
    }
}

/// How states are moved.
pub struct ReshardSettings<'a> {
    /// Its producer's id; the same for every try, so that a new one ends what the last has left open.
    pub transactional_id: String,
    /// Time after which the broker aborts a transaction that was left open.
    pub transaction_timeout: Duration,
    /// Silence after which a member of a group counts as dead.
    pub session_timeout: Duration,
    /// Where a processor without a position would begin.
    pub start_from: StartFrom,
    /// The most input records that one transaction of a worker has taken.
    pub max_records: usize,
    /// An empty store that holds the rows of one partition for a while.
    pub scratch: &'a dyn Fn() -> Result<Box<dyn StateStore>, StoreError>,
    /// The time it lives in.
    pub clock: &'a dyn Clock,
}

/// What was copied of one processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub processor: String,
    /// The changelog that the rows are in now.
    pub changelog: String,
    /// Its partitions before.
    pub before: i32,
    /// Its partitions now.
    pub after: i32,
    /// The rows, before and after: they are the same.
    pub rows: Tally,
}

/// The changelog that the state of another one has moved to.
///
/// # Errors
/// When the broker does not answer, or a position cannot be read.
pub fn moved_to<B: Broker>(broker: &B, changelog: &str) -> Result<Option<String>, RuntimeError> {
    if broker.partitions(changelog)?.is_none() {
        return Ok(None);
    }
    // All partitions move at once.
    Ok(last_trailer(broker, &mut broker.reader()?, changelog, 0)?.and_then(|last| last.moved_to))
}

/// States on their way to other topics.
pub struct Reshard<'a, B: Broker> {
    broker: &'a B,
    moves: &'a [Move],
    settings: &'a ReshardSettings<'a>,
    producer: B::Producer,
    reader: B::Reader,
    /// Of each move, where every partition stands.
    standing: Vec<Vec<Standing>>,
}

impl<'a, B: Broker> Reshard<'a, B> {
    /// Looks whether everybody has stopped and every input that goes out of use is read to its end.
    ///
    /// # Errors
    /// When it is not so, or the broker does not answer.
    pub fn survey(
        broker: &'a B,
        moves: &'a [Move],
        settings: &'a ReshardSettings<'a>,
    ) -> Result<Self, ReshardProblem> {
        for one in moves {
            let members = match broker.members(&one.group, &one.from.input) {
                Err(BrokerError::NotYet(_)) => return Err(ReshardProblem::busy(one, settings)),
                members => members?,
            };
            // A try before this one, which was killed, may not count as dead yet.
            if members.keys().any(|member| *member != settings.transactional_id) {
                return Err(ReshardProblem::busy(one, settings));
            }
        }
        let producer = broker.producer(&producer_settings(settings))?;
        let mut reader = broker.reader()?;
        let standing = look((broker, &mut reader), moves, settings)?;
        Ok(Self { broker, moves, settings, producer, reader, standing })
    }

    /// How far the sources of a processor have got, all its partitions together.
    #[must_use]
    pub fn time(&self, processor: &str) -> StreamTime {
        let mut of = self.moves.iter().zip(&self.standing).filter(|(one, _)| one.processor == processor);
        of.next().map(|(_, standing)| merged(standing)).unwrap_or_default()
    }

    /// Copies every row and reads the copies back; `tell` hears of rows as they are read. Until
    /// [`Reshard::commit`] nobody takes them for state, and the next try clears them away.
    ///
    /// # Errors
    /// When the new topics are not as they should be, or what arrived is not what was sent.
    pub fn copy(&mut self, tell: &mut dyn FnMut(u64)) -> Result<Vec<Copied>, ReshardProblem> {
        let moves = self.moves;
        (0..).zip(moves).map(|(number, one)| self.copy_one(number, one, tell)).collect()
    }

    /// Moves everything at once: with `along`, what others have to know of it.
    ///
    /// # Errors
    /// When somebody has worked since the survey, or the broker refuses. Then nothing has moved; or, if nobody
    /// knows how the transaction ended, [`moved_to`] tells.
    pub fn commit(mut self, along: &[Output]) -> Result<(), ReshardProblem> {
        let mut members = self.join()?;
        // From here on nobody else can commit: whoever joins takes the membership that these offsets need.
        self.check_untouched(&mut members)?;
        let standing = std::mem::take(&mut self.standing);
        let mut trailers = Vec::new();
        for (one, standing) in self.moves.iter().zip(&standing) {
            trailers.extend(self.beginnings(one, standing)?);
            trailers.extend(standing.iter().map(|last| self.end_of(one, last)));
        }
        self.producer.begin()?;
        for output in along.iter().chain(&trailers) {
            self.producer.send(output, 0)?;
        }
        self.producer.drain()?;
        for (member, standing) in members.iter_mut().zip(&standing) {
            // The proof first: a loss that is heard of after it is older than it.
            let fence = member.membership.fence()?;
            if !member.hear(standing, self.settings)? {
                return Err(ReshardProblem::busy(member.one, self.settings));
            }
            let offsets: BTreeMap<i32, i64> =
                standing.iter().map(|last| (last.partition, last.next_offset)).collect();
            self.producer.send_offsets(&member.one.from.input, &offsets, &fence)?;
        }
        // Whatever comes after it, nothing else is written.
        let (Committed::Clean | Committed::ReplaceProducer) = self.producer.commit()?;
        Ok(())
    }

    /// Whether everything still stands as the survey has found it.
    fn check_untouched(&mut self, members: &mut [Joined<'_, B::Membership>]) -> Result<(), ReshardProblem> {
        let now = look((self.broker, &mut self.reader), self.moves, self.settings)?;
        for (member, (now, then)) in members.iter_mut().zip(now.iter().zip(&self.standing)) {
            let is_untouched = now.iter().zip(then).all(|(now, then)| now.is_untouched(then));
            if now.len() != then.len() || !is_untouched {
                return Err(ReshardProblem::busy(member.one, self.settings));
            }
            member.check_offsets(self.broker, then, self.settings)?;
        }
        Ok(())
    }

    fn copy_one(
        &mut self,
        number: usize,
        one: &Move,
        tell: &mut dyn FnMut(u64),
    ) -> Result<Copied, ReshardProblem> {
        let after = self.spread(one)?;
        self.clear(number, one, after)?;
        let (before, sent) = self.send_rows(number, one, after, tell)?;
        let mut arrived = Tally::default();
        for partition in 0..after {
            arrived.add(&self.read_back(number, one, (partition, after), tell)?);
        }
        if sent != arrived {
            let (processor, sent, arrived) = (one.processor.clone(), sent.to_string(), arrived.to_string());
            return Err(ReshardProblem::Different { processor, sent, arrived });
        }
        let (processor, changelog) = (one.processor.clone(), one.to.changelog.clone());
        Ok(Copied { processor, changelog, before, after, rows: sent })
    }

    /// The partitions of the new topics, which nobody has used yet.
    fn spread(&mut self, one: &Move) -> Result<i32, ReshardProblem> {
        let count = |topic: &str| {
            let found = self.broker.partitions(topic)?;
            found.ok_or_else(|| ReshardProblem::from(RuntimeError::TopicGone(topic.to_owned())))
        };
        let (expected, found) = (count(&one.to.input)?, count(&one.to.changelog)?);
        if expected != found {
            let (topic, input) = (one.to.changelog.clone(), one.to.input.clone());
            return Err(ReshardProblem::Uneven { topic, found, input, expected });
        }
        let (broker, reader) = (self.broker, &mut self.reader);
        for partition in 0..expected {
            let (input, changelog) = (&one.to.input, &one.to.changelog);
            let is_read =
                !one.keeps_input() && first_record((broker, &mut *reader), input, partition, 0)?.is_some();
            if is_read || last_trailer(broker, reader, changelog, partition)?.is_some() {
                let topic = if is_read { input } else { changelog };
                return Err(ReshardProblem::InUse { topic: topic.clone() });
            }
        }
        Ok(expected)
    }

    /// Takes back what a try before this one has left: each row once, however many tries there were.
    fn clear(&mut self, number: usize, one: &Move, partitions: i32) -> Result<(), ReshardProblem> {
        for partition in 0..partitions {
            let left = self.copies(number, one, (partition, partitions))?;
            let mut writer = self.writer();
            each_row(&*left, |key, _| writer.send(&output(one, partition, Some(state_key(key)))))?;
            writer.finish()?;
        }
        Ok(())
    }

    /// Sends every row to where it belongs; the partitions they were in, and what was sent.
    fn send_rows(
        &mut self,
        number: usize,
        one: &Move,
        after: i32,
        tell: &mut dyn FnMut(u64),
    ) -> Result<(i32, Tally), ReshardProblem> {
        let standing = self.standing.get(number).cloned().unwrap_or_default();
        let (mut sent, settings) = (Tally::default(), self.settings);
        for last in &standing {
            let at = (one.from.changelog.as_str(), last.partition, last.changelog_end);
            let store = filled((self.broker, &mut self.reader), settings, at, None)?;
            let mut writer = self.writer();
            each_row(&*store, |key, value| {
                sent.see(key, value);
                tell(1);
                let partition = if one.keeps_input() { last.partition } else { partition_for(key, after) };
                let row = output(one, partition, Some(state_key(key)));
                writer.send(&Output { value: Some(value.to_vec()), ..row })
            })?;
            writer.finish()?;
        }
        Ok((standing.len().try_into().unwrap_or(i32::MAX), sent))
    }

    /// The rows of a new partition, counted, each where it belongs.
    fn read_back(
        &mut self,
        number: usize,
        one: &Move,
        (partition, after): (i32, i32),
        tell: &mut dyn FnMut(u64),
    ) -> Result<Tally, ReshardProblem> {
        let copies = self.copies(number, one, (partition, after))?;
        let mut arrived = Tally::default();
        each_row(&*copies, |key, value| {
            let misplaced = !one.keeps_input() && partition_for(key, after) != partition;
            if misplaced {
                let topic = one.to.changelog.clone();
                return Err(ReshardProblem::Misplaced { topic, partition });
            }
            arrived.see(key, value);
            tell(1);
            Ok(())
        })?;
        Ok(arrived)
    }

    /// The rows of a new partition, as a worker will find them.
    fn copies(
        &mut self,
        number: usize,
        one: &Move,
        (partition, after): (i32, i32),
    ) -> Result<Box<dyn StateStore>, ReshardProblem> {
        let standing = self.standing.get(number).map_or(&[][..], Vec::as_slice);
        let trailer = self.beginning(one, standing, partition, after);
        let end = stable_end(self.broker, self.settings, &one.to.changelog, partition)?;
        filled(
            (self.broker, &mut self.reader),
            self.settings,
            (&one.to.changelog, partition, end),
            Some(&trailer),
        )
    }

    /// The trailers with which the new changelogs begin.
    fn beginnings(&mut self, one: &Move, standing: &[Standing]) -> Result<Vec<Output>, ReshardProblem> {
        let after = self.spread(one)?;
        let trailer = |partition| {
            let trailer = self.beginning(one, standing, partition, after).encode();
            Output { value: Some(trailer), ..output(one, partition, Some(TRAILER_KEY.to_vec())) }
        };
        Ok((0..after).map(trailer).collect())
    }

    /// A trailer is of at least the second transaction: those before it are the copies, and none of them is torn.
    fn beginning(&self, one: &Move, standing: &[Standing], partition: i32, after: i32) -> Trailer {
        let kept = standing.iter().find(|last| one.keeps_input() && last.partition == partition);
        let sequence = standing.iter().map(Standing::sequence).max().unwrap_or(0).max(1) + 1;
        let next_offset = kept.map_or(0, |last| last.next_offset);
        let time = kept.map_or_else(|| merged(standing), Standing::time);
        let input = InputPosition { topic: one.to.input.clone(), partition, next_offset };
        let written_by = &self.settings.transactional_id;
        Trailer::new(sequence, &Frame::default(), input, &time, written_by).spread_over(after)
    }

    /// The trailer that ends a partition of an old changelog for good.
    fn end_of(&self, one: &Move, last: &Standing) -> Output {
        let Standing { partition, next_offset, .. } = *last;
        let input = InputPosition { topic: one.from.input.clone(), partition, next_offset };
        let (sequence, written_by) = (last.sequence() + 1, &self.settings.transactional_id);
        let trailer = Trailer::new(sequence, &Frame::default(), input, &last.time(), written_by);
        let trailer = trailer.spread_over(last.partitions).moved_to(&one.to.changelog);
        let topic = Arc::from(one.from.changelog.as_str());
        Output { topic, value: Some(trailer.encode()), ..output(one, partition, Some(TRAILER_KEY.to_vec())) }
    }

    /// Becomes the only member of every group, to prove that there is no other.
    fn join(&self) -> Result<Vec<Joined<'a, B::Membership>>, ReshardProblem> {
        let settings = self.settings;
        let mut joined = Vec::with_capacity(self.moves.len());
        for one in self.moves {
            let membership = self.broker.join(&GroupSettings {
                group: one.group.clone(),
                topic: one.from.input.clone(),
                member: settings.transactional_id.clone(),
                session_timeout: settings.session_timeout,
            })?;
            joined.push(Joined { one, membership, held: BTreeSet::new() });
        }
        // The member of a try that was killed is dead once its session is over.
        let patience = settings.session_timeout * 3 + SETTLING;
        let begun = settings.clock.uptime();
        while settings.clock.uptime().saturating_sub(begun) < patience {
            let mut whole = true;
            for (member, standing) in joined.iter_mut().zip(&self.standing) {
                whole &= member.hear(standing, settings)?;
            }
            if whole {
                return Ok(joined);
            }
            settings.clock.sleep(LOOK);
        }
        let mut waiting = joined.iter().zip(&self.standing).filter(|(member, all)| !member.is_whole(all));
        let group = waiting.next().map(|(member, _)| member.one.group.clone()).unwrap_or_default();
        Err(ReshardProblem::Busy { group, seconds: settings.session_timeout.as_secs() })
    }

    fn writer(&mut self) -> Writer<'_, B> {
        Writer { broker: self.broker, settings: self.settings, producer: &mut self.producer, pending: 0 }
    }
}

/// A membership, and what it has been given.
struct Joined<'a, M> {
    one: &'a Move,
    membership: M,
    held: BTreeSet<i32>,
}

impl<M: Membership> Joined<'_, M> {
    /// Takes what the group gives; whether that is all there is. Where something is taken away, somebody has come.
    fn hear(&mut self, all: &[Standing], settings: &ReshardSettings<'_>) -> Result<bool, ReshardProblem> {
        while let Some(rebalance) = self.membership.poll()? {
            self.membership.acknowledge(&rebalance)?;
            match rebalance {
                Rebalance::Assigned(partitions) => self.held.extend(partitions),
                Rebalance::Revoked(_) | Rebalance::Lost(_) => {
                    return Err(ReshardProblem::busy(self.one, settings));
                }
            }
        }
        Ok(self.is_whole(all))
    }

    /// Whether each input still holds where its new reader begins, and no group is ahead of its changelog.
    fn check_offsets<B: Broker>(
        &mut self,
        broker: &B,
        all: &[Standing],
        settings: &ReshardSettings<'_>,
    ) -> Result<(), ReshardProblem> {
        let topic = &self.one.from.input;
        for standing in all {
            let Standing { partition, next_offset, .. } = *standing;
            check_held(broker, topic, partition, next_offset)?;
            let group = settled(settings, || match self.membership.committed(partition) {
                Err(BrokerError::NotYet(_)) => Ok(None),
                committed => Ok(Some(committed?)),
            })?;
            let group = group.ok_or_else(|| ReshardProblem::busy(self.one, settings))?;
            if let Some(group) = group.filter(|group| Some(*group) > standing.taken()) {
                let (topic, trailer) = (topic.clone(), standing.taken().unwrap_or(0));
                return Err(RuntimeError::GroupAhead { topic, partition, group, trailer }.into());
            }
        }
        Ok(())
    }

    fn is_whole(&self, all: &[Standing]) -> bool {
        all.iter().all(|standing| self.held.contains(&standing.partition))
    }
}

/// Writes rows, so many in a transaction. It carries no offsets: what it writes means nothing yet.
struct Writer<'a, B: Broker> {
    broker: &'a B,
    settings: &'a ReshardSettings<'a>,
    producer: &'a mut B::Producer,
    pending: usize,
}

impl<B: Broker> Writer<'_, B> {
    fn send(&mut self, output: &Output) -> Result<(), ReshardProblem> {
        if self.pending == 0 {
            self.producer.begin()?;
        }
        self.producer.send(output, 0)?;
        self.pending += 1;
        if self.pending >= CHUNK { self.finish() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<(), ReshardProblem> {
        if std::mem::take(&mut self.pending) == 0 {
            return Ok(());
        }
        self.producer.drain()?;
        if self.producer.commit()? == Committed::ReplaceProducer {
            *self.producer = self.broker.producer(&producer_settings(self.settings))?;
        }
        Ok(())
    }
}

fn look<B: Broker>(
    (broker, reader): (&B, &mut B::Reader),
    moves: &[Move],
    settings: &ReshardSettings<'_>,
) -> Result<Vec<Vec<Standing>>, ReshardProblem> {
    moves.iter().map(|one| standings((broker, &mut *reader), one, settings)).collect()
}

/// A record of a new changelog, without a value so far.
fn output(one: &Move, partition: i32, key: Option<Vec<u8>>) -> Output {
    let topic = Arc::from(one.to.changelog.as_str());
    Output { topic, partition, key, value: None, headers: Vec::new() }
}

fn producer_settings(settings: &ReshardSettings<'_>) -> ProducerSettings {
    ProducerSettings {
        transactional_id: settings.transactional_id.clone(),
        transaction_timeout: settings.transaction_timeout,
    }
}
