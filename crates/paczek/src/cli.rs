use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use events::{EventTime, SpeechControl, SpeechKind};
use serde::Serialize;
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::{Guards, Silent};

pub use crate::pipeline::Hooks;

use crate::config::Config;
use crate::demo::{Input, Play};
use crate::digest::digests;
use crate::pipeline::Roles;
use crate::problem::Problem;
use crate::read::{Records, Until};
use crate::run::run;
use crate::simulate::Simulate;
use crate::tap::Tap;
use crate::{check, demo, explain, generate, load, profile, reshard, speaking, story, topics, topology};

/// A good shop assistant for shops that run on Kafka.
///
/// Exit codes: 0 done, 1 failed on the way, 2 wrong usage or configuration, 3 Kafka does not answer, 4 a
/// topic is missing, 5 a topic has the wrong number of partitions, 6 the state directory, 7 its disk is full.
#[derive(Parser)]
#[command(name = "paczek", version, max_term_width = 110)]
struct Arguments {
    /// TOML file with the configuration; every value has a default and can be set by environment, such as
    /// PACZEK_KAFKA__BOOTSTRAP
    #[arg(long, short, global = true, env = "PACZEK_CONFIG")]
    config: Option<PathBuf>,
    /// Print one JSON object where a script reads along
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a made-up shop, or a file of clickstream, through the whole pipeline in this process; no Kafka needed
    #[command(
        after_help = "Examples:\n  paczek demo\n  paczek demo --input clicks.jsonl --format segment --json"
    )]
    Demo {
        /// How many events the made-up shop has
        #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
        events: u64,
        /// The same number makes up the same shop
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// A file, instead of the made-up shop
        #[arg(long, conflicts_with_all = ["events", "seed"])]
        input: Option<PathBuf>,
        /// Of the file: segment, canonical or alibaba
        #[arg(long, default_value = "segment", requires = "input")]
        format: String,
        /// Partitions of every topic
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=1024))]
        partitions: i32,
        /// Records in one transaction; whatever it is, the outcome is the same
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        batch: Option<u32>,
        /// Make every decision again from the log at the end, and count
        #[arg(long)]
        explain: bool,
    },
    /// Write the clickstream of a made-up shop to standard output, for `load`
    #[command(
        after_help = "Example:\n  paczek generate --events 200000 --seed 1 --truth truth.json > clicks.jsonl"
    )]
    Generate {
        /// How many lines
        #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
        events: u64,
        /// The same number makes up the same shop
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Customers begin visits on a second device and sign in later
        #[arg(long)]
        two_devices: bool,
        /// Orders arrive up to half an hour late
        #[arg(long)]
        late_orders: bool,
        /// Machines visit the shop too
        #[arg(long)]
        bots: bool,
        /// Where to write which carts were truly abandoned, as JSON
        #[arg(long)]
        truth: Option<PathBuf>,
    },
    /// Run seeds of a simulated cluster in which whatever can go wrong does; exit code 1 if anything came of it
    #[command(after_help = "Example:\n  paczek simulate --seeds 0..200000 --resume seeds.txt")]
    Simulate(Simulate),
    /// Run all processors in this process, on Kafka
    #[command(after_help = "Example:\n  paczek run --config paczek.toml")]
    Run,
    /// Run the ingest processors only
    Ingest,
    /// Run the profile-updater only
    ProfileUpdater,
    /// Run the recommender only
    Recommender,
    /// Look at configuration and broker and say what is missing; changes nothing
    #[command(after_help = "Example:\n  PACZEK_KAFKA__BOOTSTRAP=broker:9092 paczek check")]
    Check,
    /// Print which topic feeds which processor
    Topology,
    /// Plan or make the topics
    Topics {
        #[command(subcommand)]
        action: TopicsAction,
    },
    /// Give the stopped pipeline another number of partitions: its state moves to topics of the next generation
    #[command(
        after_help = "Stop every instance first. Until the end nothing has moved; whatever interrupts it, repeat it.\n\n\
        Example:\n  paczek reshard --to-partitions 12 && PACZEK_GENERATION=2 paczek run"
    )]
    Reshard {
        /// Over how many partitions keys are to be spread
        #[arg(long, value_parser = clap::value_parser!(i32).range(1..=1024))]
        to_partitions: i32,
    },
    /// Write a file into a source's topic, one record a line, sorted by event time
    #[command(after_help = "Example:\n  paczek load --format alibaba clicks.csv")]
    Load {
        /// The file
        file: PathBuf,
        /// segment, canonical or alibaba
        #[arg(long)]
        format: String,
        /// The source
        #[arg(long, default_value = "clickstream")]
        source: String,
    },
    /// Show the records of a topic, decoded
    #[command(after_help = "Example:\n  paczek tap profile-updates --json | jq .value.abandonment")]
    Tap {
        /// The topic as it is called on the cluster
        topic: String,
        /// Stop after so many
        #[arg(long)]
        limit: Option<usize>,
        /// Go on at the end and show records as they come
        #[arg(long)]
        follow: bool,
    },
    /// Show what is known of a customer, from the changelog
    #[command(after_help = "Example:\n  paczek profile shop|anna --json")]
    Profile {
        /// tenant|id, or the id of the first source's tenant
        id: String,
    },
    /// Say why a decision was made, and make it again from the log; exit code 1 if it comes out differently
    #[command(after_help = "Example:\n  paczek explain 5d1c3c2e-6f0b-5e0a-9f5e-0b6a3f6a2a41")]
    Explain {
        /// The decision's id
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        decision: Option<String>,
        /// Make every decision again and count
        #[arg(long)]
        all: bool,
    },
    /// Show what may be said, or switch a kind of speech on or off for a tenant, from the next decision on
    #[command(after_help = "Example:\n  paczek speaking off --kind abandoned-carts --tenant shop")]
    Speaking {
        /// Without it, show what is on and off
        #[arg(requires = "kind")]
        state: Option<OnOff>,
        /// What is switched
        #[arg(long, requires = "state")]
        kind: Option<Kind>,
        /// The first source's tenant if left out
        #[arg(long, requires = "state")]
        tenant: Option<String>,
    },
    /// Print two hashes for each topic, by which two runs are compared
    Digest,
}

