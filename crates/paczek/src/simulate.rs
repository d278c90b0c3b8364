//! The real processors on the real runtime, in a cluster in which whatever can go wrong does, by the seed.

mod command;
mod input;
mod oracle;
mod rocks;
mod storms;
mod sweep;
mod twins;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use simulator::cluster::{Cluster, Disks, MemoryDisks, Post, Seat, Tally, Trace, Violation};
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock, MemoryReader};
use stream_runtime::broker::{Broker as _, LogReader as _, NewTopic};
use stream_runtime::{
    Guards, Metrics, Processor, RuntimeError, StartFrom, Worker, WorkerSettings, run_worker,
};

use crate::config::Config;
use crate::problem::Problem;
use crate::topics::{Partitions, configured};
use crate::topology::{Node, Topology};
use input::{Input, OPENING};
use oracle::{Invariants, Outcome};
use rocks::RocksDisks;
use storms::Wind;
use sweep::sweep;
use twins::caught;

pub(crate) use command::Simulate;
pub(crate) use storms::Weather;
use sweep::{Finding, Swept};
use twins::{Caught, Twin};

/// Partitions of every topic.
const PARTITIONS: i32 = 2;
/// Different inputs; the reference run of each is made once.
const INPUTS: u64 = 512;
/// The clock shows this much more than the newest event, in milliseconds.
const AFTERWARDS: i64 = 10 * events::DAY;
const INGEST: &str = "ingest";
const UPDATER: &str = "updater";

/// The names of a simulated shop.
pub(crate) struct Names {
    raw: String,
    events: String,
    dead_letters: String,
    ingest_changelog: String,
    updater_changelog: String,
    /// What is compared.
    outputs: Vec<String>,
    /// Each group and the topic it reads, ingest first.
    groups: Vec<(String, String)>,
    partitions: i32,
}

impl Names {
    fn changelog_of(&self, post: &str) -> &str {
        if post.starts_with(INGEST) { &self.ingest_changelog } else { &self.updater_changelog }
    }

    /// A reader of what comes in and what comes out of ingest.
    fn reader(&self, broker: &MemoryBroker) -> Result<MemoryReader, Violation> {
        let mut reader = broker.reader().map_err(|error| error.to_string())?;
        let topics = [&self.raw, &self.events, &self.dead_letters];
        let places: Vec<_> = topics
            .iter()
            .flat_map(|topic| (0..self.partitions).map(|partition| (topic.as_str(), partition, 0)))
            .collect();
        reader.assign(&places).map_err(|error| error.to_string())?;
        Ok(reader)
    }
}

/// A shop in which runs are made one after the other, on one thread.
pub(crate) struct Shop {
    config: Config,
    names: Names,
    topics: Vec<NewTopic>,
    topology: Rc<Topology>,
    metrics: Rc<Metrics>,
    stores: Stores,
    /// By input: what an undisturbed run of a single worker says.
    references: BTreeMap<u64, (Rc<Input>, Rc<Outcome>)>,
}

/// What keeps the workers' states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stores {
    /// Memory, with what a power cut takes
    Memory,
    /// RocksDB, in a temporary directory
    Rocksdb,
}

impl Stores {
    /// What asks for it on the command line.
    fn flags(self) -> &'static str {
        match self {
            Self::Memory => "",
            Self::Rocksdb => " --store rocksdb",
        }
    }
}

/// What a run came to.
pub(crate) struct Run {
    pub(crate) tally: Tally,
    /// Values that were said twice, in the class of faults in which that may be.
    pub(crate) repeats: usize,
    pub(crate) violation: Option<Violation>,
    pub(crate) trace: Vec<String>,
}

impl Shop {
    /// A shop whose runs nothing disturbs.
    pub(crate) fn undisturbed() -> Result<Self, Problem> {
        Self::new(None, Stores::Memory)
    }

