//! Stores that follow their changelog while nobody here owns them: standby copies, and restores that wait to be
//! taken up again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::places::{Members, instance_of, keeps, prepares};
use super::{RETRY, Worker, failed};
use crate::RuntimeError;
use crate::broker::{Broker, BrokerError, LogReader as _, Read};
use crate::processor::Processor;
use crate::restore::Restore;
use crate::task::Task;

/// How often is looked who is alive.
const LOOK: Duration = Duration::from_secs(3);
/// Changelog records that are taken in one turn: what is owned goes first.
const RUN: usize = 2_000;
/// While a newcomer warms up, how often is looked how far it has got, and how often that is told.
const WARM_LOOK: Duration = Duration::from_millis(500);
const WARM_TELL: Duration = Duration::from_secs(10);

/// The stores of one worker that are open and not owned.
pub(super) struct Copies<'a, B: Broker, P: Processor> {
    given: &'a Worker<'a, B, P>,
    log: Arc<str>,
    held: BTreeMap<i32, Restore>,
    /// Whose changelog is read to its end.
    at_end: BTreeSet<i32>,
    /// Whose changelog cannot be followed. Whoever comes to own them will say why.
    refused: BTreeSet<i32>,
    reader: Option<B::Reader>,
    /// Whether the reader reads the changelogs of what is held now.
    follows_held: bool,
    looked: Option<Duration>,
}

impl<'a, B: Broker, P: Processor> Copies<'a, B, P> {
    pub(super) fn of(given: &'a Worker<'a, B, P>, log: &Arc<str>) -> Self {
        Self {
            given,
            log: Arc::clone(log),
            held: BTreeMap::new(),
            at_end: BTreeSet::new(),
            refused: BTreeSet::new(),
            reader: None,
            follows_held: false,
            looked: None,
        }
    }

    /// The store of a partition on its way up, to be taken further or to be put back.
    pub(super) fn take(&mut self, partition: i32) -> Option<Restore> {
        self.changed(partition);
        self.held.remove(&partition)
    }

    /// Keeps a store for whoever asks next.
    pub(super) fn put(&mut self, partition: i32, copy: Restore) {
        self.changed(partition);
        self.held.insert(partition, copy);
    }

    /// A partition has gone to somebody else: its store becomes a copy where copies are kept, and is closed
    /// otherwise.
    pub(super) fn keep(&mut self, partition: i32, task: Option<Task<P>>) -> Result<(), RuntimeError> {
        let stays = self.given.settings.standby.copies > 0;
        let copy = match task {
            Some(task) if stays => Some(Restore::of(task.into_store(), &self.log, self.frame_limit())?),
            _ => self.take(partition).filter(|_| stays),
        };
        if let Some(copy) = copy {
            self.put(partition, copy);
        }
        // Who is who may have changed too.
        self.looked = None;
        Ok(())
    }

    /// Follows the changelogs for a bounded number of records; now and then asks which they should be.
    pub(super) fn tend(&mut self, owned: &BTreeSet<i32>) -> Result<(), RuntimeError> {
        let (settings, now) = (self.given.settings, self.given.clock.uptime());
        if settings.standby.copies == 0 {
            return Ok(());
        }
        if self.looked.is_none_or(|at| now.saturating_sub(at) >= LOOK) {
            self.looked = Some(now);
            let (me, copies) = (settings.transactional_id.as_str(), settings.standby.copies);
            let keeps = |members: &Members, partition| keeps(members, me, partition, copies);
            let chosen = self.members().map_err(RuntimeError::from);
            match chosen.and_then(|members| self.choose(owned, |partition| keeps(&members, partition))) {
                Err(error) if !error.is_recoverable() => return Err(error),
                Err(error) => tracing::debug!(%error, "which copies to keep is not known now"),
                Ok(()) => {}
            }
        }
        match self.follow() {
            Err(error) if error.is_recoverable() => {
                tracing::debug!(%error, "standby copies are read on from where they stand");
                self.reader = None;
                Ok(())
            }
            followed => followed.map(drop),
        }
    }

