use std::collections::{BTreeMap, BTreeSet};

use events::{EventTime, HOUR};
use serde::{Deserialize, Serialize};

/// Width of the steps in which interest grows old.
const STEP: i64 = HOUR;
/// So many half-lives share one landmark, so that no weight leaves the range of a number.
const HALF_LIVES: i64 = 256;

/// How much interest each product of one tenant drew of late.
///
/// It counts whole numbers by hour, so that what is forgotten leaves no trace, and weighs them by age only
/// when it is asked: an hour's interest counts half after every half-life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Popularity {
    half_life: i64,
    landmark: i64,
    products: BTreeMap<String, Counted>,
    order: BTreeSet<Rank>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counted {
    by_step: BTreeMap<i64, u64>,
    /// Relative to the landmark.
    score: f64,
}

/// A product's place: the greatest score first, equals by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Rank {
    /// The score's bits turned around: as no score is negative, they order against it.
    against: u64,
    product: String,
}

impl Rank {
    fn of(score: f64, product: &str) -> Self {
        Self { against: !score.to_bits(), product: product.to_owned() }
    }

    fn score(&self) -> f64 {
        f64::from_bits(!self.against)
    }
}

impl Popularity {
    pub(crate) fn new(half_life: i64) -> Self {
        let half_life = half_life.max(STEP);
        Self { half_life, landmark: i64::MIN, products: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// The most popular products with their share of the greatest popularity, best first.
    #[must_use]
    pub fn top(&self, how_many: usize) -> Vec<(&str, f64)> {
        let greatest = self.greatest_score();
        let share = |rank: &Rank| if greatest > 0.0 { rank.score() / greatest } else { 0.0 };
        self.order.iter().take(how_many).map(|rank| (rank.product.as_str(), share(rank))).collect()
    }

    /// How much interest, as it counts at `now`, the most popular product drew.
    #[must_use]
    pub fn greatest(&self, now: EventTime) -> f64 {
        self.greatest_score() / self.weight(step_of(now))
    }

    fn greatest_score(&self) -> f64 {
        self.order.first().map_or(0.0, Rank::score)
    }

    /// Moves the landmark to where it belongs at `now`; rarely there is anything to do.
    pub(crate) fn advance(&mut self, now: EventTime) {
        let span = HALF_LIVES * (self.half_life / STEP);
        let landmark = step_of(now).div_euclid(span) * span;
        if landmark <= self.landmark {
            return;
        }
        self.landmark = landmark;
        for name in self.products.keys().cloned().collect::<Vec<_>>() {
            self.rescore(&name);
        }
    }

    pub(crate) fn add(&mut self, product: &str, at: EventTime, weight: u32) {
        let counted = self.products.entry(product.to_owned()).or_default();
        *counted.by_step.entry(step_of(at)).or_default() += u64::from(weight);
        self.rescore(product);
    }

    pub(crate) fn remove(&mut self, product: &str, at: EventTime, weight: u32) {
        let Some(counted) = self.products.get_mut(product) else { return };
        let step = step_of(at);
        if let Some(count) = counted.by_step.get_mut(&step) {
            *count = count.saturating_sub(u64::from(weight));
            if *count == 0 {
                counted.by_step.remove(&step);
            }
        }
        self.rescore(product);
    }

    /// Sums a product's hours anew, oldest first.
    fn rescore(&mut self, product: &str) {
        let Some(counted) = self.products.get(product) else { return };
        let score: f64 = counted.by_step.iter().map(|(step, count)| *count as f64 * self.weight(*step)).sum();
        self.order.remove(&Rank::of(counted.score, product));
        if counted.by_step.is_empty() {
            self.products.remove(product);
            return;
        }
        self.order.insert(Rank::of(score, product));
        if let Some(counted) = self.products.get_mut(product) {
            counted.score = score;
        }
    }

    fn weight(&self, step: i64) -> f64 {
        (step.saturating_sub(self.landmark) as f64 * (STEP as f64 / self.half_life as f64)).exp2()
    }
}

fn step_of(at: EventTime) -> i64 {
    at.0.div_euclid(STEP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::DAY;

    fn popularity() -> Popularity {
        let mut popularity = Popularity::new(DAY);
        popularity.advance(EventTime(10 * DAY));
        popularity
    }

    #[test]
    fn interest_counts_half_after_a_half_life() {
        let mut popularity = popularity();
        popularity.add("old", EventTime(9 * DAY), 3);
        popularity.add("new", EventTime(10 * DAY), 2);
        assert_eq!(popularity.top(2), [("new", 1.0), ("old", 0.75)]);
        assert_eq!(popularity.greatest(EventTime(10 * DAY)), 2.0);
        assert_eq!(popularity.greatest(EventTime(11 * DAY)), 1.0);
    }

    #[test]
    fn what_is_taken_away_leaves_no_trace() {
        let mut with = popularity();
        with.add("bun", EventTime(9 * DAY), 1);
        let without = with.clone();
        with.add("bun", EventTime(10 * DAY), 5);
        with.add("tart", EventTime(10 * DAY), 1);
        with.remove("tart", EventTime(10 * DAY), 1);
        with.remove("bun", EventTime(10 * DAY), 5);
        assert_eq!(with, without);
    }

    #[test]
    fn a_landmark_far_on_keeps_the_order() {
        let mut popularity = popularity();
        popularity.add("old", EventTime(9 * DAY), 3);
        popularity.add("new", EventTime(10 * DAY), 2);
        popularity.advance(EventTime(300 * DAY));
        assert_eq!(popularity.top(2), [("new", 1.0), ("old", 0.75)]);
        assert!(popularity.greatest(EventTime(300 * DAY)) < 1e-80);
    }

    #[test]
    fn equals_come_by_name() {
        let mut popularity = popularity();
        ["c", "a", "b"].iter().for_each(|name| popularity.add(name, EventTime(9 * DAY), 1));
        let names: Vec<&str> = popularity.top(2).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
