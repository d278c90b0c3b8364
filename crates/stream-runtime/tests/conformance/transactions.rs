//! What readers see of transactions, and who may write.

use std::time::Duration;

use stream_runtime::broker::{Broker as _, BrokerError, TransactionalProducer};

use crate::harness::{Harness, fresh, output};

pub(crate) fn an_open_transaction_is_hidden(harness: &impl Harness) {
    let topic = harness.topic(1, &[]);
    let mut producer = harness.producer(&fresh("id"));
    producer.begin().unwrap();
    producer.send(&output(&topic, 0, "key", "a"), 0).unwrap();
    producer.drain().unwrap();
    harness.sees(&topic, &[]);
    producer.send(&output(&topic, 0, "key", "b"), 0).unwrap();
    producer.drain().unwrap();
    let _ = producer.commit().unwrap();
    harness.sees(&topic, &["a", "b"]);
}

pub(crate) fn an_aborted_transaction_stays_hidden(harness: &impl Harness) {
    let (topic, id) = (harness.topic(1, &[]), fresh("id"));
    let mut dying = harness.producer(&id);
    dying.begin().unwrap();
    dying.send(&output(&topic, 0, "key", "never"), 0).unwrap();
    dying.drain().unwrap();
    harness.kill(dying);
    let mut producer = harness.producer(&id);
    harness.write(&mut producer, &topic, &["a"]);
    harness.sees(&topic, &["a"]);
}

pub(crate) fn two_interleaved_producers_are_told_apart(harness: &impl Harness) {
    let (topic, dying) = (harness.topic(1, &[]), fresh("id"));
    let (mut one, mut two) = (harness.producer(&dying), harness.producer(&fresh("id")));
    one.begin().unwrap();
    two.begin().unwrap();
    for round in ["1", "2", "3"] {
        one.send(&output(&topic, 0, "one", &format!("one-{round}")), 0).unwrap();
        one.drain().unwrap();
        two.send(&output(&topic, 0, "two", &format!("two-{round}")), 0).unwrap();
        two.drain().unwrap();
    }
    let _ = two.commit().unwrap();
    harness.sees(&topic, &[]);
    harness.kill(one);
    harness.kill(harness.producer(&dying));
    harness.sees(&topic, &["two-1", "two-2", "two-3"]);
}

pub(crate) fn the_stable_end_waits_for_the_oldest_open_transaction(harness: &impl Harness) {
    let topic = harness.topic(1, &[]);
    let (mut old, mut young) = (harness.producer(&fresh("id")), harness.producer(&fresh("id")));
    harness.write(&mut young, &topic, &["before"]);
    old.begin().unwrap();
    old.send(&output(&topic, 0, "key", "old"), 0).unwrap();
    old.drain().unwrap();
    harness.write(&mut young, &topic, &["young"]);
    let ends = || {
        let extent = harness.broker().extent(&topic, 0).unwrap();
        (extent.start, extent.stable_end, extent.end)
    };
    harness.until("the younger one's marker", || ends() == (0, 2, 5));
    harness.sees(&topic, &["before"]);
    let _ = old.commit().unwrap();
    harness.until("the older one's marker", || ends() == (0, 6, 6));
    harness.sees(&topic, &["before", "old", "young"]);
}

pub(crate) fn a_newer_producer_fences_the_older_one(harness: &impl Harness) {
    let (topic, id) = (harness.topic(1, &[]), fresh("id"));
    let mut zombie = harness.producer(&id);
    zombie.begin().unwrap();
    zombie.send(&output(&topic, 0, "key", "zombie"), 0).unwrap();
    zombie.drain().unwrap();
    let mut producer = harness.producer(&id);
    is_in_doubt(finish(&mut zombie, &topic));
    harness.write(&mut producer, &topic, &["a"]);
    is_in_doubt(zombie.begin().and_then(|()| finish(&mut zombie, &topic)));
    harness.write(&mut producer, &topic, &["b"]);
    harness.sees(&topic, &["a", "b"]);
}

pub(crate) fn a_transaction_left_open_is_aborted_after_its_time(harness: &impl Harness) {
    let topic = harness.topic(1, &[]);
    let mut slow = harness.producer_for(&fresh("id"), Duration::from_secs(2));
    slow.begin().unwrap();
    slow.send(&output(&topic, 0, "key", "late"), 0).unwrap();
    slow.drain().unwrap();
    harness.write(&mut harness.producer(&fresh("id")), &topic, &["a"]);
    harness.sees(&topic, &[]);
    harness.until("aborted", || harness.values(&topic) == ["a"]);
    is_in_doubt(slow.commit().map(|_| ()));
    harness.sees(&topic, &["a"]);
}

/// Writes one more and commits.
fn finish(producer: &mut impl TransactionalProducer, topic: &str) -> Result<(), BrokerError> {
    producer.send(&output(topic, 0, "key", "zombie"), 0)?;
    producer.drain()?;
    producer.commit().map(|_| ())
}

fn is_in_doubt(result: Result<(), BrokerError>) {
    assert!(matches!(result, Err(BrokerError::Doubt(_))), "{result:?}");
}