    /// Follows changelogs until what may come to be owned lacks little, and only then lets the group know of this
    /// worker. Where nobody else does the work, nothing is waited for.
    pub(super) fn warm_up(&mut self) -> Result<(), RuntimeError> {
        let (given, standby) = (self.given, self.given.settings.standby);
        if standby.copies == 0 && !standby.join_when_warm {
            return Ok(());
        }
        let (mut looked, mut told) = (None, given.clock.uptime());
        while !given.health.is_stopping() {
            let now = given.clock.uptime();
            if looked.is_none_or(|at| now.saturating_sub(at) >= WARM_LOOK) {
                looked = Some(now);
                let missing = self.prepare()?;
                if missing <= standby.warm_lag {
                    break;
                }
                if now.saturating_sub(told) >= WARM_TELL {
                    told = now;
                    let processor = given.settings.processor.as_str();
                    tracing::info!(processor, missing, "follows the changelogs before it joins its group");
                }
                given.health.warming.store(true, Ordering::Relaxed);
            }
            given.health.turned(false);
            if given.health.is_held() || self.follow()? == 0 {
                given.clock.sleep(RETRY);
            }
        }
        given.health.warming.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The partitions followed and how many changelog records each lacks, where the broker tells.
    pub(super) fn lags(&self, owned: &BTreeSet<i32>) -> Vec<(i32, Option<u64>)> {
        let held = self.held.iter().filter(|(partition, _)| !owned.contains(partition));
        held.map(|(partition, copy)| (*partition, self.lag(*partition, copy).ok())).collect()
    }

    /// Closes all in order.
    pub(super) fn leave(mut self) -> Result<(), RuntimeError> {
        Ok(self.held.values_mut().try_for_each(Restore::flush)?)
    }

    fn changed(&mut self, partition: i32) {
        self.at_end.remove(&partition);
        self.follows_held = false;
    }

    fn frame_limit(&self) -> usize {
        self.given.settings.frame_limit()
    }

    fn members(&self) -> Result<Members, BrokerError> {
        self.given.broker.members(&self.given.settings.group, &self.given.settings.input)
    }

    /// Holds copies of the chosen partitions, and of no others but those that are being opened to be owned.
    fn choose(&mut self, owned: &BTreeSet<i32>, is_chosen: impl Fn(i32) -> bool) -> Result<(), RuntimeError> {
        let partitions = self.given.broker.partitions(&self.given.settings.changelog)?.unwrap_or(0);
        for partition in (0..partitions).filter(|partition| !owned.contains(partition)) {
            match (is_chosen(partition), self.held.contains_key(&partition)) {
                (true, false) if !self.refused.contains(&partition) => self.open(partition)?,
                (false, true) => drop(self.take(partition)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Opens the store of a partition to follow it, if nobody else here has it open and it is of this log.
    fn open(&mut self, partition: i32) -> Result<(), RuntimeError> {
        let opened = match (self.given.open_store)(partition) {
            Err(error) if error.is_held_here() => return Ok(()),
            opened => opened
                .map_err(RuntimeError::from)
                .and_then(|store| Restore::of(store, &self.log, self.frame_limit())),
        };
        let end = self.given.broker.extent(&self.given.settings.changelog, partition)?.end;
        match opened {
            Ok(copy)
                if copy.mark().is_none_or(|mark| mark.log == *self.log && mark.changelog_next <= end) =>
            {
                self.put(partition, copy);
                self.given.observer.copied(&self.given.settings.processor, partition);
            }
            Ok(_) => self.refuse(partition, "the store is ahead of the changelog, or of another one"),
            Err(error) => self.refuse(partition, &error.to_string()),
        }
        Ok(())
    }

    fn refuse(&mut self, partition: i32, reason: &str) {
        let processor = self.given.settings.processor.as_str();
        tracing::warn!(processor, partition, reason, "no standby copy is kept of this partition");
        self.refused.insert(partition);
        drop(self.take(partition));
    }

    /// Takes some records of what is held; how many it took.
    fn follow(&mut self) -> Result<usize, RuntimeError> {
        if self.held.is_empty() {
            self.reader = None;
            return Ok(0);
        }
        let mut reader = match self.reader.take() {
            Some(reader) if self.follows_held => reader,
            known => self.follow_held(known)?,
        };
        let mut taken = 0;
        while taken < RUN {
            let Some(read) = reader.poll(Duration::ZERO)? else { break };
            taken += 1;
            if let Err((partition, error)) = self.take_in(read) {
                self.refuse(partition, &error.to_string());
                return Ok(taken);
            }
        }
        self.reader = Some(reader);
        Ok(taken)
    }

    /// Reads what is held from where each stands, with the reader that is there already if one is.
    fn follow_held(&mut self, known: Option<B::Reader>) -> Result<B::Reader, RuntimeError> {
        let (broker, changelog) = (self.given.broker, self.given.settings.changelog.as_str());
        let mut positions = Vec::with_capacity(self.held.len());
        for (partition, copy) in &self.held {
            let next = match copy.next() {
                Some(next) => next,
                None => broker.extent(changelog, *partition)?.start,
            };
            positions.push((changelog, *partition, next));
        }
        let mut reader = known.map_or_else(|| broker.reader(), Ok)?;
        reader.assign(&positions)?;
        self.follows_held = true;
        Ok(reader)
    }

    fn take_in(&mut self, read: Read) -> Result<(), (i32, RuntimeError)> {
        let (settings, user) = (self.given.settings, self.given.processor);
        let (partition, taken) = match read {
            Read::Record(record) => {
                let partition = record.partition;
                self.at_end.remove(&partition);
                (partition, self.held.get_mut(&partition).map(|copy| copy.take(user, record)))
            }
            Read::End { partition } => {
                self.at_end.insert(partition);
                (partition, self.held.get_mut(&partition).map(|copy| copy.settle(user)))
            }
        };
        taken.unwrap_or(Ok(())).map_err(|source| (partition, failed(settings, source)))
    }

    /// Opens what this worker may come to own or to copy once it has joined; the greatest number of records that a
    /// partition lacks.
    fn prepare(&mut self) -> Result<u64, RuntimeError> {
        let (me, copies) =
            (self.given.settings.transactional_id.as_str(), self.given.settings.standby.copies);
        let members = match self.members() {
            Err(BrokerError::NotYet(_)) => return Ok(u64::MAX),
            members => members?,
        };
        if members.keys().all(|member| instance_of(member) == instance_of(me)) {
            return Ok(0);
        }
        self.choose(&BTreeSet::new(), |partition| prepares(&members, me, partition, copies))?;
        let mut missing = 0;
        for (partition, copy) in &self.held {
            missing = missing.max(self.lag(*partition, copy)?);
        }
        Ok(missing)
    }

    fn lag(&self, partition: i32, copy: &Restore) -> Result<u64, BrokerError> {
        if self.at_end.contains(&partition) {
            return Ok(0);
        }
        let extent = self.given.broker.extent(&self.given.settings.changelog, partition)?;
        Ok(u64::try_from(extent.stable_end - copy.next().unwrap_or(extent.start)).unwrap_or(0))
    }
}
