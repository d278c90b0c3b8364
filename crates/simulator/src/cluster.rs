//! Workers of the real runtime on one log in memory, under one schedule that is drawn from a seed.
//!
//! Each worker is a coroutine. Whatever it asks of the log or of its clock is a point at which it may rest, and
//! at which the schedule goes on with another one, lets time pass, or lets something go wrong. There is one
//! thread and no other chance, so a seed that found something finds it again.

mod broker;
mod disk;
mod faults;
mod seat;
mod trace;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock};
use stream_runtime::broker::{Broker as _, GroupSettings};
use stream_runtime::{Output, RuntimeError};

use crate::chance::{Chance, Purpose};
pub use disk::{Disks, MemoryDisks};
pub use faults::{Faults, Gust, Storm};
pub use seat::Seat;
use seat::{Desk, Incarnation, Lingering, Pause};
pub use trace::Trace;

/// Stack of a worker, in bytes; memory is taken as it is used.
const STACK: usize = 1 << 20;
/// A run of more steps than this goes round in circles.
const MOST_STEPS: u64 = 3_000_000;
/// Longer than a worker waits while it works, in milliseconds: after so long it begins anew after a doubt.
const LONG_REST: i64 = 500;
/// After a storm all is to be done within this time, in milliseconds.
const PATIENCE: i64 = 600_000;

/// What a worker does, given its place.
pub type Work = Rc<dyn Fn(&Seat<'_>) -> Result<(), RuntimeError>>;

/// Why a run is not as it should be.
pub type Violation = String;

/// A worker that is started again whenever it ends.
pub struct Post {
    /// Its name: that of its directory, and in the trace.
    pub name: String,
    /// What it does.
    pub work: Work,
}

/// What is looked at while a run goes on.
pub trait Oracle {
    /// Something has committed.
    ///
    /// # Errors
    /// What is wrong with it.
    fn committed(&mut self, broker: &MemoryBroker) -> Result<(), Violation>;

    /// A worker is down, and this is its directory.
    ///
    /// # Errors
    /// What is wrong with it.
    fn down(&mut self, broker: &MemoryBroker, disks: &dyn Disks, post: &str) -> Result<(), Violation>;
}

/// The workers, their log, their disks and what is going to happen to them.
pub struct Cluster {
    desk: Rc<Desk>,
    posts: Vec<Place>,
    chance: Chance,
    storm: Storm,
    /// By time and number.
    agenda: BTreeMap<(i64, u64), Happening>,
    numbered: u64,
    stacks: Vec<DefaultStack>,
    tally: Tally,
}

/// What happened in a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Times a worker was resumed.
    pub steps: u64,
    /// Milliseconds that passed.
    pub passed: i64,
    /// Crashes, by the last step of a transaction that the worker had done.
    pub crashes: BTreeMap<&'static str, u64>,
    /// Other things that went wrong, by name.
    pub gusts: BTreeMap<&'static str, u64>,
    /// Copies that were begun of what others own.
    pub copies: u64,
}

struct Place {
    post: Post,
    worker: Option<Coroutine<(), Pause, Result<(), RuntimeError>>>,
    incarnation: Incarnation,
    /// It rests until then.
    until: i64,
}

enum Happening {
    Write(Vec<Output>),
    Start(usize),
    Arrive(Lingering),
    Calm,
}

