//! Workers that are killed, asked to end, or lose their directory.

use std::time::{Duration, Instant};

use fastrand::Rng;
use stream_runtime::Step;

use crate::crew::Crew;
use crate::feed::Feed;
use crate::oracle::judge;
use crate::shop::{INGEST, PROFILE_UPDATER, RECOMMENDER, Shop, wait};
use crate::stage::{Input, Scale, Stage};
use crate::tried::Tried;
use crate::worker::{Fate, Worker, now};

/// What the first two processors write.
pub(super) const FRONT: [&str; 4] = ["events", "profile-updates", "sessions", "dead-letters"];
/// What all three write.
pub(super) const WHOLE: [&str; 5] = ["events", "profile-updates", "sessions", "dead-letters", "decisions"];
/// A lost worker's seat and transaction are free again soon.
pub(super) const SOON: [(&str, &str); 2] =
    [("TRANSACTIONS__SESSION_TIMEOUT", "1500ms"), ("TRANSACTIONS__TIMEOUT", "6s")];
/// The recovery that F-01 allows, in milliseconds.
const RECOVERY: u64 = 10_000;
/// Rows in a second, of which there are still some when a worker ends for the last time.
const TRICKLE: usize = 200;
/// Between two looks at the workers.
const LOOK: Duration = Duration::from_millis(50);
/// Between two looks at the offsets.
const OFFSETS: Duration = Duration::from_millis(700);
/// Inputs of the soak: each is run again and again, with other kills.
const INPUTS: u64 = 4;
/// Milliseconds from when a group works again to the next kill in it.
const MEAN: f64 = 1_000.0;
/// Between two lines about how far a run has got.
const TOLD: Duration = Duration::from_secs(10);

/// F-01: workers killed at random points, and at random steps of a transaction.
pub(super) fn random_kills(stage: &mut Stage, number: usize) -> Tried {
    let (events, kills) = (stage.size(100_000, 8_000), stage.size(20, 3));
    let input = stage.clicks(100 + number as u64, events);
    let cluster = stage.cluster(1);
    let shop = stage.shop(&cluster, &[SOON[0], SOON[1], ("TRANSACTIONS__MAX_RECORDS", "300")]);
    let crew = if stage.scale == Scale::Full { &["run", "run", "run"][..] } else { &["run", "run"] };
    storm(stage, &shop, &input, crew, Storm { seed: number as u64, kills, rows: 1_000, whole: true })
}

/// One round of the soak: all that is in it is killed over and over, until the input is done.
pub(super) fn soak(stage: &mut Stage, number: usize) -> Tried {
    let whole = number % 4 == 3;
    stage.clear();
    let cluster = stage.cluster(1);
    let interval = ("TRANSACTIONS__INTERVAL", "100ms");
    let seed = number as u64 % INPUTS;
    let until_done = Storm { seed: number as u64, kills: u64::MAX, rows: 20_000, whole };
    if whole {
        let shop = stage.shop(&cluster, &[SOON[0], SOON[1], interval, ("SOURCES__0__FORMAT", "segment")]);
        let input = stage.segment(&shop, seed, stage.size(100_000, 10_000));
        return storm(stage, &shop, &input, &["run", "run"], until_done);
    }
    let shop = stage.shop(&cluster, &[SOON[0], SOON[1], interval]);
    let input = stage.clicks(seed, stage.size(200_000, 20_000));
    let crew = ["ingest", "ingest", "profile-updater", "profile-updater"];
    storm(stage, &shop, &input, &crew, until_done)
}

/// How a run is stormed.
struct Storm {
    seed: u64,
    /// After so many it is left alone.
    kills: u64,
    /// Rows in a second.
    rows: usize,
    /// Whether the recommender runs too.
    whole: bool,
}

