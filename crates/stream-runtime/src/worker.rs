mod copies;
mod lineage;
mod opening;
mod places;
mod shares;
mod telemetry;

pub use lineage::last_trailer;
pub(crate) use lineage::{check_held, read_through};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use state_store::{StateStore, StoreError};

use crate::broker::{
    Broker, BrokerError, Committed, GroupSettings, LogReader, Membership, ProducerSettings, Read, Rebalance,
    TransactionalProducer,
};
use crate::clock::system_time;
use crate::processor::{Failure, Outputs, Processor, TaskTime};
use crate::task::Task;
use crate::worker::copies::Copies;
use crate::worker::shares::Shares;
use crate::worker::telemetry::Gauges;
use crate::{Clock, Metric, Metrics, Observer, Queries, RuntimeError, SourceRecord, Step, WorkerSettings};

/// Waits between two tries of something that is not possible yet.
const RETRY: Duration = Duration::from_millis(20);
/// The longest wait before a worker in doubt tries again.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// How often the end of an idle partition is looked at.
const IDLE_LOOK: i64 = 1_000;
/// Records between two looks at the group, within one cycle.
const POLL_GROUP_EVERY: usize = 512;

/// What a worker shares with the process around it.
pub struct Health {
    stop: AtomicBool,
    ready: AtomicBool,
    warming: AtomicBool,
    held: AtomicBool,
    last_turn: AtomicI64,
    queries: Queries,
}

impl Default for Health {
    fn default() -> Self {
        let [stop, ready, warming, held] = [(); 4].map(|()| AtomicBool::new(false));
        let (last_turn, queries) = (AtomicI64::new(system_time()), Queries::default());
        Self { stop, ready, warming, held, last_turn, queries }
    }
}

impl Health {
    /// Tells that it turns, and whether all it needs is there.
    pub(crate) fn turned(&self, ready: bool) {
        self.turns();
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Tells that it turns.
    fn turns(&self) {
        self.last_turn.store(system_time(), Ordering::Relaxed);
    }

    /// Tells that its thread is well and waits for something else to be ready first.
    pub fn waits(&self) {
        self.turned(false);
    }

    /// Asks the worker to commit what it has and leave.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether it has been asked to.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Lets the worker write nothing until it is let go again: it stays a member of its group and answers look-ups.
    pub fn hold(&self, hold: bool) {
        self.held.store(hold, Ordering::Relaxed);
    }

    /// Whether it is held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether it has joined its group and opened what it owns, and nothing holds it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Whether it follows changelogs and has not joined its group yet.
    #[must_use]
    pub fn is_warming(&self) -> bool {
        self.warming.load(Ordering::Relaxed)
    }

    /// Where it is asked about the states that it holds.
    #[must_use]
    pub fn queries(&self) -> &Queries {
        &self.queries
    }

    /// Whether it has turned within the last `patience`.
    #[must_use]
    pub fn is_alive(&self, patience: Duration) -> bool {
        let silent = system_time() - self.last_turn.load(Ordering::Relaxed);
        u128::try_from(silent).map_or(true, |silent| silent < patience.as_millis())
    }
}

/// What a worker is given.
pub struct Worker<'a, B: Broker, P: Processor> {
    /// The log it works on.
    pub broker: &'a B,
    /// What it does with each record.
    pub processor: &'a P,
    /// How it runs.
    pub settings: &'a WorkerSettings,
    /// The time it lives in.
    pub clock: &'a dyn Clock,
    /// Opens the state store of a partition.
    pub open_store: &'a dyn Fn(i32) -> Result<Box<dyn StateStore>, StoreError>,
    /// Where it counts.
    pub metrics: &'a Metrics,
    /// Who looks on.
    pub observer: &'a dyn Observer,
    /// How it is asked to stop, and tells how it is.
    pub health: &'a Health,
}

