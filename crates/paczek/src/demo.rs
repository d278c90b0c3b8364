//! The whole product in one process: the processors of `run` on a log in memory, fed by a made-up shop whose
//! truth is known, or by a file.

mod diaries;
mod feed;
mod findings;
mod follower;
mod stillness;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use events::EventTime;
use indicatif::ProgressBar;
use serde::Serialize;
use simulator::{Reminder, Truth};
use state_store::RocksOptions;
use stream_runtime::broker::Broker as _;
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock};
use stream_runtime::{Metric, Metrics};

use crate::config::{Config, Span};
use crate::digest::TopicDigest;
use crate::embedded::Embedded;
use crate::explain::{Verified, verify_all};
use crate::load::RawWriter;
use crate::pipeline::{Hooks, Observed, Pipeline, Roles};
use crate::problem::Problem;
use crate::processors::CLICKSTREAM;
use crate::topics::Partitions;
use crate::topology::Topology;
use feed::Feed;
use follower::Follower;
use stillness::Stillness;

pub(crate) use diaries::{Diaries, Diary, Entry, Product};
pub(crate) use findings::{Findings, Kind};

/// Length of a cycle: short, since nothing here has to travel.
const INTERVAL: Duration = Duration::from_millis(20);
/// Nobody is taken for dead while the machine is busy with something else.
const PATIENCE: Duration = Duration::from_secs(600);
/// Lines that may wait to be taken; more are fed when fewer wait.
const AHEAD: i64 = 10_000;
/// Records read in one go before the feed has its turn again.
const RUN: usize = 4_000;
/// The longest wait for the next record.
const WAIT: Duration = Duration::from_millis(20);

/// What a demo is made of.
#[derive(Clone, Debug)]
pub(crate) struct Play {
    pub(crate) input: Input,
    pub(crate) partitions: i32,
    /// Records in one transaction.
    pub(crate) batch: Option<usize>,
    /// Whether somebody will read stories.
    pub(crate) told: bool,
    /// Whether every decision is made again from the log at the end.
    pub(crate) explained: bool,
}

/// Where the clickstream comes from.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A made-up shop, of so many lines.
    Shop { lines: u64, seed: u64 },
    /// A file of that format.
    File { path: PathBuf, format: String },
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) events: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) rejected_by_code: BTreeMap<String, u64>,
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    pub(crate) profile_updates: u64,
    pub(crate) recommendations: u64,
    pub(crate) abandoned_carts: u64,
    pub(crate) reminders: usize,
    pub(crate) taken_back: usize,
    pub(crate) suppressions: u64,
    /// Decisions that were taken more than once; none ever is.
    pub(crate) repeated_decisions: usize,
    /// `None` of a file, of which nobody knows.
    pub(crate) truth: Option<TruthSummary>,
    pub(crate) missed: Option<usize>,
    pub(crate) false_alarms: Option<usize>,
    pub(crate) first_result_ms: Option<u64>,
    pub(crate) events_per_second: u64,
    /// `None` where the system does not tell.
    pub(crate) peak_rss_bytes: Option<u64>,
    pub(crate) digests: BTreeMap<String, TopicDigest>,
    /// What came of making every decision again, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) explained: Option<Verified>,
}

/// What the made-up shop meant to happen.
#[derive(Debug, Serialize)]
pub(crate) struct TruthSummary {
    pub(crate) abandoned_carts: usize,
    /// Of them, those of which something was bought within a week: nobody is to be reminded of these.
    pub(crate) bought_after_all: usize,
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) malformed: u64,
}

/// Plays to the end: the figures, and the diaries if stories are to be told.
pub(crate) fn demo(
    config: &Config,
    play: &Play,
    hooks: &Hooks,
    now: EventTime,
) -> Result<(Summary, Option<Diaries>), Problem> {
    let config = staged(config, play);
    let source = &config.sources[0];
    let mut feed = match &play.input {
        Input::File { path, .. } => Feed::file(path, &source.source().map_err(Problem::Config)?, now)?,
        Input::Shop { lines, seed } => Feed::shop(simulator::Options {
            tenant: source.tenant.clone(),
            lateness: source.lateness.millis(),
            ..simulator::Options::new(*seed, *lines)
        }),
    };
    let failed = |error: std::io::Error| Problem::State(format!("no temporary folder: {error}"));
    let directory = tempfile::tempdir().map_err(failed)?;
    let broker = Embedded::broker(&config, play.partitions, &MemoryClock::automatic(), 1)?;
    let topology = Topology::of(&config, &Partitions { of: broker.topics() })?;
    let pipeline = Pipeline {
        config: &config,
        hooks,
        broker: &broker,
        topology: &topology,
        directory: directory.path(),
        instance: "demo",
        roles: Roles::All,
        rocks: RocksOptions::new(config.profiles.cache_bytes, 16 << 20),
    };
    let began = Instant::now();
    let mut findings = Findings::new(&config, play.told.then(Diaries::default), began);
    let stage = Stage {
        config: &config,
        broker: &broker,
        topology: &topology,
        partitions: play.partitions,
        keeps_logs: play.explained,
    };
    let summary = pipeline.run(|observed, over| {
        stage.follow(&mut feed, &mut findings, observed, over)?;
        Ok(summary(&feed, &findings, &observed.metrics, began.elapsed()))
    })?;
    let truth = feed.into_truth();
    let judged = truth.as_ref().map(|truth| truth.judge(&Reminder::all(&findings.carts)));
    let summary = Summary {
        missed: judged.as_ref().map(|judged| judged.missed.len()),
        false_alarms: judged.as_ref().map(|judged| judged.false_alarms.len()),
        truth: truth.as_ref().map(TruthSummary::of),
        digests: findings.digests.finish(),
        explained: play.explained.then(|| verify_all(&broker, &config)).transpose()?,
        ..summary
    };
    Ok((summary, findings.diaries))
}

