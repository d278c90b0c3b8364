//! Gives a stopped pipeline another number of partitions: its states move to topics of the next generation.

use std::cell::Cell;
use std::path::Path;

use events::{EventTime, Heartbeat, OriginTime};
use indicatif::ProgressBar;
use serde::Serialize;
use state_store::{RocksOptions, RocksStore, StateDirectory, StateStore, StoreError};
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::broker::{Broker, NewTopic};
use stream_runtime::{
    Copied, Move, Output, Outputs, Place, Reshard, ReshardProblem, ReshardSettings, RuntimeError, StreamTime,
    SystemClock, last_trailer, moved_to,
};

use crate::config::Config;
use crate::headers;
use crate::problem::Problem;
use crate::processors::{CLICKSTREAM, told};
use crate::read::count_partitions;
use crate::topics::{Topic, check_generation, configured, input_of, last_trailers, wait_for};

/// Memory for the rows of one partition, in bytes.
const SCRATCH_CACHE: usize = 8 << 20;
const SCRATCH_BUFFERS: usize = 16 << 20;

/// What was moved where.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Resharded {
    /// To be set from now on.
    pub(crate) generation: u32,
    pub(crate) partitions: i32,
    /// By an earlier run: this one has found it done.
    pub(crate) already: bool,
    pub(crate) moved: Vec<MovedState>,
}

/// The state of one processor, before and after.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct MovedState {
    pub(crate) processor: String,
    pub(crate) changelog: String,
    pub(crate) partitions_before: i32,
    pub(crate) partitions_after: i32,
    pub(crate) rows: u64,
    /// Of all rows, whatever their order: the same before and after.
    pub(crate) hash: String,
}

/// Where it works and what it needs there.
pub(crate) struct Site<'a, B> {
    pub(crate) broker: &'a B,
    /// Everything that is there, ours or not.
    pub(crate) topics: Vec<String>,
    /// Makes a topic, and waits until it is there.
    pub(crate) make: &'a dyn Fn(&NewTopic) -> Result<(), Problem>,
    /// A directory for rows that wait.
    pub(crate) scratch: &'a Path,
}

/// [`reshard`] on Apache Kafka, with what waits in the state directory, which nobody else may use meanwhile.
pub(crate) fn on_kafka(broker: &KafkaBroker, config: &Config, partitions: i32) -> Result<Resharded, Problem> {
    let directory = StateDirectory::hold(&config.state_dir, || uuid::Uuid::new_v4().to_string())?;
    let make = |topic: &NewTopic| {
        broker.create_topic(topic)?;
        wait_for(broker, &topic.name)
    };
    let scratch = directory.path().join("reshard");
    let topics = broker.topics()?.into_keys().collect();
    let resharded = reshard(&Site { broker, topics, make: &make, scratch: &scratch }, config, partitions);
    // What stays of it is emptied by the next try.
    let _ = std::fs::remove_dir_all(&scratch);
    resharded
}

/// Moves all states to `partitions` partitions, or nothing. Whatever interrupts it, it can be run once more.
pub(crate) fn reshard<B: Broker>(
    site: &Site<'_, B>,
    config: &Config,
    partitions: i32,
) -> Result<Resharded, Problem> {
    let (broker, next) = (site.broker, config.resharded());
    if let Some(done) = done_already(broker, config, &next)? {
        return done.asked(partitions);
    }
    check_generation(config, &last_trailers(broker, config)?)?;
    check_sources(site, config)?;
    // What it could not be started with, nothing moves to.
    next.check().map_err(Problem::Config)?;
    if count_partitions(broker, &config.topic("events"))? == partitions {
        return Err(Problem::Config(format!("the state is spread over {partitions} partitions already")));
    }
    let number = Cell::new(0u32);
    let scratch = || scratch_store(site.scratch, &number);
    let clock = SystemClock::default();
    let settings = ReshardSettings {
        transactional_id: format!("{}-reshard", config.application),
        transaction_timeout: config.transactions.timeout.0,
        session_timeout: config.transactions.session_timeout.0,
        start_from: config.start().map_err(Problem::Config)?,
        max_records: config.transactions.max_records,
        scratch: &scratch,
        clock: &clock,
    };
    let moves = moves(config, &next);
    let mut reshard = Reshard::survey(broker, &moves, &settings)?;
    make_topics(site, config, &next, partitions)?;
    let progress = ProgressBar::new_spinner().with_message("rows copied and read back");
    let copied = reshard.copy(&mut |rows| progress.inc(rows))?;
    let along = sessions_go_on(broker, config, partitions, &reshard.time("profile-updater"))?;
    reshard.commit(&along)?;
    progress.finish_and_clear();
    let moved = copied.into_iter().map(MovedState::of).collect();
    Ok(Resharded { generation: next.generation, partitions, already: false, moved })
}

