//! A broker that takes little, or not all.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::kills::{FRONT, SOON, WHOLE};
use crate::crew::Crew;
use crate::feed::Feed;
use crate::oracle::judge;
use crate::shop::{PROFILE_UPDATER, wait};
use crate::stage::Stage;
use crate::tried::Tried;
use crate::worker::{Fate, Worker};

const CONFIGS: &str = "kafka.admin.ConfigCommand";
const ACLS: &str = "org.apache.kafka.tools.AclCommand";
/// Lets everybody do what no rule forbids.
const AUTHORIZER: &str = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
                          allow.everyone.if.no.acl.found=true";
/// Memory that may grow under a quota, in bytes.
const GROWTH: u64 = 64 << 20;

/// F-16: the broker takes a megabyte a second, also of each retry.
pub(super) fn quota(stage: &mut Stage, number: usize) -> Tried {
    let events = stage.size(60_000, 8_000);
    let input = stage.clicks(1_600 + number as u64, events);
    let reference = stage.reference(&input);
    stage.clear();
    let cluster = stage.cluster(1);
    let rate = if events > 10_000 { "1000000" } else { "400000" };
    let mut tried = Tried { events, faults: 1, ..Tried::default() };
    let shop = stage.shop(&cluster, &[SOON[1], ("TRANSACTIONS__SESSION_TIMEOUT", "6s")]);
    let free = memory_of_a_run(stage, &input);
    Feed::start(&shop, &cluster.bootstrap, input.records(), usize::MAX).finish();
    let quota = format!("producer_byte_rate={rate}");
    let _ = cluster
        .tool(CONFIGS, &["--alter", "--add-config", &quota, "--entity-type", "clients", "--entity-default"]);
    let mut crew = Crew::start(&shop, &["ingest", "profile-updater"], number as u64, 0);
    shop.finish_front(|| crew.look());
    let grown = peak(&crew).saturating_sub(free);
    tried.remark(format!("{} MiB more memory than without the quota", grown >> 20));
    tried.meets(grown <= GROWTH, || format!("{} MiB more memory instead of 64", grown >> 20));
    crew.account(u64::MAX, &mut tried);
    judge(&shop, &reference, &FRONT, &mut tried);
    crew.end();
    stage.clear();
    tried
}

/// The most memory of a worker that nothing holds back.
fn memory_of_a_run(stage: &mut Stage, input: &crate::stage::Input) -> u64 {
    let cluster = stage.cluster(1);
    let shop = stage.shop(&cluster, &[]);
    Feed::start(&shop, &cluster.bootstrap, input.records(), usize::MAX).finish();
    let mut crew = Crew::start(&shop, &["ingest", "profile-updater"], 0, 0);
    shop.finish_front(|| crew.look());
    let most = peak(&crew);
    crew.end();
    most
}

fn peak(crew: &Crew<'_>) -> u64 {
    crew.workers().map(Worker::peak_memory).max().unwrap_or_default()
}

/// F-26: 512 MB of memory under full load. A worker needs less, or dies of it as of any other kill.
pub(super) fn little_memory(stage: &mut Stage, number: usize) -> Tried {
    let input = stage.clicks(2_600 + number as u64, stage.size(200_000, 8_000));
    let reference = stage.reference(&input);
    let cluster = stage.cluster(1);
    let shop = stage.shop(&cluster, &SOON);
    let mut tried = Tried { events: input.events, faults: 1, ..Tried::default() };
    let Some(group) = ControlGroup::of(LITTLE_MEMORY) else {
        return Tried::barred("the right to make a control group");
    };
    Feed::start(&shop, &cluster.bootstrap, input.records(), usize::MAX).finish();
    let mut crew = Crew::start(&shop, &["run"], number as u64, 0);
    shop.finish(|| {
        crew.look();
        crew.workers().for_each(|worker| group.take(worker.process()));
    });
    tried.remark(format!("{} MiB at most", peak(&crew) >> 20));
    crew.account(u64::MAX, &mut tried);
    judge(&shop, &reference, &WHOLE, &mut tried);
    crew.end();
    tried
}

/// Bytes of memory of a small machine.
const LITTLE_MEMORY: u64 = 512 << 20;

/// Processes that share so much memory, files in the cache included (Linux control groups); it goes with this value.
struct ControlGroup(PathBuf);

impl ControlGroup {
    fn of(bytes: u64) -> Option<Self> {
        let versions = [("memory", "memory.limit_in_bytes"), ("", "memory.max")];
        versions.into_iter().find_map(|(root, limit)| {
            let name = format!("paczek-chaos-{}", std::process::id());
            let group = Self(Path::new("/sys/fs/cgroup").join(root).join(name));
            std::fs::create_dir(&group.0).ok()?;
            std::fs::write(group.0.join(limit), bytes.to_string()).ok()?;
            Some(group)
        })
    }

