use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::{Caught, Finding, Shop, Stores, Swept, Twin, Weather, caught, sweep};
use crate::input::progress;
use crate::problem::Problem;

/// Seeds after which a sweep notes how far it has got.
const LEG: u64 = 10_000;

/// Run seeds of a simulated cluster: the real processors, and whatever can go wrong
#[derive(Args, Debug)]
pub(crate) struct Simulate {
    /// From the first up to, but without, the second
    #[arg(long, value_parser = range, default_value = "0..20000", value_name = "A..B")]
    seeds: Range<u64>,
    /// Which faults may occur
    #[arg(long, value_enum, default_value_t = Faults::All)]
    faults: Faults,
    /// What keeps the workers' states
    #[arg(long, value_enum, default_value_t = Stores::Memory)]
    store: Stores,
    /// Print what happened step by step; for a seed that found something
    #[arg(long)]
    trace: bool,
    /// Take a guard away from the simulated workers and say which seed finds it out
    #[arg(long, value_enum)]
    without: Option<Twin>,
    /// The same for every guard: which seed finds it out
    #[arg(long, conflicts_with_all = ["without", "trace"])]
    twins: bool,
    /// Where to note how far it has got; the same file again goes on from there
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Seeds that run at the same time; as many as there are cores, if not given
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Faults {
    /// All that go unseen outside
    All,
    /// Also those of a client without KIP-890: an output may be said twice, word for word
    Kip890,
}

/// What a command has to say.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Told {
    Swept(Swept),
    Caught(Vec<Caught>),
}

impl Simulate {
    /// Runs the seeds.
    pub(crate) fn run(&self) -> Result<Told, Problem> {
        if self.trace {
            return self.show();
        }
        let twins = if self.twins { Twin::ALL.to_vec() } else { self.without.into_iter().collect() };
        if !twins.is_empty() {
            return Ok(Told::Caught(caught(&twins, &self.seeds, self.threads())?));
        }
        let noted = self.resumed()?;
        let mut swept = Swept::default();
        for seed in noted.found {
            self.add_leg(&mut swept, &(seed..seed + 1), &|_| {})?;
        }
        let mut next = noted.next.clamp(self.seeds.start, self.seeds.end);
        let bar = progress(self.seeds.end - next, "simulating");
        while next < self.seeds.end {
            let leg = next..self.seeds.end.min(next + LEG);
            let done = bar.position();
            self.add_leg(&mut swept, &leg, &|seeds| bar.set_position(done + seeds))?;
            next = leg.end;
            self.note(next, &swept)?;
        }
        bar.finish_and_clear();
        Ok(Told::Swept(swept))
    }

    fn add_leg(
        &self,
        swept: &mut Swept,
        seeds: &Range<u64>,
        told: &(dyn Fn(u64) + Sync),
    ) -> Result<(), Problem> {
        swept.add(sweep(seeds, (self.weather(), self.store), self.threads(), told)?);
        Ok(())
    }

    /// Runs them one after the other and prints each step.
    fn show(&self) -> Result<Told, Problem> {
        let (mut shop, mut reference) = (Shop::new(self.without, self.store)?, Shop::undisturbed()?);
        let mut swept = Swept::default();
        for seed in self.seeds.clone() {
            let run = shop.run(&mut reference, seed, self.weather(), true);
            for line in &run.trace {
                println!("{line}");
            }
            swept.take(seed, run, (self.weather(), self.store));
        }
        Ok(Told::Swept(swept))
    }

    fn weather(&self) -> Weather {
        match (self.without, self.faults) {
            (Some(twin), _) => Weather::Without(twin),
            (None, Faults::All) => Weather::All,
            (None, Faults::Kip890) => Weather::Kip890,
        }
    }

    fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1)
    }

    fn resumed(&self) -> Result<Noted, Problem> {
        let fresh = Noted { sweep: self.sweep(), found: Vec::new(), next: self.seeds.start };
        let Some(path) = &self.resume else { return Ok(fresh) };
        let Ok(text) = std::fs::read_to_string(path) else { return Ok(fresh) };
        match serde_json::from_str::<Noted>(&text) {
            Ok(noted) if noted.sweep == fresh.sweep => Ok(noted),
            Ok(Noted { sweep, .. }) => Err(Problem::Config(format!(
                "{} is of a sweep of seeds {sweep}, and this one is of {}: name another file",
                path.display(),
                fresh.sweep
            ))),
            Err(_) => Err(Problem::Config(format!(
                "{} is none of the files that --resume writes: name another one",
                path.display()
            ))),
        }
    }

    fn note(&self, next: u64, swept: &Swept) -> Result<(), Problem> {
        let Some(path) = &self.resume else { return Ok(()) };
        let found = swept.findings.iter().map(|found| found.seed).collect();
        let noted = Noted { sweep: self.sweep(), found, next };
        let text = serde_json::to_string(&noted).map_err(|error| Problem::Failed(error.to_string()))?;
        write(path, &text)
    }

    /// What a sweep that goes on must have in common with the one that began.
    fn sweep(&self) -> String {
        format!("from {}{}{}", self.seeds.start, self.weather().flags(), self.store.flags())
    }
}

/// How far a sweep has got.
#[derive(Deserialize, Serialize)]
struct Noted {
    sweep: String,
    /// Seeds that found something: they are run again, so that no end forgets them.
    found: Vec<u64>,
    next: u64,
}

fn write(path: &Path, text: &str) -> Result<(), Problem> {
    std::fs::write(path, text).map_err(|source| Problem::File { path: path.to_owned(), source })
}

impl Told {
    /// Whether all is as it should be.
    pub(crate) fn holds(&self) -> bool {
        match self {
            Self::Swept(swept) => swept.findings.is_empty(),
            Self::Caught(caught) => caught.iter().all(|caught| caught.seed.is_some()),
        }
    }

    /// For a person.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Swept(swept) => describe(swept),
            Self::Caught(caught) => caught.iter().map(Caught::describe).collect(),
        }
    }
}

fn describe(swept: &Swept) -> String {
    let counts = |counts: &std::collections::BTreeMap<&str, u64>| {
        counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    let mut text = format!(
        "{} seeds, {} steps, {} violations\ncrashes after: {}\nfaults: {}\nstandby copies: {}\n",
        swept.seeds,
        swept.steps,
        swept.findings.len(),
        counts(&swept.crashes),
        counts(&swept.faults),
        swept.copies,
    );
    if swept.repeats > 0 {
        text.push_str(&format!("values said twice: {}\n", swept.repeats));
    }
    for Finding { seed, violation, command } in &swept.findings {
        text.push_str(&format!("seed {seed}: {violation}\n  {command}\n"));
    }
    text
}

/// `A..B`
fn range(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("{text} is no range of seeds such as 0..20000");
    let (start, end) = text.split_once("..").ok_or_else(wrong)?;
    let (start, end) = (start.parse().map_err(|_| wrong())?, end.parse().map_err(|_| wrong())?);
    if start < end { Ok(start..end) } else { Err(wrong()) }
}
