//! The topics as `schemas/topics/*.toml` declares them, planned and applied on a cluster.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::broker::{Broker, NewTopic, TopicState};
use stream_runtime::{RuntimeError, Trailer, last_trailer};

use crate::config::{Config, SourceConfig};
use crate::problem::Problem;

macro_rules! declared {
    ($($name:literal),+ $(,)?) => {
        [$(include_str!(concat!("../../../schemas/topics/", $name, ".toml"))),+]
    };
}

const DECLARED: [&str; 12] = declared![
    "clickstream",
    "events",
    "profile-updates",
    "dead-letters",
    "ingest-clickstream-changelog",
    "profile-updater-changelog",
    "sessions",
    "recommendations",
    "abandoned-carts",
    "suppressions",
    "recommender-changelog",
    "control",
];

/// A topic: who writes and reads it, by which key, with which settings.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) owner: String,
    pub(crate) writer: String,
    pub(crate) readers: Vec<String>,
    pub(crate) key: String,
    pub(crate) partitions: i32,
    pub(crate) cleanup: String,
    pub(crate) retention_ms: i64,
    pub(crate) schema: String,
    pub(crate) format: String,
    /// Whether `paczek digest` counts it.
    pub(crate) digest: bool,
    pub(crate) settings: BTreeMap<String, String>,
}

impl Topic {
    pub(crate) fn wanted_settings(&self) -> BTreeMap<String, String> {
        let mut settings = self.settings.clone();
        settings.insert("cleanup.policy".into(), self.cleanup.clone());
        if self.cleanup == "delete" {
            settings.insert("retention.ms".into(), self.retention_ms.to_string());
        }
        settings
    }
}

/// The declared topics, by their names without prefix.
///
/// # Errors
/// When a declaration is not in the form this version reads; a test keeps that from happening.
pub(crate) fn declared() -> Result<Vec<Topic>, Problem> {
    let parsed = DECLARED.iter().map(|text| toml::from_str(text));
    parsed.collect::<Result<_, _>>().map_err(|error| Problem::Failed(format!("schemas/topics: {error}")))
}

/// The topics of this configuration under the names they have on the cluster: those of every source, ours
/// under the prefix, one changelog for each ingest.
pub(crate) fn configured(config: &Config) -> Result<Vec<Topic>, Problem> {
    let declared = declared()?;
    let named = |name: &str| declared.iter().find(|topic| topic.name == name).cloned();
    let mut topics = Vec::new();
    for source in &config.sources {
        let (raw, changelog) = (named("clickstream"), named("ingest-clickstream-changelog"));
        topics.extend(raw.map(|raw| Topic { name: source.topic().to_owned(), ..raw }));
        let name = config.changelog(&source.processor());
        topics.extend(changelog.map(|changelog| Topic { name, ..changelog }));
    }
    let shared =
        declared.iter().filter(|topic| topic.owner == "paczek" && !topic.name.starts_with("ingest-"));
    topics.extend(shared.map(|topic| Topic { name: config.topic(&topic.name), ..topic.clone() }));
    Ok(topics)
}

/// The names of our own topics on the cluster.
pub(crate) fn own(config: &Config) -> Vec<String> {
    let topics = configured(config).unwrap_or_default().into_iter();
    topics.filter(|topic| topic.owner == "paczek").map(|topic| topic.name).collect()
}

/// The topics that a digest counts, under the names that they have had on the cluster, the oldest first.
pub(crate) fn digested(config: &Config) -> Vec<Vec<String>> {
    let declared = declared().unwrap_or_default();
    declared.iter().filter(|topic| topic.digest).map(|topic| config.topics_of(&topic.name)).collect()
}

/// What is to be done about one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub(crate) enum Step {
    /// It is as it should be.
    Keep { topic: String },
    /// It is to be made.
    Create { topic: String, partitions: i32, settings: BTreeMap<String, String> },
    /// It is of a later generation: `reshard` makes it.
    Reshard { topic: String },
    /// It is there, but not as it should be; only a person can decide.
    Differs { topic: String, differences: Vec<String> },
}

/// What is to be done so that the cluster has every topic.
pub(crate) fn plan(broker: &KafkaBroker, config: &Config) -> Result<Vec<Step>, Problem> {
    let mut steps = Vec::new();
    for mut topic in configured(config)? {
        // A changelog has as many partitions as its input has, or is going to have.
        if let Some(input) = input_of(config, &topic.name) {
            topic.partitions = broker.partitions(&input)?.unwrap_or(topic.partitions);
        }
        let step = step(&topic, broker.topic_state(&topic.name)?);
        steps.push(match step {
            Step::Create { topic, .. } if is_resharded(broker, config, &topic)? => Step::Reshard { topic },
            step => step,
        });
    }
    Ok(steps)
}

