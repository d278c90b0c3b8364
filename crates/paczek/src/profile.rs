use std::ops::ControlFlow;

use events::ProfileKey;
use profile_updater::Profile;
use stream_runtime::broker::Broker as _;
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::{partition_for, state_key};

use crate::config::Config;
use crate::problem::Problem;
use crate::read::{Until, read_topic};

/// A customer's profile as the changelog has it, so that a running process need not be asked.
pub(crate) fn look_up(
    broker: &KafkaBroker,
    config: &Config,
    key: &ProfileKey,
) -> Result<Option<Profile>, Problem> {
    let topic = config.topic("profile-updater-changelog");
    let partitions = broker
        .partitions(&topic)?
        .ok_or_else(|| Problem::MissingTopic { topic: topic.clone(), hint: String::new() })?;
    let text = key.to_string().into_bytes();
    let (partition, wanted) = (partition_for(&text, partitions), state_key(&text));
    let mut newest = None;
    read_topic(broker, &topic, Some(partition), Until::End, |record| {
        if record.key.as_ref() == Some(&wanted) {
            newest = record.value;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let decoded = newest.map(|bytes| codec::stored::decode_profile(&bytes)).transpose();
    decoded.map_err(|error| Problem::State(error.to_string()))
}
