//! What is written, and where it stands.

use std::collections::BTreeMap;
use std::time::Duration;

use stream_runtime::broker::{Broker as _, LogReader, Read, TransactionalProducer as _};
use stream_runtime::{Output, SourceRecord, StartFrom, partition_for};

use crate::harness::{Harness, Producer, fresh, output, text};

pub(crate) fn records_of_a_key_keep_their_order(harness: &impl Harness) {
    let topic = harness.topic(3, &[]);
    let mut producer = harness.producer(&fresh("id"));
    for round in 0..10 {
        producer.begin().unwrap();
        for number in 0..50 {
            let (key, value) = (format!("key-{}", number % 7), format!("{:04}", round * 50 + number));
            producer.send(&output(&topic, partition_for(key.as_bytes(), 3), &key, &value), 0).unwrap();
        }
        producer.drain().unwrap();
        let _ = producer.commit().unwrap();
    }
    harness.until("500 records", || harness.read(&topic, 3).len() == 500);
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for record in harness.read(&topic, 3) {
        let (key, value) = (text(record.key), text(record.value));
        let before = last.insert(key, value.clone()).unwrap_or_default();
        assert!(before < value, "{value} after {before}");
    }
    assert_eq!(last.len(), 7);
}

pub(crate) fn a_record_comes_back_as_it_was_written(harness: &impl Harness) {
    let topic = harness.topic(1, &[]);
    let headers = vec![("a".to_owned(), b"1".to_vec()), ("a".to_owned(), Vec::new())];
    let full = Output { headers, ..output(&topic, 0, "key", "value") };
    let tombstone = Output { value: None, ..output(&topic, 0, "key", "") };
    let keyless = Output { key: None, ..output(&topic, 0, "", "") };
    let mut producer = harness.producer(&fresh("id"));
    producer.begin().unwrap();
    for (mark, output) in [&full, &tombstone, &keyless].into_iter().enumerate() {
        producer.send(output, mark + 1).unwrap();
    }
    assert_eq!(producer.drain().unwrap(), BTreeMap::from([(1, 0), (2, 1), (3, 2)]), "marks");
    assert_eq!(producer.drain().unwrap(), BTreeMap::new(), "a mark is told once");
    let _ = producer.commit().unwrap();
    harness.until("three records", || harness.read(&topic, 1).len() == 3);
    let read = harness.read(&topic, 1).into_iter().zip(0..);
    for ((record, offset), written) in read.zip([full, tombstone, keyless]) {
        assert_eq!((&*record.topic, record.partition, record.offset), (&*topic, 0, offset));
        assert_eq!((record.key, record.value, record.headers), (written.key, written.value, written.headers));
    }
}

/// What ends a transaction takes an offset, and so do records that were aborted.
pub(crate) fn positions_have_gaps(harness: &impl Harness) {
    let (topic, id) = (harness.topic(1, &[]), fresh("id"));
    let mut producer = harness.producer(&id);
    harness.write(&mut producer, &topic, &["a", "b"]);
    harness.write(&mut producer, &topic, &["c"]);
    producer.begin().unwrap();
    producer.send(&output(&topic, 0, "key", "aborted"), 0).unwrap();
    producer.drain().unwrap();
    harness.kill(producer);
    harness.write(&mut harness.producer(&id), &topic, &["d"]);
    harness.sees(&topic, &["a", "b", "c", "d"]);
    let offsets: Vec<i64> = harness.read(&topic, 1).iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [0, 1, 3, 7]);
    let extent = harness.broker().extent(&topic, 0).unwrap();
    assert_eq!((extent.start, extent.stable_end, extent.end), (0, 9, 9));
    for (from, value) in [(2, "c"), (4, "d"), (5, "d")] {
        let mut reader = harness.broker().reader().unwrap();
        reader.assign(&[(&topic, 0, from)]).unwrap();
        assert_eq!(text(next_record(harness, &mut reader).value), value, "from {from}");
    }
}

pub(crate) fn the_end_of_a_partition_is_told_again_after_new_records(harness: &impl Harness) {
    let topic = harness.topic(1, &[]);
    let mut producer = harness.producer(&fresh("id"));
    harness.write(&mut producer, &topic, &["a"]);
    harness.sees(&topic, &["a"]);
    let mut reader = harness.broker().reader().unwrap();
    reader.assign(&[(&topic, 0, 0)]).unwrap();
    assert_eq!(text(next_record(harness, &mut reader).value), "a");
    assert_eq!(next(harness, &mut reader), Read::End { partition: 0 });
    assert_eq!(reader.poll(Duration::from_millis(300)).unwrap(), None, "an end is told once");
    harness.write(&mut producer, &topic, &["b"]);
    assert_eq!(text(next_record(harness, &mut reader).value), "b");
    assert_eq!(next(harness, &mut reader), Read::End { partition: 0 });
    reader.assign(&[(&topic, 0, 4)]).unwrap();
    assert_eq!(next(harness, &mut reader), Read::End { partition: 0 }, "assigned anew, told anew");
}