/// Whether only `reshard` makes a topic. A source that comes later has a changelog of its own.
fn is_resharded(broker: &KafkaBroker, config: &Config, topic: &str) -> Result<bool, Problem> {
    let of_source =
        |source: &SourceConfig| source.topic() == topic || config.changelog(&source.processor()) == topic;
    let of_generation = config.generation > 1 && topic.ends_with(&format!("-g{}", config.generation));
    let is_there = || broker.partitions(&config.topic("profile-updater-changelog"));
    Ok(of_generation && !(config.sources.iter().any(of_source) && is_there()?.is_some()))
}

/// The topic that the processor of a changelog reads; `None` for any other topic.
pub(crate) fn input_of(config: &Config, changelog: &str) -> Option<String> {
    let of = |name: &str, input: String| (config.changelog(name) == changelog).then_some(input);
    let mut sources = config.sources.iter();
    let ingest = sources.find_map(|source| of(&source.processor(), source.topic().to_owned()));
    let updater = || of("profile-updater", config.topic("events"));
    ingest.or_else(updater).or_else(|| of("recommender", config.topic("profile-updates")))
}

/// Makes the missing topics; the others are left alone.
pub(crate) fn apply(broker: &KafkaBroker, config: &Config) -> Result<Vec<Step>, Problem> {
    let steps = plan(broker, config)?;
    for step in &steps {
        if let Step::Create { topic, partitions, settings } = step {
            broker.create_topic(&NewTopic {
                name: topic.clone(),
                partitions: *partitions,
                replication: config.kafka.replication,
                settings: settings.clone(),
            })?;
            wait_for(broker, topic)?;
        }
    }
    Ok(steps)
}

/// A topic that has been made takes a moment until every broker tells of it.
pub(crate) fn wait_for(broker: &KafkaBroker, topic: &str) -> Result<(), Problem> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while broker.partitions(topic)?.is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The plan for a person.
pub(crate) fn describe(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        // Writing into a String does not fail.
        let _ = match step {
            Step::Keep { topic } => writeln!(text, "keep     {topic}"),
            Step::Create { topic, partitions, .. } => {
                writeln!(text, "create   {topic}, {partitions} partitions")
            }
            Step::Reshard { topic } => writeln!(text, "missing  {topic}: `paczek reshard` makes it"),
            Step::Differs { topic, differences } => {
                writeln!(text, "differs  {topic}: {}", differences.join("; "))
            }
        };
    }
    text
}

fn step(topic: &Topic, found: Option<TopicState>) -> Step {
    let wanted = topic.wanted_settings();
    let Some(found) = found else {
        return Step::Create { topic: topic.name.clone(), partitions: topic.partitions, settings: wanted };
    };
    let uneven = topic.cleanup == "compact"
        && topic.schema.starts_with("changelog")
        && topic.partitions != found.partitions;
    let partitions =
        uneven.then(|| format!("it has {} partitions, its input {}", found.partitions, topic.partitions));
    // The shop's own topics are the shop's to set.
    let watched = wanted.iter().filter(|_| topic.owner == "paczek");
    let differences: Vec<String> = watched
        .filter_map(|(name, value)| {
            let has = found.settings.get(name).map_or("unset", String::as_str);
            (has != value).then(|| format!("{name} is {has}, should be {value}"))
        })
        .collect();
    let differences: Vec<String> = differences.into_iter().chain(partitions).collect();
    if differences.is_empty() {
        Step::Keep { topic: topic.name.clone() }
    } else {
        Step::Differs { topic: topic.name.clone(), differences }
    }
}

/// The item models learn from `sessions` after a loss, so it is kept at least as long as they remember.
pub(crate) fn check_retention(broker: &KafkaBroker, config: &Config) -> Result<(), Problem> {
    let (topic, wanted) = (config.topic("sessions"), config.recommender.max_age.millis());
    let Some(found) = broker.topic_state(&topic)? else { return Ok(()) };
    let retention = found.settings.get("retention.ms").and_then(|value| value.parse::<i64>().ok());
    match retention {
        Some(kept) if kept >= 0 && kept < wanted => Err(Problem::Config(format!(
            "topic {topic} keeps records for {kept} ms and recommender.max_age is {wanted} ms: \
             raise retention.ms of the topic, or lower max_age"
        ))),
        _ => Ok(()),
    }
}

/// The partitions of each topic the processors touch, checked against each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Partitions {
    /// By topic name on the cluster.
    pub(crate) of: BTreeMap<String, i32>,
}

impl Partitions {
    /// Asks the cluster.
    pub(crate) fn check(broker: &KafkaBroker, config: &Config) -> Result<Self, Problem> {
        let mut of = BTreeMap::new();
        for topic in configured(config)? {
            match broker.partitions(&topic.name)? {
                Some(partitions) => of.insert(topic.name, partitions),
                None => return Err(missing(broker, config, &topic.name)),
            };
        }
        // Who wrote in former generations is known as long as their topics are kept.
        for topic in config.topics_of("events") {
            of.extend(broker.partitions(&topic)?.map(|partitions| (topic, partitions)));
        }
        let partitions = Self { of };
        for source in &config.sources {
            partitions.same(source.topic(), &config.changelog(&source.processor()))?;
        }
        partitions.same(&config.topic("events"), &config.topic("profile-updater-changelog"))?;
        partitions.same(&config.topic("profile-updates"), &config.topic("recommender-changelog"))?;
        Ok(partitions)
    }

