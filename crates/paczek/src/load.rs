use events::EventTime;
use ingest::Source;
use serde::Serialize;
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::broker::{Broker, Committed, ProducerSettings, TransactionalProducer as _};
use stream_runtime::{Header, Output, partition_for};

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, SourceConfig};
use crate::headers;
use crate::input::{Row, progress, read_rows};
use crate::problem::Problem;

/// Records written in one transaction.
const CHUNK: usize = 10_000;

/// A record of the shop's topic, with the partition it goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Where it goes.
    pub partition: i32,
    /// The customer or visitor.
    pub key: Vec<u8>,
    /// The line as it stands; `None` ends the source's partition.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<Header>,
    /// Its event time; the end of time for an end-of-source.
    pub time: EventTime,
}

/// Whether a load is all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every partition ends with an end-of-source, also one that got no row.
    Ended,
    /// More is to come.
    Open,
}

/// What `load` did.
#[derive(Debug, Serialize)]
pub(crate) struct Loaded {
    pub(crate) topic: String,
    pub(crate) rows: usize,
    pub(crate) partitions: i32,
}

/// The rows as records of the shop's topic, in their order, by the key's partition.
#[must_use]
pub fn raw_records(rows: &[Row], partitions: i32, end: End) -> Vec<RawRecord> {
    let row = |row: &Row| RawRecord {
        partition: partition_for(row.key.as_bytes(), partitions),
        key: row.key.clone().into_bytes(),
        value: Some(row.value.clone()),
        headers: vec![headers::text(headers::LINE, &row.line.to_string())],
        time: row.time,
    };
    let end_of = |partition| RawRecord {
        partition,
        key: Vec::new(),
        value: None,
        headers: vec![headers::text(headers::END_OF_SOURCE, "true")],
        time: EventTime::MAX,
    };
    let ends = (0..partitions).filter(|_| end == End::Ended).map(end_of);
    rows.iter().map(row).chain(ends).collect()
}

/// Writes raw records to a topic, in transactions, so that a reader sees a chunk whole or not at all.
///
/// # Errors
/// When the broker refuses or does not answer.
pub fn write_raw<B: Broker>(broker: &B, topic: &str, records: &[RawRecord]) -> Result<(), Problem> {
    let progress = progress(records.len() as u64, "loading");
    let mut writer = RawWriter::new(broker, topic)?;
    for chunk in records.chunks(CHUNK) {
        writer.write(chunk)?;
        progress.inc(chunk.len() as u64);
    }
    progress.finish_and_clear();
    Ok(())
}

/// Writes raw records to a topic.
pub(crate) struct RawWriter<'a, B: Broker> {
    broker: &'a B,
    topic: Arc<str>,
    settings: ProducerSettings,
    producer: B::Producer,
}

impl<'a, B: Broker> RawWriter<'a, B> {
    pub(crate) fn new(broker: &'a B, topic: &str) -> Result<Self, Problem> {
        let settings = ProducerSettings {
            transactional_id: format!("paczek-load-{topic}"),
            transaction_timeout: Duration::from_secs(60),
        };
        let producer = broker.producer(&settings)?;
        Ok(Self { broker, topic: Arc::from(topic), settings, producer })
    }

    /// Writes these in one transaction.
    pub(crate) fn write(&mut self, records: &[RawRecord]) -> Result<(), Problem> {
        self.producer.begin()?;
        for record in records {
            let output = Output {
                topic: Arc::clone(&self.topic),
                partition: record.partition,
                key: Some(record.key.clone()).filter(|key| !key.is_empty()),
                value: record.value.clone(),
                headers: record.headers.clone(),
            };
            self.producer.send(&output, 0)?;
        }
        self.producer.drain()?;
        if self.producer.commit()? == Committed::ReplaceProducer {
            self.producer = self.broker.producer(&self.settings)?;
        }
        Ok(())
    }
}

/// Loads a file into a source's topic.
pub(crate) fn load(
    broker: &KafkaBroker,
    config: &SourceConfig,
    source: &Source,
    file: &Path,
    now: EventTime,
) -> Result<Loaded, Problem> {
    let topic = config.topic();
    let partitions = broker
        .partitions(topic)?
        .ok_or_else(|| Problem::MissingTopic { topic: topic.to_owned(), hint: String::new() })?;
    let rows = read_rows(file, source, now)?;
    write_raw(broker, topic, &raw_records(&rows, partitions, End::Ended))?;
    Ok(Loaded { topic: topic.to_owned(), rows: rows.len(), partitions })
}

/// The source a file is loaded for: the named one, which reads `format` and is historic.
pub(crate) fn source_for(
    config: &Config,
    name: &str,
    format: &str,
) -> Result<(SourceConfig, Source), Problem> {
    let known = config.sources.iter().find(|source| source.name == name);
    let known =
        known.ok_or_else(|| Problem::Config(format!("no source is called {name}; see [[sources]]")))?;
    if known.format != format {
        return Err(Problem::Config(format!(
            "source {name} is configured as format {}, so ingest could not read {format}; set format = \"{format}\"",
            known.format
        )));
    }
    if known.kind != "historic" {
        return Err(Problem::Config(format!(
            "source {name} is live, and a file is over: set kind = \"historic\", or load it for a source of its own"
        )));
    }
    Ok((known.clone(), known.source().map_err(Problem::Config)?))
}
