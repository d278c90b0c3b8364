use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use stream_runtime::broker::{
    Broker, GroupSettings, LogReader as _, Membership, ProducerSettings, Read, Rebalance,
    TransactionalProducer,
};
use stream_runtime::{Output, SourceRecord};

/// Silence after which a member counts as dead.
pub(crate) const SESSION: Duration = Duration::from_secs(3);
/// More than any check takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Between two looks at something that is to come.
const TICK: Duration = Duration::from_millis(100);

/// A broker, and what a check does with it besides using the port.
pub(crate) trait Harness {
    type Broker: Broker;

    fn broker(&self) -> &Self::Broker;

    /// Makes a topic.
    fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]);

    /// Lets time pass.
    fn pass(&self, time: Duration);

    /// Gives compaction an occasion.
    fn compact(&self, topic: &str);

    /// Makes a topic that nobody else uses; its name.
    fn topic(&self, partitions: i32, settings: &[(&str, &str)]) -> String {
        let name = fresh("topic");
        self.create_topic(&name, partitions, settings);
        name
    }

    fn producer(&self, id: &str) -> Producer<Self> {
        self.producer_for(id, LONG)
    }

    fn producer_for(&self, id: &str, transaction_timeout: Duration) -> Producer<Self> {
        let settings = ProducerSettings { transactional_id: id.to_owned(), transaction_timeout };
        self.broker().producer(&settings).unwrap()
    }

    fn join(&self, group: &str, topic: &str, member: &str) -> Seat<Self> {
        self.join_for(group, topic, member, SESSION)
    }

    fn join_for(&self, group: &str, topic: &str, member: &str, session_timeout: Duration) -> Seat<Self> {
        let settings = GroupSettings {
            group: group.to_owned(),
            topic: topic.to_owned(),
            member: format!("{group}-{member}"),
            session_timeout,
        };
        Seat { membership: self.broker().join(&settings).unwrap(), owned: BTreeSet::new() }
    }

    /// Ends a client as a crash does. No client of either broker says goodbye unasked when it goes: a member does
    /// not leave its group, a producer does not abort.
    fn kill<T>(&self, client: T) {
        drop(client);
    }

    /// Looks again and again until it is so.
    fn until(&self, what: &str, mut so: impl FnMut() -> bool) {
        for _ in 0..400 {
            if so() {
                return;
            }
            self.pass(TICK);
        }
        panic!("never: {what}");
    }

    /// All committed records up to the ends of the partitions.
    fn read(&self, topic: &str, partitions: i32) -> Vec<SourceRecord> {
        let mut reader = self.broker().reader().unwrap();
        let start = |partition| (topic, partition, self.broker().extent(topic, partition).unwrap().start);
        let starts: Vec<_> = (0..partitions).map(start).collect();
        reader.assign(&starts).unwrap();
        let (mut records, mut ended) = (Vec::new(), BTreeSet::new());
        for _ in 0..100_000 {
            match reader.poll(TICK).unwrap() {
                Some(Read::Record(record)) => records.push(record),
                Some(Read::End { partition }) => {
                    ended.insert(partition);
                }
                None => {}
            }
            if ended.len() == starts.len() {
                return records;
            }
        }
        panic!("{topic} has no end");
    }

    /// The values of the only partition.
    fn values(&self, topic: &str) -> Vec<String> {
        self.read(topic, 1).into_iter().map(|record| text(record.value)).collect()
    }

    /// Waits for these values, and sees that no more come.
    fn sees(&self, topic: &str, values: &[&str]) {
        self.until(&format!("{values:?}"), || self.values(topic) == values);
        self.pass(TICK);
        assert_eq!(self.values(topic), values);
    }

    /// Writes values in a transaction of its own.
    fn write(&self, producer: &mut Producer<Self>, topic: &str, values: &[&str]) {
        producer.begin().unwrap();
        values.iter().for_each(|value| producer.send(&output(topic, 0, "key", value), 0).unwrap());
        producer.drain().unwrap();
        let _ = producer.commit().unwrap();
    }
}

pub(crate) type Producer<H> = <<H as Harness>::Broker as Broker>::Producer;

/// A member and what it owns.
pub(crate) struct Seat<H: Harness + ?Sized> {
    pub(crate) membership: <H::Broker as Broker>::Membership,
    pub(crate) owned: BTreeSet<i32>,
}

impl<H: Harness> Seat<H> {
    /// Hears the group, and does as it is told.
    pub(crate) fn turn(&mut self) {
        while let Some(rebalance) = self.membership.poll().unwrap() {
            match &rebalance {
                Rebalance::Assigned(partitions) => self.owned.extend(partitions),
                Rebalance::Revoked(partitions) | Rebalance::Lost(partitions) => {
                    self.owned.retain(|partition| !partitions.contains(partition));
                }
            }
            self.membership.acknowledge(&rebalance).unwrap();
        }
    }
}

/// Turns until each seat owns so many partitions.
pub(crate) fn settle<H: Harness>(harness: &H, seats: &mut [&mut Seat<H>], share: usize) {
    harness.until(&format!("{share} partitions each"), || {
        seats.iter_mut().for_each(|seat| seat.turn());
        seats.iter().all(|seat| seat.owned.len() == share)
    });
}

pub(crate) fn output(topic: &str, partition: i32, key: &str, value: &str) -> Output {
    Output {
        topic: Arc::from(topic),
        partition,
        key: Some(key.as_bytes().to_vec()),
        value: Some(value.as_bytes().to_vec()),
        headers: Vec::new(),
    }
}

pub(crate) fn text(bytes: Option<Vec<u8>>) -> String {
    String::from_utf8(bytes.unwrap_or_default()).unwrap()
}

/// A name that no other check and no other run has.
pub(crate) fn fresh(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
