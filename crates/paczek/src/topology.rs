//! Which topic feeds which processor, which store and which output: the architecture on one screen.

use std::sync::Arc;

use crate::config::Config;
use crate::problem::Problem;
use crate::processors::{IngestProcessor, Origins, ProfileProcessor, Target};
use crate::registry::Registry;
use crate::topics::Partitions;

/// One processor with the names it has on the cluster.
pub(crate) struct Node<P> {
    pub(crate) name: String,
    pub(crate) input: String,
    pub(crate) changelog: String,
    pub(crate) threads: usize,
    pub(crate) processor: P,
}

/// The whole pipeline.
pub(crate) struct Topology {
    pub(crate) ingest: Vec<Node<IngestProcessor>>,
    pub(crate) profile_updater: Node<ProfileProcessor>,
}

impl Topology {
    pub(crate) fn of(config: &Config, partitions: &Partitions) -> Result<Self, Problem> {
        let registry = Registry::read(config)?;
        let target = |name: &str| {
            let topic = config.topic(name);
            let outward = registry.outward(&topic);
            Target { partitions: partitions.count(&topic), topic: Arc::from(topic), outward }
        };
        let mut ingest = Vec::new();
        for source in &config.sources {
            let name = format!("ingest-{}", source.name);
            ingest.push(Node {
                input: source.topic().to_owned(),
                changelog: config.topic(&format!("{name}-changelog")),
                threads: source.threads,
                processor: IngestProcessor {
                    name: name.clone(),
                    frontier: format!("{}/frontier", source.name),
                    source: source.source().map_err(Problem::Config)?,
                    schema_id: registry.input(source.topic()),
                    idle_patience: source.idle_patience.millis(),
                    events: target("events"),
                    dead_letters: target("dead-letters"),
                },
                name,
            });
        }
        let origins = config.sources.iter().map(|source| Origins {
            source: source.name.clone(),
            partitions: partitions.count(source.topic()),
            lateness: source.lateness.millis(),
        });
        let profile_updater = Node {
            name: "profile-updater".to_owned(),
            input: config.topic("events"),
            changelog: config.topic("profile-updater-changelog"),
            threads: config.profiles.threads,
            processor: ProfileProcessor {
                rules: config.profiles.rules(),
                origins: origins.collect(),
                updates: target("profile-updates"),
                dead_letters: target("dead-letters"),
            },
        };
        Ok(Self { ingest, profile_updater })
    }
}

/// The picture `paczek topology` prints.
pub(crate) fn picture(config: &Config) -> String {
    let mut text = String::new();
    for source in &config.sources {
        let outputs = format!("{}, {}", config.topic("events"), config.topic("dead-letters"));
        node(&mut text, source.topic(), &format!("ingest-{}", source.name), &outputs, config);
    }
    let outputs = format!("{}, {}", config.topic("profile-updates"), config.topic("dead-letters"));
    node(&mut text, &config.topic("events"), "profile-updater", &outputs, config);
    text
}

fn node(text: &mut String, input: &str, name: &str, outputs: &str, config: &Config) {
    let changelog = config.topic(&format!("{name}-changelog"));
    text.push_str(&format!(
        "{input}\n  └─► {name}  (group {app}-{name})\n        ├─► {outputs}\n        └─⇄ store {store}/<partition>, changelog {changelog}\n",
        app = config.application,
        store = config.state_dir.join(name).display(),
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
