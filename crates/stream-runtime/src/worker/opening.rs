//! Opening a task: waiting for its last owner's transaction to end, then restoring what that one committed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use state_store::StateStore;

use super::{Idle, POLL_GROUP_EVERY, RETRY, Shift, failed, now};
use crate::broker::{Broker, BrokerError, LogReader as _, Membership as _, Read, Rebalance};
use crate::processor::Processor;
use crate::restore::{Mark, Restore};
use crate::task::{Start, Task};
use crate::{Metric, RuntimeError, Trailer};

impl<B: Broker, P: Processor> Shift<'_, B, P> {
    /// Opens what is owned and not open yet, and reads on from where every task stands.
    pub(super) fn open_tasks(&mut self) -> Result<(), RuntimeError> {
        let closed: Vec<i32> =
            self.owned.iter().filter(|partition| !self.tasks.contains_key(partition)).copied().collect();
        for partition in closed {
            if let Some(task) = self.open_task(partition)? {
                self.tasks.insert(partition, task);
                self.idle.insert(partition, Idle { since: now(), at_end: false });
            }
        }
        let input = &*self.input;
        let positions: Vec<_> =
            self.tasks.iter().map(|(partition, task)| (input, *partition, task.next_offset())).collect();
        self.reader.assign(&positions)?;
        self.given.health.ready.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Opens a task where its last committed transaction left it, whoever ran that. `None` if the group
    /// takes the partition away meanwhile.
    fn open_task(&mut self, partition: i32) -> Result<Option<Task<P>>, RuntimeError> {
        let Some(group_offset) = self.stable_group_offset(partition)? else { return Ok(None) };
        let Some(end) = self.stable_changelog_end(partition)? else { return Ok(None) };
        let mut store = (self.given.open_store)(partition)?;
        let mark = self.restore(partition, &mut *store, end)?;
        let settings = self.given.settings;
        let start = match &mark {
            Some(mark) if settings.guards.offsets_in_transaction => {
                self.check_group(partition, group_offset, &mark.trailer)?;
                Start::After(&mark.trailer)
            }
            _ => Start::At(self.first_offset(partition, group_offset)?),
        };
        Ok(Some(Task::new(&self.input, partition, &self.changelog, store, settings.hot_states, start)))
    }

    /// The group's offset once the last owner's transaction has ended: from here on it cannot commit any
    /// more. `None` if the partition goes meanwhile.
    fn stable_group_offset(&mut self, partition: i32) -> Result<Option<Option<i64>>, RuntimeError> {
        self.wait_for(partition, |shift| shift.membership.committed(partition))
    }

    /// The end of the changelog once every transaction before it has ended: a reader of committed records
    /// then sees all that can ever be before it.
    fn stable_changelog_end(&mut self, partition: i32) -> Result<Option<i64>, RuntimeError> {
        let target = self.given.broker.extent(&self.changelog, partition)?.end;
        self.wait_for(partition, |shift| {
            let extent = shift.given.broker.extent(&shift.changelog, partition)?;
            if extent.stable_end >= target { Ok(target) } else { Err(BrokerError::NotYet(String::new())) }
        })
    }

    fn wait_for<T>(
        &mut self,
        partition: i32,
        mut ask: impl FnMut(&mut Self) -> Result<T, BrokerError>,
    ) -> Result<Option<T>, RuntimeError> {
        loop {
            match ask(self) {
                Ok(answer) => return Ok(Some(answer)),
                Err(BrokerError::NotYet(_)) => std::thread::sleep(RETRY),
                Err(error) => return Err(error.into()),
            }
            self.given.health.last_turn.store(now(), Ordering::Relaxed);
            self.hear_group()?;
            let going = |rebalance: &Rebalance| match rebalance {
                Rebalance::Revoked(going) | Rebalance::Lost(going) => going.contains(&partition),
                Rebalance::Assigned(_) => false,
            };
            if self.given.health.is_stopping() || self.waiting.iter().any(going) {
                return Ok(None);
            }
        }
    }

    fn restore(
        &mut self,
        partition: i32,
        store: &mut dyn StateStore,
        end: i64,
    ) -> Result<Option<Mark>, RuntimeError> {
        let mark = store.position()?.as_deref().and_then(Mark::decode);
        let from = match &mark {
            Some(mark) if mark.changelog_next > end => {
                let (topic, absorbed) = (self.changelog.to_string(), mark.changelog_next);
                return Err(RuntimeError::ChangelogLost { topic, partition, end, absorbed });
            }
            Some(mark) => mark.changelog_next,
            None => self.given.broker.extent(&self.changelog, partition)?.start,
        };
        let mut restore = Restore::new(self.given.processor, store, mark);
        if from < end {
            self.reader.assign(&[(&self.changelog, partition, from)])?;
            loop {
                match self.reader.poll(Duration::from_millis(100))? {
                    Some(Read::Record(record)) => {
                        restore.take(record).map_err(|source| failed(self.given.settings, source))?;
                    }
                    Some(Read::End { .. }) => break,
                    None => {}
                }
                if restore.records.is_multiple_of(POLL_GROUP_EVERY as u64) {
                    self.given.health.last_turn.store(now(), Ordering::Relaxed);
                    while let Some(rebalance) = self.membership.poll()? {
                        self.waiting.push_back(rebalance);
                    }
                }
            }
        }
        let (mark, records) = (restore.mark, restore.records);
        let processor = self.given.settings.processor.as_str();
        tracing::info!(processor, partition, records, "task opened");
        self.given.metrics.add(Metric::RestoredRecords, &[processor], records);
        self.given.observer.restored(processor, partition, records);
        Ok(mark)
    }

    fn check_group(&self, partition: i32, group: Option<i64>, trailer: &Trailer) -> Result<(), RuntimeError> {
        let (topic, trailer) = (self.input.to_string(), trailer.next_offset());
        match group {
            Some(group) if group > trailer && !self.given.settings.accept_reset => {
                Err(RuntimeError::GroupAhead { topic, partition, group, trailer })
            }
            Some(group) if group < trailer => {
                tracing::warn!(
                    topic,
                    partition,
                    group,
                    trailer,
                    "the changelog is ahead of the group: taken"
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn first_offset(&self, partition: i32, group: Option<i64>) -> Result<i64, RuntimeError> {
        let settings = self.given.settings;
        match group {
            Some(offset) if !settings.guards.offsets_in_transaction || settings.accept_reset => Ok(offset),
            Some(group) => {
                let topic = self.input.to_string();
                Err(RuntimeError::GroupAhead { topic, partition, group, trailer: 0 })
            }
            None => Ok(self.given.broker.start_offset(&self.input, partition, settings.start_from)?),
        }
    }
}
