use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use stream_runtime::broker::kafka::{KafkaBroker, KafkaMembership, KafkaProducer, KafkaReader};
use stream_runtime::broker::{
    Broker as _, Committed, GroupSettings, LogReader as _, Membership as _, ProducerSettings, Read,
    Rebalance, TransactionalProducer as _,
};
use stream_runtime::{Output, SourceRecord, StartFrom};

// The same as `paczek run` has by default: the two differ in what happens to a record and in nothing else.
const INTERVAL: Duration = Duration::from_millis(40);
const MAX_RECORDS: usize = 10_000;
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the group may take to give out the partitions.
const JOINING: Duration = Duration::from_secs(30);

/// From where to where.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) bootstrap: String,
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) group: String,
}

/// Copies every record as it stands, exactly once, until the process is ended: the least that a stage on Kafka
/// can do. One thread, through the same port as the pipeline, its offsets in the transaction and fenced.
pub(crate) fn copy(route: &Route) -> anyhow::Result<()> {
    let mut copier = Copier::begin(route)?;
    loop {
        copier.cycle()?;
    }
}

struct Copier {
    source: String,
    target: Arc<str>,
    membership: KafkaMembership,
    reader: KafkaReader,
    producer: KafkaProducer,
}

impl Copier {
    fn begin(route: &Route) -> anyhow::Result<Self> {
        let broker = KafkaBroker::new(&route.bootstrap, &BTreeMap::new())?;
        let producer = broker.producer(&ProducerSettings {
            transactional_id: route.group.clone(),
            transaction_timeout: TRANSACTION_TIMEOUT,
        })?;
        let membership = broker.join(&GroupSettings {
            group: route.group.clone(),
            topic: route.source.clone(),
            member: route.group.clone(),
            session_timeout: SESSION_TIMEOUT,
        })?;
        let (source, target) = (route.source.clone(), Arc::from(route.target.as_str()));
        let mut copier = Self { source, target, membership, reader: broker.reader()?, producer };
        copier.take_up(&broker)?;
        Ok(copier)
    }

    /// Waits until all partitions are its own, and reads each from its beginning.
    fn take_up(&mut self, broker: &KafkaBroker) -> anyhow::Result<()> {
        let partitions = broker.partitions(&self.source)?.context("there is no source")?;
        self.await_assignment(usize::try_from(partitions)?)?;
        let first = |partition| broker.start_offset(&self.source, partition, StartFrom::Earliest);
        let positions: Result<Vec<_>, _> = (0..partitions)
            .map(|partition| Ok::<_, anyhow::Error>((self.source.as_str(), partition, first(partition)?)))
            .collect();
        Ok(self.reader.assign(&positions?)?)
    }

    fn await_assignment(&mut self, partitions: usize) -> anyhow::Result<()> {
        let (asked, mut owned) = (Instant::now(), 0);
        while owned < partitions {
            ensure!(asked.elapsed() < JOINING, "the group gave no partitions within {JOINING:?}");
            match self.membership.poll()? {
                Some(rebalance @ Rebalance::Assigned(_)) => {
                    self.membership.acknowledge(&rebalance)?;
                    let Rebalance::Assigned(assigned) = rebalance else { continue };
                    owned += assigned.len();
                }
                Some(other) => bail!("somebody else is in the group: {other:?}"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        Ok(())
    }

    fn cycle(&mut self) -> anyhow::Result<()> {
        let offsets = self.copy_records()?;
        self.hear_group()?;
        if offsets.is_empty() {
            return Ok(());
        }
        self.producer.drain()?;
        let fence = self.membership.fence()?;
        self.producer.send_offsets(&self.source, &offsets, &fence)?;
        let committed = self.producer.commit()?;
        ensure!(committed == Committed::Clean, "the connection to the broker was in trouble; measure again");
        Ok(())
    }

    /// Copies what comes within one interval; the offsets behind it.
    fn copy_records(&mut self) -> anyhow::Result<BTreeMap<i32, i64>> {
        let deadline = Instant::now() + INTERVAL;
        let (mut records, mut offsets) = (0, BTreeMap::new());
        while records < MAX_RECORDS {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(Read::Record(record)) = self.reader.poll(left)? {
                if records == 0 {
                    self.producer.begin()?;
                }
                records += 1;
                offsets.insert(record.partition, record.offset + 1);
                self.producer.send(&self.unchanged(record), 0)?;
            }
            if left.is_zero() {
                break;
            }
        }
        Ok(offsets)
    }

    fn unchanged(&self, record: SourceRecord) -> Output {
        Output {
            topic: Arc::clone(&self.target),
            partition: record.partition,
            key: record.key,
            value: record.value,
            headers: record.headers,
        }
    }

    fn hear_group(&mut self) -> anyhow::Result<()> {
        match self.membership.poll()? {
            None => Ok(()),
            Some(rebalance) => bail!("the group has changed, so there is nothing to compare: {rebalance:?}"),
        }
    }
}