    /// A shop; `twin` takes one of the guards away.
    pub(crate) fn new(twin: Option<Twin>, stores: Stores) -> Result<Self, Problem> {
        let mut config = Config::default();
        "historic".clone_into(&mut config.sources[0].kind);
        "canonical".clone_into(&mut config.sources[0].format);
        let topics: Vec<NewTopic> = configured(&config)?
            .into_iter()
            .map(|topic| {
                let settings = topic.wanted_settings();
                NewTopic { name: topic.name, partitions: PARTITIONS, replication: 1, settings }
            })
            .collect();
        let partitions = topics.iter().map(|topic| (topic.name.clone(), topic.partitions)).collect();
        let mut topology = Topology::of(&config, &Partitions { of: partitions })?;
        let guards = &mut topology.profile_updater.processor.guards;
        guards.slowest_origin = twin != Some(Twin::NewestTime);
        guards.late_by_partition = twin != Some(Twin::LateByProfile);
        let names = names(&config, &topology);
        Ok(Self {
            config,
            names,
            topics,
            topology: Rc::new(topology),
            metrics: Rc::new(Metrics::default()),
            stores,
            references: BTreeMap::new(),
        })
    }

    /// Runs a seed through its storm and holds what came of it against the undisturbed run.
    pub(crate) fn run(&mut self, reference: &mut Self, seed: u64, weather: Weather, kept: bool) -> Run {
        let (input, expected) = match reference.reference(seed % INPUTS) {
            Ok(found) => found,
            Err(violation) => return Run::failed(format!("the undisturbed run: {violation}")),
        };
        let wind = Wind::draw(seed, weather, &self.names);
        let clock = MemoryClock::by_hand(OPENING + AFTERWARDS);
        let trace = Arc::new(Trace::new(&clock, kept));
        let torn = weather.tears();
        let ended = self.blow(seed, &input, &wind, (&clock, &trace), torn);
        let judged = ended.and_then(|(tally, outcome)| {
            let (outcome, repeats) = if torn { outcome.without_repeats(&expected) } else { (outcome, 0) };
            outcome.difference(&expected).map_or(Ok((tally, repeats)), Err)
        });
        let trace = trace.lines();
        match judged {
            Ok((tally, repeats)) => Run { tally, repeats, violation: None, trace },
            Err(violation) => Run { trace, ..Run::failed(violation) },
        }
    }

    /// The input of a number and what an undisturbed worker makes of it.
    fn reference(&mut self, number: u64) -> Result<(Rc<Input>, Rc<Outcome>), Violation> {
        if let Some((input, outcome)) = self.references.get(&number) {
            return Ok((Rc::clone(input), Rc::clone(outcome)));
        }
        let input = Rc::new(Input::of(number, &self.names.raw, PARTITIONS));
        let clock = MemoryClock::by_hand(OPENING + AFTERWARDS);
        let trace = Arc::new(Trace::new(&clock, false));
        let wind = Wind::still(&self.names);
        let (_, outcome) = self.blow(number, &input, &wind, (&clock, &trace), false)?;
        let outcome = Rc::new(outcome);
        self.references.insert(number, (Rc::clone(&input), Rc::clone(&outcome)));
        Ok((input, outcome))
    }

    fn blow(
        &self,
        seed: u64,
        input: &Input,
        wind: &Wind,
        (clock, trace): (&MemoryClock, &Arc<Trace>),
        torn: bool,
    ) -> Result<(Tally, Outcome), Violation> {
        let broker = MemoryBroker::new(clock, seed);
        for topic in &self.topics {
            broker.create_topic(topic).map_err(|error| error.to_string())?;
        }
        let disks: Rc<dyn Disks> = match self.stores {
            Stores::Memory => Rc::new(MemoryDisks::default()),
            Stores::Rocksdb => Rc::new(RocksDisks::new().map_err(|error| error.to_string())?),
        };
        let mut cluster = Cluster::new(seed, (&broker, clock), disks, wind.storm.clone(), Arc::clone(trace));
        for number in 0..wind.ingests {
            cluster.hire(self.ingest(number, wind), wind.starts(number));
        }
        for number in 0..wind.updaters {
            cluster.hire(self.updater(number, wind), wind.starts(number));
        }
        for (after, chunk) in wind.chunks(input) {
            cluster.write(chunk, after);
        }
        let tally = cluster.run(&mut Invariants::new(&self.names, torn))?;
        // The offset of a group that was torn off its transaction comes with the next one.
        if !torn {
            self.all_is_consumed(&broker)?;
        }
        let rules = &self.topology.profile_updater.processor.rules;
        Ok((tally, Outcome::of(&broker, &self.names, rules)?))
    }

