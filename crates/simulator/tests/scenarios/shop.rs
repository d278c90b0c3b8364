//! A shop whose clock is moved by hand, and the pipeline behind it.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use events::SpeechKind;
use paczek::{Config, Embedded, Hooks};
use serde_json::{Value, json};
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock, MemoryProducer};
use stream_runtime::broker::{Broker as _, ProducerSettings, TransactionalProducer as _};
use stream_runtime::{Guards, Observer, Output, Silent, partition_for};
use tempfile::TempDir;

use crate::customer::Customer;
use crate::log::{Said, consumed, said};

/// 2026-03-14T00:00:00Z, the day on which everything happens.
const MIDNIGHT: i64 = 1_773_446_400_000;
const MINUTE: i64 = 60_000;
/// After which a pipeline that has not come to the end of its topics has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(1);
/// Each topic with the group that reads it, in the order of the flow.
const HOPS: [(&str, &str); 3] = [
    ("paczek-ingest-clickstream", "clickstream"),
    ("paczek-profile-updater", "events"),
    ("paczek-recommender", "profile-updates"),
];

/// A shop with an open door. What happens in it is written to `clickstream`; the pipeline does the rest.
pub(crate) struct Shop {
    config: Config,
    guards: Guards,
    broker: MemoryBroker,
    tracker: MemoryProducer,
    partitions: i32,
    instances: Vec<Instance>,
    /// How far the shop's day has come, in milliseconds since 1970.
    clock: i64,
    /// The time that the pipeline was told last.
    told: i64,
    /// The time of what happens next: that of the clock, or before it.
    hand: i64,
    ids: usize,
    /// Instances that died and were started again.
    pub(crate) restarts: usize,
    may_die: bool,
    _temporary: TempDir,
}

/// One process with its directory.
struct Instance {
    directory: PathBuf,
    running: Option<Embedded>,
}

impl Shop {
    /// A shop with one partition for each topic and one process.
    pub(crate) fn open() -> Self {
        Self::with(config(), 1)
    }

    /// A shop with another configuration.
    pub(crate) fn with(config: Config, partitions: i32) -> Self {
        Self::watched(config, partitions, Guards::default(), vec![Arc::new(Silent)])
    }

    /// A shop with a process for each observer.
    pub(crate) fn watched(
        config: Config,
        partitions: i32,
        guards: Guards,
        observers: Vec<Arc<dyn Observer>>,
    ) -> Self {
        let broker = Embedded::broker(&config, partitions, &MemoryClock::automatic(), 1).unwrap();
        let settings = ProducerSettings {
            transactional_id: "tracker".into(),
            transaction_timeout: Duration::from_secs(60),
        };
        let tracker = broker.producer(&settings).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let mut shop = Self {
            tracker,
            partitions,
            instances: Vec::new(),
            clock: MIDNIGHT,
            told: i64::MIN,
            hand: MIDNIGHT,
            ids: 0,
            restarts: 0,
            may_die: false,
            config,
            guards,
            broker,
            _temporary: temporary,
        };
        for (number, observer) in observers.into_iter().enumerate() {
            let directory = shop._temporary.path().join(number.to_string());
            let running = Some(shop.start(&directory, observer));
            shop.instances.push(Instance { directory, running });
        }
        shop
    }

    /// Expects a process to die; it is started again on what is left of it.
    pub(crate) fn may_die(mut self) -> Self {
        self.may_die = true;
        self
    }

    /// Moves the hand of the clock, to `09:30` or back. When time passes, all that was due by then is done
    /// before anything else happens.
    pub(crate) fn at(&mut self, time: &str) -> &mut Self {
        let (hours, minutes) = time.split_once(':').unwrap();
        let minutes = hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap();
        self.at_millis(MIDNIGHT + minutes * MINUTE)
    }

    /// As [`Shop::at`], in milliseconds since 1970.
    pub(crate) fn at_millis(&mut self, time: i64) -> &mut Self {
        if time > self.clock {
            // What happened is decided upon by what was known then.
            self.wait_for_the_end();
            self.clock = time;
            self.settle();
        }
        self.hand = time;
        self
    }

