use state_store::{RocksOptions, StateDirectory};
use stream_runtime::broker::kafka::KafkaBroker;

use crate::config::Config;
use crate::http::router;
use crate::pipeline::{Hooks, Observed, Pipeline, Roles};
use crate::problem::Problem;
use crate::topics::{Partitions, check_retention};
use crate::topology::Topology;

/// Runs processors until the process is asked to stop, by SIGTERM or SIGINT.
pub(crate) fn run(config: &Config, roles: Roles, hooks: &Hooks) -> Result<(), Problem> {
    let broker = KafkaBroker::new(&config.kafka.bootstrap, &config.kafka.properties)?;
    let topology = Topology::of(config, &Partitions::check(&broker, config)?)?;
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
    pipeline.run(|observed, over| serve(config, observed, over))
}

/// Serves HTTP until a signal comes or `over`.
fn serve(config: &Config, observed: &Observed, over: &dyn Fn() -> bool) -> Result<(), Problem> {
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
