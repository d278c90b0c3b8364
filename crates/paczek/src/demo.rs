//! The whole job in one process, over logs in memory: the same reader, tasks, processors and bytes as on
//! Kafka.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use events::EventTime;
use serde::Serialize;
use state_store::MemoryStore;
use stream_runtime::{Metric, Metrics, Output, Outputs, Processor, SourceRecord, Start, Task};

use crate::config::Config;
use crate::digest::{Digest, TopicDigest};
use crate::headers;
use crate::input::read_rows;
use crate::load::{End, raw_records};
use crate::problem::Problem;
use crate::topics::{Partitions, configured};
use crate::topology::{Node, Topology};

/// Records one task takes in one turn.
const POLL_BATCH: usize = 500;

/// What came of a file.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) events: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    pub(crate) profile_updates: u64,
    pub(crate) abandoned_carts: u64,
    pub(crate) rejected_by_code: BTreeMap<String, u64>,
    pub(crate) events_per_second: u64,
    pub(crate) digests: BTreeMap<String, TopicDigest>,
}

/// Runs a file through ingest and profile-updater.
pub(crate) fn demo(config: &Config, file: &Path, partitions: i32, now: EventTime) -> Result<Demo, Problem> {
    let source = config.sources[0].source().map_err(Problem::Config)?;
    let rows = read_rows(file, &source, now)?;
    let started = Instant::now();
    let of = configured(config)?.into_iter().map(|topic| (topic.name, partitions)).collect();
    let topology = Topology::of(config, &Partitions { of })?;
    let mut logs = Logs::default();
    let topic: Arc<str> = Arc::from(config.sources[0].topic());
    for record in raw_records(&rows, partitions, End::Ended) {
        let output = Output {
            topic: Arc::clone(&topic),
            partition: record.partition,
            key: Some(record.key),
            value: record.value,
            headers: record.headers,
        };
        logs.append(output, now.0);
    }
    let metrics = Metrics::default();
    let mut ingest = Stage::new(&topology.ingest[0], partitions);
    let mut profile_updater = Stage::new(&topology.profile_updater, partitions);
    loop {
        let moved = ingest.turn(&mut logs, &metrics)? | profile_updater.turn(&mut logs, &metrics)?;
        if !moved {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64().max(1e-9);
    Ok(Demo { summary: summary(config, rows.len() as u64, &logs, &metrics, seconds), logs })
}

/// A run that is over, with everything it wrote.
pub(crate) struct Demo {
    pub(crate) summary: Summary,
    logs: Logs,
}

impl Demo {
    /// Every record of a topic, partition by partition.
    pub(crate) fn records(&self, topic: &str) -> impl Iterator<Item = &SourceRecord> {
        self.logs.records(topic)
    }
}

/// Logs in memory: what a topic holds, by partition.
#[derive(Default)]
struct Logs {
    topics: BTreeMap<Arc<str>, BTreeMap<i32, Vec<SourceRecord>>>,
}

impl Logs {
    fn append(&mut self, output: Output, timestamp: i64) {
        let log =
            self.topics.entry(Arc::clone(&output.topic)).or_default().entry(output.partition).or_default();
        log.push(SourceRecord {
            topic: output.topic,
            partition: output.partition,
            offset: i64::try_from(log.len()).unwrap_or(i64::MAX),
            timestamp,
            key: output.key,
            value: output.value,
            headers: output.headers,
        });
    }

    fn read(&self, topic: &str, partition: i32, from: i64, limit: usize) -> Vec<SourceRecord> {
        let log = self.topics.get(topic).and_then(|topic| topic.get(&partition));
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        log.map_or_else(Vec::new, |log| log.iter().skip(from).take(limit).cloned().collect())
    }

    fn records(&self, topic: &str) -> impl Iterator<Item = &SourceRecord> {
        self.topics.get(topic).into_iter().flat_map(|partitions| partitions.values().flatten())
    }
}

/// Every task of one processor.
struct Stage<'a, P: Processor> {
    node: &'a Node<P>,
    tasks: Vec<Task<P>>,
    outputs: Outputs,
}

impl<'a, P: Processor> Stage<'a, P> {
    fn new(node: &'a Node<P>, partitions: i32) -> Self {
        let (input, changelog) = (Arc::from(node.input.as_str()), Arc::from(node.changelog.as_str()));
        let store = || Box::new(MemoryStore::default());
        let task =
            |partition| Task::new(&input, partition, (&changelog, "demo"), store(), usize::MAX, Start::At(0));
        Self { node, tasks: (0..partitions).map(task).collect(), outputs: Outputs::default() }
    }

    /// One transaction of all tasks; false if there was nothing to do.
    fn turn(&mut self, logs: &mut Logs, metrics: &Metrics) -> Result<bool, Problem> {
        let Self { node, tasks, outputs } = self;
        let failed = |error: stream_runtime::Failure| Problem::Failed(format!("{}: {error}", node.name));
        let processor = &node.processor;
        for task in tasks.iter_mut() {
            task.fire_due(processor, outputs, metrics).map_err(failed)?;
            for record in logs.read(&node.input, task.partition(), task.next_offset(), POLL_BATCH) {
                task.process(processor, &record, outputs, metrics).map_err(failed)?;
            }
        }
        let changed: Vec<_> = tasks.iter().filter(|task| task.has_changed()).map(Task::time).collect();
        let moved = !changed.is_empty();
        processor.heartbeat(&changed, outputs).map_err(failed)?;
        for task in tasks.iter_mut().filter(|task| task.has_changed()) {
            task.seal(processor, "demo").map_err(failed)?;
            task.committed(0).map_err(failed)?;
        }
        outputs.take().into_iter().for_each(|output| logs.append(output, 0));
        Ok(moved)
    }
}

fn summary(config: &Config, events: u64, logs: &Logs, metrics: &Metrics, seconds: f64) -> Summary {
    let digests: BTreeMap<String, TopicDigest> = crate::topics::digested(config)
        .into_iter()
        .map(|topic| {
            let mut digest = Digest::default();
            logs.records(&topic).for_each(|record| digest.add(record));
            (topic, digest.finish())
        })
        .collect();
    let caused_by = |timer: bool| {
        let updates = logs.records(&config.topic("profile-updates")).collect::<Vec<_>>();
        let counted = updates.into_iter().filter(|record| !headers::is_heartbeat(record));
        counted.filter(|record| record.header(headers::DUE).is_some() == timer).count() as u64
    };
    let records = |topic: &str| digests.get(&config.topic(topic)).map_or(0, |digest| digest.records);
    let mut rejected_by_code = BTreeMap::new();
    for record in logs.records(&config.topic("dead-letters")) {
        let code = String::from_utf8_lossy(record.header(headers::CODE).unwrap_or_default()).into_owned();
        *rejected_by_code.entry(code).or_default() += 1;
    }
    Summary {
        events,
        accepted: records("events"),
        rejected: records("dead-letters"),
        duplicates: metrics.labelled(Metric::EventsSkipped, "duplicate"),
        late: metrics.labelled(Metric::EventsSkipped, "late"),
        profile_updates: caused_by(false),
        abandoned_carts: caused_by(true),
        rejected_by_code,
        events_per_second: (events as f64 / seconds) as u64,
        digests,
    }
}