pub(crate) fn a_reader_starts_where_it_is_told(harness: &impl Harness) {
    let topic = harness.topic(1, &[]);
    let mut producer = harness.producer(&fresh("id"));
    harness.write(&mut producer, &topic, &["a", "b"]);
    harness.pass(Duration::from_millis(50));
    harness.write(&mut producer, &topic, &["c"]);
    harness.sees(&topic, &["a", "b", "c"]);
    let written = harness.read(&topic, 1)[2].timestamp;
    let start = |from| harness.broker().start_offset(&topic, 0, from).unwrap();
    assert_eq!(start(StartFrom::Earliest), 0);
    assert_eq!(start(StartFrom::Latest), 5);
    assert_eq!(start(StartFrom::Time(0)), 0);
    assert_eq!(start(StartFrom::Time(written)), 3);
    assert_eq!(start(StartFrom::Time(written + 60_000)), 5, "nothing is that new");
    assert_eq!(harness.broker().partitions(&topic).unwrap(), Some(1));
    assert_eq!(harness.broker().partitions(&fresh("unknown")).unwrap(), None);
}

pub(crate) fn a_position_outside_the_log_is_refused(harness: &impl Harness) {
    let topic = harness.topic(1, &[]);
    let mut reader = harness.broker().reader().unwrap();
    reader.assign(&[(&topic, 0, 100)]).unwrap();
    harness.until("refused", || match reader.poll(Duration::from_millis(100)) {
        Err(error) => {
            assert!(error.to_string().contains("outside what the topic"), "{error}");
            true
        }
        Ok(read) => {
            assert_eq!(read, None);
            false
        }
    });
}

pub(crate) fn compaction_keeps_the_last_values<H: Harness>(harness: &H) {
    let settings =
        [("cleanup.policy", "compact"), ("segment.ms", "200"), ("min.cleanable.dirty.ratio", "0.01")];
    let topic = harness.topic(1, &settings);
    let mut producer = harness.producer(&fresh("id"));
    let mut newest = BTreeMap::new();
    for (round, key) in ["a", "b", "a", "c", "a", "b"].into_iter().cycle().take(60).enumerate() {
        let value = format!("{key}-{round}");
        producer.begin().unwrap();
        producer.send(&output(&topic, 0, key, &value), 1).unwrap();
        let offset = producer.drain().unwrap()[&1];
        let _ = producer.commit().unwrap();
        newest.insert(key.to_owned(), format!("{value}@{offset}"));
    }
    let kept = || -> Vec<(String, String)> {
        let records = harness.read(&topic, 1).into_iter().filter(|one| one.key.as_deref() != Some(b"filler"));
        let seen = |one: SourceRecord| (text(one.key), format!("{}@{}", text(one.value), one.offset));
        records.map(seen).collect()
    };
    let undecided = fresh("id");
    let open = overwrite_in_an_open_transaction(harness, &topic, &undecided);
    let end = harness.broker().extent(&topic, 0).unwrap().end;
    harness.until("one record of each key", || {
        harness.compact(&topic);
        kept().len() == 3
    });
    assert_eq!(kept().into_iter().collect::<BTreeMap<_, _>>(), newest, "each at its offset");
    harness.kill(open);
    harness.kill(harness.producer(&undecided));
    harness.until("aborted", || harness.broker().extent(&topic, 0).unwrap().stable_end >= end);
    assert_eq!(kept().into_iter().collect::<BTreeMap<_, _>>(), newest, "what is aborted replaces nothing");
}

/// Well after the records before, so that Apache Kafka puts it into a segment of its own.
fn overwrite_in_an_open_transaction<H: Harness>(harness: &H, topic: &str, id: &str) -> Producer<H> {
    harness.pass(Duration::from_millis(400));
    let mut producer = harness.producer(id);
    producer.begin().unwrap();
    producer.send(&output(topic, 0, "a", "undecided"), 0).unwrap();
    producer.drain().unwrap();
    producer
}

fn next(harness: &impl Harness, reader: &mut impl LogReader) -> Read {
    let mut read = None;
    harness.until("something to read", || {
        read = reader.poll(Duration::from_millis(100)).unwrap();
        read.is_some()
    });
    read.unwrap()
}

/// The next record, whatever ends are told before it.
fn next_record(harness: &impl Harness, reader: &mut impl LogReader) -> SourceRecord {
    loop {
        if let Read::Record(record) = next(harness, reader) {
            return record;
        }
    }
}