    fn take(&self, process: u32) {
        // Whoever has just ended needs no limit.
        let _ = std::fs::write(self.0.join("cgroup.procs"), process.to_string());
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// F-20: the disk under the state is nearly full. Nothing is written meanwhile; when there is room it goes on.
pub(super) fn nearly_full_disk(stage: &mut Stage, number: usize) -> Tried {
    let events = stage.size(60_000, 6_000);
    let input = stage.clicks(2_000 + number as u64, events);
    let reference = stage.reference(&input);
    let cluster = stage.cluster(1);
    let shop = stage.shop(&cluster, &[SOON[0], SOON[1], ("LEAST_FREE_DISK", "5")]);
    let mut tried = Tried { events, ..Tried::default() };
    let Some(disk) = Disk::mount(&shop.state("a")) else {
        return Tried::barred("the right to mount a small disk");
    };
    let mut records = input.records();
    let rest = records.split_off(records.len() / 2);
    Feed::start(&shop, &cluster.bootstrap, records, usize::MAX).finish();
    let worker = Worker::start(&shop, "a", &Fate::default());
    shop.finish(|| {});
    disk.fill();
    tried.faults += 1;
    wait("it says that the disk is nearly full", || worker.said().contains("the disk is nearly full"));
    // What had begun before is over.
    std::thread::sleep(Duration::from_secs(1));
    let before = shop.committed(PROFILE_UPDATER);
    Feed::start(&shop, &cluster.bootstrap, rest, usize::MAX).finish();
    std::thread::sleep(Duration::from_secs(5));
    let written = shop.committed(PROFILE_UPDATER) - before;
    tried.holds(written == 0, || format!("{written} offsets were committed on a disk that is nearly full"));
    disk.free();
    shop.finish(|| {});
    judge(&shop, &reference, &WHOLE, &mut tried);
    worker.end();
    tried
}

/// Bytes of a small disk: a percent of it is more than the engine takes at once, as on a disk that is really used.
const SMALL_DISK: u64 = 2 << 30;

/// A small disk in memory, which goes with this value.
struct Disk(PathBuf);

impl Disk {
    fn mount(directory: &Path) -> Option<Self> {
        std::fs::create_dir_all(directory).expect("a directory");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={SMALL_DISK}"), "tmpfs"])
            .arg(directory)
            .status();
        mount.is_ok_and(|status| status.success()).then(|| Self(directory.to_owned()))
    }

    /// Leaves less than three percent of it.
    fn fill(&self) {
        let piece = vec![0; 1 << 20];
        let mut file = std::fs::File::create(self.filling()).expect("a file");
        while self.room() > SMALL_DISK * 3 / 100 {
            file.write_all(&piece).expect("room");
        }
    }

    /// Bytes that are free.
    fn room(&self) -> u64 {
        let told = Command::new("df").args(["--block-size=1", "--output=avail"]).arg(&self.0).output();
        let told = String::from_utf8(told.expect("df").stdout).expect("text");
        told.lines().last().and_then(|bytes| bytes.trim().parse().ok()).expect("bytes")
    }

    fn free(&self) {
        std::fs::remove_file(self.filling()).expect("the file");
    }

    fn filling(&self) -> PathBuf {
        self.0.join("filling")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// F-29: nobody may write dead letters. The run stops, or stands still and says so; when it may again, it goes on.
pub(super) fn no_dead_letters(stage: &mut Stage, number: usize) -> Tried {
    let input = stage.clicks(2_900 + number as u64, 4_000);
    let mut text = std::fs::read_to_string(&input.path).unwrap();
    text.insert_str(0, "not,a,click\n");
    std::fs::write(&input.path, text).unwrap();
    let reference = stage.reference(&input);
    let cluster = stage.cluster_with(1, AUTHORIZER);
    let shop = stage.shop(&cluster, &[SOON[0], SOON[1]]);
    let mut tried = Tried { events: input.events, faults: 1, ..Tried::default() };
    Feed::start(&shop, &cluster.bootstrap, input.records(), usize::MAX).finish();
    let topic = shop.topic("dead-letters");
    let rule = ["--deny-principal", "User:ANONYMOUS", "--operation", "Write", "--topic", &topic];
    // Where there is a rule, what it does not allow is forbidden.
    let reading = ["--operation", "Read", "--operation", "DescribeConfigs"];
    let others = [&["--allow-principal", "User:ANONYMOUS", "--topic", &topic], &reading[..]].concat();
    for rule in [&others[..], &rule] {
        let _ = cluster.tool(ACLS, &[&["--add"], rule].concat());
    }
    let mut worker = Worker::start_as("ingest", &shop, "a", &Fate::default());
    wait("it stops or complains", || worker.has_ended() || worker.said().contains("dead-letters"));
    std::thread::sleep(Duration::from_secs(3));
    let (ended, said) = (worker.ended(), worker.said());
    let complains = said.to_lowercase().contains("authoriz") || said.contains("dead-letters");
    tried.holds(complains, || format!("it is silent about it: {}", said.lines().last().unwrap_or_default()));
    tried.meets(ended.is_some(), || "it tries again and again instead of stopping".to_owned());
    tried.holds(shop.records("dead-letters").is_empty(), || "somebody wrote a dead letter".to_owned());
    for rule in [&others[..], &rule] {
        let _ = cluster.tool(ACLS, &[&["--remove", "--force"], rule].concat());
    }
    drop(worker);
    let worker = Worker::start(&shop, "a", &Fate::default());
    shop.finish(|| {});
    judge(&shop, &reference, &FRONT, &mut tried);
    worker.end();
    tried
}