    /// Somebody does something now.
    pub(crate) fn customer(&mut self, name: &'static str) -> Customer<'_> {
        Customer::new(self, name)
    }

    /// Nothing more happens on that day.
    pub(crate) fn closes(&mut self) -> &mut Self {
        self.at("23:59")
    }

    /// Everything said so far on a topic, in the order of its partitions.
    pub(crate) fn said(&mut self, topic: &str) -> Vec<Said> {
        self.settle();
        said(&self.broker, topic)
    }

    /// An id that no other event has.
    pub(crate) fn new_id(&mut self) -> String {
        self.ids += 1;
        format!("event-{}", self.ids)
    }

    /// Writes an event that happens now, one millisecond after the one before.
    pub(crate) fn happens(&mut self, user: &str, id: &str, mut event: Value) {
        event["event_id"] = json!(id);
        event["user_id"] = json!(user);
        event["event_time"] = json!(self.hand);
        self.hand += 1;
        self.tracks(user, event.to_string().as_bytes());
    }

    /// Writes a line as it is.
    pub(crate) fn tracks(&mut self, key: &str, line: &[u8]) {
        let partition = partition_for(key.as_bytes(), self.partitions);
        self.write(partition, key, line);
    }

    /// Waits until every process has heard of a switch.
    pub(crate) fn hears_of(&self, kind: SpeechKind, speaking: bool) {
        let heard = |instance: &Instance| {
            instance.running.as_ref().is_some_and(|running| running.is_speaking("shop", kind) == speaking)
        };
        let deadline = Instant::now() + PATIENCE;
        while !self.instances.iter().all(heard) {
            assert!(Instant::now() < deadline, "a switch was not heard of");
            thread::sleep(LOOK);
        }
    }

    pub(crate) fn broker(&self) -> &MemoryBroker {
        &self.broker
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Stops every process and starts it again after something has happened.
    pub(crate) fn restarts_after(&mut self, happens: impl FnOnce(&mut Self)) {
        for instance in &mut self.instances {
            instance.running.take().unwrap().stop().unwrap();
        }
        happens(self);
        for number in 0..self.instances.len() {
            let running = self.start(&self.instances[number].directory.clone(), Arc::new(Silent));
            self.instances[number].running = Some(running);
        }
    }

    /// Waits until all that was due by the clock is done. The clock is told twice: once the second is through, what
    /// became due with the first is through too.
    fn settle(&mut self) {
        for _ in 0..2 {
            self.ticks();
            self.wait_for_the_end();
        }
    }

    /// Somebody who only looks at pages tells the time in every partition.
    fn ticks(&mut self) {
        self.told = self.clock;
        for partition in 0..self.partitions {
            // Each has its own, so that nobody's events come from two partitions.
            let (id, teller) = (self.new_id(), format!("clock-{partition}"));
            let event = json!({
                "event_id": id, "event_type": "page_viewed", "anonymous_id": teller, "event_time": self.clock,
            });
            self.write(partition, &teller, event.to_string().as_bytes());
        }
    }

    fn write(&mut self, partition: i32, key: &str, line: &[u8]) {
        let (key, value) = (Some(key.as_bytes().to_vec()), Some(line.to_vec()));
        let output = Output { topic: Arc::from("clickstream"), partition, key, value, headers: Vec::new() };
        self.tracker.begin().unwrap();
        self.tracker.send(&output, 0).unwrap();
        let _ = self.tracker.commit().unwrap();
    }

    fn wait_for_the_end(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_at_the_end() {
            assert!(Instant::now() < deadline, "the pipeline has not come to the end of its topics");
            self.start_what_died();
            thread::sleep(LOOK);
        }
    }

    fn is_at_the_end(&self) -> bool {
        let learned = |instance: &Instance| {
            instance.running.as_ref().is_some_and(|running| running.models_reached().0 >= self.told)
        };
        HOPS.iter().all(|(group, topic)| consumed(&self.broker, group, topic))
            && self.instances.iter().all(learned)
    }

    fn start_what_died(&mut self) {
        for number in 0..self.instances.len() {
            if self.instances[number].running.as_ref().is_some_and(|running| !running.is_over()) {
                continue;
            }
            let ended = self.instances[number].running.take().unwrap().stop();
            assert!(self.may_die, "a process has ended: {ended:?}");
            self.restarts += 1;
            let running = self.start(&self.instances[number].directory.clone(), Arc::new(Silent));
            self.instances[number].running = Some(running);
        }
    }

    fn start(&self, directory: &std::path::Path, observer: Arc<dyn Observer>) -> Embedded {
        let hooks = Hooks { observer, guards: self.guards };
        Embedded::start(&self.config, &self.broker, directory, hooks).unwrap()
    }
}

/// One historic source, so that time is what the shop's clock says.
pub(crate) fn config() -> Config {
    let settings = [
        ("PACZEK_SOURCES__0__FORMAT", "canonical"),
        ("PACZEK_SOURCES__0__KIND", "historic"),
        ("PACZEK_SOURCES__0__CURRENCY", "PLN"),
        ("PACZEK_TRANSACTIONS__INTERVAL", "5ms"),
        ("PACZEK_PROFILES__CACHE_BYTES", "1048576"),
    ];
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(None, settings).unwrap()
}
