//! Which schema id the values of each topic have: a file, read and checked whole at start.

use std::path::PathBuf;

use codec::{Outward, RegistryError, SchemaIds};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::problem::Problem;

/// The topics for readers outside.
const OUTWARD: [&str; 4] = ["recommendations", "abandoned-carts", "suppressions", "dead-letters"];

/// How values leave for readers outside.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutwardConfig {
    /// `json`, or `avro` behind Confluent's frame.
    pub format: String,
    /// File of schema ids, of sources in Avro too; empty for none.
    pub registry: PathBuf,
}

impl Default for OutwardConfig {
    fn default() -> Self {
        Self { format: "json".into(), registry: PathBuf::new() }
    }
}

impl OutwardConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.format.as_str() {
            "avro" if self.registry.as_os_str().is_empty() => {
                Err("outward.format = \"avro\" needs schema ids: set outward.registry to a file of them"
                    .into())
            }
            "json" | "avro" => Ok(()),
            _ => Err("outward.format is neither `json` nor `avro`".into()),
        }
    }

    fn is_avro(&self) -> bool {
        self.format == "avro"
    }
}

/// The ids that a configuration needs, every one of which is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Registry {
    ids: SchemaIds,
    outward_avro: bool,
}

impl Registry {
    /// Reads the file that the configuration names; without one no topic has an id.
    pub(crate) fn read(config: &Config) -> Result<Self, Problem> {
        let path = &config.outward.registry;
        if path.as_os_str().is_empty() {
            return Ok(Self { ids: SchemaIds::default(), outward_avro: false });
        }
        let text =
            std::fs::read_to_string(path).map_err(|source| Problem::File { path: path.clone(), source })?;
        Self::of(&text, config).map_err(|error| Problem::Config(format!("{}: {error}", path.display())))
    }

    /// How the values of `topic` are written, if it is one for readers outside.
    pub(crate) fn outward(&self, topic: &str) -> Outward {
        match self.ids.of(topic) {
            Ok(schema_id) if self.outward_avro => Outward::ConfluentAvro { schema_id },
            _ => Outward::Json,
        }
    }

    /// The id of the canonical events in a source's topic, if they are framed.
    pub(crate) fn input(&self, topic: &str) -> Option<u32> {
        self.ids.of(topic).ok()
    }

    fn of(text: &str, config: &Config) -> Result<Self, RegistryError> {
        let ids = SchemaIds::parse(text)?;
        let outward = OUTWARD.map(|name| config.topic(name));
        let outward = outward.iter().map(String::as_str);
        ids.only(outward.clone().chain(config.sources.iter().map(|source| source.topic())))?;
        if config.outward.is_avro() {
            ids.distinct(outward)?;
        }
        for source in config.sources.iter().filter(|source| source.format == "avro") {
            ids.of(source.topic())?;
        }
        Ok(Self { ids, outward_avro: config.outward.is_avro() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../schemas/registry.example.toml");

    fn config(text: &str) -> Config {
        Config::parse(text, std::iter::empty()).unwrap()
    }

    fn avro() -> Config {
        config("outward = { format = 'avro', registry = 'r' }\n[[sources]]\nformat = 'avro'")
    }

    fn without(subject: &str) -> String {
        let lines = EXAMPLE.lines().filter(|line| !line.starts_with(subject));
        lines.map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn the_example_gives_every_topic_its_id() {
        let registry = Registry::of(EXAMPLE, &avro()).unwrap();
        assert_eq!(registry.outward("dead-letters"), Outward::ConfluentAvro { schema_id: 104 });
        assert_eq!(registry.outward("events"), Outward::Json);
        assert_eq!(registry.input("clickstream"), Some(100));
        let json = Registry::of(EXAMPLE, &config("")).unwrap();
        assert_eq!(json.outward("dead-letters"), Outward::Json);
    }

    #[test]
    fn a_missing_id_is_told_at_start() {
        for subject in ["recommendations-value", "dead-letters-value", "clickstream-value"] {
            let error = Registry::of(&without(subject), &avro()).unwrap_err();
            assert_eq!(error, RegistryError::Missing { subject: subject.to_owned() });
            assert_eq!(Registry::of(&without(subject), &config("")).err(), None);
        }
    }

    #[test]
    fn a_subject_of_no_topic_is_told_at_start() {
        let misspelt = EXAMPLE.replace("dead-letters-value", "dead-letter-value");
        let error = Registry::of(&misspelt, &config("")).unwrap_err();
        assert!(matches!(error, RegistryError::Unknown { subject, .. } if subject == "dead-letter-value"));
        let prefixed = config("topic_prefix = 'bakery-'");
        assert!(matches!(Registry::of(EXAMPLE, &prefixed), Err(RegistryError::Unknown { .. })));
    }

    #[test]
    fn a_form_that_cannot_be_written_is_refused() {
        for (text, words) in [("outward.format = 'xml'", "neither"), ("outward.format = 'avro'", "registry")]
        {
            let error = Config::parse(text, std::iter::empty()).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_told_with_its_name() {
        let error = Registry::read(&config("outward.registry = '/nowhere/ids.toml'")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/ids.toml"), "{error}");
    }
}
