use std::path::Path;
use std::sync::Arc;
use std::thread;

use state_store::{RocksOptions, RocksStore, StateDirectory, StateStore, StoreError};
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::{Guards, Health, Metrics, Observer, Processor, Worker, WorkerSettings, run_worker};

use crate::config::Config;
use crate::http::{Observed, router};
use crate::problem::Problem;
use crate::topics::Partitions;
use crate::topology::{Node, Topology};

/// Which processors a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Roles {
    All,
    Ingest,
    ProfileUpdater,
}

/// What a test may hold or take away; nothing of it can be reached from outside.
pub struct Hooks {
    /// Sees every step of every transaction.
    pub observer: Arc<dyn Observer>,
    /// What holds exactly-once up.
    pub guards: Guards,
}

/// Runs processors until the process is asked to stop, by SIGTERM or SIGINT.
pub(crate) fn run(config: &Config, roles: Roles, hooks: &Hooks) -> Result<(), Problem> {
    let broker = KafkaBroker::new(&config.kafka.bootstrap, &config.kafka.properties)?;
    let topology = Topology::of(config, &Partitions::check(&broker, config)?)?;
    let directory = StateDirectory::hold(&config.state_dir, || uuid::Uuid::new_v4().to_string())?;
    let posts = posts(&topology, roles);
    let observed = Observed {
        metrics: Arc::new(Metrics::default()),
        workers: posts.iter().map(|_| Health::default()).collect(),
    };
    let shop = Shop {
        config,
        hooks,
        broker: &broker,
        directory: &directory,
        observed: &observed,
        rocks: rocks(config),
    };
    tracing::info!(instance = directory.instance(), workers = posts.len(), "starting");
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for (number, post) in posts.iter().enumerate() {
            let shop = &shop;
            workers.push(scope.spawn(move || shop.work(post, number)));
        }
        let served = serve(config, &observed, || workers.iter().any(thread::ScopedJoinHandle::is_finished));
        observed.workers.iter().for_each(Health::stop);
        let ends = workers.into_iter().map(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(Problem::Failed("a worker panicked; please report it".into())))
        });
        ends.collect::<Result<Vec<()>, _>>().and(served)
    })
}

/// A worker's place: its processor and its number among those of the same kind.
enum Post<'a> {
    Ingest(&'a Node<crate::processors::IngestProcessor>, usize),
    ProfileUpdater(&'a Node<crate::processors::ProfileProcessor>, usize),
}

fn posts(topology: &Topology, roles: Roles) -> Vec<Post<'_>> {
    let mut posts = Vec::new();
    if roles != Roles::ProfileUpdater {
        for node in &topology.ingest {
            posts.extend((0..node.threads).map(|number| Post::Ingest(node, number)));
        }
    }
    if roles != Roles::Ingest {
        let node = &topology.profile_updater;
        posts.extend((0..node.threads).map(|number| Post::ProfileUpdater(node, number)));
    }
    posts
}

/// What all workers of the process share.
struct Shop<'a> {
    config: &'a Config,
    hooks: &'a Hooks,
    broker: &'a KafkaBroker,
    directory: &'a StateDirectory,
    observed: &'a Observed,
    rocks: RocksOptions,
}

impl Shop<'_> {
    fn work(&self, post: &Post<'_>, worker: usize) -> Result<(), Problem> {
        match post {
            Post::Ingest(node, number) => self.run_node(node, *number, worker),
            Post::ProfileUpdater(node, number) => self.run_node(node, *number, worker),
        }
    }

    fn run_node<P: Processor>(&self, node: &Node<P>, number: usize, worker: usize) -> Result<(), Problem> {
        let settings = self.settings(node, number)?;
        let open_store = |partition| self.open_store(&self.directory.store(&node.name, partition));
        run_worker(&Worker {
            broker: self.broker,
            processor: &node.processor,
            settings: &settings,
            open_store: &open_store,
            metrics: &self.observed.metrics,
            observer: &*self.hooks.observer,
            health: &self.observed.workers[worker],
        })
        .map_err(|error| {
            tracing::error!(processor = node.name, %error, "worker stopped");
            error.into()
        })
    }

    fn open_store(&self, path: &Path) -> Result<Box<dyn StateStore>, StoreError> {
        Ok(Box::new(RocksStore::open(path, &self.rocks)?))
    }

    fn settings<P>(&self, node: &Node<P>, number: usize) -> Result<WorkerSettings, Problem> {
        let (config, transactions) = (self.config, &self.config.transactions);
        let member = format!("{}-{}-{}-{number}", config.application, node.name, self.directory.instance());
        Ok(WorkerSettings {
            processor: node.name.clone(),
            input: node.input.clone(),
            changelog: node.changelog.clone(),
            group: format!("{}-{}", config.application, node.name),
            transactional_id: member.clone(),
            member,
            commit_interval: transactions.interval.0,
            max_records: transactions.max_records,
            max_bytes: transactions.max_bytes,
            hot_states: config.profiles.hot,
            session_timeout: transactions.session_timeout.0,
            transaction_timeout: transactions.timeout.0,
            start_from: config.start().map_err(Problem::Config)?,
            accept_reset: config.accept_reset,
            guards: self.hooks.guards,
        })
    }
}

fn rocks(config: &Config) -> RocksOptions {
    RocksOptions::new(config.profiles.cache_bytes, 16 << 20)
}

/// Serves HTTP until a signal comes or `over`.
fn serve(config: &Config, observed: &Observed, over: impl Fn() -> bool) -> Result<(), Problem> {
    let failed = |error: std::io::Error| Problem::Failed(format!("http on {}: {error}", config.http));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        if !config.http.is_empty() {
            let listener = tokio::net::TcpListener::bind(&config.http).await.map_err(|error| {
                Problem::Config(format!(
                    "http cannot listen on {}: {error}; set another http address",
                    config.http
                ))
            })?;
            let routes = router(observed.clone());
            tokio::spawn(async move { axum::serve(listener, routes).await });
        }
        stopped(over).await;
        Ok(())
    })
}

async fn stopped(over: impl Fn() -> bool) {
    use tokio::signal::unix::{SignalKind, signal};
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    while !over() {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = ticks.tick() => {}
        }
    }
}
