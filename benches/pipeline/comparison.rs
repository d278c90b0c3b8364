use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::broker::{Broker as _, LogReader as _, NewTopic, Read};

use crate::arguments::COPY_LOOP;
use crate::kafka::Kafka;
use crate::measured::{Figures, Measured};
use crate::program::{Program, plain_command};
use crate::report::{Outcome, Repetition, Report};

const FORMAT: &str = "alibaba";
const UPDATES: &str = "profile-updates";

/// How long it may take to read what was copied.
const READING: Duration = Duration::from_secs(60);

/// The two, side by side on one broker.
pub(crate) struct Comparison {
    program: Program,
    input: PathBuf,
    folder: PathBuf,
    broker: KafkaBroker,
    kafka: Kafka,
    /// What `paczek demo`, without Kafka, makes of the file.
    demo: Value,
}

/// Topics, groups and state that nobody has used before.
struct Stage {
    name: String,
    config: PathBuf,
    /// Rows of the file, each a record.
    rows: u64,
    partitions: i32,
}

impl Stage {
    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    fn group(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }
}

impl Comparison {
    pub(crate) fn begin(program: Program, input: &Path, folder: &Path) -> anyhow::Result<Self> {
        let (input_argument, format) = (input.as_os_str(), OsStr::new(FORMAT));
        let demo = ["demo", "--json", "--input"].map(OsStr::new);
        let demo = program.ask(&[&demo[..], &[input_argument, OsStr::new("--format"), format]].concat())?;
        let kafka = Kafka::start(&crate::root(), folder)?;
        let broker = KafkaBroker::new(&kafka.bootstrap, &BTreeMap::new())?;
        Ok(Self { program, input: input.to_owned(), folder: folder.to_owned(), broker, kafka, demo })
    }

    pub(crate) fn repeat(&self, times: usize) -> anyhow::Result<Report> {
        // A Java that has just started is slow, and a first repetition takes half as long again as a second.
        eprintln!("warming up");
        self.repetition("warm-up")?;
        let measured = |number| {
            eprintln!("repetition {number} of {times}");
            self.repetition(&format!("bench-{number}"))
        };
        let repetitions: anyhow::Result<Vec<_>> = (1..=times).map(measured).collect();
        let count = |name: &str| self.demo[name].as_u64().unwrap_or_default();
        Ok(Report {
            input: self.input.clone(),
            outcome: Outcome { events: count("events"), abandoned_carts: count("abandoned_carts") },
            repetitions: repetitions?,
        })
    }

    fn repetition(&self, name: &str) -> anyhow::Result<Repetition> {
        let stage = self.set(name)?;
        let run = self.run(&stage).context("paczek run")?;
        Ok(Repetition { run, copy: self.copy(&stage).context("copy loop")? })
    }

    /// Makes the topics and loads the file.
    fn set(&self, name: &str) -> anyhow::Result<Stage> {
        let config = self.folder.join(format!("{name}.toml"));
        std::fs::write(&config, self.configuration(name))?;
        self.ask(&config, &["topics", "apply"])?;
        let input = self.input.to_str().context("the name of the file is no text")?;
        let loaded = self.ask(&config, &["load", "--format", FORMAT, input])?;
        let number = |name: &str| loaded[name].as_u64().context("`paczek load` tells no numbers");
        let partitions = i32::try_from(number("partitions")?)?;
        Ok(Stage { name: name.to_owned(), config, rows: number("rows")?, partitions })
    }

    fn configuration(&self, name: &str) -> String {
        let (bootstrap, state) = (&self.kafka.bootstrap, self.folder.join(format!("{name}-state")));
        format!(
            "application = '{name}'\ntopic_prefix = '{name}.'\nstate_dir = '{}'\nleast_free_disk = 0\nhttp = ''\n\
             [kafka]\nbootstrap = '{bootstrap}'\n\
             [[sources]]\nname = 'clickstream'\ntopic = '{name}.clickstream'\nformat = '{FORMAT}'\nkind = 'historic'\n",
            state.display()
        )
    }

