//! The threads of one process: a worker for each share of each processor, and whoever keeps global tables.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use state_store::{RocksOptions, StateStore, StoreError, open_sound};
use stream_runtime::broker::Broker;
use stream_runtime::{
    GlobalTable, GlobalWorker, Guards, Health, Metric, Metrics, Observer, Processor, SystemClock, Worker,
    WorkerSettings, run_global, run_worker,
};

use crate::config::Config;
use crate::problem::Problem;
use crate::processors::{ITEM_MODELS, IngestProcessor, ProfileProcessor, RecommenderProcessor, SPEAKING};
use crate::topology::{Node, Topology};

/// Time between two snapshots of the item models.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(20);
/// Between two looks whether the global tables have caught up.
const LOOK: Duration = Duration::from_millis(20);

/// Which processors a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Roles {
    All,
    Ingest,
    ProfileUpdater,
    Recommender,
}

/// What a test may hold or take away; nothing of it can be reached from outside.
pub struct Hooks {
    /// Sees every step of every transaction.
    pub observer: Arc<dyn Observer>,
    /// What holds exactly-once up.
    pub guards: Guards,
}

/// What the threads show to those around them.
#[derive(Clone)]
pub(crate) struct Observed {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) workers: Arc<[Health]>,
    /// By place, the processor of each worker.
    processors: Arc<[String]>,
}

impl Observed {
    /// A process in which no processor runs.
    #[cfg(test)]
    pub(crate) fn nobody() -> Self {
        let metrics = Arc::new(Metrics::default());
        Self { metrics, workers: Arc::new([]), processors: Arc::new([]) }
    }

    /// Lets nothing be written until called with `false`.
    pub(crate) fn hold(&self, hold: bool) {
        for (worker, processor) in self.workers.iter().zip(&*self.processors) {
            worker.hold(hold);
            self.metrics.set(Metric::Held, &[processor], f64::from(u8::from(hold)));
        }
    }

    /// The workers of a processor.
    pub(crate) fn workers_of(&self, processor: &str) -> impl Iterator<Item = &Health> {
        let named = self.workers.iter().zip(&*self.processors);
        named.filter(move |(_, name)| *name == processor).map(|(worker, _)| worker)
    }
}

/// What all threads of the process share.
pub(crate) struct Pipeline<'a, B> {
    pub(crate) config: &'a Config,
    pub(crate) hooks: &'a Hooks,
    pub(crate) broker: &'a B,
    pub(crate) topology: &'a Topology,
    /// Where the stores are.
    pub(crate) directory: &'a Path,
    /// Name of this instance.
    pub(crate) instance: &'a str,
    pub(crate) roles: Roles,
    pub(crate) rocks: RocksOptions,
}

/// Asks every thread to stop, also where whoever waits for them panics.
struct StopAll<'a>(&'a [Health]);

impl Drop for StopAll<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(Health::stop);
    }
}

