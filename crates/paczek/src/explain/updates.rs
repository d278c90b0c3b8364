//! `profile-updates` as the recommender has read it.

use events::ProfileUpdate;
use stream_runtime::broker::{Broker, LogReader};

use crate::config::Config;
use crate::headers;
use crate::problem::Problem;
use crate::read::{Records, Until, count_partitions};

/// The updates of one partition, in the order in which they were decided.
pub(super) struct Updates<R>(Records<R>);

impl<R: LogReader> Updates<R> {
    pub(super) fn of<B: Broker<Reader = R>>(
        broker: &B,
        config: &Config,
        partition: i32,
    ) -> Result<Self, Problem> {
        Records::of(broker, &config.topic("profile-updates"), Some(partition), Until::End).map(Self)
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

/// The topics that decisions are made again from and whose first records are gone.
pub(super) fn cut<B: Broker>(broker: &B, config: &Config) -> Result<Vec<String>, Problem> {
    let mut cut = Vec::new();
    for name in ["profile-updates", "sessions"] {
        let topic = config.topic(name);
        let mut gone = false;
        for partition in 0..count_partitions(broker, &topic)? {
            gone |= broker.extent(&topic, partition)?.start > 0;
        }
        if gone {
            cut.push(topic);
        }
    }
    Ok(cut)
}
