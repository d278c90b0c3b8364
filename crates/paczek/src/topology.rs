//! Which topic feeds which processor, which store and which output: the architecture on one screen.

use std::sync::Arc;

use recommender::Catalogue;

use crate::config::Config;
use crate::problem::Problem;
use crate::processors::{
    ITEM_MODELS, IngestProcessor, ModelTable, Origins, ProfileProcessor, RecommenderProcessor, SPEAKING,
    Speaking, Target, TimeGuards,
};
use crate::registry::Registry;
use crate::speaking::tenants;
use crate::topics::Partitions;

/// One processor with the names it has on the cluster.
pub(crate) struct Node<P> {
    pub(crate) name: String,
    pub(crate) input: String,
    pub(crate) changelog: String,
    pub(crate) threads: usize,
    /// Decoded states kept in memory for each partition.
    pub(crate) hot_states: usize,
    pub(crate) processor: P,
}

/// The whole pipeline.
pub(crate) struct Topology {
    pub(crate) ingest: Vec<Node<IngestProcessor>>,
    pub(crate) profile_updater: Node<ProfileProcessor>,
    pub(crate) recommender: Node<RecommenderProcessor>,
    /// What the recommender of this process has learned from `sessions`.
    pub(crate) item_models: Arc<ModelTable>,
    /// What is switched off, as `control` says.
    pub(crate) speaking: Arc<Speaking>,
}

impl Topology {
    pub(crate) fn of(config: &Config, partitions: &Partitions) -> Result<Self, Problem> {
        let registry = Registry::read(config)?;
        let target = |name: &str| {
            let topic = config.topic(name);
            let outward = registry.outward(&topic);
            Target { partitions: partitions.count(&topic), topic: Arc::from(topic), outward }
        };
        let sources = config.sources.iter();
        let ingest = sources.map(|source| {
            let processor = IngestProcessor {
                name: source.processor(),
                frontier: format!("{}/frontier", source.name),
                source: source.source().map_err(Problem::Config)?,
                schema_id: registry.input(source.topic()),
                idle_patience: source.idle_patience.millis(),
                events: target("events"),
                dead_letters: target("dead-letters"),
            };
            let name = processor.name.clone();
            Ok(Node::new(config, &name, source.topic().to_owned(), processor).sized(source.threads, 1))
        });
        let origins = config.sources.iter().map(|source| Origins {
            source: source.name.clone(),
            partitions: partitions.count(source.topic()),
            lateness: source.lateness.millis(),
        });
        let profiles = ProfileProcessor {
            rules: config.profiles.rules(),
            origins: origins.collect(),
            updates: target("profile-updates"),
            sessions: target("sessions"),
            dead_letters: target("dead-letters"),
            guards: TimeGuards::default(),
        };
        let first = config.topics_of("events").into_iter().find_map(|topic| partitions.of.get(&topic));
        let sessions = partitions.count(&config.topic("sessions"));
        let item_models =
            Arc::new(ModelTable::new(config.recommender.models(), first.copied().unwrap_or(1), sessions));
        let speaking = Arc::new(Speaking::new(tenants(config)));
        let decisions = RecommenderProcessor {
            models: Arc::clone(&item_models),
            speaking: Arc::clone(&speaking),
            catalogue: Catalogue::default(),
            rules: config.recommender.rules(),
            speech: config.speech().map_err(Problem::Config)?,
            recommendations: target("recommendations"),
            abandoned_carts: target("abandoned-carts"),
            suppressions: target("suppressions"),
            dead_letters: target("dead-letters"),
        };
        let profile_updater = Node::new(config, "profile-updater", config.topic("events"), profiles);
        let recommender = Node::new(config, "recommender", config.topic("profile-updates"), decisions);
        Ok(Self {
            ingest: ingest.collect::<Result<_, Problem>>()?,
            profile_updater: profile_updater.sized(config.profiles.threads, config.profiles.hot),
            recommender: recommender.sized(config.recommender.threads, config.recommender.hot),
            item_models,
            speaking,
        })
    }
}

impl<P> Node<P> {
    fn new(config: &Config, name: &str, input: String, processor: P) -> Self {
        let changelog = config.topic(&format!("{name}-changelog"));
        Self { name: name.to_owned(), input, changelog, threads: 1, hot_states: 1, processor }
    }

    /// The consumer group that shares out its input.
    pub(crate) fn group(&self, config: &Config) -> String {
        config.group(&self.name)
    }

    fn sized(self, threads: usize, hot_states: usize) -> Self {
        Self { threads, hot_states, ..self }
    }
}

/// The picture `paczek topology` prints.
pub(crate) fn picture(config: &Config) -> String {
    let mut text = String::new();
    for source in &config.sources {
        let outputs = format!("{}, {}", config.topic("events"), config.topic("dead-letters"));
        draw(&mut text, source.topic(), &source.processor(), &outputs, config);
    }
    let all = |names: &[&str]| names.iter().map(|name| config.topic(name)).collect::<Vec<_>>().join(", ");
    let outputs = all(&["profile-updates", "sessions", "dead-letters"]);
    draw(&mut text, &config.topic("events"), "profile-updater", &outputs, config);
    let outputs = all(&["recommendations", "abandoned-carts", "suppressions", "dead-letters"]);
    draw(&mut text, &config.topic("profile-updates"), "recommender", &outputs, config);
    text.push_str(&format!(
        "{}\n  ══► {ITEM_MODELS} of every recommender  (all partitions, no group)\n        └─⇄ store {}/0, no changelog\n",
        config.topic("sessions"),
        config.state_dir.join(ITEM_MODELS).display(),
    ));
    text.push_str(&format!(
        "{}\n  ══► {SPEAKING} of every recommender  (all partitions, no group)\n        └─⇄ no store, no changelog\n",
        config.topic("control"),
    ));
    text
}

fn draw(text: &mut String, input: &str, name: &str, outputs: &str, config: &Config) {
    let changelog = config.topic(&format!("{name}-changelog"));
    text.push_str(&format!(
        "{input}\n  └─► {name}  (group {group})\n        ├─► {outputs}\n        └─⇄ store {store}/<partition>, changelog {changelog}\n",
        group = config.group(name),
        store = config.state_dir.join(config.stores(name)).display(),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_names_every_topic_of_the_configuration() {
        let config = Config::default();
        let picture = picture(&config);
        for topic in crate::topics::configured(&config).unwrap() {
            assert!(picture.contains(&topic.name), "{} is missing in\n{picture}", topic.name);
        }
    }
}
