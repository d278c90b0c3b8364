//! A shop of its own on a cluster: topics, groups, state directories, and what came out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use events::EventTime;
use ingest::{Format, Source, SourceKind};
use paczek::{Config, Row, TopicDigest, read_rows};
use stream_runtime::SourceRecord;
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::broker::{Broker as _, Extent, LogReader as _, Read};

use crate::cluster::Cluster;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// The group of ingest, without the shop's name.
pub const INGEST: &str = "ingest-clickstream";
/// That of profile-updater.
pub const PROFILE_UPDATER: &str = "profile-updater";
/// That of recommender.
pub const RECOMMENDER: &str = "recommender";

/// Offsets in which the last committed record of a partition is looked for first.
const TAIL: i64 = 2_000;
/// The topics whose digests are compared.
const DIGESTED: [&str; 5] = ["events", "profile-updates", "sessions", "dead-letters", "decisions"];

/// One shop with topics, groups and state directories of its own.
pub struct Shop {
    /// What its topics, groups and ids begin with.
    pub name: String,
    /// The cluster.
    pub broker: KafkaBroker,
    /// Where the state directories and logs of its workers are.
    pub directory: tempfile::TempDir,
    /// What the workers are told the cluster's address is.
    through: String,
    settings: Vec<(String, String)>,
}

impl Shop {
    /// A shop whose topics have been made. `settings` are further environment variables.
    #[must_use]
    pub fn open(cluster: &Cluster, name: &str, settings: &[(&str, &str)]) -> Self {
        Self::open_at(cluster.bootstrap, name, settings)
    }

    /// The same on a cluster at this address.
    #[must_use]
    pub fn open_at(bootstrap: &str, name: &str, settings: &[(&str, &str)]) -> Self {
        let broker = KafkaBroker::new(bootstrap, &BTreeMap::new()).unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings = settings.iter().map(own).collect();
        let directory = tempfile::Builder::new().prefix("paczek-chaos-").tempdir().unwrap();
        let through = bootstrap.to_owned();
        let shop = Self { name: name.to_owned(), broker, directory, through, settings };
        shop.expect(&["topics", "apply"]);
        shop
    }

    /// From now on its workers know the cluster by this address: that of a proxy.
    pub fn go_through(&mut self, bootstrap: String) {
        self.through = bootstrap;
    }