impl Command {
    /// From which level on it logs, unless somebody says otherwise: the demo speaks for itself.
    fn level(&self) -> &'static str {
        match self {
            Self::Demo { .. } => "warn",
            // Simulated workers are in doubt all the time.
            Self::Simulate(_) => "off",
            _ => "info",
        }
    }
}

#[derive(Subcommand)]
enum TopicsAction {
    /// Say what is to be done
    Plan,
    /// Make what is missing; nothing that exists is changed
    Apply,
}

#[derive(Clone, Copy, ValueEnum)]
enum OnOff {
    On,
    Off,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Recommendations,
    AbandonedCarts,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let hooks = Hooks { observer: Arc::new(Silent), guards: Guards::default() };
    main_with(std::env::args_os(), &hooks)
}

/// The program with somebody looking on.
pub fn main_with(arguments: impl IntoIterator<Item = OsString>, hooks: &Hooks) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    log_to_stderr(arguments.command.level());
    match arguments.execute(hooks) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.downcast_ref::<Problem>().map_or(1, Problem::exit_code);
            // Whoever reads along has gone; there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "paczek: {error:#}");
            ExitCode::from(code)
        }
    }
}

impl Arguments {
    fn execute(&self, hooks: &Hooks) -> anyhow::Result<()> {
        match &self.command {
            Command::Demo { events, seed, input, format, partitions, batch, explain } => {
                let input = match input {
                    Some(path) => Input::File { path: path.clone(), format: format.clone() },
                    None => Input::Shop { lines: *events, seed: *seed },
                };
                let batch = batch.and_then(|batch| usize::try_from(batch).ok());
                let (told, explained) = (!self.json, *explain);
                self.demo(&Play { input, partitions: *partitions, batch, told, explained }, hooks)
            }
            Command::Generate { events, seed, two_devices, late_orders, bots, truth } => {
                let options = simulator::Options {
                    tenant: self.config()?.sources[0].tenant.clone(),
                    two_devices: *two_devices,
                    late_orders: *late_orders,
                    bots: *bots,
                    ..simulator::Options::new(*seed, *events)
                };
                Ok(generate::generate(options, truth.as_deref())?)
            }
            Command::Simulate(simulate) => self.simulate(simulate),
            Command::Run => Ok(run(&self.config()?, Roles::All, hooks)?),
            Command::Ingest => Ok(run(&self.config()?, Roles::Ingest, hooks)?),
            Command::ProfileUpdater => Ok(run(&self.config()?, Roles::ProfileUpdater, hooks)?),
            Command::Recommender => Ok(run(&self.config()?, Roles::Recommender, hooks)?),
            Command::Check => self.check(),
            Command::Topology => self.print(topology::picture(&self.config()?), |picture| picture.clone()),
            Command::Topics { action } => self.topics(action),
            Command::Reshard { to_partitions } => self.reshard(*to_partitions),
            Command::Load { file, format, source } => self.load(file, format, source),
            Command::Tap { topic, limit, follow } => self.tap(topic, *limit, *follow),
            Command::Profile { id } => self.profile(id),
            Command::Explain { decision: Some(id), .. } => self.explain(id),
            Command::Explain { decision: None, .. } => self.explain_all(),
            Command::Speaking { state, kind, tenant } => self.speaking(*state, *kind, tenant.as_deref()),
            Command::Digest => self.digest(),
        }
    }

