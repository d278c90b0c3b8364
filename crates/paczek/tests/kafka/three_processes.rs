//! The three processors as three processes, each killed once: the same decisions, and each made once.

use crate::support::cluster::Cluster;
use crate::support::shop::{Demo, INGEST, PROFILE_UPDATER, RECOMMENDER, Shop, wait};
use crate::support::worker::{Fate, Worker};

/// Lines of clickstream; `GENERATED_EVENTS` and `GENERATED_SEED` set others.
const EVENTS: &str = "20000";
const SEED: &str = "1";
/// So many transactions of each processor at least, so that there are many to be killed in.
const TRANSACTIONS: u64 = 200;
/// A lost process's seat and transaction are free again soon.
const SOON: [(&str, &str); 2] =
    [("TRANSACTIONS__SESSION_TIMEOUT", "1500ms"), ("TRANSACTIONS__TIMEOUT", "6s")];

#[test]
fn three_processes_each_killed_once_decide_what_the_demo_decides() {
    let (events, seed) = (asked("GENERATED_EVENTS", EVENTS), asked("GENERATED_SEED", SEED));
    let cluster = Cluster::take();
    let most = (events.parse::<u64>().unwrap() / TRANSACTIONS).to_string();
    let small = ("TRANSACTIONS__MAX_RECORDS", most.as_str());
    let shop = Shop::open(&cluster, "three", &[small, SOON[0], SOON[1], ("SOURCES__0__FORMAT", "segment")]);
    let file = shop.directory.path().join("clicks.jsonl");
    // Some lines are no text at all.
    let generated = shop.command(&["generate", "--events", &events, "--seed", &seed]);
    std::fs::write(&file, generated.stdout).unwrap();
    shop.expect(&["load", "--format", "segment", file.to_str().unwrap()]);
    let workers = [
        killed_once(&shop, "ingest", INGEST, "OffsetsSent"),
        killed_once(&shop, "profile-updater", PROFILE_UPDATER, "Sealed"),
        killed_once(&shop, "recommender", RECOMMENDER, "TrailersWritten"),
    ];
    shop.finish(|| {});
    let (found, demo) = (shop.digests(), Demo::with(&file, "segment"));
    assert_eq!(found, demo.digests, "lost or doubled");
    check_truth(&events, &seed, &found["decisions"].by_timer);
    check_explained(&shop);
    workers.into_iter().for_each(Worker::end);
}

/// A process that died inside a transaction and was started again on its directory.
fn killed_once(shop: &Shop, command: &str, processor: &str, step: &str) -> Worker {
    let fate = Fate {
        signal: "KILL".into(),
        processor: processor.into(),
        step: step.into(),
        transaction: 30,
        records: 10,
        ..Fate::default()
    };
    let mut doomed = Worker::start_as(command, shop, command, &fate);
    wait(&format!("{command} is killed"), || doomed.has_ended());
    println!("{command}: {}", doomed.notes().join(", "));
    assert!(doomed.notes().iter().any(|note| note.starts_with("KILL")), "{command} ended by itself");
    Worker::start_as(command, shop, command, &Fate::default())
}

/// The shop's truth, which was planned before there were events: nothing missed, nothing made up, and the same
/// outcome for every cart, although the demo took the lines as they arrived and the file is sorted.
fn check_truth(events: &str, seed: &str, by_timer: &str) {
    let demo = Demo::run(&["--events", events, "--seed", seed]);
    assert_eq!((&demo.json["missed"], &demo.json["false_alarms"]), (&0.into(), &0.into()));
    assert_eq!(demo.digests["decisions"].by_timer, by_timer, "other carts were spoken about");
}

/// Every decision is made again from the log, byte for byte.
fn check_explained(shop: &Shop) {
    let verified: serde_json::Value =
        serde_json::from_str(&shop.expect(&["explain", "--all", "--json"])).unwrap();
    println!("explained: {verified}");
    assert!(verified["decisions"].as_u64() > Some(0), "{verified}");
    assert_eq!(verified["rederived"], verified["decisions"], "{verified}");
}

fn asked(variable: &str, otherwise: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| otherwise.to_owned())
}
