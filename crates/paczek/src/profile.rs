use events::ProfileKey;
use profile_updater::Profile;
use stream_runtime::broker::Broker;
use stream_runtime::{RuntimeError, moved_to, partition_for, state_key};

use crate::config::Config;
use crate::problem::Problem;
use crate::read::{Records, Until, count_partitions};

/// Whom an id means: `tenant|id`, or an id of the first source's tenant.
pub(crate) fn key_of(config: &Config, id: &str) -> ProfileKey {
    ProfileKey::parse(id).unwrap_or_else(|| ProfileKey::new(&config.sources[0].tenant, id))
}

/// A customer's profile as the changelog has it, so that a running process need not be asked.
pub(crate) fn look_up<B: Broker>(
    broker: &B,
    config: &Config,
    key: &ProfileKey,
) -> Result<Option<Profile>, Problem> {
    let topic = config.topic("profile-updater-changelog");
    let text = key.to_string().into_bytes();
    let partition = partition_for(&text, count_partitions(broker, &topic)?);
    let wanted = state_key(&text);
    if let Some(moved_to) = moved_to(broker, &topic)? {
        return Err(RuntimeError::Moved { changelog: topic, moved_to }.into());
    }
    let mut newest = None;
    for record in Records::of(broker, &topic, Some(partition), Until::End)? {
        let record = record?;
        if record.key.as_ref() == Some(&wanted) {
            newest = record.value;
        }
    }
    let decoded = newest.map(|bytes| codec::stored::decode_profile(&bytes)).transpose();
    decoded.map_err(|error| Problem::State(error.to_string()))
}