    fn config(&self) -> Result<Config, Problem> {
        // What is not text cannot be one of ours.
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Config::read(self.config.as_deref(), std::env::vars_os().filter_map(text))
    }

    fn broker(&self) -> Result<(Config, KafkaBroker), Problem> {
        let config = self.config()?;
        let broker = KafkaBroker::new(&config.kafka.bootstrap, &config.kafka.properties)?;
        Ok((config, broker))
    }

    fn demo(&self, play: &Play, hooks: &Hooks) -> anyhow::Result<()> {
        let (summary, diaries) = demo::demo(&self.config()?, play, hooks, now())?;
        self.print(&summary, |summary| story::tell(summary, &diaries.unwrap_or_default()))?;
        let Some(verified) = &summary.explained else { return Ok(()) };
        if !self.json {
            print(&verified.describe())?;
        }
        holds(verified)
    }

    fn simulate(&self, simulate: &Simulate) -> anyhow::Result<()> {
        let told = simulate.run()?;
        self.print(&told, |told| told.describe())?;
        match told.holds() {
            true => Ok(()),
            false => Err(Problem::Failed("not every seed came out as it should".to_owned()).into()),
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        let config = self.config()?;
        tracing::debug!(config = config.redacted(), "configuration");
        let report = check::check(&config)?;
        self.print(report, |report| {
            let mut text = format!("{}: all {} topics are there\n", report.bootstrap, report.topics);
            report.warnings.iter().for_each(|warning| text.push_str(&format!("warning: {warning}\n")));
            text
        })
    }

    fn topics(&self, action: &TopicsAction) -> anyhow::Result<()> {
        let (config, broker) = self.broker()?;
        let steps = match action {
            TopicsAction::Plan => topics::plan(&broker, &config)?,
            TopicsAction::Apply => topics::apply(&broker, &config)?,
        };
        self.print(steps, |steps| topics::describe(steps))
    }

    fn reshard(&self, partitions: i32) -> anyhow::Result<()> {
        let (config, broker) = self.broker()?;
        self.print(reshard::on_kafka(&broker, &config, partitions)?, reshard::Resharded::describe)
    }

    fn load(&self, file: &Path, format: &str, name: &str) -> anyhow::Result<()> {
        let (config, broker) = self.broker()?;
        let (source_config, source) = load::source_for(&config, name, format)?;
        let loaded = load::load(&broker, &source_config, &source, file, now())?;
        self.print(loaded, |loaded| {
            format!("{} rows into {}, {} partitions\n", loaded.rows, loaded.topic, loaded.partitions)
        })
    }

    fn tap(&self, topic: &str, limit: Option<usize>, follow: bool) -> anyhow::Result<()> {
        let (config, broker) = self.broker()?;
        let (tap, mut shown) = (Tap::of(&config, topic), 0);
        let until = if follow { Until::Stopped } else { Until::End };
        let mut out = std::io::stdout().lock();
        if limit == Some(0) {
            return Ok(());
        }
        for record in Records::of(&broker, topic, None, until)? {
            let value = tap.show(&record?);
            let line =
                if self.json { serde_json::to_string(&value) } else { serde_json::to_string_pretty(&value) };
            let line = line.map_err(|error| Problem::Failed(error.to_string()))?;
            shown += 1;
            // Whoever read along has had enough.
            let gone = writeln!(out, "{line}").is_err();
            if gone || limit == Some(shown) {
                break;
            }
        }
        Ok(())
    }

    fn profile(&self, id: &str) -> anyhow::Result<()> {
        let (config, broker) = self.broker()?;
        let key = profile::key_of(&config, id);
        let found = profile::look_up(&broker, &config, &key)?;
        let profile = found.ok_or_else(|| Problem::Failed(format!("nothing is known of {key}")))?;
        let text = if self.json {
            serde_json::to_string(&profile)?
        } else {
            serde_json::to_string_pretty(&profile)?
        };
        Ok(print(&format!("{text}\n"))?)
    }

    fn explain(&self, id: &str) -> anyhow::Result<()> {
        let (config, broker) = self.broker()?;
        let found = explain::explain(&broker, &config, id)?;
        let explained = found.ok_or_else(|| Problem::Failed("there is no decision of that id".to_owned()))?;
        self.print(&explained, |explained| explained.words.join("\n") + "\n")?;
        match explained.verdict.complaint() {
            Some(complaint) => Err(Problem::Failed(complaint.to_owned()).into()),
            None => Ok(()),
        }
    }

    fn explain_all(&self) -> anyhow::Result<()> {
        let (config, broker) = self.broker()?;
        let verified = explain::verify_all(&broker, &config)?;
        self.print(&verified, |verified| verified.describe())?;
        holds(&verified)
    }

    fn speaking(&self, state: Option<OnOff>, kind: Option<Kind>, tenant: Option<&str>) -> anyhow::Result<()> {
        let (config, broker) = self.broker()?;
        if let (Some(state), Some(kind)) = (state, kind) {
            let kind = match kind {
                Kind::Recommendations => SpeechKind::Recommendations,
                Kind::AbandonedCarts => SpeechKind::AbandonedCarts,
            };
            let tenant = tenant.unwrap_or(&config.sources[0].tenant).to_owned();
            let speaking = matches!(state, OnOff::On);
            speaking::switch(&broker, &config, &SpeechControl { tenant, kind, speaking })?;
        }
        self.print(speaking::speaking(&broker, &config)?, |switches| speaking::describe(switches))
    }

    fn digest(&self) -> anyhow::Result<()> {
        let (config, broker) = self.broker()?;
        self.print(digests(&broker, &config)?, |digests| {
            let line = |(topic, digest): (&String, &crate::TopicDigest)| {
                format!(
                    "{topic}: {} records, by event {}, by timer {}\n",
                    digest.records, digest.by_event, digest.by_timer
                )
            };
            digests.iter().map(line).collect()
        })
    }

    fn print<T: Serialize>(&self, value: T, describe: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        if self.json { print_json(&value) } else { Ok(print(&describe(&value))?) }
    }
}

fn holds(verified: &explain::Verified) -> anyhow::Result<()> {
    match verified.holds() {
        true => Ok(()),
        false => Err(Problem::Failed("not every decision was made again".to_owned()).into()),
    }
}

fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    Ok(print(&format!("{}\n", serde_json::to_string(value).context("the result is no JSON")?))?)
}

fn print(text: &str) -> std::io::Result<()> {
    std::io::stdout().write_all(text.as_bytes())
}

fn log_to_stderr(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PACZEK_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    // A second call, as in a test, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
