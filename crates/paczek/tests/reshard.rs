//! A shop that gets other partitions in the middle of its day says what it would have said without.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use events::EventTime;
use paczek::{Config, Embedded, Hooks, Problem, RawRecord, TopicDigest, digests, write_raw};
use simulator::{Generator, Options};
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock};
use stream_runtime::broker::{Broker as _, NewTopic, ProducerSettings, TransactionalProducer as _};
use stream_runtime::{
    Frame, Guards, InputPosition, Output, Silent, StreamTime, TRAILER_KEY, Trailer, partition_for,
};

const PARTITIONS: i32 = 4;
/// Nothing is written for so long once everything has been said.
const QUIET: Duration = Duration::from_millis(1_500);
/// What was given up by a worker in doubt stays in a log and is never taken.
const STUCK: Duration = Duration::from_secs(15);

struct Shop {
    config: Config,
    broker: MemoryBroker,
    lines: Vec<RawRecord>,
}

impl Shop {
    fn open() -> Self {
        let mut config = Config::default();
        "historic".clone_into(&mut config.sources[0].kind);
        let broker = Embedded::broker(&config, PARTITIONS, &MemoryClock::automatic(), 5).unwrap();
        let options = Options { days: 2, ..Options::new(9, 4_000) };
        let lines = Generator::new(options).zip(1..).map(|(line, number): (_, u64)| RawRecord {
            partition: partition_for(line.key.as_bytes(), PARTITIONS),
            key: line.key.into_bytes(),
            value: Some(line.value),
            headers: vec![("line".to_owned(), number.to_string().into_bytes())],
            time: EventTime::MIN,
        });
        Self { config, broker, lines: lines.collect() }
    }

    /// So many more lines come in; behind the last one, that this was all.
    fn visit(&mut self, lines: usize) {
        let mut records: Vec<RawRecord> = self.lines.drain(..lines.min(self.lines.len())).collect();
        let end = |partition| RawRecord {
            partition,
            key: Vec::new(),
            value: None,
            headers: vec![("end-of-source".to_owned(), b"true".to_vec())],
            time: EventTime::MAX,
        };
        records.extend((0..PARTITIONS).filter(|_| self.lines.is_empty()).map(end));
        write_raw(&self.broker, self.config.sources[0].topic(), &records).unwrap();
    }

    fn start(&self, config: &Config, directory: &Path) -> Result<Embedded, Problem> {
        let hooks = Hooks { observer: Arc::new(Silent), guards: Guards::default() };
        Embedded::start(config, &self.broker, directory, hooks)
    }

    /// Works until all has been said, and stops.
    fn work(&self, directory: &Path) {
        let pipeline = self.start(&self.config, directory).unwrap();
        let (mut said, mut since, began) = (0, Instant::now(), Instant::now());
        while since.elapsed() < if self.is_taken() { QUIET } else { STUCK } {
            assert!(!pipeline.is_over() && began.elapsed() < Duration::from_secs(120), "it is stuck");
            thread::sleep(Duration::from_millis(20));
            let now = self.written();
            if now != said {
                (said, since) = (now, Instant::now());
            }
        }
        pipeline.stop().unwrap();
    }

    /// Whether every processor has taken all that it was given.
    fn is_taken(&self) -> bool {
        let has_taken = |processor: &str, input: String| {
            let offsets = self.broker.group_offsets(&self.config.group(processor), &input);
            let mut partitions = 0..self.broker.partitions(&input).unwrap().unwrap();
            partitions.all(|partition| {
                let extent = self.broker.extent(&input, partition).unwrap();
                // Behind the last record stands the mark of its transaction.
                let is_next = |next: &i64| *next + 1 >= extent.end;
                extent.end == extent.start || offsets.get(&partition).is_some_and(is_next)
            })
        };
        has_taken("ingest-clickstream", self.config.sources[0].topic().to_owned())
            && has_taken("profile-updater", self.config.topic("events"))
            && has_taken("recommender", self.config.topic("profile-updates"))
    }

    fn written(&self) -> i64 {
        let partitions = |(topic, partitions)| (0..partitions).map(move |one| (String::clone(&topic), one));
        let all = self.broker.topics().into_iter().flat_map(partitions);
        all.map(|(topic, partition)| self.broker.extent(&topic, partition).unwrap().end).sum()
    }

    /// As often as it takes: what stops in the middle of its work goes on, and a group remembers who has left it.
    fn reshard(&mut self, directory: &Path, partitions: i32) {
        let began = Instant::now();
        loop {
            let scratch = directory.join("reshard");
            let problem = match Embedded::reshard(&self.config, &self.broker, &scratch, partitions) {
                Ok(config) => return self.config = config,
                Err(problem) => problem.to_string(),
            };
            assert!(began.elapsed() < Duration::from_secs(120), "it never comes to rest: {problem}");
            match problem.contains("has members") {
                true => thread::sleep(Duration::from_millis(200)),
                false if problem.contains("to its end") => self.work(directory),
                false => panic!("{problem}"),
            }
        }
    }