/// The configuration as far as it fits a play: one source, which is over, and nobody else on the machine.
fn staged(config: &Config, play: &Play) -> Config {
    let mut config = config.clone();
    config.sources.retain(|source| source.name == CLICKSTREAM);
    for source in &mut config.sources {
        "historic".clone_into(&mut source.kind);
        let format = match &play.input {
            Input::Shop { .. } => "segment",
            Input::File { format, .. } => format,
        };
        format.clone_into(&mut source.format);
    }
    "earliest".clone_into(&mut config.start_from);
    config.generation = 1;
    let transactions = &mut config.transactions;
    transactions.interval = Span(INTERVAL);
    transactions.timeout = Span(PATIENCE);
    transactions.session_timeout = Span(PATIENCE);
    transactions.max_records = play.batch.unwrap_or(transactions.max_records);
    config
}

/// Where the play takes place.
struct Stage<'a> {
    config: &'a Config,
    broker: &'a MemoryBroker,
    topology: &'a Topology,
    partitions: i32,
    /// Whether what everybody has read is needed once more.
    keeps_logs: bool,
}

impl Stage<'_> {
    /// Feeds the pipeline and reads along until nothing more can come.
    fn follow(
        &self,
        feed: &mut Feed,
        findings: &mut Findings,
        observed: &Observed,
        over: &dyn Fn() -> bool,
    ) -> Result<(), Problem> {
        let groups = self.groups();
        let mut stillness = Stillness::new(self.broker, &groups);
        let mut writer = RawWriter::new(self.broker, self.config.sources[0].topic())?;
        let mut follower = Follower::new(self.broker, findings.topics(), self.partitions)?;
        let shown = progress(feed.lines);
        loop {
            if over() {
                return Err(Problem::Failed("a worker has ended before the work was done".to_owned()));
            }
            if !feed.is_over && self.waiting()? < AHEAD {
                writer.write(&feed.next(self.partitions))?;
            }
            let more = follower.read(RUN, |record| findings.take(record), WAIT)?;
            if !self.keeps_logs {
                follower.tidy(&groups, &self.config.topic("sessions"));
            }
            show(&shown, feed, findings);
            if feed.is_over && !more && stillness.look(&observed.workers)? {
                shown.finish_and_clear();
                return Ok(());
            }
        }
    }

    /// Each group with its input.
    fn groups(&self) -> Vec<(String, String)> {
        let Topology { ingest, profile_updater, recommender, .. } = self.topology;
        let mut groups: Vec<_> =
            ingest.iter().map(|node| (node.group(self.config), node.input.clone())).collect();
        groups.push((profile_updater.group(self.config), profile_updater.input.clone()));
        groups.push((recommender.group(self.config), recommender.input.clone()));
        groups
    }

    /// Lines that ingest has not taken yet, and the marks of transactions between them.
    fn waiting(&self) -> Result<i64, Problem> {
        let mut waiting = 0;
        for node in &self.topology.ingest {
            let taken = self.broker.group_offsets(&node.group(self.config), &node.input);
            for partition in 0..self.partitions {
                let end = self.broker.extent(&node.input, partition)?.end;
                waiting += end - taken.get(&partition).copied().unwrap_or(0);
            }
        }
        Ok(waiting)
    }
}

/// A line on the terminal that shows how far it has come; nothing where there is none.
fn progress(lines: u64) -> ProgressBar {
    let style = indicatif::ProgressStyle::with_template("{spinner} [{bar:30}] {pos} of {len} events {msg}");
    ProgressBar::new(lines).with_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()))
}

fn show(shown: &ProgressBar, feed: &Feed, findings: &Findings) {
    shown.set_position(findings.count(Kind::Events).min(feed.given));
    shown.set_message(format!(
        "· {} carts left · {} messages about them · {} recommendations",
        findings.abandoned_carts,
        findings.carts.len(),
        findings.count(Kind::Recommendations)
    ));
    shown.tick();
}

fn summary(feed: &Feed, findings: &Findings, metrics: &Metrics, took: Duration) -> Summary {
    let reminders = Reminder::all(&findings.carts);
    let noticed = findings.abandoned_carts;
    Summary {
        events: feed.given,
        accepted: findings.count(Kind::Events),
        rejected: findings.count(Kind::DeadLetters),
        rejected_by_code: findings.rejected_by_code.clone(),
        duplicates: metrics.labelled(Metric::EventsSkipped, "duplicate"),
        late: metrics.labelled(Metric::EventsSkipped, "late"),
        profile_updates: findings.count(Kind::ProfileUpdates) - noticed,
        recommendations: findings.count(Kind::Recommendations),
        abandoned_carts: noticed,
        reminders: reminders.len(),
        taken_back: reminders.iter().filter(|reminder| reminder.taken_back).count(),
        suppressions: findings.count(Kind::Suppressions),
        repeated_decisions: findings.digests.repeated_decisions(),
        truth: None,
        missed: None,
        false_alarms: None,
        first_result_ms: findings.first_result.map(|after| after.as_millis() as u64),
        events_per_second: (feed.given as f64 / took.as_secs_f64().max(1e-9)) as u64,
        peak_rss_bytes: peak_rss_bytes(),
        digests: BTreeMap::new(),
        explained: None,
    }
}

impl TruthSummary {
    fn of(truth: &Truth) -> Self {
        let counts = truth.counts();
        Self {
            abandoned_carts: truth.abandoned_carts(),
            bought_after_all: truth.bought_after_all(),
            accepted: counts.accepted,
            duplicates: counts.duplicates,
            malformed: counts.malformed,
        }
    }
}

/// The most memory this process ever had.
fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
