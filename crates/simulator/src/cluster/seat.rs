use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use corosensei::Yielder;
use state_store::{StateStore, StoreError};
use stream_runtime::broker::memory::{CommitRequest, MemoryBroker, MemoryClock};
use stream_runtime::broker::{
    Broker as _, BrokerError, Committed, ProducerSettings, TransactionalProducer as _,
};
use stream_runtime::{Clock, Health, Observer, Output};

use super::faults::{Copy, Fate};
use super::trace::{NAMES, Steps};
use super::{Disks, Faults, Trace};
use crate::chance::Chance;

/// Why a worker rests.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pause {
    /// Others may go on.
    Pass,
    /// Until this time.
    Until(i64),
}

/// What all workers of a cluster share.
pub(super) struct Desk {
    pub(super) broker: MemoryBroker,
    pub(super) clock: MemoryClock,
    pub(super) disks: Rc<dyn Disks>,
    pub(super) trace: Arc<Trace>,
    began: i64,
    faults: Cell<Faults>,
    is_calm: Cell<bool>,
    chance: RefCell<Chance>,
    lingering: RefCell<Vec<Lingering>>,
    /// Whose open transaction was ended by a request that lingered, and who is to hear of it.
    torn: RefCell<BTreeSet<String>>,
    committed: Cell<bool>,
    members: Cell<u64>,
    pub(super) copies: Arc<AtomicU64>,
}

/// A request to commit that is still on its way, and whose it is.
pub(super) struct Lingering {
    request: CommitRequest,
    owner: String,
}

/// One life of a worker.
#[derive(Clone)]
pub(super) struct Incarnation {
    pub(super) name: String,
    pub(super) health: Arc<Health>,
    observer: Arc<Steps>,
    last: Arc<AtomicUsize>,
    disks: Rc<dyn Disks>,
}

/// A worker's place in the schedule: the log, the clock, the disk and the health that it is given.
#[derive(Clone)]
pub struct Seat<'y> {
    yielder: &'y Yielder<(), Pause>,
    pub(super) desk: Rc<Desk>,
    pub(super) life: Incarnation,
}

impl Desk {
    pub(super) fn new(
        broker: &MemoryBroker,
        clock: &MemoryClock,
        disks: Rc<dyn Disks>,
        faults: Faults,
        chance: Chance,
        trace: Arc<Trace>,
    ) -> Self {
        broker.hold_markers(faults.late_markers);
        Self {
            broker: broker.clone(),
            clock: clock.clone(),
            disks,
            trace,
            began: clock.now(),
            faults: Cell::new(faults),
            is_calm: Cell::new(false),
            chance: RefCell::new(chance),
            lingering: RefCell::default(),
            torn: RefCell::default(),
            committed: Cell::new(false),
            members: Cell::new(0),
            copies: Arc::default(),
        }
    }

    pub(super) fn is_calm(&self) -> bool {
        self.is_calm.get()
    }

    pub(super) fn calm(&self) {
        self.is_calm.set(true);
        let accepts_stale = self.faults.get().accepts_stale;
        self.faults.set(Faults { accepts_stale, ..Faults::default() });
        self.broker.hold_markers(false);
    }

    pub(super) fn faults(&self) -> Faults {
        self.faults.get()
    }

    pub(super) fn chance(&self, permille: u32) -> bool {
        permille > 0 && self.chance.borrow_mut().permille(permille)
    }

    pub(super) fn fate(&self) -> Fate {
        if self.is_calm() { Fate::Done } else { self.faults.get().fate(&mut self.chance.borrow_mut()) }
    }

    pub(super) fn copy(&self) -> Copy {
        if self.is_calm() { Copy::None } else { self.faults.get().copy(&mut self.chance.borrow_mut()) }
    }

    pub(super) fn linger(&self, request: CommitRequest, owner: &str) {
        self.lingering.borrow_mut().push(Lingering { request, owner: owner.to_owned() });
    }

    pub(super) fn take_lingering(&self) -> Vec<Lingering> {
        std::mem::take(&mut self.lingering.borrow_mut())
    }

    /// A request arrives that lingered in the network.
    pub(super) fn arrive(&self, Lingering { request, owner }: Lingering) {
        let arrived = request.arrive();
        // A newer broker refuses what its coordinator knows no open transaction for; an older one takes it.
        if matches!(arrived, Ok(true)) && self.chance(500) {
            self.torn.borrow_mut().insert(owner);
        }
        self.trace.note("network", || match &arrived {
            Ok(true) => "a commit that lingered ends the transaction that is open now".to_owned(),
            Ok(false) => "a commit that lingered finds nothing open".to_owned(),
            Err(error) => format!("a commit that lingered is refused: {error}"),
        });
        self.committed.set(true);
    }

    /// Whether a worker's producer is told now that its transaction is none any more.
    pub(super) fn is_torn(&self, name: &str) -> bool {
        self.torn.borrow_mut().remove(name)
    }