    fn digests(&self) -> BTreeMap<String, TopicDigest> {
        digests(&self.broker, &self.config).unwrap()
    }
}

#[test]
fn other_partitions_in_the_middle_change_nothing_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let mut undisturbed = Shop::open();
    undisturbed.visit(usize::MAX);
    undisturbed.work(directory.path());
    let expected = undisturbed.digests();
    assert!(expected["decisions"].records > 100, "{expected:?}");

    let (mut shop, directory) = (Shop::open(), tempfile::tempdir().unwrap());
    shop.visit(1_500);
    shop.work(directory.path());
    shop.reshard(directory.path(), 6);
    shop.visit(1_000);
    shop.work(directory.path());
    shop.reshard(directory.path(), 3);
    assert_eq!(shop.config.generation, 3);
    shop.visit(usize::MAX);
    shop.work(directory.path());
    assert_eq!(shop.digests(), expected);
}

#[test]
fn only_the_generation_that_has_the_state_starts() {
    let (mut shop, directory) = (Shop::open(), tempfile::tempdir().unwrap());
    shop.visit(500);
    shop.work(directory.path());
    let before = shop.config.clone();
    shop.reshard(directory.path(), 6);
    let words = |config: &Config| match shop.start(config, directory.path()) {
        Ok(_) => panic!("it starts"),
        Err(problem) => (problem.exit_code(), problem.to_string()),
    };
    let (code, former) = words(&before);
    assert!(code == 2 && former.contains("has moved to ingest-clickstream-changelog-g2"), "{former}");
    let (code, later) = words(&Config { generation: 3, ..before.clone() });
    assert!(code == 2 && later.contains("set generation = 2 and run `paczek reshard`"), "{later}");
    let again = |partitions| Embedded::reshard(&before, &shop.broker, directory.path(), partitions);
    assert_eq!(again(6).unwrap().generation, 2, "what is done is done");
    assert!(again(8).unwrap_err().to_string().contains("with 6 partitions already"));
}

#[test]
fn a_source_that_is_configured_no_more_is_not_left_behind() {
    let (mut shop, directory) = (Shop::open(), tempfile::tempdir().unwrap());
    shop.visit(500);
    shop.work(directory.path());
    let changelog = "ingest-kiosk-changelog";
    let topic = NewTopic { name: changelog.into(), partitions: 2, replication: 1, settings: BTreeMap::new() };
    shop.broker.create_topic(&topic).unwrap();
    let settings =
        ProducerSettings { transactional_id: "kiosk".into(), transaction_timeout: Duration::from_secs(60) };
    let mut kiosk = shop.broker.producer(&settings).unwrap();
    let input = InputPosition { topic: "kiosk".into(), partition: 0, next_offset: 5 };
    let trailer = Trailer::new(1, &Frame::default(), input, &StreamTime::default(), "kiosk");
    let (key, value) = (Some(TRAILER_KEY.to_vec()), Some(trailer.encode()));
    kiosk.begin().unwrap();
    kiosk
        .send(&Output { topic: changelog.into(), partition: 0, key, value, headers: Vec::new() }, 0)
        .unwrap();
    let _ = kiosk.commit().unwrap();
    let refused = Embedded::reshard(&shop.config, &shop.broker, directory.path(), 6).unwrap_err();
    assert!(refused.exit_code() == 2 && refused.to_string().contains(changelog), "{refused}");
    shop.broker.delete_topic(changelog);
    shop.reshard(directory.path(), 6);
}

#[test]
fn an_instance_at_work_is_not_overtaken() {
    let (mut shop, directory) = (Shop::open(), tempfile::tempdir().unwrap());
    shop.visit(500);
    shop.work(directory.path());
    let gone =
        || shop.broker.members(&shop.config.group("recommender"), "profile-updates").unwrap().is_empty();
    let began = Instant::now();
    while !gone() {
        assert!(began.elapsed() < Duration::from_secs(60), "who has stopped stays a member");
        thread::sleep(Duration::from_millis(20));
    }
    let pipeline = shop.start(&shop.config, directory.path()).unwrap();
    let refused = loop {
        let scratch = directory.path().join("reshard");
        match Embedded::reshard(&shop.config, &shop.broker, &scratch, 6) {
            Err(problem) if problem.to_string().contains("has members") => break problem,
            // It has not joined yet, and is not let in before the try is over.
            other => assert!(other.is_err() && began.elapsed() < Duration::from_secs(60), "{other:?}"),
        }
    };
    assert_eq!(refused.exit_code(), 1);
    pipeline.stop().unwrap();
}
