//! The switch of speech: one record on `control` for each tenant and kind.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use events::{SpeechControl, SpeechKind};
use serde::Serialize;
use stream_runtime::broker::{Broker, Committed, ProducerSettings, TransactionalProducer as _};
use stream_runtime::{GlobalTable as _, Metrics, Output, partition_for};

use crate::config::Config;
use crate::problem::Problem;
use crate::processors::Speaking;
use crate::read::{Records, Until};

/// Whether one kind of speech is on for a tenant.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Switch {
    /// The shop.
    pub tenant: String,
    /// `recommendations` or `abandoned-carts`.
    pub kind: &'static str,
    /// Whether it is spoken.
    pub speaking: bool,
}

/// What is switched on and off, for every tenant and kind.
///
/// # Errors
/// When the broker does not answer, or there is no topic `control`.
pub fn speaking<B: Broker>(broker: &B, config: &Config) -> Result<Vec<Switch>, Problem> {
    let (table, uncounted) = (Speaking::new(tenants(config)), Metrics::default());
    for record in Records::of(broker, &config.topic("control"), None, Until::End)? {
        table.take(&record?, &uncounted);
    }
    let switches = table.tenants().iter().flat_map(|tenant| {
        SpeechKind::ALL.map(|kind| Switch {
            tenant: tenant.clone(),
            kind: kind.name(),
            speaking: table.is_on(tenant, kind),
        })
    });
    Ok(switches.collect())
}

/// Writes the record that holds from the next decision on.
///
/// # Errors
/// When no source declares the tenant, there is no topic `control`, or the broker refuses.
pub fn switch<B: Broker>(broker: &B, config: &Config, control: &SpeechControl) -> Result<(), Problem> {
    let known = tenants(config);
    if !known.contains(&control.tenant) {
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Problem::Config(format!("no source declares that tenant; there are: {known}")));
    }
    let topic = config.topic("control");
    let partitions = broker
        .partitions(&topic)?
        .ok_or_else(|| Problem::MissingTopic { topic: topic.clone(), hint: String::new() })?;
    let mut producer = broker.producer(&ProducerSettings {
        transactional_id: format!("paczek-control-{topic}"),
        transaction_timeout: Duration::from_secs(60),
    })?;
    let key = SpeechControl::key(&control.tenant, control.kind).into_bytes();
    let value = codec::encode_control(control, codec::Outward::Json)
        .map_err(|error| Problem::Failed(error.to_string()))?;
    producer.begin()?;
    producer.send(
        &Output {
            partition: partition_for(&key, partitions),
            topic: Arc::from(topic),
            key: Some(key),
            value: Some(value),
            headers: Vec::new(),
        },
        0,
    )?;
    producer.drain()?;
    match producer.commit()? {
        Committed::Clean | Committed::ReplaceProducer => Ok(()),
    }
}

/// Every tenant that a source declares.
pub(crate) fn tenants(config: &Config) -> BTreeSet<String> {
    let declared = config.sources.iter().flat_map(|source| source.tenants.iter().chain([&source.tenant]));
    declared.cloned().collect()
}

/// The switches for a person.
pub(crate) fn describe(switches: &[Switch]) -> String {
    let line = |switch: &Switch| {
        let state = if switch.speaking { "on" } else { "off" };
        format!("{state:<4} {:<16} {}\n", switch.kind, switch.tenant)
    };
    switches.iter().map(line).collect()
}
