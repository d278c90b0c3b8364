//! `/v1/profiles/{id}`, `/v1/recommendations/{id}` and `/v1/explain/{decision}`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use events::{EventTime, Placement, ProfileKey, Silence};
use recommender::{Customer, Shown, look_up};
use serde::Deserialize;
use serde_json::{Value, json};
use stream_runtime::{Answer, Failure, Health, partition_for};
use tokio::sync::{Semaphore, oneshot};

use super::{Answered, Refused, Served};
use crate::config::Config;
use crate::explain::Explained;
use crate::problem::Problem;
use crate::processors::RecommenderProcessor;
use crate::profile::key_of;
use crate::topics::Partitions;
use crate::topology::Topology;

/// Longest id that is looked at, in bytes: a tenant and an id of 128 characters.
const LONGEST_ID: usize = 64 + 1 + 4 * 128;
/// Time that a worker has to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads a decision and all that led to it from the log; it takes its time.
pub(crate) type Explain = dyn Fn(&str) -> Result<Option<Explained>, Problem> + Send + Sync;

/// What look-ups are answered from, beside the workers. Clones share it.
#[derive(Clone)]
pub(crate) struct LookUps {
    config: Arc<Config>,
    profiles: Arc<Keyed>,
    customers: Arc<Keyed>,
    recommender: Arc<RecommenderProcessor>,
    explain: Arc<Explain>,
    /// One explanation at a time: each reads whole partitions.
    explaining: Arc<Semaphore>,
}

/// Where the states of a processor are.
struct Keyed {
    processor: String,
    input: String,
    partitions: i32,
}

impl LookUps {
    pub(crate) fn new(
        config: &Config,
        topology: &Topology,
        partitions: &Partitions,
        explain: Arc<Explain>,
    ) -> Self {
        let keyed = |processor: &str, input: &str| {
            Arc::new(Keyed {
                processor: processor.to_owned(),
                input: input.to_owned(),
                partitions: partitions.count(input),
            })
        };
        let (profiles, customers) = (&topology.profile_updater, &topology.recommender);
        Self {
            config: Arc::new(config.clone()),
            profiles: keyed(&profiles.name, &profiles.input),
            customers: keyed(&customers.name, &customers.input),
            recommender: Arc::new(customers.processor.clone()),
            explain,
            explaining: Arc::new(Semaphore::new(1)),
        }
    }

    fn key(&self, id: Result<Path<String>, PathRejection>) -> Result<ProfileKey, Refused> {
        Ok(key_of(&self.config, &bounded(id)?))
    }
}

/// What is stored of a customer.
pub(super) async fn profile(
    State(served): State<Served>,
    id: Result<Path<String>, PathRejection>,
) -> Answered {
    let key = served.look_ups.key(id)?;
    let bytes = served.committed(&served.look_ups.profiles, &key).await?.ok_or(Refused::NotFound)?;
    let profile = codec::stored::decode_profile(&bytes).map_err(|error| unreadable(&error.into()))?;
    Ok(Json(json!({ "tenant_id": key.tenant(), "profile_id": key.id(), "profile": profile })))
}

#[derive(Deserialize)]
pub(super) struct Asked {
    placement: Option<String>,
}

/// What a customer would be shown now.
pub(super) async fn recommendations(
    State(served): State<Served>,
    id: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Answered {
    let key = served.look_ups.key(id)?;
    let placement = asked.map_err(|_| Refused::UnknownPlacement)?.0.placement;
    let placement = match &placement {
        Some(name) => Placement::parse(name).ok_or(Refused::UnknownPlacement)?,
        None => Placement::ForYou,
    };
    let bytes = served.committed(&served.look_ups.customers, &key).await?;
    let customer = bytes.map(|bytes| codec::stored::decode_customer(&bytes)).transpose();
    let customer = customer.map_err(|error| unreadable(&error.into()))?;
    served.look_ups.show(customer.as_ref(), &key, placement).map(Json).map_err(|error| unreadable(&error))
}

/// Why a decision was made, and whether the log gives it again.
pub(super) async fn explain(
    State(served): State<Served>,
    id: Result<Path<String>, PathRejection>,
) -> Answered {
    let id = bounded(id)?;
    let id = uuid::Uuid::parse_str(&id).map_err(|_| Refused::BadId)?.to_string();
    let LookUps { explain, explaining, .. } = served.look_ups;
    let turn = explaining.try_acquire_owned().map_err(|_| Refused::Busy)?;
    let reading = tokio::task::spawn_blocking(move || {
        let explained = explain(&id);
        drop(turn);
        explained
    });
    let explained = reading.await.map_err(|error| unreadable(&error.into()))?;
    let explained = explained.map_err(|error| unreadable(&error.into()))?.ok_or(Refused::NotFound)?;
    Ok(Json(json!(explained)))
}

impl Served {
    /// The committed state of a key, if this process holds the key.
    async fn committed(&self, keyed: &Keyed, key: &ProfileKey) -> Result<Option<Vec<u8>>, Refused> {
        let key = key.to_string().into_bytes();
        let partition = partition_for(&key, keyed.partitions);
        let workers = || self.observed.workers_of(&keyed.processor);
        let elsewhere = Refused::HeldElsewhere { topic: keyed.input.clone(), partition };
        let Some(worker) = workers().find(|worker| worker.queries().holds(partition)) else {
            return Err(if workers().all(Health::is_ready) { elsewhere } else { Refused::NotReady });
        };
        let (sender, receiver) = oneshot::channel();
        worker.queries().ask(partition, key, |answer| {
            // Whoever asked may have had no patience.
            let _ = sender.send(answer);
        });
        match tokio::time::timeout(PATIENCE, receiver).await {
            Ok(Ok(Answer::State(state))) => Ok(state),
            Ok(Ok(Answer::NotHeld)) => Err(elsewhere),
            Ok(Err(_)) | Err(_) => Err(Refused::NotReady),
        }
    }
}

impl LookUps {
    fn show(
        &self,
        customer: Option<&Customer>,
        key: &ProfileKey,
        placement: Placement,
    ) -> Result<Value, Failure> {
        // How old something may be that is said unasked does not matter to who asks.
        let speech = self.recommender.speech_to(key.tenant(), EventTime::MIN);
        let shown = self
            .recommender
            .models
            .read(|models| look_up(customer, key, placement, &self.recommender.knowledge(models, &speech)));
        let Shown { known, as_of, model_epoch, items, excluded, silence } = shown;
        let (items, excluded) = codec::shown_to_json(&items, &excluded)?;
        Ok(json!({
            "tenant_id": key.tenant(),
            "profile_id": key.id(),
            "placement": placement.name(),
            "known": known,
            "as_of": as_of.map(|EventTime(time)| time),
            "model_epoch": model_epoch,
            "items": items,
            "excluded": excluded,
            "silence": silence.map(|silence| match silence {
                Silence::SpeakingOff => "SPEAKING_OFF",
                _ => "BELOW_FLOOR",
            }),
        }))
    }
}

/// An id from a path: never longer than one can be, and nothing but text.
fn bounded(id: Result<Path<String>, PathRejection>) -> Result<String, Refused> {
    let Path(id) = id.map_err(|_| Refused::BadId)?;
    let plain = !id.is_empty() && id.len() <= LONGEST_ID && !id.chars().any(char::is_control);
    if plain { Ok(id) } else { Err(Refused::BadId) }
}

fn unreadable(error: &Failure) -> Refused {
    tracing::warn!(%error, "a look-up could not be answered");
    Refused::Unreadable
}
