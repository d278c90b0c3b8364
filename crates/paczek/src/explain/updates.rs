//! `profile-updates` as the recommender has read it.

use events::ProfileUpdate;
use stream_runtime::broker::{Broker, LogReader};

use crate::config::Config;
use crate::headers;
use crate::problem::Problem;
use crate::read::{Records, Until};

/// The updates of one partition, in the order in which they were decided.
pub(super) struct Updates<R>(Records<R>);

impl<R: LogReader> Updates<R> {
    pub(super) fn of<B: Broker<Reader = R>>(
        broker: &B,
        topic: &str,
        partition: i32,
    ) -> Result<Self, Problem> {
        Records::of(broker, topic, Some(partition), Until::End).map(Self)
    }
}

impl<R: LogReader> Iterator for Updates<R> {
    type Item = Result<ProfileUpdate, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let record = match self.0.next()? {
                Ok(record) => record,
                Err(error) => return Some(Err(error)),
            };
            let value = record.value.as_deref().filter(|_| !headers::is_heartbeat(&record));
            // What cannot be read became a dead letter then, and no decision.
            if let Some(Ok(update)) = value.map(codec::decode_profile_update) {
                return Some(Ok(update));
            }
        }
    }
}

/// `profile-updates` and its partitions, generation by generation; those that were deleted are left out.
pub(super) fn generations<B: Broker>(broker: &B, config: &Config) -> Result<Vec<(String, i32)>, Problem> {
    let mut found = Vec::new();
    for topic in config.topics_of("profile-updates") {
        match broker.partitions(&topic)? {
            Some(partitions) => found.push((topic, partitions)),
            None if topic != config.topic("profile-updates") => {}
            None => return Err(Problem::MissingTopic { topic, hint: String::new() }),
        }
    }
    Ok(found)
}

/// The topics that decisions are made again from and whose first records are gone.
pub(super) fn cut<B: Broker>(broker: &B, config: &Config) -> Result<Vec<String>, Problem> {
    let mut cut = Vec::new();
    for topic in ["profile-updates", "sessions"].into_iter().flat_map(|name| config.topics_of(name)) {
        let partitions = broker.partitions(&topic)?;
        let mut gone = partitions.is_none();
        for partition in 0..partitions.unwrap_or(0) {
            gone |= broker.extent(&topic, partition)?.start > 0;
        }
        if gone {
            cut.push(topic);
        }
    }
    Ok(cut)
}
