//! What was known when a decision was made, rebuilt from the log.

use std::collections::BTreeMap;

use events::{EventTime, ProfileKey, ProfileUpdate};
use recommender::{Customer, Decision, ItemModels, Speech};
use stream_runtime::broker::Broker;
use stream_runtime::partition_for;

use super::recordings::{Group, id_of};
use crate::config::Config;
use crate::headers;
use crate::problem::Problem;
use crate::processors::RecommenderProcessor;
use crate::read::{Records, Until};
use crate::topics::Partitions;
use crate::topology::Topology;

/// The item models at whatever epoch is asked for.
pub(super) struct ModelHistory {
    nothing: ItemModels,
    /// All entries of the log, none of them learned.
    offered: ItemModels,
    models: ItemModels,
}

/// What decisions are made again by, but for the customers.
pub(super) struct Past {
    processor: RecommenderProcessor,
    history: ModelHistory,
}

/// What was known of all customers together at an epoch.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    processor: &'a RecommenderProcessor,
    models: &'a ItemModels,
    /// The log still gives the item models at that epoch; if not, these are empty.
    models_known: bool,
}

/// Customers as they were.
#[derive(Default)]
pub(super) struct Customers {
    by_key: BTreeMap<ProfileKey, Customer>,
}

/// A decision made again.
pub(super) struct Rederived {
    pub(super) id: String,
    pub(super) value: Vec<u8>,
}

/// What the log gives for one update.
pub(super) struct Again {
    pub(super) decisions: Vec<Rederived>,
    /// The log still gives the item models at the epoch that was recorded.
    pub(super) models_known: bool,
}

impl Past {
    /// With the models of every epoch up to `newest`.
    pub(super) fn read<B: Broker>(broker: &B, config: &Config, newest: Option<i64>) -> Result<Self, Problem> {
        let history = ModelHistory::read(broker, config, newest)?;
        let topology = Topology::of(config, &Partitions::default())?;
        Ok(Self { processor: topology.recommender.processor, history })
    }

    /// Goes to an epoch, and shows it beside the time before all learning. Going on is cheap, going back is not.
    pub(super) fn at(&mut self, epoch: Option<i64>) -> (Moment<'_>, Moment<'_>) {
        let models_known = self.history.go_to(epoch);
        let (processor, nothing) = (&self.processor, &self.history.nothing);
        let models = if models_known && epoch.is_some() { &self.history.models } else { nothing };
        let before = Moment { processor, models: nothing, models_known: true };
        (Moment { processor, models, models_known }, before)
    }
}

impl Customers {
    /// The same, parted by the partition that a key falls into.
    pub(super) fn split(self, partitions: i32) -> Vec<Self> {
        let mut parts: Vec<Self> = (0..partitions).map(|_| Self::default()).collect();
        for (key, customer) in self.by_key {
            let part = partition_for(key.to_string().as_bytes(), partitions);
            if let Some(part) = usize::try_from(part).ok().and_then(|part| parts.get_mut(part)) {
                part.by_key.insert(key, customer);
            }
        }
        parts
    }

    /// Takes in those of another partition.
    pub(super) fn add(&mut self, other: Self) {
        self.by_key.extend(other.by_key);
    }

    /// Lets a customer live through an update as it was decided then. The updates of a customer come in the
    /// order of the log; `group` is what was recorded of this one. No item model changes what a customer
    /// remembers, so any moment will do where nobody asks what was decided.
    pub(super) fn live(
        &mut self,
        update: &ProfileUpdate,
        group: &Group,
        at: Moment<'_>,
    ) -> Result<Again, Problem> {
        let Moment { processor, models, models_known } = at;
        let speech = Speech {
            recommendations: group.speaks_of_recommendations(),
            abandoned_carts: group.speaks_of_carts(),
            now: group.clock(),
            ..processor.speech
        };
        let key = update.profile.to_string().into_bytes();
        let customer = self.by_key.entry(update.profile.clone()).or_default();
        let decided = processor.decisions(customer, update, models, &speech);
        let write = |decision: Decision| {
            let output = processor.output(&decision, key.clone(), &speech)?;
            let (id, value) = (id_of(&output.headers), output.value.unwrap_or_default());
            Ok(Rederived { id, value })
        };
        let written: Result<Vec<_>, stream_runtime::Failure> = decided.into_iter().map(write).collect();
        let decisions = written.map_err(|error| Problem::Failed(error.to_string()))?;
        Ok(Again { decisions, models_known })
    }
}

impl ModelHistory {
    fn read<B: Broker>(broker: &B, config: &Config, newest: Option<i64>) -> Result<Self, Problem> {
        let nothing = ItemModels::new(config.recommender.models());
        let mut offered = nothing.clone();
        let end = EventTime(newest.unwrap_or(i64::MIN).saturating_add(1).saturating_mul(events::SECOND));
        for record in Records::of(broker, &config.topic("sessions"), None, Until::End)? {
            let record = record?;
            let value = record.value.as_deref().filter(|_| !headers::is_heartbeat(&record));
            // What cannot be read was not learned then either.
            let Some(Ok(entry)) = value.map(codec::decode_session_entry) else { continue };
            // No entry belongs to a second before its own time.
            if entry.event_time < end {
                let frontier =
                    headers::read_number(&record, headers::FRONTIER).map_or(entry.event_time, EventTime);
                offered.offer(entry, frontier);
            }
        }
        Ok(Self { models: offered.clone(), offered, nothing })
    }

    /// Takes the models to an epoch; false if the log does not give them any more.
    fn go_to(&mut self, epoch: Option<i64>) -> bool {
        let Some(epoch) = epoch else { return true };
        if self.models.epoch() > Some(epoch) {
            self.models = self.offered.clone();
        }
        self.models.seal_through(epoch);
        self.models.epoch() == Some(epoch)
    }
}
