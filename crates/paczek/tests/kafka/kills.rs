//! Whatever is killed whenever: the same outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;

use crate::support::clickstreams;
use crate::support::cluster::Cluster;
use crate::support::shop::{Demo, INGEST, PROFILE_UPDATER, Shop, wait};
use crate::support::worker::{Fate, Worker};

/// Kills in the long run.
const KILLS: usize = 10;
/// Small transactions, so that there are many of them to be killed in.
const SMALL: (&str, &str) = ("TRANSACTIONS__MAX_RECORDS", "60");
/// Small memory: most profiles are read back from RocksDB.
const FEW_HOT: (&str, &str) = ("PROFILES__HOT", "1000");
/// A lost instance's seat and transaction are free again soon.
const SOON: [(&str, &str); 2] =
    [("TRANSACTIONS__SESSION_TIMEOUT", "1500ms"), ("TRANSACTIONS__TIMEOUT", "6s")];
/// Steps at which a transaction is open at the broker.
const OPEN_STEPS: [&str; 5] = ["OutputsSent", "Sealed", "Drained", "TrailersWritten", "OffsetsSent"];

#[test]
fn two_instances_write_what_the_demo_writes() {
    let Some(file) = clickstreams::ten_days() else { return };
    let cluster = Cluster::take();
    let shop = Shop::open(&cluster, "two", &[]);
    shop.load(&file);
    let workers = [Worker::start(&shop, "a", &Fate::default()), Worker::start(&shop, "b", &Fate::default())];
    shop.finish(|| {});
    let demo = Demo::of(&file);
    assert_eq!(demo.json["abandoned_carts"], 307);
    assert_eq!(shop.digests(), demo.digests);
    workers.into_iter().for_each(Worker::end);
}

#[test]
fn ten_kills_inside_open_transactions_lose_and_double_nothing() {
    let Some(file) = clickstreams::one_hour() else { return };
    let cluster = Cluster::take();
    let shop = Shop::open(&cluster, "kills", &[SMALL, SOON[0], SOON[1]]);
    shop.load(&file);
    let mut bench = Bench::new(&shop, 0x9ac2);
    bench.kill(KILLS);
    let (demo, kills) = bench.finish(&file);
    println!("{} kills: {kills:#?}", kills.len());
    assert_eq!(demo.json["abandoned_carts"], 4935);
}

#[test]
fn kills_with_a_thousand_profiles_in_memory_lose_and_double_nothing() {
    let Some(file) = clickstreams::one_hour() else { return };
    let cluster = Cluster::take();
    let shop =
        Shop::open(&cluster, "few-hot", &[("TRANSACTIONS__MAX_RECORDS", "120"), FEW_HOT, SOON[0], SOON[1]]);
    shop.load(&file);
    let mut bench = Bench::new(&shop, 0x51ee);
    bench.kill(2);
    bench.finish(&file);
}

#[test]
fn without_offsets_in_the_transaction_a_kill_doubles() {
    let Some(file) = clickstreams::ten_days() else { return };
    let cluster = Cluster::take();
    // Who is said to double must take more of somebody's events at once than a profile remembers.
    let large = [("TRANSACTIONS__MAX_RECORDS", "2000"), ("TRANSACTIONS__INTERVAL", "1s")];
    let shop = Shop::open(&cluster, "outside", &large);
    shop.load(&file);
    let ingest = Worker::start_as("ingest", &shop, "a", &Fate::default());
    let ends = shop.ends("clickstream");
    wait("ingest takes all", || shop.has_taken(INGEST, &ends));
    ingest.end();
    let without = "offsets".to_owned();
    let fate = Fate {
        signal: "KILL".into(),
        processor: PROFILE_UPDATER.into(),
        step: "Committed".into(),
        transaction: 2,
        records: 1,
        without: without.clone(),
    };
    let mut doomed = Worker::start_as("profile-updater", &shop, "a", &fate);
    wait("the kill", || doomed.has_ended());
    let worker = Worker::start(&shop, "a", &Fate { without, ..Fate::default() });
    shop.finish(|| {});
    let (found, demo) = (&shop.digests()["profile-updates"], &Demo::of(&file).digests["profile-updates"]);
    assert!(found.records > demo.records, "without its guard this run must show doubles");
    drop(worker);
}

/// Two instances, killed in turn.
struct Bench<'a> {
    shop: &'a Shop,
    random: Rng,
    workers: BTreeMap<&'static str, Worker>,
    kills: Vec<Kill>,
}

/// One kill, and what was seen of it.
#[derive(Debug)]
struct Kill {
    instance: &'static str,
    note: String,
    /// The processor's committed offsets when it was killed.
    committed: i64,
    wiped: bool,
}

impl<'a> Bench<'a> {
    fn new(shop: &'a Shop, seed: u64) -> Self {
        let mut bench =
            Self { shop, random: Rng::with_seed(seed), workers: BTreeMap::new(), kills: Vec::new() };
        for (instance, first) in [("a", 100), ("b", 130)] {
            bench.start(instance, first);
        }
        bench
    }

