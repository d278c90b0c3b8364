use events::{DAY, MINUTE};
use serde::{Deserialize, Serialize};

/// How session neighbours are sought.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbourhood {
    /// The newest sessions that share a product and are looked at.
    pub newest_sessions: usize,
    /// Of them, the most similar that count.
    pub neighbours: usize,
    /// How many of the running session's newest products count.
    pub window: usize,
    /// Weight of a product's rarity; 0 makes all products equal.
    pub rarity: f64,
}

/// How item models learn. Durations are milliseconds. All instances of a tenant use the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSettings {
    /// How session neighbours are sought.
    pub neighbourhood: Neighbourhood,
    /// A session with more distinct products teaches nothing about neighbours.
    pub longest_session: usize,
    /// A session is forgotten this long after its last event.
    pub max_age: i64,
    /// Sessions of one tenant that are kept; more shorten the age.
    pub max_sessions: usize,
    /// Interest counts half after this time.
    pub half_life: i64,
}

/// What a tenant can set about what is said. Durations are milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Names this set of rules; part of every id.
    pub version: String,
    /// Products in one recommendation.
    pub places: usize,
    /// Least relevance of a product that is shown.
    pub floor: f64,
    /// Weight of what similar sessions went on to.
    pub similar_weight: f64,
    /// Weight of the customer's own wish list.
    pub wished_weight: f64,
    /// Weight of what is popular.
    pub popular_weight: f64,
    /// How long a recommendation is good for.
    pub valid_for: i64,
    /// Least value of a cart that is spoken about, in minor units. A cart without prices is worth 0.
    pub cart_floor_minor: i64,
    /// How long after the last activity a purchase takes a reminder back.
    pub give_up: i64,
}

impl Default for Neighbourhood {
    fn default() -> Self {
        Self { newest_sessions: 500, neighbours: 100, window: 9, rarity: 1.0 }
    }
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            neighbourhood: Neighbourhood::default(),
            longest_session: 50,
            max_age: 90 * DAY,
            max_sessions: 2_000_000,
            half_life: 7 * DAY,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            version: "1".to_owned(),
            places: 20,
            floor: 0.01,
            similar_weight: 1.0,
            wished_weight: 0.3,
            popular_weight: 0.2,
            valid_for: 24 * 60 * MINUTE,
            cart_floor_minor: 0,
            give_up: 7 * DAY,
        }
    }
}
