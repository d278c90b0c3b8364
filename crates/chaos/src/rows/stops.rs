//! Workers that stand still while time goes on without them.

use std::time::{Duration, Instant};

use super::kills::{FRONT, SOON};
use crate::feed::Feed;
use crate::oracle::{LiveReader, judge};
use crate::shop::{PROFILE_UPDATER, Shop, wait};
use crate::stage::Stage;
use crate::tried::Tried;
use crate::worker::{Fate, Worker, now};

/// F-04: a worker is stopped inside a transaction, replaced, and goes on.
pub(super) fn zombie(stage: &mut Stage, number: usize) -> Tried {
    // Longer than the stop, so that nothing but the fence ends the stopped one's transaction.
    let timeout = ("TRANSACTIONS__TIMEOUT", "120s");
    let stop = stage.size(60, 3);
    stand_still(stage, 400 + number as u64, timeout, Some(Duration::from_secs(stop)))
}

/// F-15: the broker gives up a transaction whose worker stands still.
pub(super) fn timed_out(stage: &mut Stage, number: usize) -> Tried {
    let timeout = ("TRANSACTIONS__TIMEOUT", "8s");
    stand_still(stage, 1_500 + number as u64, timeout, None)
}

/// With another worker that takes over for the time given, else alone until the broker has aborted.
fn stand_still(stage: &mut Stage, seed: u64, timeout: (&str, &str), replaced: Option<Duration>) -> Tried {
    let input = stage.clicks(seed, 10_000);
    let reference = stage.reference(&input);
    let cluster = stage.cluster(1);
    let session = ("TRANSACTIONS__SESSION_TIMEOUT", "2s");
    let shop = stage.shop(&cluster, &[("TRANSACTIONS__MAX_RECORDS", "400"), session, timeout]);
    let mut tried = Tried { events: input.events, faults: 1, ..Tried::default() };
    let live = LiveReader::start(&shop, &cluster.bootstrap);
    Feed::start(&shop, &cluster.bootstrap, input.records(), usize::MAX).finish();
    // What has not been acknowledged may still wait in the client.
    let fate = at("STOP", "Drained");
    let stopped = Worker::start(&shop, "a", &fate);
    wait("the stop", || stopped.is_stopped());
    wait("its transaction is open at the broker", || is_open(&shop));
    let began = now();
    let other = replaced.map(|time| {
        let other = Worker::start(&shop, "b", &Fate::default());
        wait("another takes over", || !other.applied(PROFILE_UPDATER).is_empty());
        tried.recovery_ms = now() - began;
        std::thread::sleep(time.saturating_sub(Duration::from_millis(now() - began)));
        other
    });
    if other.is_none() {
        wait("the broker aborts", || !is_open(&shop));
        tried.recovery_ms = now() - began;
    }
    stopped.proceed();
    shop.finish(|| {});
    live.finish(&shop, &mut tried);
    judge(&shop, &reference, &FRONT, &mut tried);
    tried
}

/// F-12: a handler takes longer than a member may be silent.
pub(super) fn slow_handler(stage: &mut Stage, number: usize) -> Tried {
    let input = stage.clicks(1_200 + number as u64, 10_000);
    let reference = stage.reference(&input);
    let cluster = stage.cluster(1);
    let shop = stage.shop(&cluster, &[SOON[0], SOON[1], ("TRANSACTIONS__MAX_RECORDS", "400")]);
    let mut tried = Tried { events: input.events, faults: 1, ..Tried::default() };
    let live = LiveReader::start(&shop, &cluster.bootstrap);
    Feed::start(&shop, &cluster.bootstrap, input.records(), usize::MAX).finish();
    // max.poll.interval.ms is five minutes.
    let mut slow = at("SLEEP 315", "OutputsSent");
    slow.transaction = 2;
    let began = Instant::now();
    let ingest = Worker::start_as("ingest", &shop, "i", &Fate::default());
    let slow = Worker::start_as("profile-updater", &shop, "a", &slow);
    wait("it sleeps", || slow.notes().iter().any(|note| note.starts_with("SLEEP")));
    let other = Worker::start(&shop, "b", &Fate::default());
    std::thread::sleep(Duration::from_secs(330).saturating_sub(began.elapsed()));
    shop.finish(|| {});
    live.finish(&shop, &mut tried);
    judge(&shop, &reference, &FRONT, &mut tried);
    drop((ingest, slow, other));
    tried
}

fn at(signal: &str, step: &str) -> Fate {
    Fate {
        signal: signal.into(),
        processor: PROFILE_UPDATER.into(),
        step: step.into(),
        transaction: 4,
        records: 200,
        ..Fate::default()
    }
}

/// Whether records of an open transaction stand in `profile-updates`.
fn is_open(shop: &Shop) -> bool {
    !shop.unstable(&["profile-updates"]).is_empty()
}