    /// Whether keys are still spread over as many partitions as when state was made. Whoever writes asks too: it
    /// would put keys where their state is not.
    pub(crate) fn check_spread<B: Broker>(&self, broker: &B, config: &Config) -> Result<(), Problem> {
        let known = last_trailers(broker, config)?;
        check_generation(config, &known)?;
        for (input, name) in [("events", "profile-updater"), ("profile-updates", "recommender")] {
            let (topic, changelog) = (config.topic(input), config.changelog(name));
            let found = self.count(&topic);
            let expected = known.get(&changelog).and_then(|trailer| trailer.partitions);
            if let Some(expected) = expected.filter(|expected| *expected != found) {
                return Err(RuntimeError::OtherPartitions { topic, changelog, found, expected }.into());
            }
        }
        Ok(())
    }

    /// The partitions of a topic; 1 for one that is not part of the configuration.
    pub(crate) fn count(&self, topic: &str) -> i32 {
        self.of.get(topic).copied().unwrap_or(1)
    }

    fn same(&self, input: &str, changelog: &str) -> Result<(), Problem> {
        let (expected, found) = (self.count(input), self.count(changelog));
        if expected == found {
            return Ok(());
        }
        let reason = format!("as many as its input {input} has");
        Err(Problem::PartitionCount { topic: changelog.to_owned(), found, expected, reason })
    }
}

/// The last trailer of each changelog that has one, by changelog. Every heartbeat goes to every partition, and all of
/// them move at once, so the first tells for all.
pub(crate) fn last_trailers<B: Broker>(
    broker: &B,
    config: &Config,
) -> Result<BTreeMap<String, Trailer>, RuntimeError> {
    let mut reader = broker.reader()?;
    let mut known = BTreeMap::new();
    for name in config.processors() {
        let changelog = config.changelog(&name);
        if broker.partitions(&changelog)?.is_some() {
            let last = last_trailer(broker, &mut reader, &changelog, 0)?;
            known.extend(last.map(|trailer| (changelog, trailer)));
        }
    }
    Ok(known)
}

/// Whether the state is that of the configured generation.
pub(crate) fn check_generation(config: &Config, known: &BTreeMap<String, Trailer>) -> Result<(), Problem> {
    for (changelog, trailer) in known {
        if let Some(moved_to) = trailer.moved_to.clone() {
            return Err(RuntimeError::Moved { changelog: changelog.clone(), moved_to }.into());
        }
    }
    // All states move at once, so one of them tells for all; a source may have come later.
    if config.generation == 1 || known.contains_key(&config.topic("profile-updater-changelog")) {
        return Ok(());
    }
    let generation = config.generation;
    Err(Problem::Config(format!(
        "no state has moved to generation {generation}: set generation = {} and run `paczek reshard`",
        generation - 1
    )))
}

fn missing(broker: &KafkaBroker, config: &Config, topic: &str) -> Problem {
    if is_resharded(broker, config, topic).unwrap_or_default() {
        let hint = "; or rather, as it is of a later generation, with `paczek reshard`".to_owned();
        return Problem::MissingTopic { topic: topic.to_owned(), hint };
    }
    let near =
        broker.topics().unwrap_or_default().into_keys().find(|known| strsim::osa_distance(known, topic) <= 2);
    let hint = near
        .map_or_else(String::new, |near| format!("; the cluster has a topic {near}: did you mean that one?"));
    Problem::MissingTopic { topic: topic.to_owned(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declaration_is_read_and_named_as_its_file() {
        let topics = declared().unwrap();
        assert_eq!(topics.len(), DECLARED.len());
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/topics")).unwrap();
        let mut files: Vec<String> = files
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let mut names: Vec<String> = topics.into_iter().map(|topic| topic.name).collect();
        files.sort();
        names.sort();
        assert_eq!(names, files);
    }

    #[test]
    fn what_is_missing_is_created_and_what_differs_is_left_to_a_person() {
        let topics = declared().unwrap();
        let events = topics.iter().find(|topic| topic.name == "events").unwrap();
        assert!(matches!(step(events, None), Step::Create { partitions: 4, .. }));
        let settings = events.wanted_settings();
        assert!(matches!(step(events, Some(TopicState { partitions: 4, settings })), Step::Keep { .. }));
        let settings = BTreeMap::from([("cleanup.policy".into(), "compact".into())]);
        assert!(matches!(step(events, Some(TopicState { partitions: 4, settings })), Step::Differs { .. }));
    }
}