impl Cluster {
    /// A cluster on this log; its clock is moved by nobody else. `storm` says what may go wrong.
    #[must_use]
    pub fn new(
        seed: u64,
        (broker, clock): (&MemoryBroker, &MemoryClock),
        disks: Rc<dyn Disks>,
        storm: Storm,
        trace: Arc<Trace>,
    ) -> Self {
        let chance = Chance::of(seed, Purpose::Schedule, 1);
        let desk =
            Desk::new(broker, clock, disks, storm.faults, Chance::of(seed, Purpose::Schedule, 2), trace);
        Self {
            desk: Rc::new(desk),
            posts: Vec::new(),
            chance,
            storm,
            agenda: BTreeMap::new(),
            numbered: 0,
            stacks: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// One more worker; it starts after so many milliseconds.
    pub fn hire(&mut self, post: Post, after: i64) {
        let number = self.posts.len();
        let incarnation = Incarnation::new(&post.name, &self.desk);
        self.posts.push(Place { post, worker: None, incarnation, until: 0 });
        self.plan(after, Happening::Start(number));
    }

    /// These are written in one transaction after so many milliseconds, whatever else goes wrong.
    pub fn write(&mut self, records: Vec<Output>, after: i64) {
        self.plan(after, Happening::Write(records));
    }

    /// Runs through the storm, then until the log stands still.
    ///
    /// # Errors
    /// When something is not as it should be.
    pub fn run(&mut self, oracle: &mut dyn Oracle) -> Result<Tally, Violation> {
        let began = self.desk.clock.now();
        self.plan(self.storm.lasts, Happening::Calm);
        let (mut seen, mut since) = (-1, began);
        while self.tally.steps < MOST_STEPS {
            self.step(oracle)?;
            let now = self.desk.clock.now();
            if !self.desk.is_calm() {
                continue;
            }
            let written = self.written();
            if written != seen || self.posts.iter().any(|place| place.is_away(now)) {
                (seen, since) = (written, now);
            } else if now - since > self.storm.still {
                self.tally.passed = now - began;
                self.tally.copies = self.desk.copies.load(Ordering::Relaxed);
                self.leave(oracle)?;
                return Ok(self.tally.clone());
            }
            if now - began > self.storm.lasts + PATIENCE {
                return Err("after the storm the log never stands still".to_owned());
            }
        }
        Err(format!("more than {MOST_STEPS} steps: the workers go round in circles"))
    }

    /// One step: what is due happens, something may go wrong, one of the workers goes on.
    fn step(&mut self, oracle: &mut dyn Oracle) -> Result<(), Violation> {
        self.tally.steps += 1;
        let now = self.desk.clock.now();
        while self.agenda.first_key_value().is_some_and(|((time, _), _)| *time <= now) {
            if let Some((_, happening)) = self.agenda.pop_first() {
                self.happen(happening)?;
            }
        }
        if !self.desk.is_calm() && self.chance.permille(self.storm.gusts) {
            self.blow(oracle)?;
        }
        let ready = self.posts.iter().filter(|place| place.is_ready(now)).count();
        if ready == 0 {
            self.let_time_pass(now);
            return Ok(());
        }
        let chosen = self.chance.below(ready as u64) as usize;
        let number = (0..self.posts.len()).filter(|number| self.posts[*number].is_ready(now)).nth(chosen);
        self.resume(number.unwrap_or_default(), oracle)?;
        for request in self.desk.take_lingering() {
            let after = self.chance.between(0, self.storm.longest_linger);
            self.plan(after, Happening::Arrive(request));
        }
        if self.chance.permille(300) {
            self.desk.clock.advance(Duration::from_millis(1 + self.chance.below(3)));
        }
        if self.desk.has_committed() { oracle.committed(&self.desk.broker) } else { Ok(()) }
    }

    fn resume(&mut self, number: usize, oracle: &mut dyn Oracle) -> Result<(), Violation> {
        let place = &mut self.posts[number];
        let Some(worker) = &mut place.worker else { return Ok(()) };
        match worker.resume(()) {
            CoroutineResult::Yield(Pause::Pass) => place.until = 0,
            CoroutineResult::Yield(Pause::Until(time)) => place.until = time,
            CoroutineResult::Return(ended) => {
                self.stacks.extend(place.worker.take().map(Coroutine::into_stack));
                return self.ended(number, ended, oracle);
            }
        }
        Ok(())
    }

    /// A worker ends by itself where it was asked to, or where its disk broke.
    fn ended(
        &mut self,
        number: usize,
        ended: Result<(), RuntimeError>,
        oracle: &mut dyn Oracle,
    ) -> Result<(), Violation> {
        let place = &self.posts[number];
        let name = place.post.name.clone();
        if ended.is_err() {
            // Its disk broke, which nothing else survives either.
            *self.tally.crashes.entry(place.incarnation.last_step()).or_default() += 1;
        }
        match ended {
            Err(error) if !place.incarnation.is_broken() => {
                return Err(format!("{name} ended by itself: {error}"));
            }
            ended => self.desk.trace.note(&name, || match &ended {
                Ok(()) => "leaves as it was asked to".to_owned(),
                Err(error) => format!("ends: {error}"),
            }),
        }
        self.rest(number, oracle)
    }

    /// A worker that is down starts again after a while.
    fn rest(&mut self, number: usize, oracle: &mut dyn Oracle) -> Result<(), Violation> {
        let name = &self.posts[number].post.name;
        let looked = oracle.down(&self.desk.broker, &*self.desk.disks, name);
        let after = if self.desk.is_calm() { 10 } else { self.chance.between(10, self.storm.longest_rest) };
        self.plan(after, Happening::Start(number));
        looked
    }

    fn let_time_pass(&mut self, now: i64) {
        let agenda = self.agenda.keys().next().map(|(time, _)| *time);
        let resting = self.posts.iter().filter(|place| place.worker.is_some()).map(|place| place.until);
        let next = resting.chain(agenda).min().unwrap_or(now + 1);
        let millis = u64::try_from(next - now).unwrap_or(1).max(1);
        self.desk.clock.advance(Duration::from_millis(millis));
    }

    // --- what happens ---

    fn plan(&mut self, after: i64, happening: Happening) {
        self.numbered += 1;
        self.agenda.insert((self.desk.clock.now() + after, self.numbered), happening);
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Write(records) => self.desk.write(&records).map_err(|error| error.to_string())?,
            Happening::Start(number) => self.start(number)?,
            Happening::Arrive(request) => self.desk.arrive(request),
            Happening::Calm => self.calm(),
        }
        Ok(())
    }

    fn start(&mut self, number: usize) -> Result<(), Violation> {
        let place = &mut self.posts[number];
        if place.worker.is_some() {
            return Ok(());
        }
        let stack = match self.stacks.pop() {
            Some(stack) => stack,
            None => DefaultStack::new(STACK).map_err(|error| format!("no memory for a stack: {error}"))?,
        };
        self.desk.trace.note(&place.post.name, || "starts".to_owned());
        place.incarnation = Incarnation::new(&place.post.name, &self.desk);
        place.until = 0;
        let (work, desk) = (Rc::clone(&place.post.work), Rc::clone(&self.desk));
        let incarnation = place.incarnation.clone();
        place.worker = Some(Coroutine::with_stack(stack, move |yielder, ()| {
            work(&Seat::new(yielder, &desk, &incarnation))
        }));
        Ok(())
    }

    /// From here on nothing goes wrong any more.
    fn calm(&mut self) {
        self.desk.trace.note("schedule", || "the storm is over".to_owned());
        self.desk.calm();
        let waiting: Vec<_> = std::mem::take(&mut self.agenda).into_values().collect();
        for happening in waiting {
            self.plan(0, happening);
        }
        let now = self.desk.clock.now();
        for place in &mut self.posts {
            place.until = place.until.min(now);
        }
    }

    /// Something goes wrong.
    fn blow(&mut self, oracle: &mut dyn Oracle) -> Result<(), Violation> {
        let Some(gust) = self.storm.draw(&mut self.chance) else { return Ok(()) };
        let number = self.chance.below(self.posts.len() as u64) as usize;
        *self.tally.gusts.entry(gust.name()).or_default() += 1;
        let name = self.posts[number].post.name.clone();
        match gust {
            Gust::Crash => return self.crash(number, oracle),
            Gust::PowerCut => {
                self.kill(number, gust);
                self.desk.disks.lose_unflushed(&name, self.chance.below(1_000) as u32);
                return self.rest(number, oracle);
            }
            Gust::LoseDirectory => {
                self.kill(number, gust);
                self.desk.disks.lose(&name);
                return self.rest(number, oracle);
            }
            Gust::Pause => self.pause(number),
            Gust::Stop => self.posts[number].incarnation.health.stop(),
            Gust::Stranger => self.join_for_a_while(),
            Gust::Flush => self.desk.disks.flush(&name),
            Gust::BreakDisk => self.desk.disks.break_next_write(&name, self.chance.permille(500)),
            Gust::Marker => {
                let held = self.desk.broker.held_markers() as u64;
                self.desk.broker.write_marker(self.chance.below(held) as usize);
            }
            Gust::Compact => self.storm.changelogs.iter().for_each(|topic| self.desk.broker.compact(topic)),
        }
        Ok(())
    }

    fn crash(&mut self, number: usize, oracle: &mut dyn Oracle) -> Result<(), Violation> {
        if !self.kill(number, Gust::Crash) {
            return Ok(());
        }
        self.rest(number, oracle)
    }

    /// A worker is gone without a word, as after kill -9.
    fn kill(&mut self, number: usize, why: Gust) -> bool {
        let place = &mut self.posts[number];
        let Some(mut worker) = place.worker.take() else { return false };
        let step = place.incarnation.last_step();
        self.desk.trace.note(&place.post.name, || format!("✝ {} after {step}", why.name()));
        *self.tally.crashes.entry(step).or_default() += 1;
        worker.force_unwind();
        self.stacks.push(worker.into_stack());
        true
    }

    fn pause(&mut self, number: usize) {
        let longest = if self.chance.permille(500) { self.storm.longest_rest } else { 300 };
        let pause = self.chance.between(1, longest);
        let place = &mut self.posts[number];
        place.until = place.until.max(self.desk.clock.now() + pause);
        self.desk.trace.note(&place.post.name, || format!("stands still for {pause} ms"));
    }

    /// Somebody joins a group, takes a share and is never heard of again.
    fn join_for_a_while(&mut self) {
        let groups = self.storm.groups.len() as u64;
        let Some((group, topic)) = self.storm.groups.get(self.chance.below(groups) as usize) else { return };
        let member = self.desk.member_name("stranger");
        self.desk.trace.note(&member, || format!("joins {group}"));
        let session_timeout = Duration::from_millis(200 + self.chance.below(1_500));
        let settings = GroupSettings { group: group.clone(), topic: topic.clone(), member, session_timeout };
        // Who is refused is no stranger.
        let _ = self.desk.broker.join(&settings);
    }

    /// Every worker goes, and its directory is looked at.
    fn leave(&mut self, oracle: &mut dyn Oracle) -> Result<(), Violation> {
        for place in &mut self.posts {
            if let Some(mut worker) = place.worker.take() {
                worker.force_unwind();
            }
        }
        let mut names = self.posts.iter().map(|place| place.post.name.as_str());
        names.try_for_each(|name| oracle.down(&self.desk.broker, &*self.desk.disks, name))
    }

    /// Offsets that the log has given out.
    fn written(&self) -> i64 {
        let topics = &self.storm.watched;
        let partitions =
            topics.iter().flat_map(|(topic, partitions)| (0..*partitions).map(move |one| (topic, one)));
        let end = |(topic, one): (&String, i32)| {
            self.desk.broker.extent(topic, one).map_or(0, |extent| extent.stable_end)
        };
        partitions.map(end).sum()
    }
}

impl Place {
    /// It is down, or waits for so long that it will not have done what is left.
    fn is_away(&self, now: i64) -> bool {
        self.worker.is_none() || self.until - now > LONG_REST
    }

    fn is_ready(&self, now: i64) -> bool {
        self.worker.is_some() && self.until <= now
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for place in &mut self.posts {
            if let Some(worker) = &mut place.worker {
                worker.force_unwind();
            }
        }
    }
}
