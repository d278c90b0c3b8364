//! Opening a task: waiting for its last owner's transaction to end, then restoring what that one committed.

use std::time::Duration;

use state_store::StateStore;

use super::{Idle, POLL_GROUP_EVERY, RETRY, Shift, failed, producer_settings};
use crate::broker::{Broker, BrokerError, LogReader as _, Membership as _, ProducerSettings, Read};
use crate::processor::Processor;
use crate::restore::{Mark, Restore};
use crate::task::{Start, Task};
use crate::{Metric, RuntimeError};

/// How long the last owner is at first given to end its transaction itself.
const UNSTABLE: Duration = Duration::from_millis(500);
/// A transaction that is open for so many times its timeout will not end by itself.
const FORGOTTEN: u32 = 3;
/// How often a wait is told of.
const TELL: Duration = Duration::from_secs(10);

impl<B: Broker, P: Processor> Shift<'_, B, P> {
    /// Opens what is owned and not open yet, and reads on from where every task stands.
    pub(super) fn open_tasks(&mut self) -> Result<(), RuntimeError> {
        let closed: Vec<i32> =
            self.owned.iter().filter(|partition| !self.tasks.contains_key(partition)).copied().collect();
        self.ended.clear();
        for partition in closed {
            if self.given.health.is_held() {
                break;
            }
            if let Some(task) = self.open_task(partition)? {
                self.tasks.insert(partition, task);
                self.idle.insert(partition, Idle::since(self.given.clock.now()));
            }
        }
        // Every end is told once more after the reader has been assigned anew.
        let now = self.given.clock.now();
        self.idle.values_mut().for_each(|idle| *idle = Idle::since(now));
        let input = &*self.input;
        let positions: Vec<_> =
            self.tasks.iter().map(|(partition, task)| (input, *partition, task.next_offset())).collect();
        self.reader.assign(&positions)?;
        self.gauges.refresh();
        self.answer_queries();
        Ok(())
    }

    /// Opens a task where its last committed transaction left it, whoever ran that. `None` if called away; what
    /// has been read by then is kept for the next try.
    fn open_task(&mut self, partition: i32) -> Result<Option<Task<P>>, RuntimeError> {
        let partitions = self.spread()?;
        let Some(mut copy) = self.open_copy(partition)? else { return Ok(None) };
        let opened = self.bring_up(partition, &mut copy);
        let Some(group_offset) = opened? else {
            self.copies.put(partition, copy);
            return Ok(None);
        };
        let (store, mark) = copy.into_store();
        self.check_spread(partition, partitions, mark.as_ref())?;
        let start = self.within_input(partition, self.start(partition, group_offset, mark.as_ref())?)?;
        let settings = self.given.settings;
        let changelog = (&self.changelog, &*self.log);
        let task = Task::new(&self.input, partition, changelog, store, settings.hot_states, start);
        Ok(Some(if settings.guards.spread_in_trailer { task.spread_over(partitions) } else { task }))
    }

    /// The standby copy of the partition, or its store as it lies there.
    fn open_copy(&mut self, partition: i32) -> Result<Option<Restore>, RuntimeError> {
        if let Some(copy) = self.copies.take(partition) {
            return Ok(Some(copy));
        }
        let Some(store) = self.open_store(partition)? else { return Ok(None) };
        Ok(Some(Restore::of(store, &self.log, self.given.settings.frame_limit())?))
    }

    /// Waits until the last owner can commit nothing more, then reads all that it has; the group's offset. The
    /// outer `None`: called away meanwhile.
    fn bring_up(&mut self, partition: i32, copy: &mut Restore) -> Result<Option<Option<i64>>, RuntimeError> {
        self.end_gone_owner(partition, copy);
        let Some(group_offset) = self.stable_group_offset(partition, copy)? else { return Ok(None) };
        let Some(end) = self.stable_changelog_end(partition, copy)? else { return Ok(None) };
        Ok(self.restore(partition, copy, end)?.then_some(group_offset))
    }

    /// Another worker of this process may still be closing it.
    fn open_store(&mut self, partition: i32) -> Result<Option<Box<dyn StateStore>>, RuntimeError> {
        self.wait_for(|shift, _| match (shift.given.open_store)(partition) {
            Err(error) if error.is_held_here() => Err(BrokerError::NotYet(error.to_string()).into()),
            opened => Ok(opened?),
        })
    }

    /// The group's offset once the last owner's transaction has ended: from here on it cannot commit any
    /// more. `None` if called away.
    fn stable_group_offset(
        &mut self,
        partition: i32,
        copy: &Restore,
    ) -> Result<Option<Option<i64>>, RuntimeError> {
        let mut due = UNSTABLE;
        self.wait_for(|shift, waited| {
            shift.end_last_owner(partition, copy, waited, &mut due);
            Ok(shift.membership.committed(partition)?)
        })
    }

    /// The end of the changelog once every transaction before it has ended: a reader of committed records
    /// then sees all that can ever be before it.
    fn stable_changelog_end(&mut self, partition: i32, copy: &Restore) -> Result<Option<i64>, RuntimeError> {
        let target = self.given.broker.extent(&self.changelog, partition)?.end;
        let mut due = UNSTABLE;
        self.wait_for(|shift, waited| {
            shift.end_last_owner(partition, copy, waited, &mut due);
            let extent = shift.given.broker.extent(&shift.changelog, partition)?;
            if extent.stable_end >= target {
                Ok(target)
            } else {
                let why = shift.unstable(partition, extent.stable_end, target, waited);
                Err(BrokerError::NotYet(why).into())
            }
        })
    }

    /// Why a changelog is not read yet. A broker that comes back may have forgotten a transaction, and then somebody
    /// has to end it by hand: 4.3.0 to 4.4.0 of Apache Kafka skip partitions that have no leader then (KAFKA-20734).
    fn unstable(&self, partition: i32, stable: i64, target: i64, waited: Duration) -> String {
        let topic = &self.changelog;
        let mut why = format!("{topic} [{partition}] is stable up to {stable} of {target}");
        if waited > FORGOTTEN * self.given.settings.transaction_timeout {
            why.push_str(&format!(
                "; if nobody works on it, the broker has forgotten the transaction at offset {stable}: see Known gaps in README"
            ));
        }
        why
    }

    /// Ends at once what the last owner left open if it is no member any more. Who opens the partition may not have
    /// to wait for it, where only outputs are open, but whoever reads those has.
    fn end_gone_owner(&mut self, partition: i32, copy: &Restore) {
        let settings = self.given.settings;
        let known = self.last_owner(partition, copy);
        let Some(owner) = known.filter(|owner| !self.ended.contains(owner)) else { return };
        let members = self.given.broker.members(&settings.group, &self.input);
        if members.is_ok_and(|members| !members.contains_key(&owner))
            && self.end_transaction_of(owner.clone(), partition)
        {
            self.ended.insert(owner);
        }
    }

    /// Ends what the last owner left open, in its name, once that has been waited for long enough: nobody waits
    /// for the dead until their transactions run out. One that lives is fenced by it, and begins anew. Only what
    /// has failed is tried once more: whoever lives is not to be fenced over and over.
    fn end_last_owner(&self, partition: i32, copy: &Restore, waited: Duration, due: &mut Duration) {
        if waited < *due {
            return;
        }
        let ended =
            self.last_owner(partition, copy).is_none_or(|owner| self.end_transaction_of(owner, partition));
        *due = if ended { Duration::MAX } else { waited + self.given.settings.transaction_timeout };
    }

    /// Whose the partition was before, if it was somebody else's and that is known.
    fn last_owner(&self, partition: i32, copy: &Restore) -> Option<String> {
        let settings = self.given.settings;
        let ask = || self.given.broker.last_committer(&settings.group, &self.input, partition);
        let known = settings.guards.end_last_owner.then(ask)?;
        let written_by = || copy.mark().map(|mark| mark.trailer.written_by.clone());
        known.ok().flatten().or_else(written_by).filter(|owner| *owner != settings.transactional_id)
    }

    /// Whether that could be done.
    fn end_transaction_of(&self, owner: String, partition: i32) -> bool {
        let settings = self.given.settings;
        let processor = settings.processor.as_str();
        let producer = ProducerSettings { transactional_id: owner, ..producer_settings(settings) };
        let ended = self.given.broker.producer(&producer);
        match &ended {
            Ok(_) => tracing::info!(processor, partition, "ended what the last owner left open"),
            Err(error) => {
                tracing::warn!(processor, partition, %error, "the last owner's transaction stays open")
            }
        }
        ended.is_ok()
    }

    fn wait_for<T>(
        &mut self,
        mut ask: impl FnMut(&mut Self, Duration) -> Result<T, RuntimeError>,
    ) -> Result<Option<T>, RuntimeError> {
        let clock = self.given.clock;
        let begun = clock.uptime();
        let mut told = begun;
        loop {
            let why = match ask(self, clock.uptime().saturating_sub(begun)) {
                Ok(answer) => return Ok(Some(answer)),
                Err(RuntimeError::Broker(BrokerError::NotYet(why))) => why,
                Err(error) => return Err(error),
            };
            clock.sleep(RETRY);
            if clock.uptime().saturating_sub(told) > TELL {
                told = clock.uptime();
                let processor = self.given.settings.processor.as_str();
                tracing::warn!(processor, why, "still waiting for the last owner's transaction to end");
            }
            if self.is_called_away()? {
                return Ok(None);
            }
        }
    }

    /// Whether the process is to stop or held, or the group waits for an answer. Ask often while busy: what has been
    /// restored stays, and the task is opened on when the answer is given.
    fn is_called_away(&mut self) -> Result<bool, RuntimeError> {
        self.given.health.turns();
        self.hear_group()?;
        let health = self.given.health;
        Ok(health.is_stopping() || health.is_held() || !self.waiting.is_empty())
    }

    /// Reads the changelog on to its end. False if called away meanwhile.
    fn restore(&mut self, partition: i32, copy: &mut Restore, end: i64) -> Result<bool, RuntimeError> {
        let known = copy.mark().cloned();
        let start = self.check_position(partition, known.as_ref(), end)?;
        let from = copy.next().map_or(start, |next| next.max(start));
        let (settings, user, before) = (self.given.settings, self.given.processor, copy.records());
        let mut ended = from >= end;
        if !ended {
            self.reader.assign(&[(&self.changelog, partition, start.max(from - 1))])?;
        }
        let mut reads = 0usize;
        while !ended {
            match self.reader.poll(Duration::from_millis(100))? {
                Some(Read::Record(record)) if record.offset < from => {
                    self.check_last_absorbed(known.as_ref(), &record)?;
                }
                Some(Read::Record(record)) => {
                    copy.take(user, record).map_err(|source| failed(settings, source))?
                }
                Some(Read::End { .. }) => ended = true,
                None => reads = 0,
            }
            if reads.is_multiple_of(POLL_GROUP_EVERY) && self.is_called_away()? {
                return Ok(false);
            }
            reads += 1;
        }
        if !settings.guards.trailer {
            copy.take_torn(user).map_err(|source| failed(settings, source))?;
        }
        copy.settle(user).map_err(|source| failed(settings, source))?;
        let (processor, records) = (settings.processor.as_str(), copy.records() - before);
        tracing::info!(processor, partition, records, "task opened");
        self.given.metrics.add(Metric::RestoredRecords, &[processor], records);
        self.given.observer.restored(processor, partition, from, records);
        Ok(true)
    }

    /// After the changelog's last transaction; where there is none, at the group's offset or the beginning.
    fn start(&self, partition: i32, group: Option<i64>, mark: Option<&Mark>) -> Result<Start, RuntimeError> {
        let settings = self.given.settings;
        let mark = mark.filter(|_| settings.guards.trailer);
        let Some(trailer) = mark.map(|mark| mark.trailer.clone()) else {
            return Ok(Start::At(self.first_offset(partition, group)?));
        };
        if let Some(moved_to) = trailer.moved_to {
            return Err(RuntimeError::Moved { changelog: self.changelog.to_string(), moved_to });
        }
        if !settings.guards.offsets_in_transaction {
            return Ok(Start::Reset(trailer, self.first_offset(partition, group)?));
        }
        let known = trailer.input().filter(|input| *input != &*self.input);
        if let Some(known) = known {
            return Err(RuntimeError::OtherLog { log: self.input.to_string(), known: known.to_owned() });
        }
        let next = trailer.next_offset();
        match group {
            Some(group) if group > next && settings.accept_reset => Ok(Start::Reset(trailer, group)),
            Some(group) if group > next => Err(self.group_ahead(partition, group, next)),
            Some(group) if group < next => {
                let topic = &*self.input;
                tracing::warn!(topic, partition, group, next, "the changelog is ahead of the group: taken");
                Ok(Start::After(trailer))
            }
            _ => Ok(Start::After(trailer)),
        }
    }

    fn first_offset(&self, partition: i32, group: Option<i64>) -> Result<i64, RuntimeError> {
        let (settings, guards) = (self.given.settings, self.given.settings.guards);
        match group {
            Some(offset) if !guards.offsets_in_transaction || !guards.trailer || settings.accept_reset => {
                Ok(offset)
            }
            Some(group) => Err(self.group_ahead(partition, group, 0)),
            None => Ok(self.given.broker.start_offset(&self.input, partition, settings.start_from)?),
        }
    }

    fn group_ahead(&self, partition: i32, group: i64, trailer: i64) -> RuntimeError {
        RuntimeError::GroupAhead { topic: self.input.to_string(), partition, group, trailer }
    }
}
