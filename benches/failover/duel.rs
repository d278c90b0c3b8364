use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use stream_runtime::broker::NewTopic;
use stream_runtime::broker::kafka::KafkaBroker;

use crate::contender::{Contender, Instance, state};
use crate::program::Program;
use crate::report::Run;
use crate::shop::{PARTITIONS, Shop};
use crate::watch::{Recovery, Watch};

const INPUT: &str = "clickstream";
/// How long the profiles may take to be made.
const BUILDING: Duration = Duration::from_secs(1_200);
/// How long it may take until the first of them is written.
const SILENT: Duration = Duration::from_secs(120);
/// How long a recovery may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Before each kill every partition has spoken without a pause for so long, and what was written lies on the disk.
const REST: Duration = Duration::from_secs(20);
/// How long it may take until the machine comes to rest.
const UNREST: Duration = Duration::from_secs(300);
/// A second instance has so long to take its share and to follow the rest.
const SETTLING: Duration = Duration::from_secs(40);

/// One contender on a cluster of its own: builds its profiles, then is killed again and again.
pub(crate) fn run(
    bootstrap: &str,
    folder: &Path,
    program: &Program,
    peer: bool,
    profiles: u64,
) -> anyhow::Result<Vec<Run>> {
    let contender = if peer { Contender::Streams(crate::peer_folder()) } else { Contender::Paczek(program) };
    contender.prepare(bootstrap, folder)?;
    make_topics(bootstrap, peer)?;
    let mut shop = Shop::open(bootstrap, INPUT, profiles)?;
    eprintln!("{}: writing {profiles} events", contender.name());
    shop.fill()?;
    let (watch, stop) = (Watch::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        let reading = scope.spawn(|| watch.read(bootstrap, contender.output(), &stop));
        let field = Field { contender: &contender, bootstrap, folder, watch: &watch };
        let begun = field.build(profiles);
        let trickling = scope.spawn(|| shop.trickle(&stop));
        let runs = begun.and_then(|instance| field.kill_it(instance));
        stop.store(true, Ordering::Relaxed);
        let ended = |_| anyhow::anyhow!("a thread panicked");
        reading.join().map_err(ended)??;
        trickling.join().map_err(ended)??;
        runs
    })
}

struct Field<'a> {
    contender: &'a Contender<'a>,
    bootstrap: &'a str,
    folder: &'a Path,
    watch: &'a Watch,
}

impl Field<'_> {
    fn build(&self, profiles: u64) -> anyhow::Result<Instance> {
        let (begun, instance) = (Instant::now(), self.start("one")?);
        let mut told = Instant::now();
        while self.watch.records() < profiles {
            ensure!(
                self.watch.records() > 0 || begun.elapsed() < SILENT,
                "nothing was written within {SILENT:?}"
            );
            ensure!(begun.elapsed() < BUILDING, "the profiles were not made within {BUILDING:?}");
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                eprintln!("{}: {} of {profiles} profiles", self.contender.name(), self.watch.records());
            }
            thread::sleep(Duration::from_millis(100));
        }
        eprintln!("{}: profiles made in {:.0} s", self.contender.name(), begun.elapsed().as_secs_f64());
        Ok(instance)
    }

    fn kill_it(&self, instance: Instance) -> anyhow::Result<Vec<Run>> {
        let mut runs = Vec::new();
        let (recovery, instance) = self.restart(instance, "restart on disk", false)?;
        runs.push(self.told("restart on disk", recovery));
        let (recovery, instance) = self.restart(instance, "restart without its disk", true)?;
        runs.push(self.told("restart without its disk", recovery));
        let other = self.start("two")?;
        thread::sleep(SETTLING);
        let killed = self.kill(instance)?;
        let recovery = self.watch.recovered(killed, PATIENCE).context("take-over")?;
        runs.push(self.told("take-over by another instance", recovery));
        other.kill()?;
        Ok(runs)
    }

    fn restart(&self, instance: Instance, what: &str, wiped: bool) -> anyhow::Result<(Recovery, Instance)> {
        self.kill(instance)?;
        if wiped {
            std::fs::remove_dir_all(state(self.folder, "one"))?;
        }
        let instance = self.start("one")?;
        let recovered = self.watch.recovered(Instant::now(), PATIENCE).with_context(|| what.to_owned())?;
        Ok((recovered, instance))
    }

    /// Kills an instance at rest; when that was.
    fn kill(&self, instance: Instance) -> anyhow::Result<Instant> {
        ensure!(Command::new("sync").status()?.success(), "what was written does not reach the disk");
        self.watch.rest(REST, UNREST)?;
        let killed = Instant::now();
        self.watch.begin(killed);
        instance.kill()?;
        Ok(killed)
    }

    fn start(&self, instance: &str) -> anyhow::Result<Instance> {
        self.contender.start(self.bootstrap, self.folder, instance)
    }

    fn told(&self, what: &'static str, recovery: Recovery) -> Run {
        eprintln!("{}: {what}: {recovery} s", self.contender.name());
        Run { contender: self.contender.name(), what, recovery }
    }
}

/// Those of the Kafka Streams application; `paczek topics apply` makes its own.
fn make_topics(bootstrap: &str, peer: bool) -> anyhow::Result<()> {
    if !peer {
        return Ok(());
    }
    let broker = KafkaBroker::new(bootstrap, &BTreeMap::new())?;
    for name in [INPUT, "profile-updates", "abandoned-carts", "dead-letters"] {
        let settings = BTreeMap::new();
        let topic = NewTopic { name: name.to_owned(), partitions: PARTITIONS, replication: -1, settings };
        broker.create_topic(&topic)?;
    }
    Ok(())
}