/// Runs the tasks that the group gives to this worker, one transaction a cycle, until it is asked to stop.
///
/// After any doubt everything is begun anew: a new producer ends the old one's transaction one way or the
/// other, a new member proves its share anew, and every task opens from what the changelog then says.
///
/// # Errors
/// When it cannot go on: a refusal of the broker, a damaged store, a position that does not add up. What the
/// broker or the network only interrupts is tried again.
pub fn run_worker<B: Broker, P: Processor>(worker: &Worker<'_, B, P>) -> Result<(), RuntimeError> {
    let (mut failures, mut second_looks) = (0, 0);
    while !worker.health.is_stopping() {
        match work_a_shift(worker, &mut failures) {
            Ok(()) => return Ok(()),
            Err(error) if error.is_recoverable() => rest(worker, &error, &mut failures),
            // What one look at a log in motion says may be wrong; what several say is not.
            Err(error) if second_looks < error.second_looks() => {
                second_looks += 1;
                rest(worker, &error, &mut failures);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn work_a_shift<B: Broker, P: Processor>(
    worker: &Worker<'_, B, P>,
    failures: &mut u32,
) -> Result<(), RuntimeError> {
    let mut shift = Shift::begin(worker)?;
    while !worker.health.is_stopping() {
        shift.turn()?;
        if shift.cycle.records > 0 {
            *failures = 0;
        }
    }
    shift.leave()
}

fn rest<B: Broker, P: Processor>(worker: &Worker<'_, B, P>, error: &RuntimeError, failures: &mut u32) {
    let processor = worker.settings.processor.as_str();
    tracing::warn!(processor, %error, "in doubt: everything is begun anew");
    worker.health.turned(false);
    worker.metrics.add(Metric::Recoveries, &[processor], 1);
    worker.clock.sleep(LONGEST_BACKOFF.min(RETRY * 2u32.saturating_pow((*failures).min(10))));
    *failures += 1;
}

/// One worker at work.
struct Shift<'a, B: Broker, P: Processor> {
    given: &'a Worker<'a, B, P>,
    input: Arc<str>,
    changelog: Arc<str>,
    /// The cluster and topic of the changelog.
    log: Arc<str>,
    membership: B::Membership,
    reader: B::Reader,
    producer: B::Producer,
    /// Rebalances that came while something else was under way, and at what uptime.
    waiting: VecDeque<(Duration, Rebalance)>,
    owned: BTreeSet<i32>,
    /// Whether the group has said what is owned.
    is_member: bool,
    shares: Shares,
    /// Whose transactions have been ended since tasks were last opened: theirs are those of all their partitions.
    ended: BTreeSet<String>,
    tasks: BTreeMap<i32, Task<P>>,
    copies: Copies<'a, B, P>,
    idle: BTreeMap<i32, Idle>,
    outputs: Outputs,
    cycle: Cycle,
    gauges: Gauges<'a>,
}

/// What the open transaction has taken so far.
struct Cycle {
    records: usize,
    bytes: usize,
    oldest: Option<i64>,
    /// The uptime then.
    begun: Duration,
}

impl Cycle {
    fn begun(begun: Duration) -> Self {
        Self { records: 0, bytes: 0, oldest: None, begun }
    }
}

/// Whether an input partition has anything more to read, and since when it has not.
struct Idle {
    since: i64,
    at_end: bool,
    /// Where the partition ended when it was looked at, and when that was.
    seen: Option<(i64, i64)>,
}

impl Idle {
    fn since(since: i64) -> Self {
        Self { since, at_end: false, seen: None }
    }
}

impl<'a, B: Broker, P: Processor> Shift<'a, B, P> {
    fn begin(given: &'a Worker<'a, B, P>) -> Result<Self, RuntimeError> {
        let settings = given.settings;
        let producer = given.broker.producer(&producer_settings(settings))?;
        let log: Arc<str> = given.broker.log_name(&settings.changelog)?.into();
        let mut copies = Copies::of(given, &log);
        copies.warm_up()?;
        // Before the group has answered, since its client needs a while until it can read.
        let reader = given.broker.reader()?;
        let membership = given.broker.join(&GroupSettings {
            group: settings.group.clone(),
            topic: settings.input.clone(),
            member: settings.transactional_id.clone(),
            session_timeout: settings.session_timeout,
        })?;
        let shift = Self {
            input: Arc::from(settings.input.as_str()),
            changelog: Arc::from(settings.changelog.as_str()),
            log,
            membership,
            reader,
            producer,
            waiting: VecDeque::new(),
            owned: BTreeSet::new(),
            is_member: false,
            shares: Shares::joined(given.clock.uptime(), settings.session_timeout),
            ended: BTreeSet::new(),
            tasks: BTreeMap::new(),
            copies,
            idle: BTreeMap::new(),
            outputs: Outputs::default(),
            cycle: Cycle::begun(given.clock.uptime()),
            gauges: Gauges::of(given.metrics),
            given,
        };
        shift.spread()?;
        Ok(shift)
    }

    fn turn(&mut self) -> Result<(), RuntimeError> {
        self.given.health.turns();
        self.hear_group()?;
        while let Some((heard, rebalance)) = self.waiting.pop_front() {
            // A member that answers late may have been taken for dead and let in again without a word.
            let waited = self.given.clock.uptime().saturating_sub(heard);
            if waited > self.given.settings.session_timeout / 2 {
                return Err(BrokerError::Doubt("a rebalance was answered late".to_owned()).into());
            }
            self.rebalance(&rebalance)?;
        }
        if self.given.health.is_held() {
            self.given.health.turned(false);
            self.given.clock.sleep(RETRY);
        } else {
            if self.tasks.len() < self.owned.len() {
                self.open_tasks()?;
            }
            self.given.health.turned(self.is_member && self.tasks.len() == self.owned.len());
            self.cycle()?;
            self.look_at_shares()?;
            self.copies.tend(&self.owned)?;
        }
        self.answer_queries();
        self.gauge();
        Ok(())
    }

    /// What is open is closed in order, so that it opens fast, and goes to others at once.
    fn leave(mut self) -> Result<(), RuntimeError> {
        let mut stores: Vec<_> =
            std::mem::take(&mut self.tasks).into_values().map(Task::into_store).collect();
        stores.iter_mut().try_for_each(|store| store.flush())?;
        drop(stores);
        self.membership.leave();
        self.copies.leave()
    }

    fn answer_queries(&self) {
        self.given.health.queries.answer(self.tasks.keys().copied(), |partition, key| {
            let task = self.tasks.get(&partition);
            Ok(task.map(|task| task.store().get(key)).transpose()?.flatten().map(|row| row.value))
        });
    }

    fn hear_group(&mut self) -> Result<(), RuntimeError> {
        while let Some(rebalance) = self.membership.poll()? {
            self.waiting.push_back((self.given.clock.uptime(), rebalance));
        }
        Ok(())
    }

    // --- what this worker owns ---

    fn rebalance(&mut self, rebalance: &Rebalance) -> Result<(), RuntimeError> {
        tracing::info!(processor = self.given.settings.processor, ?rebalance, "partitions changed");
        match rebalance {
            Rebalance::Assigned(partitions) => self.owned.extend(partitions),
            Rebalance::Revoked(partitions) | Rebalance::Lost(partitions) => {
                for partition in partitions {
                    self.owned.remove(partition);
                    self.copies.keep(*partition, self.tasks.remove(partition))?;
                    self.idle.remove(partition);
                    self.gauges.close(*partition);
                }
            }
        }
        self.membership.acknowledge(rebalance)?;
        self.is_member = true;
        self.open_tasks()
    }

    // --- one transaction ---

    fn cycle(&mut self) -> Result<(), RuntimeError> {
        self.cycle = Cycle::begun(self.given.clock.uptime());
        let clock = self.given.clock.now();
        self.tasks.values_mut().for_each(|task| task.begin(clock));
        self.pass_idle_time();
        self.fire_due()?;
        self.take_records()?;
        self.commit()
    }

    fn fire_due(&mut self) -> Result<(), RuntimeError> {
        let (processor, metrics, settings) = (self.given.processor, self.given.metrics, self.given.settings);
        let mut fired = false;
        for task in self.tasks.values_mut() {
            let due = task.fire_due(processor, &mut self.outputs, metrics);
            fired |= due.map_err(|source| failed(settings, source))?;
        }
        if fired {
            self.given.observer.reached(&settings.processor, Step::Processing, self.cycle.records);
        }
        Ok(())
    }

    fn take_records(&mut self) -> Result<(), RuntimeError> {
        let settings = self.given.settings;
        let deadline = self.cycle.begun + settings.commit_interval;
        while self.cycle.records < settings.max_records
            && self.cycle.bytes.max(self.outputs.bytes()) < settings.max_bytes
        {
            let left = deadline.saturating_sub(self.given.clock.uptime());
            match self.reader.poll(left)? {
                Some(Read::Record(record)) => self.take(&record)?,
                Some(Read::End { partition }) => {
                    if let Some(idle) = self.idle.get_mut(&partition) {
                        idle.at_end = true;
                    }
                }
                None => {}
            }
            if left.is_zero() {
                break;
            }
        }
        let parts = [settings.processor.as_str(), "process"];
        if self.cycle.records > 0 {
            let took = self.given.clock.uptime().saturating_sub(self.cycle.begun);
            self.given.metrics.observe(Metric::TransactionPartSeconds, &parts, took.as_secs_f64());
        }
        Ok(())
    }

    fn take(&mut self, record: &SourceRecord) -> Result<(), RuntimeError> {
        let Some(task) = self.tasks.get_mut(&record.partition) else { return Ok(()) };
        let settings = self.given.settings;
        task.process(self.given.processor, record, &mut self.outputs, self.given.metrics)
            .map_err(|source| failed(settings, source))?;
        self.idle.insert(record.partition, Idle::since(self.given.clock.now()));
        self.cycle.records += 1;
        self.cycle.bytes += record.bytes();
        self.cycle.oldest = self.cycle.oldest.or(Some(record.timestamp));
        self.given.observer.reached(&settings.processor, Step::Processing, self.cycle.records);
        if self.cycle.records.is_multiple_of(POLL_GROUP_EVERY) {
            self.hear_group()?;
        }
        Ok(())
    }

    /// Lets time pass by the clock where an input has come to its end and stays there: two looks at it, a
    /// while apart, show the same end.
    fn pass_idle_time(&mut self) {
        let now = self.given.clock.now();
        if !self.given.processor.passes_idle_time() {
            return;
        }
        for (partition, task) in &mut self.tasks {
            let idle = self.idle.get_mut(partition).filter(|idle| idle.at_end);
            let Some(idle) = idle.filter(|idle| idle.seen.is_none_or(|(_, at)| now - at >= IDLE_LOOK)) else {
                continue;
            };
            let Ok(extent) = self.given.broker.extent(&self.input, *partition) else { continue };
            let unmoved = idle.seen.is_some_and(|(end, _)| end == extent.stable_end);
            idle.seen = Some((extent.stable_end, now));
            if unmoved {
                task.idle(self.given.processor, idle.since, now);
            }
        }
    }

    fn commit(&mut self) -> Result<(), RuntimeError> {
        let changed: Vec<i32> =
            self.tasks.values().filter(|task| task.has_changed()).map(Task::partition).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let settings = self.given.settings;
        let draining = Instant::now();
        self.producer.begin()?;
        self.send_outputs()?;
        self.reached(Step::OutputsSent);
        self.seal(&changed)?;
        self.send_outputs()?;
        self.reached(Step::Sealed);
        self.producer.drain()?;
        self.reached(Step::Drained);
        let trailers = self.write_trailers(&changed)?;
        self.reached(Step::TrailersWritten);
        let committing = Instant::now();
        let offsets = self.offsets(&changed);
        if settings.guards.offsets_in_transaction {
            self.put_offsets(&offsets)?;
            self.reached(Step::OffsetsSent);
        }
        if !settings.guards.state_after_commit {
            self.apply(&changed, &trailers)?;
        }
        let committed = self.producer.commit()?;
        self.reached(Step::Committed);
        if !settings.guards.offsets_in_transaction {
            self.membership.commit_outside(&offsets)?;
        }
        let applying = Instant::now();
        if settings.guards.state_after_commit {
            self.apply(&changed, &trailers)?;
        }
        self.reached(Step::Applied);
        self.measure(draining, committing, applying);
        if committed == Committed::ReplaceProducer && settings.guards.replace_producer {
            return Err(
                BrokerError::Doubt("the connection to the coordinator was in trouble".to_owned()).into()
            );
        }
        Ok(())
    }

    fn seal(&mut self, changed: &[i32]) -> Result<(), RuntimeError> {
        let (settings, processor) = (self.given.settings, self.given.processor);
        for partition in changed {
            let Some(task) = self.tasks.get_mut(partition) else { continue };
            let records = task.seal(processor, &settings.transactional_id);
            records
                .map_err(|source| failed(settings, source))?
                .into_iter()
                .for_each(|one| self.outputs.push(one));
        }
        let tasks: Vec<TaskTime<'_>> =
            changed.iter().filter_map(|partition| self.tasks.get(partition)).map(Task::time).collect();
        processor.heartbeat(&tasks, &mut self.outputs).map_err(|source| failed(settings, source))
    }

    fn write_trailers(&mut self, changed: &[i32]) -> Result<BTreeMap<usize, i64>, RuntimeError> {
        for (index, partition) in changed.iter().enumerate() {
            if let Some(trailer) = self.tasks.get(partition).and_then(Task::trailer) {
                self.producer.send(&trailer, index + 1)?;
            }
        }
        Ok(self.producer.drain()?)
    }

    fn offsets(&self, changed: &[i32]) -> BTreeMap<i32, i64> {
        let tasks = changed.iter().filter_map(|partition| self.tasks.get(partition));
        tasks.map(|task| (task.partition(), task.next_offset())).collect()
    }

    fn put_offsets(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), RuntimeError> {
        let fence = if self.given.settings.guards.fence {
            // The proof first: a loss that is heard of after it is older than it.
            let fence = self.membership.fence()?;
            self.hear_group()?;
            if self.waiting.iter().any(|(_, rebalance)| matches!(rebalance, Rebalance::Lost(_))) {
                return Err(BrokerError::Doubt("the group gave the partitions to others".to_owned()).into());
            }
            fence
        } else {
            self.membership.no_fence()?
        };
        Ok(self.producer.send_offsets(&self.input, offsets, &fence)?)
    }

    fn apply(&mut self, changed: &[i32], trailers: &BTreeMap<usize, i64>) -> Result<(), RuntimeError> {
        for (index, partition) in changed.iter().enumerate() {
            let offset = trailers.get(&(index + 1)).copied();
            let offset = offset.ok_or_else(|| BrokerError::Doubt("a trailer has no offset".to_owned()))?;
            if let Some(task) = self.tasks.get_mut(partition) {
                task.committed(offset).map_err(|source| failed(self.given.settings, source))?;
            }
        }
        Ok(())
    }

    fn send_outputs(&mut self) -> Result<(), RuntimeError> {
        for output in self.outputs.take() {
            self.producer.send(&output, 0)?;
            self.given.metrics.add(
                Metric::RecordsWritten,
                &[&self.given.settings.processor, &output.topic],
                1,
            );
        }
        Ok(())
    }

    fn reached(&self, step: Step) {
        self.given.observer.reached(&self.given.settings.processor, step, self.cycle.records);
    }
}

fn producer_settings(settings: &WorkerSettings) -> ProducerSettings {
    ProducerSettings {
        transactional_id: settings.transactional_id.clone(),
        transaction_timeout: settings.transaction_timeout,
    }
}

fn failed(settings: &WorkerSettings, source: Failure) -> RuntimeError {
    RuntimeError::Processor { processor: settings.processor.clone(), source }
}
