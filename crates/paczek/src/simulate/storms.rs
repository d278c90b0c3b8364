use super::*;

use clap::ValueEnum as _;
use fastrand::Rng;
use simulator::cluster::{Faults, Gust, Storm};
use stream_runtime::{Output, Standby};

/// Which faults may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// All that the runtime promises to survive unseen.
    All,
    /// Also a commit that the client sends twice without saying so.
    Kip890,
    /// As the first, or the second where it takes that to see it, without one of the guards.
    Without(Twin),
}

impl Weather {
    /// What asks for it on the command line.
    pub(super) fn flags(self) -> String {
        match self {
            Self::All => String::new(),
            Self::Kip890 => " --faults kip890".to_owned(),
            Self::Without(twin) => {
                let name = twin.to_possible_value();
                format!(" --without {}", name.as_ref().map_or("", |name| name.get_name()))
            }
        }
    }

    pub(super) fn tears(self) -> bool {
        self == Self::Kip890
    }
}

/// How a run goes: its workers, and all that goes wrong.
pub(super) struct Wind {
    pub(super) storm: Storm,
    pub(super) ingests: u64,
    pub(super) updaters: u64,
    pub(super) commit_interval: Duration,
    pub(super) max_records: usize,
    pub(super) hot_states: usize,
    pub(super) session_timeout: Duration,
    pub(super) transaction_timeout: Duration,
    pub(super) standby: Standby,
    pub(super) guards: Guards,
    /// When records come in, in milliseconds after the start.
    arrivals: Vec<i64>,
    starts: Vec<i64>,
}

impl Wind {
    /// Nothing goes wrong, and one worker of each kind does everything, a record in each transaction.
    pub(super) fn still(names: &Names) -> Self {
        let storm = Storm { lasts: 1, still: 500, ..Storm::default() };
        Self {
            storm: known(storm, names),
            ingests: 1,
            updaters: 1,
            commit_interval: Duration::from_millis(50),
            max_records: 1,
            hot_states: 100,
            session_timeout: Duration::from_secs(60),
            transaction_timeout: Duration::from_secs(60),
            standby: Standby::default(),
            guards: Guards::default(),
            arrivals: vec![0],
            starts: vec![0],
        }
    }

    pub(super) fn draw(seed: u64, weather: Weather, names: &Names) -> Self {
        let mut chance = Rng::with_seed(seed ^ 0x73_746f_726d);
        let lasts = chance.i64(1_000..9_000);
        let (session_timeout, transaction_timeout) = (chance.i64(300..3_000), chance.i64(300..4_000));
        let storm = Storm {
            faults: faults(&mut chance, weather),
            gusts: chance.u32(2..40),
            weights: weights(&mut chance, weather),
            lasts,
            still: 2 * session_timeout + transaction_timeout + 1_000,
            longest_rest: chance.i64(50..6_000),
            longest_linger: chance.i64(5..600),
            ..Storm::default()
        };
        let some = chance.usize(1..8);
        Self {
            storm: known(storm, names),
            ingests: chance.u64(1..=3),
            updaters: chance.u64(1..=3),
            commit_interval: Duration::from_millis(chance.u64(20..200)),
            max_records: chance.usize(1..12),
            hot_states: chance.usize(1..6),
            session_timeout: Duration::from_millis(session_timeout.unsigned_abs()),
            transaction_timeout: Duration::from_millis(transaction_timeout.unsigned_abs()),
            standby: standby(seed),
            guards: guards(weather),
            arrivals: (0..some).map(|_| chance.i64(0..lasts)).collect(),
            starts: (0..3).map(|_| if chance.bool() { 0 } else { chance.i64(0..lasts) }).collect(),
        }
    }

    /// When the worker of this number starts.
    pub(super) fn starts(&self, number: u64) -> i64 {
        usize::try_from(number).ok().and_then(|number| self.starts.get(number)).copied().unwrap_or(0)
    }

    /// The input in the pieces in which it comes in, each with its time.
    pub(super) fn chunks(&self, input: &Input) -> Vec<(i64, Vec<Output>)> {
        let mut times = self.arrivals.clone();
        times.sort_unstable();
        let size = input.records.len().div_ceil(times.len().max(1)).max(1);
        let chunks = input.records.chunks(size).map(<[Output]>::to_vec);
        times.into_iter().zip(chunks).collect()
    }
}

fn known(storm: Storm, names: &Names) -> Storm {
    let watched = names.outputs.iter().chain([&names.ingest_changelog, &names.updater_changelog]);
    Storm {
        changelogs: vec![names.ingest_changelog.clone(), names.updater_changelog.clone()],
        groups: names.groups.clone(),
        watched: watched.map(|topic| (topic.clone(), names.partitions)).collect(),
        ..storm
    }
}

/// A third of the seeds have copies, and some of the others a newcomer that waits until it is warm.
fn standby(seed: u64) -> Standby {
    let mut chance = Rng::with_seed(seed ^ 0x73_7461_6e64);
    if chance.bool() {
        return Standby::default();
    }
    Standby { copies: chance.usize(0..3), join_when_warm: chance.bool(), warm_lag: chance.u64(0..20) }
}

fn guards(weather: Weather) -> Guards {
    let Weather::Without(twin) = weather else { return Guards::default() };
    Guards {
        fence: twin != Twin::NoFence,
        offsets_in_transaction: twin != Twin::OffsetsOutside,
        trailer: twin != Twin::NoTrailer,
        state_after_commit: twin != Twin::StateFirst,
        replace_producer: twin != Twin::ProducerKept,
        share_out: twin != Twin::NobodysShare,
        ..Guards::default()
    }
}

/// Each seed has only some of the faults, so that one does not hide another.
fn faults(chance: &mut Rng, weather: Weather) -> Faults {
    let mut some = |most: u32| if chance.u32(0..5) < 2 { chance.u32(0..most) } else { 0 };
    Faults {
        fails: some(12),
        lost_answers: some(12),
        slow: some(30),
        deaf: some(900),
        repeats: some(200),
        troubled_commits: some(500),
        silent_copies: if weather.tears() { 100 + some(400) } else { 0 },
        held_stores: some(300),
        late_markers: some(3) > 0,
        accepts_stale: weather == Weather::Without(Twin::StaleGeneration),
    }
}

/// A changelog is not compacted before its torn frames have been made again: `min.compaction.lag.ms` sees to it.
fn weights(chance: &mut Rng, weather: Weather) -> Vec<(Gust, u32)> {
    let all = [
        (Gust::Crash, 8),
        (Gust::PowerCut, 4),
        (Gust::LoseDirectory, 2),
        (Gust::Pause, 10),
        (Gust::Stop, 4),
        (Gust::Stranger, 4),
        (Gust::Flush, 4),
        (Gust::BreakDisk, 3),
        (Gust::Compact, 2),
    ];
    let mut weights: Vec<_> = all.into_iter().filter(|_| chance.bool()).collect();
    weights.retain(|(gust, _)| *gust != Gust::Compact || !weather.tears());
    // Late markers are written some time.
    weights.push((Gust::Marker, 30));
    weights
}
