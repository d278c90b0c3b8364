use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde::Serialize;

use super::{Run, Shop, Stores, Weather};
use crate::problem::Problem;

/// Seeds that a thread takes at once.
const CHUNK: u64 = 64;

/// What a seed found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// The seed.
    pub(crate) seed: u64,
    /// What is wrong.
    pub(crate) violation: String,
    /// What does it again.
    pub(crate) command: String,
}

/// What a sweep came to.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Swept {
    /// Seeds that were run.
    pub(crate) seeds: u64,
    /// Times a worker was resumed.
    pub(crate) steps: u64,
    /// Values that were said twice where that may be.
    pub(crate) repeats: u64,
    /// Crashes by the last step of a transaction that was done.
    pub(crate) crashes: BTreeMap<&'static str, u64>,
    /// What else went wrong.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// Standby copies that were begun.
    pub(crate) copies: u64,
    /// What is not as it should be.
    pub(crate) findings: Vec<Finding>,
}

/// Runs seeds on several threads, each with runs of its own; `told` hears how many are done.
pub(super) fn sweep(
    seeds: &Range<u64>,
    (weather, stores): (Weather, Stores),
    threads: usize,
    told: &(dyn Fn(u64) + Sync),
) -> Result<Swept, Problem> {
    let (next, swept) = (AtomicU64::new(seeds.start), Mutex::new(Swept::default()));
    thread::scope(|scope| {
        let run = || run_chunks(seeds.end, (weather, stores), &next, &swept, told);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        threads.into_iter().try_for_each(|thread| {
            let panicked = |_| Err(Problem::Failed("a simulated run panicked; please report it".to_owned()));
            thread.join().unwrap_or_else(panicked)
        })
    })?;
    let mut swept = swept.into_inner().unwrap_or_default();
    swept.findings.sort_by_key(|finding| finding.seed);
    Ok(swept)
}

fn run_chunks(
    end: u64,
    (weather, stores): (Weather, Stores),
    next: &AtomicU64,
    swept: &Mutex<Swept>,
    told: &(dyn Fn(u64) + Sync),
) -> Result<(), Problem> {
    let (mut shop, mut reference) = (Shop::new(None, stores)?, Shop::undisturbed()?);
    loop {
        let first = next.fetch_add(CHUNK, Ordering::Relaxed);
        if first >= end {
            return Ok(());
        }
        let mut chunk = Swept::default();
        for seed in first..end.min(first + CHUNK) {
            let run = AssertUnwindSafe(|| shop.run(&mut reference, seed, weather, false));
            if let Ok(run) = catch_unwind(run) {
                chunk.take(seed, run, (weather, stores));
            } else {
                chunk.find(seed, "it panicked".to_owned(), (weather, stores));
                (shop, reference) = (Shop::new(None, stores)?, Shop::undisturbed()?);
            }
        }
        if let Ok(mut swept) = swept.lock() {
            swept.add(chunk);
            told(swept.seeds);
        }
    }
}

impl Swept {
    pub(super) fn take(&mut self, seed: u64, run: Run, asked: (Weather, Stores)) {
        self.seeds += 1;
        self.steps += run.tally.steps;
        self.repeats += run.repeats as u64;
        add(&mut self.crashes, run.tally.crashes);
        add(&mut self.faults, run.tally.gusts);
        self.copies += run.tally.copies;
        if let Some(violation) = run.violation {
            self.find(seed, violation, asked);
        }
    }

    fn find(&mut self, seed: u64, violation: String, (weather, stores): (Weather, Stores)) {
        let (faults, store) = (weather.flags(), stores.flags());
        let command = format!("paczek simulate --seeds {seed}..{}{faults}{store} --trace", seed + 1);
        self.findings.push(Finding { seed, violation, command });
    }

    pub(super) fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.repeats += other.repeats;
        add(&mut self.crashes, other.crashes);
        add(&mut self.faults, other.faults);
        self.copies += other.copies;
        self.findings.extend(other.findings);
    }
}

fn add(counts: &mut BTreeMap<&'static str, u64>, others: BTreeMap<&'static str, u64>) {
    others.into_iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
}