    /// Starts an instance that dies in its transaction number `from` or a little later.
    fn start(&mut self, instance: &'static str, from: usize) {
        let fate = Fate {
            signal: "KILL".into(),
            processor: [INGEST, PROFILE_UPDATER][self.random.usize(..2)].into(),
            step: OPEN_STEPS[self.random.usize(..OPEN_STEPS.len())].into(),
            transaction: from + self.random.usize(..8),
            records: self.random.usize(1..=50),
            ..Fate::default()
        };
        self.workers.insert(instance, Worker::start(self.shop, instance, &fate));
    }

    fn kill(&mut self, kills: usize) {
        while self.kills.len() < kills {
            let mut died = None;
            wait("the next kill", || {
                died = self.workers.iter_mut().find_map(|(name, worker)| worker.has_ended().then_some(*name));
                died.is_some()
            });
            self.bury(died.expect("an instance died"), kills);
        }
    }

    /// Looks at what the dead left behind, and starts the instance again: once without its directory.
    fn bury(&mut self, instance: &'static str, kills: usize) {
        let worker = self.workers.remove(instance).expect("it ran");
        let note = worker.notes().into_iter().rfind(|note| note.starts_with("KILL")).expect("it was killed");
        let processor = note.split(' ').nth(1).expect("a processor").to_owned();
        assert!(self.leaves_a_transaction_open(), "{note}: no transaction was open at the broker");
        let committed = self.shop.committed(&processor);
        let wiped = kills >= KILLS && self.kills.len() + 1 == kills / 2;
        if wiped {
            std::fs::remove_dir_all(self.shop.state(instance)).unwrap();
        }
        println!(
            "{instance}: {note}, {committed} offsets committed{}",
            if wiped { ", directory deleted" } else { "" }
        );
        self.kills.push(Kill { instance, note, committed, wiped });
        if self.kills.len() < kills {
            self.start(instance, 20);
        } else {
            self.workers.insert(instance, Worker::start(self.shop, instance, &Fate::default()));
        }
    }

    /// Whether some partition holds records of a transaction that nobody goes on with. Those of who lives may stand
    /// before them for a moment.
    fn leaves_a_transaction_open(&self) -> bool {
        let topics =
            ["events", "profile-updates", "ingest-clickstream-changelog", "profile-updater-changelog"];
        (0..3).any(|_| {
            let before = self.shop.unstable(&topics);
            std::thread::park_timeout(Duration::from_millis(300));
            !before.is_disjoint(&self.shop.unstable(&topics))
        })
    }

    /// Lets the rest run to its end undisturbed and checks everything.
    fn finish(mut self, file: &std::path::Path) -> (Demo, Vec<Kill>) {
        for instance in ["a", "b"] {
            let worker = self.workers.remove(instance).expect("it runs");
            drop(worker);
            self.workers.insert(instance, Worker::start(self.shop, instance, &Fate::default()));
        }
        self.shop.finish(|| {});
        let demo = Demo::of(file);
        assert_eq!(self.shop.digests(), demo.digests, "lost or doubled");
        self.check_progress();
        self.check_restores();
        std::mem::take(&mut self.workers).into_values().for_each(Worker::end);
        (demo, self.kills)
    }

    /// Every kill fell while 5 to 95 % of the processor's offsets were committed.
    fn check_progress(&self) {
        for kill in &self.kills {
            let processor = kill.note.split(' ').nth(1).expect("a processor");
            let percent = kill.committed * 100 / self.shop.committed(processor);
            assert!((5..=95).contains(&percent), "{kill:?} fell at {percent} % of {processor}");
        }
    }

    /// A restart on its directory reads what has been written since, not the changelog. From the beginning a
    /// partition is read only by an instance that has never had it, or has lost its directory since.
    fn check_restores(&self) {
        let mut came_back = 0;
        for (instance, worker) in &self.workers {
            let (mut known, mut warm, mut cold) = (BTreeSet::new(), Vec::new(), Vec::new());
            let mut kills = self.kills.iter().filter(|kill| kill.instance == *instance);
            for note in worker.notes() {
                let words: Vec<&str> = note.split(' ').collect();
                match words[..] {
                    ["KILL", ..] if kills.next().is_some_and(|kill| kill.wiped) => known.clear(),
                    ["restored", PROFILE_UPDATER, partition, from, records, _] => {
                        let (from, records): (u64, u64) = (from.parse().unwrap(), records.parse().unwrap());
                        assert!(from > 0 || !known.contains(partition), "{instance} read too much: {note}");
                        if from > 0 {
                            known.insert(partition.to_owned());
                        }
                        if from == 0 { cold.push(records) } else { warm.push(records) }
                    }
                    _ => {}
                }
            }
            println!("{instance}: changelog records read on its directory {warm:?}, without one {cold:?}");
            came_back += warm.len();
        }
        // Which partitions an instance is given when it comes back is the group's to say.
        assert!(came_back > 0, "nobody came back on a directory");
    }
}