    /// Changes a setting of the workers that are started from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// The name of a topic of this shop, in the generation that it is in.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        self.config().topic(name)
    }

    fn config(&self) -> Config {
        let generation = self.settings.iter().find(|(name, _)| name == "GENERATION");
        Config {
            application: self.name.clone(),
            topic_prefix: format!("{}-", self.name),
            generation: generation.map_or(1, |(_, generation)| generation.parse().unwrap()),
            ..Config::default()
        }
    }

    /// The environment of an instance.
    #[must_use]
    pub fn environment(&self, instance: &str) -> Vec<(String, String)> {
        let own = |name: &str, value: String| (format!("PACZEK_{name}"), value);
        let mut environment = vec![
            own("APPLICATION", self.name.clone()),
            own("TOPIC_PREFIX", format!("{}-", self.name)),
            own("STATE_DIR", self.state(instance).display().to_string()),
            own("LEAST_FREE_DISK", "0".into()),
            own("HTTP", "\"\"".into()),
            own("KAFKA__BOOTSTRAP", self.through.clone()),
            own("SOURCES__0__TOPIC", self.topic("clickstream")),
            own("SOURCES__0__FORMAT", "alibaba".into()),
            own("SOURCES__0__KIND", "historic".into()),
            own("LOG", "warn".into()),
        ];
        environment
            .extend(self.settings.iter().map(|(name, value)| (format!("PACZEK_{name}"), value.clone())));
        environment
    }

    /// The state directory of an instance.
    #[must_use]
    pub fn state(&self, instance: &str) -> PathBuf {
        self.directory.path().join(instance)
    }

    /// A command of the binary that nobody has started yet.
    #[must_use]
    pub fn prepared(&self, arguments: &[&str]) -> Command {
        let mut command = binary();
        command.args(arguments).envs(self.environment("none"));
        command
    }

    /// Runs a command of the binary.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Output {
        self.prepared(arguments).output().unwrap()
    }

    /// Runs a command that must succeed.
    pub fn expect(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "paczek {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Loads a file with the command a user has.
    pub fn load(&self, file: &Path) {
        self.expect(&["load", "--format", "alibaba", file.to_str().unwrap()]);
    }

    /// The digests, read by the command a user has.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<String, TopicDigest> {
        let json: serde_json::Value = serde_json::from_str(&self.expect(&["digest", "--json"])).unwrap();
        // `decisions` is no topic but an account of three; the others go by their first name.
        let first = Config { generation: 1, ..self.config() };
        let key = |name: &str| if name == "decisions" { name.to_owned() } else { first.topic(name) };
        let digest = |name: &str| (name.to_owned(), parse(&json[key(name)]));
        DIGESTED.into_iter().map(digest).collect()
    }

    /// Every committed record of a topic.
    #[must_use]
    pub fn records(&self, topic: &str) -> Vec<SourceRecord> {
        let mut records = Vec::new();
        self.read(topic, i64::MAX, |record| records.push(record));
        records
    }

    /// The committed records among the last so many offsets of each partition of a topic, one by one.
    pub fn read(&self, topic: &str, last: i64, mut take: impl FnMut(SourceRecord)) {
        let topic = self.topic(topic);
        let mut open: BTreeMap<i32, Extent> = self.extents(&topic);
        open.retain(|_, extent| extent.start < extent.stable_end);
        let from = |extent: &Extent| extent.start.max(extent.stable_end.saturating_sub(last));
        let positions: Vec<_> =
            open.iter().map(|(partition, extent)| (&*topic, *partition, from(extent))).collect();
        let mut reader = self.broker.reader().unwrap();
        reader.assign(&positions).unwrap();
        while !open.is_empty() {
            match reader.poll(Duration::from_millis(200)).unwrap() {
                Some(Read::Record(record)) => take(record),
                Some(Read::End { partition }) => {
                    open.remove(&partition);
                }
                None => {}
            }
        }
    }

    /// Behind the last committed record of each partition that has one. Offsets are no count, and the last ones
    /// may be those of an aborted transaction.
    #[must_use]
    pub fn ends(&self, topic: &str) -> BTreeMap<i32, i64> {
        let of_the = |last| {
            let mut ends = BTreeMap::new();
            self.read(topic, last, |record| {
                ends.insert(record.partition, record.offset + 1);
            });
            ends
        };
        let full =
            self.extents(&self.topic(topic)).values().filter(|extent| extent.start < extent.end).count();
        let ends = of_the(TAIL);
        if ends.len() == full { ends } else { of_the(i64::MAX) }
    }

    /// Offsets of a topic, by partition.
    #[must_use]
    pub fn extents(&self, topic: &str) -> BTreeMap<i32, Extent> {
        let ask = || -> Option<BTreeMap<i32, Extent>> {
            let partitions = 0..self.broker.partitions(topic).ok()??;
            partitions
                .map(|partition| Some((partition, self.broker.extent(topic, partition).ok()?)))
                .collect()
        };
        let mut found = None;
        // A topic that has just been made takes a moment to be known.
        wait("a topic tells its ends", || {
            found = ask();
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// The partitions of these topics in which a transaction is open, and up to where each is stable.
    #[must_use]
    pub fn unstable(&self, topics: &[&str]) -> BTreeSet<(String, i32, i64)> {
        let of = |topic: &&str| {
            let topic = self.topic(topic);
            let open = self.extents(&topic).into_iter().filter(|(_, extent)| extent.stable_end < extent.end);
            open.map(|(partition, extent)| (topic.clone(), partition, extent.stable_end)).collect::<Vec<_>>()
        };
        topics.iter().flat_map(of).collect()
    }

    /// Sum of a processor's committed offsets.
    #[must_use]
    pub fn committed(&self, processor: &str) -> i64 {
        self.group_offsets(processor).values().sum()
    }

    /// A processor's committed offsets, by partition.
    #[must_use]
    pub fn group_offsets(&self, processor: &str) -> BTreeMap<i32, i64> {
        let input = match processor {
            INGEST => "clickstream",
            PROFILE_UPDATER => "events",
            _ => "profile-updates",
        };
        let (group, topic) = (self.config().group(processor), self.topic(input));
        let mut offsets = None;
        // A group's coordinator takes a moment to be found.
        wait("the group's coordinator answers", || {
            offsets = self.broker.group_offsets(&group, &topic).ok();
            offsets.is_some()
        });
        offsets.unwrap_or_default()
    }

    /// Waits until every processor has taken all there is and the last timer has fired. `each` is called
    /// over and over meanwhile.
    pub fn finish(&self, mut each: impl FnMut()) {
        self.finish_front(&mut each);
        self.takes_all(RECOMMENDER, "profile-updates", &mut each);
    }

    /// The same where no recommender runs.
    pub fn finish_front(&self, mut each: impl FnMut()) {
        self.takes_all(INGEST, "clickstream", &mut each);
        self.takes_all(PROFILE_UPDATER, "events", &mut each);
        let mut resting = (Vec::new(), Instant::now());
        wait("the last timers fire", || {
            each();
            let ends: Vec<_> = self.extents(&self.topic("profile-updates")).into_values().collect();
            if ends != resting.0 {
                resting = (ends, Instant::now());
            }
            resting.1.elapsed() > Duration::from_millis(1_500)
        });
    }

    fn takes_all(&self, processor: &str, input: &str, each: &mut impl FnMut()) {
        let ends = self.ends(input);
        wait(&format!("{processor} takes all of {input}"), || {
            each();
            self.has_taken(processor, &ends)
        });
    }

    /// Whether a processor has committed all up to these ends.
    #[must_use]
    pub fn has_taken(&self, processor: &str, ends: &BTreeMap<i32, i64>) -> bool {
        let offsets = self.group_offsets(processor);
        ends.iter().all(|(partition, end)| offsets.get(partition).is_some_and(|offset| offset >= end))
    }
}

/// Waits until `done`, which asks the broker; gives up with `what` after [`PATIENCE`].
pub fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// What the demo says of a file.
pub struct Demo {
    /// All of it.
    pub json: serde_json::Value,
    /// Its digests by topic.
    pub digests: BTreeMap<String, TopicDigest>,
}

impl Demo {
    /// Of a file of Alibaba's rows.
    #[must_use]
    pub fn of(file: &Path) -> Self {
        Self::with(file, "alibaba")
    }

    /// Of a file in this format.
    #[must_use]
    pub fn with(file: &Path, format: &str) -> Self {
        Self::run(&["--format", format, "--input", file.to_str().unwrap()])
    }

    /// The demo with these arguments.
    #[must_use]
    pub fn run(arguments: &[&str]) -> Self {
        let output = binary().args(["demo", "--json"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let digest = |name: &str| (name.to_owned(), parse(&json["digests"][name]));
        let digests = DIGESTED.into_iter().map(digest).collect();
        Self { json, digests }
    }
}

/// The rows of a file.
#[must_use]
pub fn rows(file: &Path, format: Format) -> Vec<Row> {
    let source = Source::new("clickstream", "shop", format, SourceKind::Historic);
    read_rows(file, &source, EventTime(i64::MAX / 2)).unwrap()
}

/// `paczek`, which sees no setting of whoever runs this: beside a test its own program, else this one.
fn binary() -> Command {
    let itself = std::env::current_exe().unwrap();
    let release = itself.ancestors().nth(2).unwrap().join("paczek");
    let mut command = match is_test(&itself) {
        true => Command::new(release),
        false => Command::new(&itself),
    };
    if !is_test(&itself) {
        command.arg("paczek");
    }
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PACZEK_")) {
        command.env_remove(name);
    }
    command
}

/// Whether a program is one that cargo runs tests with.
pub(crate) fn is_test(program: &Path) -> bool {
    program.parent().is_some_and(|folder| folder.ends_with("deps"))
}

fn parse(json: &serde_json::Value) -> TopicDigest {
    let text = |name: &str| json[name].as_str().expect(name).to_owned();
    TopicDigest {
        records: json["records"].as_u64().expect("records"),
        by_event: text("by_event"),
        by_timer: text("by_timer"),
    }
}
