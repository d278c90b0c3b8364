//! Topics and directories that are not what the state is of: a start is refused with a reason, never a guess made.

use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use super::kills::SOON;
use crate::cluster::Nodes;
use crate::feed::Feed;
use crate::shop::{Shop, wait};
use crate::stage::{Input, Stage};
use crate::tried::Tried;
use crate::worker::{Fate, Worker};

/// Rows that are enough to have state.
const EVENTS: u64 = 5_000;
const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const DELETE_RECORDS: &str = "org.apache.kafka.tools.DeleteRecordsCommand";

/// A shop that has taken half of its input and whose worker `none` has ended in good order.
struct Halfway {
    shop: Shop,
    cluster: Rc<Nodes>,
    rest: Vec<paczek::RawRecord>,
    tried: Tried,
}

fn halfway(stage: &mut Stage, seed: u64) -> Halfway {
    let input: Input = stage.clicks(seed, EVENTS);
    let cluster = stage.cluster(1);
    let shop = stage.shop(&cluster, &[SOON[0], SOON[1]]);
    let mut records = input.records();
    let rest = records.split_off(records.len() / 2);
    Feed::start(&shop, &cluster.bootstrap, records, usize::MAX).finish();
    let worker = Worker::start(&shop, "none", &Fate::default());
    shop.finish(|| {});
    worker.end();
    Halfway { shop, cluster, rest, tried: Tried { events: EVENTS, ..Tried::default() } }
}

impl Halfway {
    /// A start must end by itself with this code and these words.
    fn is_refused(&mut self, what: &str, code: i32, words: &str) {
        let mut worker = Worker::start(&self.shop, "none", &Fate::default());
        let before = worker.said().len();
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while !worker.has_ended() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        let ended = worker.ended().and_then(|status| status.code());
        let said = worker.said();
        let said = said.get(before.min(said.len())..).unwrap_or_default();
        let holds = ended == Some(code) && said.contains(words);
        let last = said.lines().last().unwrap_or_default().to_owned();
        self.tried.faults += 1;
        self.tried
            .holds(holds, || format!("{what}: ended with {ended:?}, not {code} and \"{words}\": {last}"));
    }

    fn topic_command(&self, arguments: &[&str]) {
        let _ = self.cluster.tool(TOPICS, arguments);
    }
}

/// F-17: an inner topic gets more partitions, is gone, is made anew.
pub(super) fn topic_changes(stage: &mut Stage, number: usize) -> Tried {
    let mut half = halfway(stage, 1_700 + number as u64);
    let changelog = half.shop.topic("profile-updater-changelog");
    half.topic_command(&["--alter", "--topic", &changelog, "--partitions", "6"]);
    half.is_refused("partitions added", 5, "6 partitions where 4 are needed");
    half.topic_command(&["--delete", "--topic", &changelog]);
    let shop = &half.shop;
    wait("the topic is gone", || shop.command(&["check"]).status.code() == Some(4));
    half.is_refused("topic deleted", 4, "does not exist");
    half.shop.expect(&["topics", "apply"]);
    half.is_refused("topic made anew", 6, "the topic was deleted or truncated");
    half.tried
}

/// F-18: what was not read yet is gone from the input.
pub(super) fn truncated_input(stage: &mut Stage, number: usize) -> Tried {
    let mut half = halfway(stage, 1_800 + number as u64);
    let rest = std::mem::take(&mut half.rest);
    Feed::start(&half.shop, &half.cluster.bootstrap, rest, usize::MAX).finish();
    let topic = half.shop.topic("clickstream");
    let ends = half.shop.extents(&topic);
    let before: Vec<_> =
        ends.iter().map(|(partition, extent)| (topic.as_str(), *partition, extent.end)).collect();
    delete_before(&half, &before);
    half.is_refused("input truncated", 6, "the topic was deleted, truncated, or its retention was too short");
    half.tried
}

/// F-24: a directory of another cluster's topic, and one from before the changelog begins.
pub(super) fn stale_directory(stage: &mut Stage, number: usize) -> Tried {
    let mut half = halfway(stage, 2_400 + number as u64);
    let (own, kept) = (half.shop.state("none"), half.shop.state("kept"));
    copy(&own, &kept);
    let strange = halfway(stage, 2_450 + number as u64);
    replace(&own, &strange.shop.state("none"));
    half.is_refused("somebody else's directory", 6, "it is of another topic or cluster");
    replace(&own, &kept);
    let mut records = half.rest.clone();
    let rest = records.split_off(records.len() / 2);
    half.rest = rest;
    Feed::start(&half.shop, &half.cluster.bootstrap, records, usize::MAX).finish();
    let worker = Worker::start(&half.shop, "other", &Fate::default());
    half.shop.finish(|| {});
    worker.end();
    let topic = half.shop.topic("profile-updater-changelog");
    let ends = half.shop.extents(&topic);
    // The last transaction of each partition stays: its trailer is the newest of all.
    let before: Vec<_> =
        ends.iter().map(|(partition, extent)| (topic.as_str(), *partition, extent.end - 2)).collect();
    // What is compacted only cannot be deleted on request.
    let made = ["--alter", "--entity-type", "topics", "--entity-name", &topic];
    let _ = half.cluster.tool(CONFIGS, &[&made[..], &["--add-config", "cleanup.policy=delete"]].concat());
    delete_before(&half, &before);
    let cut = half.shop.extents(&topic).values().all(|extent| extent.start + 2 >= extent.end);
    half.tried.holds(cut, || "the changelog was not cut".to_owned());
    half.is_refused(
        "directory from before the changelog",
        6,
        "what lies between is gone, so the state cannot be told",
    );
    half.tried
}

/// F-25: two processes on one directory.
pub(super) fn shared_directory(stage: &mut Stage, _: usize) -> Tried {
    let cluster = stage.cluster(1);
    let shop = stage.shop(&cluster, &[]);
    let mut tried = Tried { faults: 1, ..Tried::default() };
    let mut worker = Worker::start(&shop, "none", &Fate::default());
    wait("the worker is up", || worker.has_ended() || shop.state("none").join("instance").exists());
    let second = shop.command(&["run"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    let holds =
        second.status.code() == Some(6) && said.contains(&format!("in use by process {};", worker.process()));
    tried.holds(holds, || format!("{:?}: {said}", second.status.code()));
    worker.end();
    tried
}

fn delete_before(half: &Halfway, positions: &[(&str, i32, i64)]) {
    let of = |(topic, partition, offset): &(&str, i32, i64)| serde_json::json!({ "topic": topic, "partition": partition, "offset": offset });
    let wanted: Vec<_> = positions.iter().map(of).collect();
    let file = half.shop.directory.path().join("delete.json");
    std::fs::write(&file, serde_json::json!({ "partitions": wanted, "version": 1 }).to_string()).unwrap();
    let _ = half.cluster.tool(DELETE_RECORDS, &["--offset-json-file", &file.display().to_string()]);
}

fn replace(directory: &Path, by: &Path) {
    std::fs::remove_dir_all(directory).expect("the directory goes");
    copy(by, directory);
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status().expect("cp");
    assert!(done.success(), "cp {} {}", from.display(), to.display());
}
