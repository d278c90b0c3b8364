use std::thread;
use std::time::Duration;

use stream_runtime::{Guards, Health, TRAILER_KEY, Trailer};

use crate::shop::{OneWorker, Shop};

/// Writes as the version before this one does.
fn old(name: &'static str) -> OneWorker {
    let guards = Guards { spread_in_trailer: false, ..Guards::default() };
    OneWorker { guards, ..OneWorker::named(name) }
}

/// Two instances are replaced one after the other, and one of them goes back, while numbers come in.
#[test]
fn a_rolling_upgrade_of_two_instances_under_load_loses_and_doubles_nothing() {
    let mut shop = Shop::open();
    for round in [
        [old("one"), old("two")],
        [OneWorker::named("one"), old("two")],
        [OneWorker::named("one"), OneWorker::named("two")],
        [old("one"), OneWorker::named("two")],
        [OneWorker::named("one"), OneWorker::named("two")],
    ] {
        shop.write(2_000);
        let health = [Health::default(), Health::default()];
        thread::scope(|scope| {
            let shop = &shop;
            let workers: Vec<_> = round
                .iter()
                .zip(&health)
                .map(|(worker, health)| scope.spawn(move || worker.run(shop, health)))
                .collect();
            while !shop.is_done() && !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
                thread::sleep(Duration::from_millis(5));
            }
            health.iter().for_each(Health::stop);
            workers.into_iter().for_each(|worker| worker.join().unwrap().unwrap());
        });
        assert_eq!(shop.sums(), shop.expected());
    }
    let trailers =
        shop.records("changelog").into_iter().filter(|one| one.key.as_deref() == Some(TRAILER_KEY));
    let mut versions: Vec<u32> =
        trailers.map(|one| Trailer::decode(&one.value.unwrap()).unwrap().version).collect();
    versions.dedup();
    assert!(versions.len() > 2, "both forms alternate in the changelog: {versions:?}");
}
