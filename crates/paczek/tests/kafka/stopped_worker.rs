//! A worker that stands still while another takes its partitions over, and then goes on. The other one would end its
//! transaction at once: here it may not, so that only the fence stands between the shop and doubles.

use crate::support::clickstreams;
use crate::support::cluster::Cluster;
use crate::support::shop::{Demo, PROFILE_UPDATER, Shop, wait};
use crate::support::worker::{Fate, Worker};

use paczek::TopicDigest;

#[test]
fn a_worker_stopped_inside_a_transaction_and_continued_after_its_replacement_changes_nothing() {
    let Some(file) = clickstreams::ten_days() else { return };
    let (found, expected) = stop_and_continue(&file, "stopped", "ending");
    assert_eq!(found, expected);
}

#[test]
fn without_the_fence_it_doubles() {
    let Some(file) = clickstreams::ten_days() else { return };
    let (found, expected) = stop_and_continue(&file, "unfenced", "ending, fence");
    assert!(found.records > expected.records, "without its guard this run must show doubles");
}

/// The digests of the run's and the demo's profile updates.
fn stop_and_continue(file: &std::path::Path, name: &str, without: &str) -> (TopicDigest, TopicDigest) {
    let cluster = Cluster::take();
    let settings = [
        ("TRANSACTIONS__MAX_RECORDS", "400"),
        ("TRANSACTIONS__SESSION_TIMEOUT", "2s"),
        // Longer than the stop, so that not the broker ends the stopped one's transaction either.
        ("TRANSACTIONS__TIMEOUT", "60s"),
    ];
    let shop = Shop::open(&cluster, name, &settings);
    shop.load(file);
    let fate = Fate {
        signal: "STOP".into(),
        processor: PROFILE_UPDATER.into(),
        step: "OutputsSent".into(),
        transaction: 4,
        records: 200,
        without: without.into(),
    };
    let stopped = Worker::start(&shop, "a", &fate);
    wait("the stop", || stopped.is_stopped());
    let updates = shop.extents(&shop.topic("profile-updates"));
    assert!(
        updates.values().any(|extent| extent.stable_end < extent.end),
        "its transaction is open at the broker"
    );
    let before = shop.group_offsets(PROFILE_UPDATER);
    let other = Worker::start(&shop, "b", &Fate { without: without.into(), ..Fate::default() });
    wait("the other takes every partition over", || {
        let now = shop.group_offsets(PROFILE_UPDATER);
        (0..4).all(|partition| now.get(&partition) > before.get(&partition))
    });
    stopped.proceed();
    shop.finish(|| {});
    let found = shop.digests().remove("profile-updates").expect("a digest");
    let expected = Demo::of(file).digests.remove("profile-updates").expect("a digest");
    drop((stopped, other));
    (found, expected)
}