/// A thread's place: its processor and its number among those of the same kind.
enum Post<'a> {
    Ingest(&'a Node<IngestProcessor>, usize),
    ProfileUpdater(&'a Node<ProfileProcessor>, usize),
    ItemModels,
    Speaking,
    Recommender(&'a Node<RecommenderProcessor>, usize),
}

impl Post<'_> {
    fn processor(&self) -> &str {
        match self {
            Self::Ingest(node, _) => &node.name,
            Self::ProfileUpdater(node, _) => &node.name,
            Self::ItemModels => ITEM_MODELS,
            Self::Speaking => SPEAKING,
            Self::Recommender(node, _) => &node.name,
        }
    }
}

impl<'a, B: Broker + Sync> Pipeline<'a, B> {
    /// Runs every thread while `meanwhile` runs on this one; when that returns, all of them are asked to stop.
    /// `meanwhile` is given what they show, and whether one of them has ended by itself.
    pub(crate) fn run<T>(
        &self,
        meanwhile: impl FnOnce(&Observed, &dyn Fn() -> bool) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let posts = self.posts();
        let observed = Observed {
            metrics: Arc::new(Metrics::default()),
            workers: posts.iter().map(|_| Health::default()).collect(),
            processors: posts.iter().map(|post| post.processor().to_owned()).collect(),
        };
        thread::scope(|scope| {
            let observed = &observed;
            let mut threads = Vec::new();
            for (number, post) in posts.iter().enumerate() {
                threads.push(scope.spawn(move || self.work(post, observed, number)));
            }
            let stop = StopAll(&observed.workers);
            let answer = meanwhile(observed, &|| threads.iter().any(thread::ScopedJoinHandle::is_finished));
            drop(stop);
            let ends = threads.into_iter().map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Problem::Failed("a worker panicked; please report it".into())))
            });
            ends.collect::<Result<Vec<()>, _>>().and(answer)
        })
    }

    fn posts(&self) -> Vec<Post<'a>> {
        let (topology, all) = (self.topology, self.roles == Roles::All);
        let mut posts = Vec::new();
        if all || self.roles == Roles::Ingest {
            for node in &topology.ingest {
                posts.extend((0..node.threads).map(|number| Post::Ingest(node, number)));
            }
        }
        if all || self.roles == Roles::ProfileUpdater {
            let node = &topology.profile_updater;
            posts.extend((0..node.threads).map(|number| Post::ProfileUpdater(node, number)));
        }
        if all || self.roles == Roles::Recommender {
            let node = &topology.recommender;
            posts.extend([Post::ItemModels, Post::Speaking]);
            posts.extend((0..node.threads).map(|number| Post::Recommender(node, number)));
        }
        posts
    }

    fn work(&self, post: &Post<'_>, observed: &Observed, place: usize) -> Result<(), Problem> {
        let health = &observed.workers[place];
        let ended = match post {
            Post::Ingest(node, number) => self.run_node(node, *number, observed, health),
            Post::ProfileUpdater(node, number) => self.run_node(node, *number, observed, health),
            Post::ItemModels => self.follow_sessions(observed, health),
            Post::Speaking => self.follow_control(observed, health),
            Post::Recommender(node, number) => {
                // It decides nothing before the two tables know what was there at the start.
                let tables = &observed.workers[place - 2 - number..place - number];
                while !tables.iter().all(Health::is_ready) && !health.is_stopping() {
                    health.waits();
                    thread::sleep(LOOK);
                }
                self.run_node(node, *number, observed, health)
            }
        };
        ended.inspect_err(|error| tracing::error!(processor = post.processor(), %error, "worker stopped"))
    }

    fn run_node<P: Processor>(
        &self,
        node: &Node<P>,
        number: usize,
        observed: &Observed,
        health: &Health,
    ) -> Result<(), Problem> {
        let settings = self.settings(node, number)?;
        let open_store = |partition| self.open_store(&node.name, partition, &observed.metrics);
        Ok(run_worker(&Worker {
            broker: self.broker,
            processor: &node.processor,
            settings: &settings,
            clock: &SystemClock::default(),
            open_store: &open_store,
            metrics: &observed.metrics,
            observer: &*self.hooks.observer,
            health,
        })?)
    }

    fn follow_sessions(&self, observed: &Observed, health: &Health) -> Result<(), Problem> {
        let store = self.open_store(ITEM_MODELS, 0, &observed.metrics)?;
        self.follow(&*self.topology.item_models, (ITEM_MODELS, "sessions"), Some(store), observed, health)
    }

    fn follow_control(&self, observed: &Observed, health: &Health) -> Result<(), Problem> {
        self.follow(&*self.topology.speaking, (SPEAKING, "control"), None, observed, health)
    }

    fn follow<T: GlobalTable>(
        &self,
        table: &T,
        (name, topic): (&str, &str),
        store: Option<Box<dyn StateStore>>,
        observed: &Observed,
        health: &Health,
    ) -> Result<(), Problem> {
        Ok(run_global(GlobalWorker {
            broker: self.broker,
            table,
            name,
            topic: &self.config.topic(topic),
            store,
            snapshot_interval: SNAPSHOT_INTERVAL,
            metrics: &observed.metrics,
            health,
        })?)
    }

    fn store(&self, name: &str, partition: i32) -> PathBuf {
        let of_processor = if name == ITEM_MODELS { name.to_owned() } else { self.config.stores(name) };
        self.directory.join(of_processor).join(partition.to_string())
    }

    /// A store holds nothing but what its topic gives once more: a damaged one is set aside.
    fn open_store(
        &self,
        name: &str,
        partition: i32,
        metrics: &Metrics,
    ) -> Result<Box<dyn StateStore>, StoreError> {
        let opened = open_sound(&self.store(name, partition), &self.rocks)?;
        if let Some(aside) = opened.set_aside {
            tracing::warn!(
                processor = name,
                partition,
                ?aside,
                "a damaged store is set aside and built anew"
            );
            metrics.add(Metric::StoresSetAside, &[name], 1);
        }
        Ok(Box::new(opened.store))
    }

    fn settings<P>(&self, node: &Node<P>, number: usize) -> Result<WorkerSettings, Problem> {
        let (config, transactions) = (self.config, &self.config.transactions);
        Ok(WorkerSettings {
            processor: node.name.clone(),
            input: node.input.clone(),
            changelog: node.changelog.clone(),
            group: node.group(config),
            transactional_id: format!("{}-{}-{}-{number}", config.application, node.name, self.instance),
            commit_interval: transactions.interval.0,
            max_records: transactions.max_records,
            max_bytes: transactions.max_bytes,
            hot_states: node.hot_states,
            session_timeout: transactions.session_timeout.0,
            transaction_timeout: transactions.timeout.0,
            start_from: config.start().map_err(Problem::Config)?,
            accept_reset: config.accept_reset,
            standby: config.standby.settings(),
            guards: self.hooks.guards,
        })
    }
}