/// A source that is not configured any more would leave its state behind.
fn check_sources<B: Broker>(site: &Site<'_, B>, config: &Config) -> Result<(), Problem> {
    let mut reader = site.broker.reader()?;
    for changelog in site.topics.iter().filter(|topic| is_of_no_source(config, topic)) {
        match last_trailer(site.broker, &mut reader, changelog, 0) {
            Ok(Some(_)) => {
                return Err(Problem::Config(format!(
                    "{changelog} holds the state of a source that is not configured, and would stay behind: configure the \
                     source until it has moved, or delete the topic if it is not to come back; nothing has moved"
                )));
            }
            // Somebody else's, or nobody has worked with it.
            Ok(None) | Err(RuntimeError::OtherVersion { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether a topic is named as the changelog of a source, of this generation, that is not configured.
fn is_of_no_source(config: &Config, topic: &str) -> bool {
    let any = config.changelog("ingest-*");
    let is_of_ingest = |(before, after)| topic.starts_with(before) && topic.ends_with(after);
    let known = || config.processors().any(|processor| config.changelog(&processor) == topic);
    any.split_once('*').is_some_and(is_of_ingest) && !known()
}

fn done_already<B: Broker>(broker: &B, config: &Config, next: &Config) -> Result<Option<Resharded>, Problem> {
    if moved_to(broker, &config.topic("profile-updater-changelog"))?.is_none() {
        return Ok(None);
    }
    let (generation, moved) = (next.generation, Vec::new());
    let partitions = count_partitions(broker, &next.topic("events"))?;
    Ok(Some(Resharded { generation, partitions, already: true, moved }))
}

/// Every processor with what it stands on.
fn moves(config: &Config, next: &Config) -> Vec<Move> {
    let one = |processor: String, input: &dyn Fn(&Config) -> String| {
        let place = |config: &Config| Place { input: input(config), changelog: config.changelog(&processor) };
        Move { group: config.group(&processor), from: place(config), to: place(next), processor }
    };
    let sources = config.sources.iter();
    let mut moves: Vec<Move> =
        sources.map(|source| one(source.processor(), &|_| source.topic().to_owned())).collect();
    moves.push(one("profile-updater".to_owned(), &|config| config.topic("events")));
    moves.push(one("recommender".to_owned(), &|config| config.topic("profile-updates")));
    moves
}

/// Makes the topics of the next generation. Those that an earlier try has made are taken as they are.
fn make_topics<B: Broker>(
    site: &Site<'_, B>,
    config: &Config,
    next: &Config,
    partitions: i32,
) -> Result<(), Problem> {
    let before: Vec<String> = configured(config)?.into_iter().map(|topic| topic.name).collect();
    for topic in configured(next)?.into_iter().filter(|topic| !before.contains(&topic.name)) {
        let input = input_of(next, &topic.name);
        let source = config.sources.iter().find(|source| input.as_deref() == Some(source.topic()));
        let partitions = match source {
            Some(source) => count_partitions(site.broker, source.topic())?,
            None => partitions,
        };
        make_topic(site, config, &topic, partitions)?;
    }
    Ok(())
}

fn make_topic<B: Broker>(
    site: &Site<'_, B>,
    config: &Config,
    topic: &Topic,
    partitions: i32,
) -> Result<(), Problem> {
    let name = topic.name.clone();
    match site.broker.partitions(&name)? {
        Some(found) if found == partitions => Ok(()),
        Some(found) => Err(Problem::PartitionCount {
            topic: name,
            found,
            expected: partitions,
            reason: "an earlier try has made it; delete it, or ask for as many".to_owned(),
        }),
        None => {
            let (replication, settings) = (config.kafka.replication, topic.wanted_settings());
            (site.make)(&NewTopic { name, partitions, replication, settings })
        }
    }
}

/// What the readers of `sessions` are told: every new writer goes on where the furthest old one was, and those that
/// there are too many of have ended.
fn sessions_go_on<B: Broker>(
    broker: &B,
    config: &Config,
    after: i32,
    time: &StreamTime,
) -> Result<Vec<Output>, Problem> {
    let (topic, before) = (config.topic("sessions"), count_partitions(broker, &config.topic("events"))?);
    let told = told(time).unwrap_or(EventTime::MIN);
    let go_on = (0..after).map(|partition| OriginTime { partition, time: told });
    let ended = (after..before).map(|partition| OriginTime { partition, time: EventTime::MAX });
    let origins: Vec<OriginTime> = go_on.chain(ended).collect();
    let heartbeat = Heartbeat { source: CLICKSTREAM.to_owned(), origins };
    let value = codec::encode_heartbeat(&heartbeat).map_err(|error| Problem::Failed(error.to_string()))?;
    let kind = [(headers::KIND.to_owned(), headers::HEARTBEAT.to_vec())];
    let mut outputs = Outputs::default();
    outputs.broadcast(&topic.as_str().into(), count_partitions(broker, &topic)?, &value, &kind);
    Ok(outputs.take())
}

/// An empty store; those before it are not needed any more.
fn scratch_store(directory: &Path, number: &Cell<u32>) -> Result<Box<dyn StateStore>, StoreError> {
    let before = directory.join(number.get().to_string());
    number.set(number.get() + 1);
    // What cannot be removed takes room, and does no harm.
    let _ = std::fs::remove_dir_all(before);
    let path = directory.join(number.get().to_string());
    let _ = std::fs::remove_dir_all(&path);
    let options = RocksOptions::new(SCRATCH_CACHE, SCRATCH_BUFFERS);
    Ok(Box::new(RocksStore::open(&path, &options)?))
}

impl Resharded {
    /// What an earlier run has done, if it is what was asked for.
    fn asked(self, partitions: i32) -> Result<Self, Problem> {
        if self.partitions == partitions {
            return Ok(self);
        }
        let Self { generation, partitions: found, .. } = self;
        Err(Problem::Config(format!(
            "the state has moved to generation {generation} with {found} partitions already; set generation = {generation}, \
             and repeat to move it on"
        )))
    }

    /// The report for a person.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for state in &self.moved {
            let MovedState { processor, partitions_before, partitions_after, rows, hash, .. } = state;
            text.push_str(&format!(
                "{processor}: {rows} rows from {partitions_before} to {partitions_after} partitions, hash {hash} before and after\n"
            ));
        }
        let (generation, partitions) = (self.generation, self.partitions);
        let done = if self.already { "has been moved before" } else { "is moved" };
        text.push_str(&format!(
            "the state {done} to generation {generation}, {partitions} partitions: set generation = {generation} for every \
             instance and start them\n"
        ));
        text
    }
}

impl MovedState {
    fn of(copied: Copied) -> Self {
        Self {
            processor: copied.processor,
            changelog: copied.changelog,
            partitions_before: copied.before,
            partitions_after: copied.after,
            rows: copied.rows.rows,
            hash: format!("{:016x}", copied.rows.hash),
        }
    }
}

impl From<ReshardProblem> for Problem {
    fn from(problem: ReshardProblem) -> Self {
        match problem {
            ReshardProblem::Runtime(error) => error.into(),
            ReshardProblem::Uneven { .. } | ReshardProblem::InUse { .. } => Self::Config(problem.to_string()),
            _ => Self::Failed(problem.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changelog_of_a_source_that_is_not_configured_is_known_by_its_name() {
        let config = Config { topic_prefix: "bakery.".into(), ..Config::default() }.resharded();
        assert!(is_of_no_source(&config, "bakery.ingest-kiosk-changelog-g2"));
        for other in [
            "bakery.ingest-clickstream-changelog-g2",
            "bakery.ingest-kiosk-changelog",
            "ingest-kiosk-changelog-g2",
            "bakery.profile-updater-changelog-g2",
        ] {
            assert!(!is_of_no_source(&config, other), "{other}");
        }
    }
}
