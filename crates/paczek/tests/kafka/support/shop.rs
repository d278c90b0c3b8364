use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use events::EventTime;
use ingest::{Format, Source, SourceKind};
use paczek::{Row, TopicDigest, read_rows};
use stream_runtime::SourceRecord;
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::broker::{Broker as _, Extent, LogReader as _, Read};

use super::cluster::Cluster;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// The groups of the three processors, without the shop's name, each with its input.
pub(crate) const INGEST: &str = "ingest-clickstream";
pub(crate) const PROFILE_UPDATER: &str = "profile-updater";
pub(crate) const RECOMMENDER: &str = "recommender";

/// The topics whose digests are compared.
const DIGESTED: [&str; 5] = ["events", "profile-updates", "sessions", "dead-letters", "decisions"];

/// One shop with topics, groups and state directories of its own.
pub(crate) struct Shop {
    pub(crate) name: String,
    pub(crate) broker: KafkaBroker,
    pub(crate) directory: tempfile::TempDir,
    bootstrap: String,
    settings: Vec<(String, String)>,
}

impl Shop {
    /// A shop whose topics have been made. `settings` are further environment variables.
    pub(crate) fn open(cluster: &Cluster, name: &str, settings: &[(&str, &str)]) -> Self {
        let bootstrap = cluster.bootstrap.to_owned();
        let broker = KafkaBroker::new(&bootstrap, &BTreeMap::new()).unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings = settings.iter().map(own).collect();
        let directory = tempfile::tempdir().unwrap();
        let shop = Self { name: name.to_owned(), broker, directory, bootstrap, settings };
        shop.expect(&["topics", "apply"]);
        shop
    }

    /// The name of a topic of this shop.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// The environment of an instance.
    pub(crate) fn environment(&self, instance: &str) -> Vec<(String, String)> {
        let own = |name: &str, value: String| (format!("PACZEK_{name}"), value);
        let mut environment = vec![
            own("APPLICATION", self.name.clone()),
            own("TOPIC_PREFIX", format!("{}-", self.name)),
            own("STATE_DIR", self.state(instance).display().to_string()),
            own("HTTP", "\"\"".into()),
            own("KAFKA__BOOTSTRAP", self.bootstrap.clone()),
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
    pub(crate) fn state(&self, instance: &str) -> PathBuf {
        self.directory.path().join(instance)
    }

    /// Runs a command of the binary.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        binary().args(arguments).envs(self.environment("none")).output().unwrap()
    }

    /// Runs a command that must succeed.
    pub(crate) fn expect(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "paczek {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Loads a file with the command a user has.
    pub(crate) fn load(&self, file: &Path) {
        self.expect(&["load", "--format", "alibaba", file.to_str().unwrap()]);
    }

    /// The digests, read by the command a user has.
    pub(crate) fn digests(&self) -> BTreeMap<String, TopicDigest> {
        let json: serde_json::Value = serde_json::from_str(&self.expect(&["digest", "--json"])).unwrap();
        // `decisions` is no topic but an account of three.
        let key = |name: &str| if name == "decisions" { name.to_owned() } else { self.topic(name) };
        let digest = |name: &str| (name.to_owned(), parse(&json[key(name)]));
        DIGESTED.into_iter().map(digest).collect()
    }

    /// Every committed record of a topic.
    pub(crate) fn records(&self, topic: &str) -> Vec<SourceRecord> {
        let topic = self.topic(topic);
        let mut open: BTreeMap<i32, Extent> = self.extents(&topic);
        open.retain(|_, extent| extent.start < extent.stable_end);
        let positions: Vec<_> =
            open.iter().map(|(partition, extent)| (&*topic, *partition, extent.start)).collect();
        let mut reader = self.broker.reader().unwrap();
        reader.assign(&positions).unwrap();
        let mut records = Vec::new();
        while !open.is_empty() {
            match reader.poll(Duration::from_millis(200)).unwrap() {
                Some(Read::Record(record)) => records.push(record),
                Some(Read::End { partition }) => {
                    open.remove(&partition);
                }
                None => {}
            }
        }
        records
    }

    /// Offsets of a topic, by partition.
    pub(crate) fn extents(&self, topic: &str) -> BTreeMap<i32, Extent> {
        let partitions = self.broker.partitions(topic).unwrap().unwrap();
        (0..partitions).map(|partition| (partition, self.broker.extent(topic, partition).unwrap())).collect()
    }

    /// Sum of a processor's committed offsets.
    pub(crate) fn committed(&self, processor: &str) -> i64 {
        self.group_offsets(processor).values().sum()
    }

    /// A processor's committed offsets, by partition.
    pub(crate) fn group_offsets(&self, processor: &str) -> BTreeMap<i32, i64> {
        let input = match processor {
            INGEST => "clickstream",
            PROFILE_UPDATER => "events",
            _ => "profile-updates",
        };
        let (group, topic) = (format!("{}-{processor}", self.name), self.topic(input));
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
    pub(crate) fn finish(&self, mut each: impl FnMut()) {
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
        self.takes_all(RECOMMENDER, "profile-updates", &mut each);
    }

    fn takes_all(&self, processor: &str, input: &str, each: &mut impl FnMut()) {
        let mut ends = BTreeMap::new();
        for record in self.records(input) {
            ends.insert(record.partition, record.offset + 1);
        }
        wait(&format!("{processor} takes all of {input}"), || {
            each();
            let offsets = self.group_offsets(processor);
            ends.iter().all(|(partition, end)| offsets.get(partition).is_some_and(|offset| offset >= end))
        });
    }
}

/// Waits until `done`, which asks the broker; gives up with `what` after [`PATIENCE`].
pub(crate) fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// What the demo says of a file.
pub(crate) struct Demo {
    pub(crate) json: serde_json::Value,
    pub(crate) digests: BTreeMap<String, TopicDigest>,
}

impl Demo {
    pub(crate) fn of(file: &Path) -> Self {
        Self::with(file, "alibaba")
    }

    pub(crate) fn with(file: &Path, format: &str) -> Self {
        Self::run(&["--format", format, "--input", file.to_str().unwrap()])
    }

    /// The demo with these arguments.
    pub(crate) fn run(arguments: &[&str]) -> Self {
        let output = binary().args(["demo", "--json"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let digest = |name: &str| (name.to_owned(), parse(&json["digests"][name]));
        let digests = DIGESTED.into_iter().map(digest).collect();
        Self { json, digests }
    }
}

/// The rows of a file.
pub(crate) fn rows(file: &Path, format: Format) -> Vec<Row> {
    let source = Source::new("clickstream", "shop", format, SourceKind::Historic);
    read_rows(file, &source, EventTime(i64::MAX / 2)).unwrap()
}

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paczek"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PACZEK_")) {
        command.env_remove(name);
    }
    command
}

fn parse(json: &serde_json::Value) -> TopicDigest {
    let text = |name: &str| json[name].as_str().expect(name).to_owned();
    TopicDigest {
        records: json["records"].as_u64().expect("records"),
        by_event: text("by_event"),
        by_timer: text("by_timer"),
    }
}
