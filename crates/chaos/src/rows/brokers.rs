//! Brokers that go away and come back.

use std::time::Duration;

use super::kills::FRONT;
use crate::cluster::Nodes;
use crate::crew::Crew;
use crate::feed::Feed;
use crate::oracle::judge;
use crate::shop::PROFILE_UPDATER;
use crate::stage::Stage;
use crate::tried::Tried;
use crate::worker::{Worker, now};

/// Rows a second while brokers come and go: there is always something to commit.
const RATE: usize = 500;
/// A node that is killed counts as gone after this: until then the same one may not come back.
const KNOWN_SOON: &str = "broker.session.timeout.ms=5000";
/// Between a node that is back and the next one that goes.
const BREATH: Duration = Duration::from_secs(12);

/// F-05: each of three nodes ends in good order and starts again.
pub(super) fn rolling_bounce(stage: &mut Stage, number: usize) -> Tried {
    rolling(stage, 500 + number as u64, "stop", 15_000)
}

/// F-06: each of three nodes is killed and starts again.
pub(super) fn rolling_kill(stage: &mut Stage, number: usize) -> Tried {
    rolling(stage, 600 + number as u64, "kill", 30_000)
}

fn rolling(stage: &mut Stage, seed: u64, how: &str, most: u64) -> Tried {
    under_load(stage, 3, seed, 120, most, |cluster, tried| {
        for node in 1..=3 {
            cluster.node(how, node);
            std::thread::sleep(Duration::from_secs(3));
            cluster.node("start", node);
            tried.faults += 1;
            std::thread::sleep(BREATH);
        }
    })
}

/// F-07: two of three are away, so that nothing can be written.
pub(super) fn two_of_three(stage: &mut Stage, number: usize) -> Tried {
    let away = stage.size(60, 5);
    let mut tried = under_load(stage, 3, 700 + number as u64, away + 60, u64::MAX, |cluster, tried| {
        cluster.node("kill", 2);
        cluster.node("kill", 3);
        std::thread::sleep(Duration::from_secs(away));
        cluster.node("start", 2);
        cluster.node("start", 3);
        tried.faults += 1;
        std::thread::sleep(BREATH);
    });
    tried.meets(tried.recovery_ms < away * 1_000 + 45_000, || "no commit within 30 s".to_owned());
    tried
}

/// F-08: the only one is away.
pub(super) fn only_one(stage: &mut Stage, number: usize) -> Tried {
    let (away, times) = (stage.size(60, 5), stage.size(3, 1));
    let seconds = times * (away + 25);
    let tried =
        under_load(stage, 1, 800 + number as u64, seconds, away * 1_000 + 45_000, |cluster, tried| {
            for _ in 0..times {
                cluster.node("kill", 1);
                std::thread::sleep(Duration::from_secs(away));
                cluster.node("start", 1);
                tried.faults += 1;
                std::thread::sleep(BREATH);
            }
        });
    stage.clear();
    tried
}

/// F-09: the leaders of the internal topics are killed, whichever nodes they are.
pub(super) fn coordinators(stage: &mut Stage, number: usize) -> Tried {
    under_load(stage, 3, 900 + number as u64, 70, 30_000, |cluster, tried| {
        for topic in ["__transaction_state", "__consumer_offsets"] {
            let node = leader(cluster, topic);
            cluster.node("kill", node);
            std::thread::sleep(Duration::from_secs(8));
            cluster.node("start", node);
            tried.faults += 1;
            std::thread::sleep(BREATH);
        }
    })
}

/// The node that leads the first partition of a topic.
fn leader(cluster: &Nodes, topic: &str) -> u16 {
    let told = cluster.tool("org.apache.kafka.tools.TopicCommand", &["--describe", "--topic", topic]);
    let word = told.split("Leader: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    word.and_then(|node| node.parse().ok()).expect("a leader")
}

/// A run with a steady load of at least so many seconds, what happens meanwhile, and what came of it. No time
/// without a commit of profile-updater may be longer than `most` milliseconds.
fn under_load(
    stage: &mut Stage,
    nodes: u16,
    seed: u64,
    seconds: u64,
    most: u64,
    meanwhile: impl FnOnce(&Nodes, &mut Tried),
) -> Tried {
    let input = stage.clicks(seed, seconds * RATE as u64);
    let reference = stage.reference(&input);
    stage.clear();
    let cluster = stage.cluster_with(nodes, KNOWN_SOON);
    let shop = stage.shop(&cluster, &[]);
    let mut tried = Tried { events: input.events, ..Tried::default() };
    let feed = Feed::start(&shop, &cluster.bootstrap, input.records(), RATE);
    let mut crew = Crew::start(&shop, &["ingest", "profile-updater", "profile-updater"], seed, 0);
    let memory = |crew: &Crew<'_>| crew.workers().map(Worker::peak_memory).max().unwrap_or_default();
    crew.commits_after(0);
    let (began, before) = (now(), memory(&crew));
    meanwhile(&cluster, &mut tried);
    let ended = now();
    let grown = memory(&crew).saturating_sub(before) >> 20;
    feed.finish();
    shop.finish_front(|| crew.look());
    let stall = longest_stall(&crew, began, ended);
    tried.recovered(stall, most);
    tried.remark(format!("{grown} MiB more memory"));
    crew.account(u64::MAX, &mut tried);
    judge(&shop, &reference, &FRONT, &mut tried);
    crew.end();
    tried
}

/// The longest time without a commit of profile-updater by whomever, in milliseconds.
fn longest_stall(crew: &Crew<'_>, began: u64, ended: u64) -> u64 {
    let mut commits: Vec<u64> = crew.workers().flat_map(|worker| worker.applied(PROFILE_UPDATER)).collect();
    commits.sort_unstable();
    // The first one behind the end ends a stall, too.
    let behind = commits.iter().find(|at| **at > ended).copied().unwrap_or(ended);
    commits.retain(|at| (began..=behind).contains(at));
    commits.insert(0, began);
    commits.push(behind);
    commits.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}
