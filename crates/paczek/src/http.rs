//! `/healthz`, `/readyz` and `/metrics`.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use stream_runtime::Health;

use crate::pipeline::Observed;

/// A worker that has not turned for so long is taken for dead.
const PATIENCE: Duration = Duration::from_secs(60);

/// The routes.
pub(crate) fn router(observed: Observed) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(observed)
}

async fn healthz(State(observed): State<Observed>) -> (StatusCode, &'static str) {
    answer(observed.workers.iter().all(|worker| worker.is_alive(PATIENCE)), "a worker does not turn\n")
}

async fn readyz(State(observed): State<Observed>) -> (StatusCode, &'static str) {
    answer(observed.workers.iter().all(Health::is_ready), "a worker has not opened its tasks yet\n")
}

async fn metrics(State(observed): State<Observed>) -> String {
    observed.metrics.text()
}

fn answer(well: bool, otherwise: &'static str) -> (StatusCode, &'static str) {
    if well { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, otherwise) }
}
