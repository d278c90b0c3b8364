use recommender::{ModelSettings, Rules};
use serde::{Deserialize, Serialize};

use super::{Span, within};

/// How decisions are made.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecommenderConfig {
    /// What was due before is not said: an RFC 3339 time, or empty.
    pub speak_after: String,
    /// What was due longer ago is not said; counts for a live clickstream only.
    pub max_decision_age: Span,
    /// Products in one recommendation.
    pub places: usize,
    /// Least relevance of a product that is shown.
    pub floor: f64,
    /// Least value of a cart that is spoken about, in minor units.
    pub cart_floor: i64,
    /// A session teaches the item models for so long.
    pub max_age: Span,
    /// Sessions of one tenant that the item models keep.
    pub max_sessions: usize,
    /// Customers kept in memory for each partition.
    pub hot: usize,
    /// Worker threads.
    pub threads: usize,
}

impl Default for RecommenderConfig {
    fn default() -> Self {
        let (rules, models) = (Rules::default(), ModelSettings::default());
        Self {
            speak_after: String::new(),
            max_decision_age: Span::minutes(60),
            places: rules.places,
            floor: rules.floor,
            cart_floor: rules.cart_floor_minor,
            max_age: Span::days(90),
            max_sessions: models.max_sessions,
            hot: 100_000,
            threads: 1,
        }
    }
}

impl RecommenderConfig {
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            places: self.places,
            floor: self.floor,
            cart_floor_minor: self.cart_floor,
            ..Rules::default()
        }
    }

    pub(crate) fn models(&self) -> ModelSettings {
        ModelSettings {
            max_age: self.max_age.millis(),
            max_sessions: self.max_sessions,
            ..ModelSettings::default()
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        within("recommender.places", self.places, 100)?;
        within("recommender.max_sessions", self.max_sessions, 100_000_000)?;
        within("recommender.hot", self.hot, 1_000_000_000)?;
        within("recommender.threads", self.threads, 64)?;
        within("recommender.max_age in milliseconds", self.max_age.0.as_millis(), 400 * 86_400_000)?;
        within(
            "recommender.max_decision_age in milliseconds",
            self.max_decision_age.0.as_millis(),
            400 * 86_400_000,
        )?;
        if !(0.0..=10.0).contains(&self.floor) {
            return Err("recommender.floor is between 0 and 10".into());
        }
        if self.cart_floor < 0 {
            return Err("recommender.cart_floor is 0 or more, in minor units".into());
        }
        Ok(())
    }
}
