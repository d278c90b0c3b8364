//! What only the log in memory can show: time that is moved by hand, the same answers from the same seed, speed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use stream_runtime::Output;
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock, MemoryProducer, MemoryReader};
use stream_runtime::broker::{
    Broker as _, BrokerError, GroupSettings, LogReader as _, Membership as _, NewTopic, ProducerSettings,
    Read, Rebalance, TransactionalProducer as _,
};

const SESSION: Duration = Duration::from_secs(10);

fn broker(clock: &MemoryClock, seed: u64, policy: &str) -> MemoryBroker {
    let broker = MemoryBroker::new(clock, seed);
    let settings = BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]);
    let topic = NewTopic { name: "topic".to_owned(), partitions: 4, replication: 1, settings };
    broker.create_topic(&topic).unwrap();
    broker
}

fn producer(broker: &MemoryBroker, id: &str) -> MemoryProducer {
    let timeout = Duration::from_secs(5);
    let settings = ProducerSettings { transactional_id: id.to_owned(), transaction_timeout: timeout };
    broker.producer(&settings).unwrap()
}

fn group(member: &str) -> GroupSettings {
    GroupSettings {
        group: "group".into(),
        topic: "topic".into(),
        member: member.into(),
        session_timeout: SESSION,
    }
}

fn output(number: i32) -> Output {
    Output {
        topic: Arc::from("topic"),
        partition: number % 4,
        key: Some((number % 100).to_le_bytes().to_vec()),
        value: Some(number.to_le_bytes().to_vec()),
        headers: Vec::new(),
    }
}

fn write(producer: &mut MemoryProducer, numbers: std::ops::Range<i32>) {
    producer.begin().unwrap();
    numbers.for_each(|number| producer.send(&output(number), 0).unwrap());
    let _ = producer.commit().unwrap();
}

fn reader(broker: &MemoryBroker) -> MemoryReader {
    let mut reader = broker.reader().unwrap();
    reader.assign(&[("topic", 0, 0), ("topic", 1, 0), ("topic", 2, 0), ("topic", 3, 0)]).unwrap();
    reader
}

/// Reads until there is nothing more.
fn drain(reader: &mut MemoryReader) -> Vec<Read> {
    std::iter::from_fn(|| reader.poll(Duration::ZERO).unwrap()).collect()
}

#[test]
fn a_member_that_wakes_up_too_late_hears_of_its_loss_and_joins_anew() {
    let clock = MemoryClock::by_hand(0);
    let broker = broker(&clock, 1, "delete");
    let mut member = broker.join(&group("one")).unwrap();
    let all = vec![0, 1, 2, 3];
    assert_eq!(member.poll().unwrap(), Some(Rebalance::Assigned(all.clone())));
    assert_eq!(member.poll().unwrap(), None);
    clock.advance(SESSION);
    let stale = member.fence().unwrap();
    let mut producer = producer(&broker, "id");
    producer.begin().unwrap();
    let refused = producer.send_offsets("topic", &BTreeMap::from([(0, 1)]), &stale);
    assert!(matches!(refused, Err(BrokerError::Doubt(_))), "{refused:?}");
    assert!(matches!(producer.commit(), Err(BrokerError::Doubt(_))), "such a transaction cannot commit");
    assert_eq!(member.poll().unwrap(), Some(Rebalance::Lost(all.clone())));
    assert_eq!(member.poll().unwrap(), Some(Rebalance::Assigned(all)));
}

#[test]
fn a_partition_moves_only_once_its_owner_has_let_go_of_it() {
    let broker = broker(&MemoryClock::by_hand(0), 1, "delete");
    let mut one = broker.join(&group("one")).unwrap();
    assert_eq!(one.poll().unwrap(), Some(Rebalance::Assigned(vec![0, 1, 2, 3])));
    let mut two = broker.join(&group("two")).unwrap();
    assert_eq!(two.poll().unwrap(), None, "nothing is free");
    let fence = one.fence().unwrap();
    let revoked = one.poll().unwrap().unwrap();
    assert_eq!(revoked, Rebalance::Revoked(vec![2, 3]));
    assert_eq!((one.poll().unwrap(), two.poll().unwrap()), (None, None), "still held");
    let mut producer = producer(&broker, "id");
    producer.begin().unwrap();
    producer.send_offsets("topic", &BTreeMap::from([(2, 1)]), &fence).unwrap();
    let _ = producer.commit().unwrap();
    one.acknowledge(&revoked).unwrap();
    assert_eq!(two.poll().unwrap(), Some(Rebalance::Assigned(vec![2, 3])));
    assert_eq!(two.committed(2).unwrap(), Some(1), "what it committed on the way counts");
    producer.begin().unwrap();
    let refused = producer.send_offsets("topic", &BTreeMap::from([(2, 2)]), &fence);
    assert!(matches!(refused, Err(BrokerError::Doubt(_))), "its proof is of before: {refused:?}");
}

/// As on Apache Kafka.
#[test]
fn what_a_member_was_letting_go_of_when_it_died_stays_nobodys_until_all_is_shared_out_anew() {
    let broker = broker(&MemoryClock::by_hand(0), 1, "delete");
    let mut one = broker.join(&group("one")).unwrap();
    assert_eq!(one.poll().unwrap(), Some(Rebalance::Assigned(vec![0, 1, 2, 3])));
    let mut two = broker.join(&group("two")).unwrap();
    assert_eq!(one.poll().unwrap(), Some(Rebalance::Revoked(vec![2, 3])));
    drop(one);
    let mut again = broker.join(&group("one")).unwrap();
    assert_eq!(again.poll().unwrap(), Some(Rebalance::Assigned(vec![0, 1])));
    assert_eq!((again.poll().unwrap(), two.poll().unwrap()), (None, None), "nobody has the others");
    again.leave();
    assert_eq!(two.poll().unwrap(), Some(Rebalance::Assigned(vec![0, 1, 2, 3])));
}