/// A run under load whose workers are killed until the input is done, and what came of it.
fn storm(stage: &mut Stage, shop: &Shop, input: &Input, commands: &[&'static str], storm: Storm) -> Tried {
    let mut tried = Tried { events: input.events, ..Tried::default() };
    let reference = stage.reference(input);
    let bootstrap = stage.cluster(1).bootstrap.clone();
    let began = Instant::now();
    let feed = Feed::start(shop, &bootstrap, input.records(), storm.rows);
    let mut crew = Crew::start(shop, commands, storm.seed, 30);
    let mut reaper = Reaper::new(commands, !storm.seed);
    let mut progress = Progress::new(shop, storm.whole);
    while crew.kills() < storm.kills && !(feed.is_over() && progress.is_done()) {
        crew.look();
        reaper.look(&mut crew);
        progress.tell(&crew);
        std::thread::sleep(LOOK);
    }
    crew.spare();
    feed.finish();
    match storm.whole {
        true => shop.finish(|| crew.look()),
        false => shop.finish_front(|| crew.look()),
    }
    let took = began.elapsed().as_secs_f64();
    tried.remark(format!("{:.0} events/s", input.events as f64 / took));
    crew.account(RECOVERY, &mut tried);
    judge(shop, &reference, if storm.whole { &WHOLE } else { &FRONT }, &mut tried);
    crew.end();
    tried
}

/// Kills, in each group for itself, some time after the last one who was killed there works again.
struct Reaper {
    chance: Rng,
    /// By command, when the next one dies, once that is known.
    next: Vec<(&'static str, Option<u64>)>,
}

impl Reaper {
    fn new(commands: &[&'static str], seed: u64) -> Self {
        let mut groups = commands.to_vec();
        groups.dedup();
        Self { chance: Rng::with_seed(seed), next: groups.into_iter().map(|group| (group, None)).collect() }
    }

    fn look(&mut self, crew: &mut Crew<'_>) {
        for (group, next) in &mut self.next {
            match *next {
                None if crew.is_settled(group) => *next = Some(now() + wait_for_next(&mut self.chance)),
                Some(due) if now() >= due => {
                    crew.strike(group);
                    *next = None;
                }
                _ => {}
            }
        }
    }
}

/// Milliseconds until the next of events that know nothing of each other.
fn wait_for_next(chance: &mut Rng) -> u64 {
    (-(1.0 - chance.f64()).ln() * MEAN) as u64
}

/// How far a run has got, asked now and then.
struct Progress<'a> {
    shop: &'a Shop,
    told: Instant,
    left: Vec<(&'static str, &'static str)>,
    ends: Option<std::collections::BTreeMap<i32, i64>>,
    asked: Instant,
}

impl<'a> Progress<'a> {
    fn new(shop: &'a Shop, whole: bool) -> Self {
        let mut left = vec![(INGEST, "clickstream"), (PROFILE_UPDATER, "events")];
        if whole {
            left.push((RECOMMENDER, "profile-updates"));
        }
        left.reverse();
        Self { shop, told: Instant::now(), left, ends: None, asked: Instant::now() }
    }

    fn tell(&mut self, crew: &Crew<'_>) {
        if self.told.elapsed() >= TOLD {
            self.told = Instant::now();
            let of = |processor| self.shop.committed(processor);
            let (kills, taken, followed) = (crew.kills(), of(INGEST), of(PROFILE_UPDATER));
            eprintln!("  {kills} kills; offsets: {taken} of clickstream, {followed} of events");
        }
    }

    /// Whether every processor has taken what the one before it wrote. The feed must be over.
    fn is_done(&mut self) -> bool {
        let Some((processor, input)) = self.left.last().copied() else { return true };
        if self.asked.elapsed() < OFFSETS {
            return false;
        }
        self.asked = Instant::now();
        let ends = self.ends.get_or_insert_with(|| self.shop.ends(input));
        if self.shop.has_taken(processor, ends) {
            self.left.pop();
            self.ends = None;
        }
        self.left.is_empty()
    }
}

/// F-02: workers asked to end, and started again: nothing is done twice, so nothing is left to read.
pub(super) fn orderly_ends(stage: &mut Stage, number: usize) -> Tried {
    let (events, stops) = (stage.size(100_000, 15_000), stage.size(20, 3));
    let input = stage.clicks(200 + number as u64, events);
    let reference = stage.reference(&input);
    let cluster = stage.cluster(1);
    let shop = stage.shop(&cluster, &[SOON[0], SOON[1], ("TRANSACTIONS__MAX_RECORDS", "300")]);
    let mut tried = Tried { events, ..Tried::default() };
    let feed = Feed::start(&shop, &cluster.bootstrap, input.records(), TRICKLE);
    let mut worker = Worker::start(&shop, "a", &Fate::default());
    for _ in 0..stops {
        let before = worker.applied(PROFILE_UPDATER).len();
        wait("it commits", || worker.applied(PROFILE_UPDATER).len() > before + 2);
        let (asked, notes) = (Instant::now(), worker.notes().len());
        worker.end();
        let drained = u64::try_from(asked.elapsed().as_millis()).expect("small");
        tried.recovered(drained, RECOVERY);
        tried.faults += 1;
        worker = Worker::start(&shop, "a", &Fate::default());
        wait("its tasks open", || restored(&worker, notes).len() >= 4);
        let again: u64 = restored(&worker, notes).into_iter().sum();
        tried.holds(again == 0, || format!("{again} changelog records were read again after an orderly end"));
    }
    feed.finish();
    shop.finish(|| {});
    judge(&shop, &reference, &WHOLE, &mut tried);
    worker.end();
    tried
}

/// The changelog records that were read for each task of profile-updater, in the notes behind the first so many.
fn restored(worker: &Worker, skip: usize) -> Vec<u64> {
    let of = |note: &String| {
        let words: Vec<&str> = note.split(' ').collect();
        let ours = words.first() == Some(&"restored") && words.get(1) == Some(&PROFILE_UPDATER);
        words.get(4).filter(|_| ours)?.parse().ok()
    };
    worker.notes().iter().skip(skip).filter_map(of).collect()
}

/// F-03: killed after each step of a transaction, and in the middle of a restore. Before each kill there is something to
/// read, for whoever is not killed reads on meanwhile.
pub(super) fn every_step(stage: &mut Stage, number: usize) -> Tried {
    let (events, seeds) = (stage.size(40_000, 8_000), stage.size(5, 1));
    let input = stage.clicks(300 + number as u64, events);
    let reference = stage.reference(&input);
    let cluster = stage.cluster(1);
    let shop = stage.shop(&cluster, &[SOON[0], SOON[1], ("TRANSACTIONS__MAX_RECORDS", "60")]);
    let mut tried = Tried { events, ..Tried::default() };
    let mut chance = Rng::with_seed(number as u64);
    let processors =
        if stage.scale == Scale::Full { &[INGEST, PROFILE_UPDATER][..] } else { &[PROFILE_UPDATER] };
    let deaths: Vec<_> = processors.iter().flat_map(|one| Step::ALL.map(|step| (*one, step))).collect();
    let records = input.records();
    let mut helpings = records.chunks(records.len().div_ceil(deaths.len() * seeds as usize));
    for _ in 0..seeds {
        for (processor, step) in &deaths {
            let helping = helpings.next().unwrap_or_default().to_vec();
            Feed::start(&shop, &cluster.bootstrap, helping, usize::MAX).finish();
            die_at(&shop, processor, *step, &mut chance, &mut tried);
        }
        die_restoring(&shop, &mut chance, &mut tried);
    }
    let worker = Worker::start(&shop, "a", &Fate::default());
    shop.finish(|| {});
    judge(&shop, &reference, &WHOLE, &mut tried);
    worker.end();
    tried
}

fn die_at(shop: &Shop, processor: &str, step: Step, chance: &mut Rng, tried: &mut Tried) {
    let step = format!("{step:?}");
    let fate = Fate {
        signal: "KILL".into(),
        processor: processor.to_owned(),
        step: step.clone(),
        transaction: chance.usize(2..6),
        records: 1,
        ..Fate::default()
    };
    let mut doomed = Worker::start(shop, "a", &fate);
    wait("the kill", || doomed.has_ended());
    let met = doomed.notes().iter().any(|note| note.starts_with("KILL") && note.contains(&step));
    tried.holds(met, || format!("{processor} did not die at {step}: {}", doomed.said()));
    tried.faults += 1;
    tried.kills += 1;
}

/// Without its directory everything is read back; it dies on the way.
fn die_restoring(shop: &Shop, chance: &mut Rng, tried: &mut Tried) {
    std::fs::remove_dir_all(shop.state("a")).expect("its directory goes");
    let mut worker = Worker::start(shop, "a", &Fate::default());
    wait("it begins", || shop.state("a").join(PROFILE_UPDATER).exists() || worker.has_ended());
    std::thread::sleep(Duration::from_millis(chance.u64(..300)));
    worker.kill();
    tried.faults += 1;
    tried.kills += 1;
}

/// F-23: the state directory is gone, and everything is read back from the changelog.
pub(super) fn lost_directory(stage: &mut Stage, number: usize) -> Tried {
    let events = stage.size(400_000, 15_000);
    let input = stage.clicks(2_300 + number as u64, events);
    let reference = stage.reference(&input);
    let cluster = stage.cluster(1);
    let shop = stage.shop(&cluster, &[SOON[0], SOON[1], ("TRANSACTIONS__MAX_RECORDS", "300")]);
    let mut tried = Tried { events, faults: 1, ..Tried::default() };
    let mut records = input.records();
    let rest = records.split_off(records.len() * 9 / 10);
    Feed::start(&shop, &cluster.bootstrap, records, usize::MAX).finish();
    let worker = Worker::start(&shop, "a", &Fate::default());
    shop.finish(|| {});
    worker.end();
    std::fs::remove_dir_all(shop.state("a")).expect("its directory goes");
    let began = now();
    let worker = Worker::start_as("profile-updater", &shop, "a", &Fate::default());
    let notes = worker.notes().len();
    wait("its tasks open", || restored(&worker, notes).len() >= 4);
    let (took, read) = ((now() - began).max(1), restored(&worker, notes).into_iter().sum::<u64>());
    tried.recovery_ms = took;
    tried.remark(format!("{read} changelog records in {took} ms, start of the process included"));
    if stage.scale == Scale::Full {
        tried.meets(read * 1_000 / took >= 50_000, || {
            format!("{} records/s instead of 50,000", read * 1_000 / took)
        });
    }
    worker.end();
    Feed::start(&shop, &cluster.bootstrap, rest, usize::MAX).finish();
    let worker = Worker::start(&shop, "a", &Fate::default());
    shop.finish(|| {});
    judge(&shop, &reference, &WHOLE, &mut tried);
    worker.end();
    tried
}
