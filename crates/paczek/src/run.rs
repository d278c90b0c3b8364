use std::sync::Arc;

use state_store::{RocksOptions, StateDirectory};
use stream_runtime::broker::kafka::KafkaBroker;

use crate::config::Config;
use crate::disk::watch_disk;
use crate::explain::explain;
use crate::http::{Explain, LookUps, Served, router};
use crate::pipeline::{Hooks, Observed, Pipeline, Roles};
use crate::problem::Problem;
use crate::topics::{Partitions, check_retention};
use crate::topology::Topology;

/// Runs processors until the process is asked to stop, by SIGTERM or SIGINT.
pub(crate) fn run(config: &Config, roles: Roles, hooks: &Hooks) -> Result<(), Problem> {
    let broker = KafkaBroker::new(&config.kafka.bootstrap, &config.kafka.properties)?;
    let partitions = Partitions::check(&broker, config)?;
    let topology = Topology::of(config, &partitions)?;
    partitions.check_spread(&broker, config)?;
    check_retention(&broker, config)?;
    let directory = StateDirectory::hold(&config.state_dir, || uuid::Uuid::new_v4().to_string())?;
    tracing::info!(instance = directory.instance(), ?roles, "starting");
    let pipeline = Pipeline {
        config,
        hooks,
        broker: &broker,
        topology: &topology,
        directory: directory.path(),
        instance: directory.instance(),
        roles,
        rocks: RocksOptions::new(config.profiles.cache_bytes, 16 << 20),
    };
    let look_ups = LookUps::new(config, &topology, &partitions, explain_from_kafka(config));
    pipeline.run(|observed, over| {
        let served = Served { observed: observed.clone(), look_ups: look_ups.clone() };
        serve(config, served, observed, over)
    })
}

/// A client of its own for each explanation: it reads, and then it is gone.
fn explain_from_kafka(config: &Config) -> Arc<Explain> {
    let config = config.clone();
    Arc::new(move |id| {
        let broker = KafkaBroker::new(&config.kafka.bootstrap, &config.kafka.properties)?;
        explain(&broker, &config, id)
    })
}

/// Serves HTTP and watches the disk until a signal comes or `over`.
fn serve(
    config: &Config,
    served: Served,
    observed: &Observed,
    over: &dyn Fn() -> bool,
) -> Result<(), Problem> {
    let failed = |error: std::io::Error| Problem::Failed(format!("http on {}: {error}", config.http));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let answer = runtime.block_on(async {
        if !config.http.is_empty() {
            let listener = tokio::net::TcpListener::bind(&config.http).await.map_err(|error| {
                Problem::Config(format!(
                    "http cannot listen on {}: {error}; set another http address",
                    config.http
                ))
            })?;
            let routes = router(served);
            tokio::spawn(async move { axum::serve(listener, routes).await });
        }
        tokio::select! {
            () = stopped(over) => Ok(()),
            never = watch_disk(config, observed) => match never {},
        }
    });
    // An explanation may still be reading; nobody waits for it any more.
    runtime.shutdown_background();
    answer
}

async fn stopped(over: &dyn Fn() -> bool) {
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
