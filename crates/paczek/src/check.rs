use serde::Serialize;
use stream_runtime::broker::kafka::KafkaBroker;

use crate::config::Config;
use crate::problem::Problem;
use crate::registry::Registry;
use crate::topics::{Partitions, Step, plan};

/// What `check` found in order.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) bootstrap: String,
    pub(crate) topics: usize,
    pub(crate) warnings: Vec<String>,
}

/// Looks at the configuration and the broker and changes neither.
pub(crate) fn check(config: &Config) -> Result<Report, Problem> {
    Registry::read(config)?;
    let broker = KafkaBroker::new(&config.kafka.bootstrap, &config.kafka.properties)?;
    broker.topics()?;
    let partitions = Partitions::check(&broker, config)?;
    partitions.check_spread(&broker, config)?;
    let differs = |step| match step {
        Step::Differs { topic, differences } => Some(format!("{topic}: {}", differences.join("; "))),
        Step::Keep { .. } | Step::Create { .. } | Step::Reshard { .. } => None,
    };
    let warnings = plan(&broker, config)?.into_iter().filter_map(differs).collect();
    Ok(Report { bootstrap: config.kafka.bootstrap.clone(), topics: partitions.of.len(), warnings })
}
