//! What the process answers over HTTP: how it is, and what it knows of one customer or decision.

mod look_ups;
mod refused;
#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use serde_json::Value;
use stream_runtime::Health;

use crate::pipeline::Observed;
use refused::Refused;

pub(crate) use look_ups::{Explain, LookUps};

/// A worker that has not turned for so long is taken for dead.
const PATIENCE: Duration = Duration::from_secs(60);
/// What each route takes and answers.
const OPENAPI: &str = include_str!("../../../schemas/openapi.json");

/// What the routes answer from.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) observed: Observed,
    pub(crate) look_ups: LookUps,
}

/// The routes.
pub(crate) fn router(served: Served) -> Router {
    let router = routes().into_iter().fold(Router::new(), |router, (path, route)| {
        router.route(path, route.fallback(|| async { Refused::NoSuchMethod }))
    });
    router.fallback(|| async { Refused::NoSuchRoute }).with_state(served)
}

/// Each route has its path in `schemas/openapi.json`.
fn routes() -> [(&'static str, MethodRouter<Served>); 7] {
    [
        ("/healthz", get(healthz)),
        ("/readyz", get(readyz)),
        ("/metrics", get(metrics)),
        ("/openapi.json", get(openapi)),
        ("/v1/profiles/{id}", get(look_ups::profile)),
        ("/v1/recommendations/{id}", get(look_ups::recommendations)),
        ("/v1/explain/{decision}", get(look_ups::explain)),
    ]
}

async fn healthz(State(served): State<Served>) -> (StatusCode, &'static str) {
    let mut workers = served.observed.workers.iter();
    answer(workers.all(|worker| worker.is_alive(PATIENCE)), "a worker does not turn\n")
}

async fn readyz(State(served): State<Served>) -> (StatusCode, &'static str) {
    let mut workers = served.observed.workers.iter();
    let is_any = |is: fn(&Health) -> bool| served.observed.workers.iter().any(is);
    let otherwise = if is_any(Health::is_held) {
        "the disk is nearly full: nothing is written until there is room\n"
    } else if is_any(Health::is_warming) {
        "a worker follows the changelogs before it joins its group\n"
    } else {
        "a worker has not opened its tasks yet\n"
    };
    answer(workers.all(Health::is_ready), otherwise)
}

async fn metrics(State(served): State<Served>) -> String {
    served.observed.metrics.text()
}

async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}

fn answer(well: bool, otherwise: &'static str) -> (StatusCode, &'static str) {
    if well { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, otherwise) }
}

/// What a look-up answers.
type Answered = Result<Json<Value>, Refused>;
