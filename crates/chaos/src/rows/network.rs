//! A network that delays, cuts and swallows, and the end of a transaction that comes too late.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::kills::{FRONT, SOON};
use crate::crew::Crew;
use crate::feed::Feed;
use crate::oracle::{LiveReader, judge};
use crate::proxy::Proxy;
use crate::shop::{PROFILE_UPDATER, wait};
use crate::stage::Stage;
use crate::tried::Tried;
use crate::worker::{Fate, Worker, now};

/// A worker that is cut off takes less of a core than this, in percent.
const SPIN: u128 = 20;
/// How long one held request may take to be let go.
const HELD: Duration = Duration::from_secs(30);
/// Rows a second while requests are held.
const RATE: usize = 400;

/// F-13: 200 ms more each way, 5 of 100 requests cut off, then a black hole. One more worker starts in the midst of it.
pub(super) fn bad_network(stage: &mut Stage, number: usize) -> Tried {
    let (events, phase, hole) = (stage.size(60_000, 10_000), stage.size(20, 4), stage.size(30, 6));
    let input = stage.clicks(1_300 + number as u64, events);
    let reference = stage.reference(&input);
    let cluster = stage.cluster(1);
    let mut shop = stage.shop(&cluster, &[("TRANSACTIONS__SESSION_TIMEOUT", "6s")]);
    let proxy = Proxy::start(&cluster);
    shop.go_through(proxy.bootstrap.clone());
    let mut tried = Tried { events, faults: 3, ..Tried::default() };
    let seconds = usize::try_from(2 * phase + hole).expect("small");
    let (mut first, rate) = (input.records(), input.events as usize / seconds);
    let rest = first.split_off(rate);
    Feed::start(&shop, &cluster.bootstrap, first, usize::MAX).finish();
    let mut crew = Crew::start(&shop, &["ingest", "profile-updater"], number as u64, 0);
    crew.commits_after(0);
    let feed = Feed::start(&shop, &cluster.bootstrap, rest, rate);
    proxy.delay(Duration::from_millis(200));
    crew.join("newcomer", "profile-updater");
    std::thread::sleep(Duration::from_secs(phase));
    proxy.delay(Duration::ZERO);
    proxy.cut(50);
    std::thread::sleep(Duration::from_secs(phase));
    proxy.cut(0);
    proxy.darken(true);
    let busy = |crew: &Crew<'_>| crew.workers().map(Worker::processor_time).sum::<Duration>();
    let (before, began) = (busy(&crew), Instant::now());
    std::thread::sleep(Duration::from_secs(hole));
    let percent = (busy(&crew) - before).as_millis() * 100 / began.elapsed().as_millis().max(1);
    tried.meets(percent < SPIN, || format!("{percent} % of a core while cut off"));
    let light = now();
    proxy.darken(false);
    crew.commits_after(light);
    tried.recovery_ms = now() - light;
    feed.finish();
    shop.finish_front(|| crew.look());
    crew.account(u64::MAX, &mut tried);
    judge(&shop, &reference, &FRONT, &mut tried);
    crew.end();
    tried
}

/// F-14: the end of a transaction is held until a later one is open.
pub(super) fn late_end(stage: &mut Stage, number: usize) -> Tried {
    let held = stage.size(10, 3);
    hold_ends(stage, number, held, "")
}

/// F-14 with the producer kept: this must show a double.
pub(super) fn late_end_unguarded(stage: &mut Stage, number: usize) -> Tried {
    let held = stage.size(10, 3);
    hold_ends(stage, 500 + number, held, "replacement")
}

fn hold_ends(stage: &mut Stage, number: usize, times: u64, without: &str) -> Tried {
    let events = 4_000 + times * 3_000;
    let input = stage.clicks(1_400 + number as u64, events);
    let reference = stage.reference(&input);
    let cluster = stage.cluster(1);
    let mut shop = stage.shop(&cluster, &[SOON[0], ("TRANSACTIONS__MAX_RECORDS", "50")]);
    let direct = Worker::start_as("ingest", &shop, "ingest", &Fate::default());
    let proxy = Proxy::start(&cluster);
    shop.go_through(proxy.bootstrap.clone());
    let live = LiveReader::start(&shop, &cluster.bootstrap);
    let feed = Feed::start(&shop, &cluster.bootstrap, input.records(), RATE);
    let fate = Fate { without: without.to_owned(), ..Fate::default() };
    let worker = Worker::start_as("profile-updater", &shop, "updater", &fate);
    let mut tried = Tried { events, ..Tried::default() };
    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    while tried.faults < times && !feed.is_over() {
        let before = worker.applied(PROFILE_UPDATER).len();
        wait("it commits", || worker.applied(PROFILE_UPDATER).len() > before + 1);
        if let Some(answer) = hold_one(&proxy) {
            tried.faults += 1;
            *answers.entry(answer).or_default() += 1;
        }
    }
    feed.finish();
    shop.finish_front(|| {});
    tried.remark(format!("{} held; the broker answered {answers:?}", tried.faults));
    let held = tried.faults;
    tried.meets(held == times, || format!("only {held} ends were held"));
    live.finish(&shop, &mut tried);
    judge(&shop, &reference, &FRONT, &mut tried);
    worker.end();
    direct.end();
    tried
}

/// Holds one end of a transaction of profile-updater until a later one is open; what the broker said to it then.
fn hold_one(proxy: &Proxy) -> Option<String> {
    proxy.hold_end_of_transaction(PROFILE_UPDATER);
    let began = Instant::now();
    while began.elapsed() < HELD {
        if let Some(answer) = proxy.released() {
            proxy.let_go();
            return Some(answer.map_or_else(|error| error, |code| format!("error {code}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    proxy.let_go();
    None
}