    /// Nothing is left unread behind the groups' offsets.
    fn all_is_consumed(&self, broker: &MemoryBroker) -> Result<(), Violation> {
        for (group, topic) in &self.names.groups {
            let offsets = broker.group_offsets(group, topic);
            for record in oracle::read_all(broker, topic, 0..PARTITIONS)? {
                if record.offset >= offsets.get(&record.partition).copied().unwrap_or(0) {
                    let (partition, offset) = (record.partition, record.offset);
                    return Err(format!("{group} stands still before {topic}-{partition} at {offset}"));
                }
            }
        }
        Ok(())
    }

    fn ingest(&self, number: u64, wind: &Wind) -> Post {
        self.post(INGEST, number, wind, |topology| &topology.ingest[0])
    }

    fn updater(&self, number: u64, wind: &Wind) -> Post {
        self.post(UPDATER, number, wind, |topology| &topology.profile_updater)
    }

    fn post<P: Processor + 'static>(
        &self,
        name: &str,
        number: u64,
        wind: &Wind,
        node: fn(&Topology) -> &Node<P>,
    ) -> Post {
        // As in production: an instance, and the number of its worker.
        let name = format!("{name}-{number}-0");
        let settings = self.settings(&name, node(&self.topology), wind);
        let (topology, metrics) = (Rc::clone(&self.topology), Rc::clone(&self.metrics));
        let work = move |seat: &Seat<'_>| work(seat, &node(&topology).processor, &settings, &metrics);
        Post { name, work: Rc::new(work) }
    }

    fn settings<P>(&self, name: &str, node: &Node<P>, wind: &Wind) -> WorkerSettings {
        WorkerSettings {
            processor: node.name.clone(),
            input: node.input.clone(),
            changelog: node.changelog.clone(),
            group: node.group(&self.config),
            transactional_id: name.to_owned(),
            commit_interval: wind.commit_interval,
            max_records: wind.max_records,
            max_bytes: 1 << 20,
            hot_states: wind.hot_states,
            session_timeout: wind.session_timeout,
            transaction_timeout: wind.transaction_timeout,
            start_from: StartFrom::Earliest,
            accept_reset: false,
            standby: wind.standby,
            guards: wind.guards,
        }
    }
}

impl Run {
    fn failed(violation: Violation) -> Self {
        Self { tally: Tally::default(), repeats: 0, violation: Some(violation), trace: Vec::new() }
    }
}

fn work<P: Processor>(
    seat: &Seat<'_>,
    processor: &P,
    settings: &WorkerSettings,
    metrics: &Metrics,
) -> Result<(), RuntimeError> {
    run_worker(&Worker {
        broker: seat,
        processor,
        settings,
        clock: seat,
        open_store: &|partition| seat.open_store(partition),
        metrics,
        observer: seat.observer(),
        health: seat.health(),
    })
}

fn names(config: &Config, topology: &Topology) -> Names {
    let (ingest, updater) = (&topology.ingest[0], &topology.profile_updater);
    Names {
        raw: ingest.input.clone(),
        events: updater.input.clone(),
        dead_letters: config.topic("dead-letters"),
        ingest_changelog: ingest.changelog.clone(),
        updater_changelog: updater.changelog.clone(),
        outputs: ["events", "dead-letters", "profile-updates", "sessions"]
            .map(|name| config.topic(name))
            .into(),
        groups: vec![
            (ingest.group(config), ingest.input.clone()),
            (updater.group(config), updater.input.clone()),
        ],
        partitions: PARTITIONS,
    }
}
