//! Names that change when states move to topics with another number of partitions.

use super::{Config, SourceConfig};

/// Generations that a pipeline can go through.
pub(super) const MOST: u32 = 1_000;

impl Config {
    /// The name of one of our own topics.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        self.topic_of(name, self.generation)
    }

    /// The name that one of our own topics has, or had, in a generation.
    pub(crate) fn topic_of(&self, name: &str, generation: u32) -> String {
        let plain = format!("{}{name}", self.topic_prefix);
        if is_kept_by_key(name) { of_generation(&plain, generation) } else { plain }
    }

    /// The names that one of our own topics has had so far, the oldest first.
    pub(crate) fn topics_of(&self, name: &str) -> Vec<String> {
        let generations = if is_kept_by_key(name) { 1..=self.generation } else { 1..=1 };
        generations.map(|generation| self.topic_of(name, generation)).collect()
    }

    /// The processors that keep state, in the order in which an event comes to them.
    pub(crate) fn processors(&self) -> impl Iterator<Item = String> {
        let ingests = self.sources.iter().map(SourceConfig::processor);
        ingests.chain(["profile-updater".to_owned(), "recommender".to_owned()])
    }

    /// The changelog of a processor.
    pub(crate) fn changelog(&self, processor: &str) -> String {
        self.topic(&format!("{processor}-changelog"))
    }

    /// The consumer group of a processor.
    #[must_use]
    pub fn group(&self, processor: &str) -> String {
        of_generation(&format!("{}-{processor}", self.application), self.generation)
    }

    /// The directory, inside that of the state, of a processor's stores.
    pub(crate) fn stores(&self, processor: &str) -> String {
        of_generation(processor, self.generation)
    }

    /// The same configuration, once `reshard` has been run.
    pub(crate) fn resharded(&self) -> Self {
        Self { generation: self.generation + 1, ..self.clone() }
    }
}

/// Whether a topic has as many partitions as states are spread over. What is for readers outside stays, and so does
/// what every process reads whole.
fn is_kept_by_key(name: &str) -> bool {
    ["events", "profile-updates"].contains(&name) || name.ends_with("-changelog")
}

fn of_generation(name: &str, generation: u32) -> String {
    match generation {
        0 | 1 => name.to_owned(),
        later => format!("{name}-g{later}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_renames_what_states_are_spread_over_and_nothing_else() {
        let first = Config { topic_prefix: "bakery.".into(), ..Config::default() };
        let second = first.resharded();
        assert_eq!(second.topic("events"), "bakery.events-g2");
        assert_eq!(second.topic("ingest-clickstream-changelog"), "bakery.ingest-clickstream-changelog-g2");
        assert_eq!(
            second.topics_of("profile-updates"),
            ["bakery.profile-updates", "bakery.profile-updates-g2"]
        );
        assert_eq!(second.group("recommender"), "paczek-recommender-g2");
        assert_eq!(second.stores("recommender"), "recommender-g2");
        for name in ["sessions", "recommendations", "control"] {
            assert_eq!((second.topic(name), second.topics_of(name).len()), (first.topic(name), 1));
        }
    }
}
