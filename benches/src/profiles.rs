use std::collections::HashMap;

use events::{Event, EventTime, MINUTE, ProfileKey, ProfileUpdate};
use profile_updater::{Arrival, Outcome, Profile, Rules};

/// Profiles in memory, as a task of profile-updater holds the hot ones.
pub struct Profiles {
    by_key: HashMap<ProfileKey, Profile>,
    newest: EventTime,
    rules: Rules,
}

impl Default for Profiles {
    fn default() -> Self {
        Self { by_key: HashMap::new(), newest: EventTime::MIN, rules: Rules::default() }
    }
}

impl Profiles {
    /// Those that these events made.
    #[must_use]
    pub fn of(events: &[Event]) -> Self {
        let mut profiles = Self::default();
        events.iter().for_each(|event| drop(profiles.apply(event)));
        profiles
    }

    /// The whole way of a record of `events` through profile-updater but for Kafka and disk: decode, take the event
    /// into its profile, encode the update. The bytes written; none for a duplicate.
    ///
    /// # Errors
    /// When the record cannot be read or the update not be written.
    pub fn decode_apply_encode(&mut self, record: &[u8]) -> Result<Option<Vec<u8>>, codec::CodecError> {
        let event = codec::decode_event(record)?;
        self.apply(&event).map(|update| codec::encode_profile_update(&update)).transpose()
    }

    /// What its profile is after an event; nothing for a duplicate.
    pub fn apply(&mut self, event: &Event) -> Option<Box<ProfileUpdate>> {
        let key = event.profile_key()?;
        self.newest = self.newest.max(event.event_time);
        let arrival = Arrival { late: false, settled: self.newest.minus(10 * MINUTE + 1) };
        let profile = self.by_key.entry(key.clone()).or_default();
        match profile_updater::apply(profile, &key, event, arrival, &self.rules) {
            Outcome::Applied(applied) => Some(Box::new(applied.update)),
            Outcome::Duplicate | Outcome::Late | Outcome::Conflict => None,
        }
    }

    /// Every profile.
    pub fn all(&self) -> Vec<&Profile> {
        self.by_key.values().collect()
    }
}