    pub(super) fn has_committed(&self) -> bool {
        self.committed.replace(false)
    }

    pub(super) fn note_commit(&self) {
        self.committed.set(true);
    }

    /// A member's name that nobody has had before.
    pub(super) fn member_name(&self, name: &str) -> String {
        self.members.set(self.members.get() + 1);
        format!("{name}#{}", self.members.get())
    }

    /// What comes from outside.
    pub(super) fn write(&self, records: &[Output]) -> Result<(), BrokerError> {
        let settings = ProducerSettings {
            transactional_id: "outside".to_owned(),
            transaction_timeout: Duration::from_secs(60),
        };
        let mut producer = self.broker.producer(&settings)?;
        producer.begin()?;
        records.iter().try_for_each(|record| producer.send(record, 0))?;
        let _: Committed = producer.commit()?;
        for record in records {
            self.trace.note("outside", || {
                let value = record.value.as_deref().map_or("its end".into(), String::from_utf8_lossy);
                format!("{}-{} gets {value}", record.topic, record.partition)
            });
        }
        Ok(())
    }
}

impl Incarnation {
    pub(super) fn new(name: &str, desk: &Desk) -> Self {
        let last = Arc::new(AtomicUsize::new(0));
        let observer = Steps {
            who: name.to_owned(),
            trace: Arc::clone(&desk.trace),
            last: Arc::clone(&last),
            copies: Arc::clone(&desk.copies),
        };
        Self {
            name: name.to_owned(),
            health: Arc::new(Health::default()),
            observer: Arc::new(observer),
            last,
            disks: Rc::clone(&desk.disks),
        }
    }

    pub(super) fn last_step(&self) -> &'static str {
        NAMES.get(self.last.load(Ordering::Relaxed)).copied().unwrap_or("Opening")
    }

    pub(super) fn is_broken(&self) -> bool {
        self.disks.has_broken(&self.name)
    }
}

impl<'y> Seat<'y> {
    pub(super) fn new(yielder: &'y Yielder<(), Pause>, desk: &Rc<Desk>, life: &Incarnation) -> Self {
        Self { yielder, desk: Rc::clone(desk), life: life.clone() }
    }

    /// How it is asked to stop.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.life.health
    }

    /// Who notes the steps of its transactions.
    #[must_use]
    pub fn observer(&self) -> &dyn Observer {
        &*self.life.observer
    }

    /// Opens the store of a partition on its disk.
    ///
    /// # Errors
    /// When it is held elsewhere for a while, or broken.
    pub fn open_store(&self, partition: i32) -> Result<Box<dyn StateStore>, StoreError> {
        if self.desk.chance(self.desk.faults().held_stores) {
            self.note(|| format!("the store of partition {partition} is held"));
            let reason = "lock hold by current process, so the schedule says".to_owned();
            return Err(StoreError::Engine { path: format!("{}/{partition}", self.life.name), reason });
        }
        self.desk.disks.open(&self.life.name, partition)
    }

    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        self.desk.trace.note(&self.life.name, what);
    }

    /// Lets the others go on.
    pub(super) fn pass(&self) {
        self.yielder.suspend(Pause::Pass);
    }

    pub(super) fn wait(&self, millis: i64) {
        self.yielder.suspend(Pause::Until(self.desk.clock.now() + millis));
    }

    /// A call of the log, and what becomes of it.
    pub(super) fn call<T>(
        &self,
        name: &str,
        ask: impl FnOnce() -> Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        self.pass();
        let fate = self.desk.fate();
        let lost = || BrokerError::Unreachable(format!("{name} was not answered"));
        match fate {
            Fate::Done => {
                let answer = ask();
                self.told(name, answer.as_ref().err());
                self.pass();
                answer
            }
            Fate::Fails => {
                self.note(|| format!("✗ {name} fails"));
                Err(lost())
            }
            Fate::AnswerLost => {
                let answer = ask();
                self.note(|| {
                    format!(
                        "✗ {name} is {}, its answer is lost",
                        if answer.is_ok() { "done" } else { "refused" }
                    )
                });
                self.pass();
                Err(lost())
            }
            Fate::Slow(millis) => {
                self.note(|| format!("{name} takes {millis} ms"));
                self.wait(millis / 2);
                let answer = ask();
                self.told(name, answer.as_ref().err());
                self.wait(millis / 2);
                answer
            }
        }
    }

    fn told(&self, name: &str, error: Option<&BrokerError>) {
        if name.is_empty() {
            return;
        }
        match error {
            Some(error) => self.note(|| format!("{name}: {error}")),
            None if matches!(name, "poll" | "read" | "send" | "extent") => {}
            None => self.note(|| name.to_owned()),
        }
    }
}

impl Clock for Seat<'_> {
    fn now(&self) -> i64 {
        self.desk.clock.now()
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.desk.clock.now() - self.desk.began).unwrap_or(0))
    }

    fn sleep(&self, duration: Duration) {
        self.wait(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
    }
}
