use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use stream_runtime::{Guards, Health, RuntimeError, TRAILER_KEY, Trailer};

use crate::shop::{OneWorker, Shop};

/// Writes as the version before this one does.
fn old(name: &'static str) -> OneWorker {
    let guards = Guards { spread_in_trailer: false, ..Guards::default() };
    OneWorker { guards, ..OneWorker::named(name) }
}

/// Two instances are replaced one after the other while numbers come in and the other one works; one of them goes
/// back for a while.
#[test]
fn a_rolling_upgrade_of_two_instances_under_load_loses_and_doubles_nothing() {
    let shop = Shop::open();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                shop.write(50);
                thread::sleep(Duration::from_millis(10));
            }
        });
        let start = |worker| Instance::start(scope, &shop, worker);
        let mut instances = [start(old("one")), start(old("two"))];
        for (place, next) in [
            (0, OneWorker::named("one")),
            (1, OneWorker::named("two")),
            (0, old("one")),
            (0, OneWorker::named("one")),
        ] {
            wait_for_more(&shop);
            instances[place].end();
            wait_for_more(&shop);
            instances[place] = start(next);
        }
        wait_for_more(&shop);
        is_over.store(true, Ordering::Relaxed);
        wait("all is counted", || shop.is_done());
        instances.iter_mut().for_each(Instance::end);
    });
    assert_eq!(shop.sums(), shop.expected());
    let trailers =
        shop.records("changelog").into_iter().filter(|one| one.key.as_deref() == Some(TRAILER_KEY));
    let mut versions: Vec<u32> =
        trailers.map(|one| Trailer::decode(&one.value.unwrap()).unwrap().version).collect();
    versions.dedup();
    assert!(versions.len() > 2, "both forms alternate in the changelog: {versions:?}");
}

/// A worker on a thread of its own.
struct Instance<'scope> {
    health: Arc<Health>,
    thread: Option<ScopedJoinHandle<'scope, Result<(), RuntimeError>>>,
}

impl<'scope> Instance<'scope> {
    fn start<'env>(scope: &'scope Scope<'scope, 'env>, shop: &'env Shop, worker: OneWorker) -> Self {
        let health = Arc::new(Health::default());
        let asked = Arc::clone(&health);
        Self { health, thread: Some(scope.spawn(move || worker.run(shop, &asked))) }
    }

    fn end(&mut self) {
        self.health.stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

/// Waits until whoever works has said some more.
fn wait_for_more(shop: &Shop) {
    let said = || shop.sums().values().map(Vec::len).sum::<usize>();
    let before = said();
    wait("more is counted", || said() > before + 500);
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