#[test]
fn whoever_has_lost_its_name_is_refused() {
    let broker = broker(&MemoryClock::by_hand(0), 1, "delete");
    let mut former = broker.join(&group("one")).unwrap();
    let _ = broker.join(&group("one")).unwrap();
    assert!(matches!(former.poll(), Err(BrokerError::Refused(_))));
}

#[test]
fn offsets_outside_a_transaction_count_at_once_and_a_proof_of_nothing_is_not_looked_at() {
    let broker = broker(&MemoryClock::by_hand(0), 1, "delete");
    let mut member = broker.join(&group("one")).unwrap();
    member.commit_outside(&BTreeMap::from([(0, 3)])).unwrap();
    let mut producer = producer(&broker, "id");
    producer.begin().unwrap();
    let nothing = member.no_fence().unwrap();
    producer.send_offsets("topic", &BTreeMap::from([(1, 4)]), &nothing).unwrap();
    let _ = producer.commit().unwrap();
    assert_eq!(broker.group_offsets("group", "topic"), BTreeMap::from([(0, 3), (1, 4)]));
}

#[test]
fn the_same_seed_gives_the_same_reading_and_another_one_another() {
    let reading = |seed| {
        let broker = broker(&MemoryClock::by_hand(0), seed, "delete");
        write(&mut producer(&broker, "id"), 0..1_000);
        drain(&mut reader(&broker))
    };
    assert_eq!(reading(1), reading(1));
    assert_ne!(reading(1), reading(2));
    assert_eq!(reading(1).len(), 1_004);
}

#[test]
fn a_compacted_topic_stays_small_by_itself() {
    let broker = broker(&MemoryClock::by_hand(0), 1, "compact");
    let mut producer = producer(&broker, "id");
    (0..1_000).for_each(|round| write(&mut producer, round * 100..(round + 1) * 100));
    let read = drain(&mut reader(&broker));
    assert!(read.len() < 20_000, "{} of 100,000 are left", read.len());
    let keyless = Output { key: None, ..output(0) };
    producer.begin().unwrap();
    assert!(matches!(producer.send(&keyless, 0), Err(BrokerError::Doubt(_))));
}

#[test]
fn a_waiting_reader_is_woken_by_a_commit_and_by_a_transaction_that_runs_out() {
    let broker = broker(&MemoryClock::automatic(), 1, "delete");
    let mut reader = reader(&broker);
    assert_eq!(drain(&mut reader).len(), 4);
    let short = Duration::from_millis(300);
    let settings = ProducerSettings { transactional_id: "hung".into(), transaction_timeout: short };
    let mut hung = broker.producer(&settings).unwrap();
    hung.begin().unwrap();
    hung.send(&output(0), 0).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            write(&mut producer(&broker, "id"), 1..2);
        });
        let began = Instant::now();
        assert!(matches!(reader.poll(Duration::from_secs(20)).unwrap(), Some(Read::Record(_))));
        assert_eq!(reader.poll(Duration::from_secs(20)).unwrap(), Some(Read::End { partition: 1 }));
        assert_eq!(reader.poll(Duration::from_secs(20)).unwrap(), Some(Read::End { partition: 0 }));
        assert!(began.elapsed() < Duration::from_secs(10));
    });
}

/// A bound that a much slower machine keeps too; what it takes is printed.
#[test]
fn a_million_small_records_go_through_in_about_a_second() {
    let broker = broker(&MemoryClock::automatic(), 1, "delete");
    let mut producer = producer(&broker, "id");
    let began = Instant::now();
    (0..1_000).for_each(|round| write(&mut producer, round * 1_000..(round + 1) * 1_000));
    let written = began.elapsed();
    let mut reader = reader(&broker);
    let (mut records, mut ends) = (0, 0);
    while ends < 4 {
        match reader.poll(Duration::ZERO).unwrap() {
            Some(Read::Record(_)) => records += 1,
            _ => ends += 1,
        }
    }
    println!("1,000,000 records: written in {written:?}, written and read in {:?}", began.elapsed());
    assert_eq!(records, 1_000_000);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
fn what_was_let_go_of_is_gone_and_what_is_open_stays() {
    let broker = broker(&MemoryClock::by_hand(0), 1, "delete");
    let mut producer = producer(&broker, "id");
    write(&mut producer, 0..40);
    broker.delete_records("topic", 0, 4);
    let extent = broker.extent("topic", 0).unwrap();
    assert_eq!((extent.start, extent.end), (4, 11), "ten records and what ended their transaction");
    let mut late = broker.reader().unwrap();
    late.assign(&[("topic", 0, 3)]).unwrap();
    assert!(matches!(late.poll(Duration::ZERO), Err(BrokerError::Refused(_))));
    late.assign(&[("topic", 0, 4)]).unwrap();
    let offsets: Vec<i64> = drain(&mut late).iter().filter_map(offset).collect();
    assert_eq!(offsets, [4, 5, 6, 7, 8, 9]);

    producer.begin().unwrap();
    producer.send(&output(0), 0).unwrap();
    broker.delete_records("topic", 0, 100);
    let _ = producer.commit().unwrap();
    assert_eq!(drain(&mut late).iter().filter_map(offset).collect::<Vec<_>>(), [11]);
}

fn offset(read: &Read) -> Option<i64> {
    match read {
        Read::Record(record) => Some(record.offset),
        Read::End { .. } => None,
    }
}