    fn ask(&self, config: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
        let config = [OsStr::new("--json"), OsStr::new("--config"), config.as_os_str()];
        let arguments: Vec<&OsStr> = config.into_iter().chain(arguments.iter().map(OsStr::new)).collect();
        self.program.ask(&arguments)
    }

    fn run(&self, stage: &Stage) -> anyhow::Result<Figures> {
        let config = stage.config.as_os_str();
        let mut command = self.program.command([OsStr::new("--config"), config, OsStr::new("run")]);
        let figures = self.measure(stage, &mut command, UPDATES, || {
            Ok(self.caught_up(&stage.group("ingest-clickstream"), &stage.topic("clickstream"))?
                && self.caught_up(&stage.group("profile-updater"), &stage.topic("events"))?)
        })?;
        self.check_updates(stage)?;
        Ok(figures)
    }

    fn copy(&self, stage: &Stage) -> anyhow::Result<Figures> {
        let (source, target, group) = (stage.topic("clickstream"), stage.topic("copy"), stage.group("copy"));
        self.broker.create_topic(&NewTopic {
            name: target.clone(),
            partitions: stage.partitions,
            replication: -1,
            // Kept for good, like the pipeline's own.
            settings: BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]),
        })?;
        let arguments = [COPY_LOOP, &self.kafka.bootstrap, &source, &target, &group];
        let mut command = plain_command(&std::env::current_exe()?, arguments);
        let figures = self.measure(stage, &mut command, "copy", || self.caught_up(&group, &source))?;
        // Each partition ends with an end-of-source.
        let (copied, expected) = (self.count(&target)?, stage.rows + u64::try_from(stage.partitions)?);
        ensure!(copied == expected, "the copy has {copied} records and should have {expected}");
        Ok(figures)
    }

    fn measure(
        &self,
        stage: &Stage,
        command: &mut std::process::Command,
        output: &str,
        done: impl Fn() -> anyhow::Result<bool>,
    ) -> anyhow::Result<Figures> {
        let output = stage.topic(output);
        let mut measured = Measured::spawn(command, &self.folder.join(format!("{output}.log")))?;
        let figures = measured.figures(|| self.committed_end(&output, stage.partitions), done)?;
        measured.stop()?;
        Ok(figures)
    }

    fn committed_end(&self, topic: &str, partitions: i32) -> anyhow::Result<i64> {
        let ends = (0..partitions).map(|partition| Ok(self.broker.extent(topic, partition)?.stable_end));
        ends.sum()
    }

    /// Whether the group has taken every committed record of the topic. Behind the last one stands only the
    /// mark of its transaction.
    fn caught_up(&self, group: &str, topic: &str) -> anyhow::Result<bool> {
        let offsets = self.broker.group_offsets(group, topic)?;
        for partition in 0..self.broker.partitions(topic)?.unwrap_or(0) {
            let extent = self.broker.extent(topic, partition)?;
            let next = offsets.get(&partition).copied().unwrap_or(extent.start);
            if next < extent.start.max(extent.stable_end - 1) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A figure counts only for the right result: the very records that the demo makes, each once.
    fn check_updates(&self, stage: &Stage) -> anyhow::Result<()> {
        let digests = self.ask(&stage.config, &["digest"])?;
        let (ours, demos) = (&digests[stage.topic(UPDATES)], &self.demo["digests"][UPDATES]);
        ensure!(demos.is_object() && ours == demos, "`paczek run` wrote {ours}, `paczek demo` {demos}");
        Ok(())
    }

    fn count(&self, topic: &str) -> anyhow::Result<u64> {
        let mut reader = self.broker.reader()?;
        let partitions = self.broker.partitions(topic)?.unwrap_or(0);
        let (mut records, mut ended) = (0, 0);
        reader.assign(&(0..partitions).map(|partition| (topic, partition, 0)).collect::<Vec<_>>())?;
        let asked = Instant::now();
        while ended < partitions {
            ensure!(asked.elapsed() < READING, "{topic} could not be read to its end within {READING:?}");
            match reader.poll(Duration::from_secs(1))? {
                Some(Read::Record(_)) => records += 1,
                Some(Read::End { .. }) => ended += 1,
                None => {}
            }
        }
        Ok(records)
    }
}
