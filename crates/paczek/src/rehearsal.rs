//! A whole shop in memory, for tests: the generator's clickstream, run through every processor.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use events::EventTime;
use simulator::{Generator, Options};
use state_store::RocksOptions;
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock};
use stream_runtime::broker::{Broker as _, Committed, ProducerSettings, TransactionalProducer as _};
use stream_runtime::{Guards, Output, Silent, SourceRecord, partition_for};

use crate::config::Config;
use crate::embedded::Embedded;
use crate::headers;
use crate::pipeline::{Hooks, Observed, Pipeline, Roles};
use crate::read::{Records, Until};
use crate::topics::Partitions;
use crate::topology::Topology;

/// The outputs do not change for so long once everything has been said.
const QUIET: Duration = Duration::from_millis(1_500);

/// A broker with every topic, and what is configured for it.
pub(crate) struct Rehearsal {
    pub(crate) broker: MemoryBroker,
    pub(crate) config: Config,
    pub(crate) partitions: i32,
}

impl Rehearsal {
    /// A shop that nobody has visited yet. Its clickstream is history.
    pub(crate) fn new(partitions: i32) -> Self {
        let mut config = Config::default();
        "historic".clone_into(&mut config.sources[0].kind);
        let broker = Embedded::broker(&config, partitions, &MemoryClock::automatic(), 11).unwrap();
        Self { broker, config, partitions }
    }

    /// Writes a day's visits into the clickstream, and that this was all.
    pub(crate) fn visit(&self, options: Options) {
        let topic = self.config.sources[0].topic();
        let rows = Generator::new(options).enumerate().map(|(number, line)| {
            let headers = vec![headers::text(headers::LINE, &(number + 1).to_string())];
            (partition_for(line.key.as_bytes(), self.partitions), line.key, Some(line.value), headers)
        });
        let ended = headers::text(headers::END_OF_SOURCE, "true");
        let ends =
            (0..self.partitions).map(|partition| (partition, String::new(), None, vec![ended.clone()]));
        for (partition, key, value, headers) in rows.chain(ends).collect::<Vec<_>>() {
            let output =
                Output { topic: Arc::from(topic), partition, key: Some(key.into_bytes()), value, headers };
            self.write(output);
        }
    }

    /// Writes one record.
    pub(crate) fn write(&self, output: Output) {
        let settings = ProducerSettings {
            transactional_id: "rehearsal".to_owned(),
            transaction_timeout: Duration::from_secs(60),
        };
        let mut producer = self.broker.producer(&settings).unwrap();
        producer.begin().unwrap();
        producer.send(&output, 0).unwrap();
        assert_eq!(producer.commit().unwrap(), Committed::Clean);
    }

    /// Runs every processor until all has been said, and `meanwhile` before they stop.
    pub(crate) fn run<T>(&self, meanwhile: impl FnOnce(&Observed, &Topology) -> T) -> T {
        let topology = Topology::of(&self.config, &self.partition_counts()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let hooks = Hooks { observer: Arc::new(Silent), guards: Guards::default() };
        let pipeline = Pipeline {
            config: &self.config,
            hooks: &hooks,
            broker: &self.broker,
            topology: &topology,
            directory: directory.path(),
            instance: "rehearsal",
            roles: Roles::All,
            rocks: RocksOptions::new(8 << 20, 4 << 20),
        };
        let answer = pipeline.run(|observed, over| {
            self.wait_until_all_is_said(over);
            Ok(meanwhile(observed, &topology))
        });
        answer.unwrap()
    }

    pub(crate) fn partition_counts(&self) -> Partitions {
        Partitions { of: self.broker.topics() }
    }

    fn wait_until_all_is_said(&self, over: &dyn Fn() -> bool) {
        let (mut said, mut since, began) = (0, Instant::now(), Instant::now());
        while said == 0 || since.elapsed() < QUIET {
            assert!(!over() && began.elapsed() < Duration::from_secs(120), "the pipeline is stuck");
            thread::sleep(Duration::from_millis(20));
            let topics = ["profile-updates", "recommendations", "suppressions"];
            let now = topics.iter().map(|name| self.written(name)).sum();
            if now != said {
                (said, since) = (now, Instant::now());
            }
        }
    }

    /// The logs that decisions are made from and written to, each record as `change` has it; `None` leaves
    /// it out.
    pub(crate) fn copy(&self, change: impl Fn(&str, &SourceRecord) -> Option<Output>) -> Self {
        let copy = Self { config: self.config.clone(), ..Self::new(self.partitions) };
        for name in ["sessions", "profile-updates", "recommendations", "abandoned-carts", "suppressions"] {
            for record in self.records(name) {
                change(name, &record).into_iter().for_each(|output| copy.write(output));
            }
        }
        copy
    }

    /// Offsets that one of our topics has given out.
    fn written(&self, name: &str) -> i64 {
        let end = |partition| self.broker.extent(&self.config.topic(name), partition).unwrap().stable_end;
        (0..self.partitions).map(end).sum()
    }

    /// Every record of one of our topics.
    pub(crate) fn records(&self, name: &str) -> Vec<SourceRecord> {
        let records = Records::of(&self.broker, &self.config.topic(name), None, Until::End).unwrap();
        records.collect::<Result<_, _>>().unwrap()
    }
}

/// A small shop, one day long.
pub(crate) fn small_shop(lines: u64) -> Options {
    Options { days: 1, ..Options::new(7, lines) }
}

/// A record once more.
pub(crate) fn again(record: &SourceRecord) -> Output {
    let SourceRecord { topic, partition, key, value, headers, .. } = record.clone();
    Output { topic, partition, key, value, headers }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> EventTime {
    EventTime(MemoryClock::automatic().now())
}
