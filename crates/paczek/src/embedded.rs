//! The pipeline of one process on a log in memory: the same threads, transactions and stores as on Kafka.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use events::{EventTime, SpeechKind};
use state_store::{RocksOptions, StateDirectory};
use stream_runtime::broker::NewTopic;
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock};

use crate::config::Config;
use crate::pipeline::{Hooks, Pipeline, Roles};
use crate::problem::Problem;
use crate::processors::{ModelTable, Speaking};
use crate::reshard::{Site, reshard};
use crate::topics::{Partitions, configured};
use crate::topology::Topology;

/// Between two looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(2);
/// Memory for RocksDB's write buffers, in bytes.
const WRITE_BUFFERS: usize = 16 << 20;

/// A pipeline at work. It stops when it is asked to or dropped; what it has committed stays in the log.
pub struct Embedded {
    stop: Arc<AtomicBool>,
    item_models: Arc<ModelTable>,
    speaking: Arc<Speaking>,
    thread: Option<JoinHandle<Result<(), Problem>>>,
}

impl Embedded {
    /// A log with every topic of the configuration: those that are read by key with `partitions`, `control` as
    /// it is declared.
    ///
    /// # Errors
    /// When two topics have one name, or `partitions` is less than one.
    pub fn broker(
        config: &Config,
        partitions: i32,
        clock: &MemoryClock,
        seed: u64,
    ) -> Result<MemoryBroker, Problem> {
        let broker = MemoryBroker::new(clock, seed);
        for topic in configured(config)? {
            let partitions = if topic.partitions == 1 { 1 } else { partitions };
            let settings = topic.wanted_settings();
            broker.create_topic(&NewTopic { name: topic.name, partitions, replication: 1, settings })?;
        }
        Ok(broker)
    }

    /// Starts every processor, with its state in `directory`.
    ///
    /// # Errors
    /// When the directory is in use or cannot be written, or the configuration is wrong.
    pub fn start(
        config: &Config,
        broker: &MemoryBroker,
        directory: &Path,
        hooks: Hooks,
    ) -> Result<Self, Problem> {
        let partitions = Partitions { of: broker.topics() };
        partitions.check_spread(broker, config)?;
        let topology = Topology::of(config, &partitions)?;
        let held = StateDirectory::hold(directory, || uuid::Uuid::new_v4().to_string())?;
        let stop = Arc::new(AtomicBool::new(false));
        let (item_models, speaking) = (Arc::clone(&topology.item_models), Arc::clone(&topology.speaking));
        let (asked, config, broker) = (Arc::clone(&stop), config.clone(), broker.clone());
        let thread = thread::spawn(move || {
            let pipeline = Pipeline {
                config: &config,
                hooks: &hooks,
                broker: &broker,
                topology: &topology,
                directory: held.path(),
                instance: held.instance(),
                roles: Roles::All,
                rocks: RocksOptions::new(config.profiles.cache_bytes, WRITE_BUFFERS),
            };
            pipeline.run(|_, over| {
                while !asked.load(Ordering::Relaxed) && !over() {
                    thread::sleep(LOOK);
                }
                Ok(())
            })
        });
        Ok(Self { stop, item_models, speaking, thread: Some(thread) })
    }

    /// Moves the state of a stopped pipeline to `partitions` partitions, as `paczek reshard` does, with rows that
    /// wait in `directory`; the configuration to go on with.
    ///
    /// # Errors
    /// When it is not at rest. Then nothing has moved.
    pub fn reshard(
        config: &Config,
        broker: &MemoryBroker,
        directory: &Path,
        partitions: i32,
    ) -> Result<Config, Problem> {
        let make = |topic: &NewTopic| Ok(broker.create_topic(topic)?);
        let topics = broker.topics().into_keys().collect();
        reshard(&Site { broker, topics, make: &make, scratch: directory }, config, partitions)?;
        Ok(config.resharded())
    }

    /// How far its item models have got: they have taken every session entry that was written before.
    #[must_use]
    pub fn models_reached(&self) -> EventTime {
        self.item_models.reached()
    }

    /// Whether its next decision of this kind for a tenant may be spoken, as far as `control` goes.
    #[must_use]
    pub fn is_speaking(&self, tenant: &str, kind: SpeechKind) -> bool {
        self.speaking.is_on(tenant, kind)
    }

    /// Whether it has ended by itself: one of its threads could not go on.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Lets every thread commit what it has and leave.
    ///
    /// # Errors
    /// When one of them could not go on.
    pub fn stop(mut self) -> Result<(), Problem> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Problem> {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread
            .join()
            .unwrap_or_else(|_| Err(Problem::Failed("the pipeline panicked; please report it".into())))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Whoever wants to know how it ended asks it to stop.
        let _ = self.end();
    }
}
