use std::ops::Range;
use std::thread;

use clap::ValueEnum;
use serde::Serialize;

use super::{Shop, Stores, Weather};
use crate::problem::Problem;

/// A guard that is taken away to show that it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Twin {
    /// Nobody asks a changelog's trailers how far it counts, where to go on and how far time has got.
    NoTrailer,
    /// Offsets are committed after the transaction.
    OffsetsOutside,
    /// The stores learn of a transaction before it has committed.
    StateFirst,
    /// Offsets come with no proof of membership.
    NoFence,
    /// A producer goes on after its client was in trouble.
    ProducerKept,
    /// The group takes offsets of a generation that is over.
    StaleGeneration,
    /// Nobody looks whether all partitions are somebody's.
    NobodysShare,
    /// Stream time is that of the fastest origin.
    NewestTime,
    /// What is LATE is judged by the profile's newest event instead of the raw partition's.
    LateByProfile,
}

impl Twin {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::NoTrailer,
        Self::OffsetsOutside,
        Self::StateFirst,
        Self::NoFence,
        Self::ProducerKept,
        Self::StaleGeneration,
        Self::NobodysShare,
        Self::NewestTime,
        Self::LateByProfile,
    ];
}

/// A twin, and the first seed that found it out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Caught {
    /// What was taken away.
    pub(crate) twin: Twin,
    /// The seed; `None` if none below the limit did.
    pub(crate) seed: Option<u64>,
    /// What it found.
    pub(crate) violation: String,
}

impl Caught {
    /// One line of the table.
    #[must_use]
    pub(crate) fn describe(&self) -> String {
        let name = self.twin.to_possible_value().map_or_else(String::new, |name| name.get_name().to_owned());
        match self.seed {
            Some(seed) => format!("{name:<20} seed {seed:>5}  {}\n", self.violation),
            None => format!("{name:<20} not found out\n"),
        }
    }
}

/// For each twin the first of these seeds that finds it out.
pub(super) fn caught(twins: &[Twin], seeds: &Range<u64>, threads: usize) -> Result<Vec<Caught>, Problem> {
    let share = twins.len().div_ceil(threads.max(1)).max(1);
    let all = |twins: &[Twin]| twins.iter().map(|twin| catch(*twin, seeds.clone())).collect();
    let shares: Vec<Result<Vec<Caught>, Problem>> = thread::scope(|scope| {
        let threads: Vec<_> = twins.chunks(share).map(|twins| scope.spawn(move || all(twins))).collect();
        let panicked = |_| Err(Problem::Failed("a simulated run panicked; please report it".to_owned()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    Ok(shares.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
}

fn catch(twin: Twin, mut seeds: Range<u64>) -> Result<Caught, Problem> {
    let (mut shop, mut reference) = (Shop::new(Some(twin), Stores::Memory)?, Shop::undisturbed()?);
    let mut run = |seed| shop.run(&mut reference, seed, Weather::Without(twin), false).violation;
    let found = seeds.find_map(|seed| Some((seed, run(seed)?)));
    let (seed, violation) = found.map_or((None, String::new()), |(seed, found)| (Some(seed), found));
    Ok(Caught { twin, seed, violation })
}
