use std::fs;
use std::path::Path;
use std::time::Duration;

use stream_runtime::broker::{Broker as _, ProducerSettings, TransactionalProducer as _};
use stream_runtime::{Guards, RuntimeError, TRAILER_KEY, Trailer, last_trailer};

use crate::shop::{OneWorker, Shop};
use crate::sums::{PARTITIONS, record_of};

/// A shop in which a worker has done its work, and stopped.
fn worked() -> (Shop, OneWorker) {
    let (shop, worker) = (Shop::open(), OneWorker::named("one"));
    shop.write(1_000);
    shop.work(&worker).unwrap();
    (shop, worker)
}

fn grow(shop: &Shop) {
    shop.broker.add_partitions("numbers", 6).unwrap();
    shop.broker.add_partitions("changelog", 6).unwrap();
}

fn refusal(shop: &Shop, worker: &OneWorker) -> RuntimeError {
    let error = shop.work_until(worker, || false).expect_err("it goes on");
    let words = error.to_string();
    assert!(!words.contains('\n') && !words.contains("  "), "one sentence: {words}");
    error
}

#[test]
fn nobody_refuses_what_nobody_has_touched() {
    let (shop, worker) = worked();
    shop.write(500);
    shop.work(&worker).unwrap();
    shop.work(&OneWorker::named("two")).unwrap();
    assert_eq!(shop.sums(), shop.expected());
}

/// Kafka forgets the offsets of a group in which nobody was for a week.
#[test]
fn whose_offsets_are_forgotten_goes_on_after_the_trailer() {
    let (shop, worker) = worked();
    shop.write(500);
    shop.work(&OneWorker { group: "forgotten", ..worker }).unwrap();
    assert_eq!(shop.sums(), shop.expected());
}

#[test]
fn an_input_that_has_grown_is_refused() {
    let (shop, worker) = worked();
    shop.broker.add_partitions("numbers", 6).unwrap();
    let error = refusal(&shop, &worker);
    assert!(matches!(error, RuntimeError::OtherPartitions { found: 6, expected: 4, .. }), "{error}");
}

#[test]
fn an_input_that_has_grown_together_with_its_changelog_is_refused_with_and_without_the_directory() {
    for worker in [OneWorker::named("one"), OneWorker::named("two")] {
        let (shop, _) = worked();
        grow(&shop);
        let error = refusal(&shop, &worker);
        assert!(matches!(error, RuntimeError::OtherPartitions { found: 6, expected: 4, .. }), "{error}");
    }
}

#[test]
fn without_the_count_in_the_trailer_growth_would_go_unseen() {
    let (shop, mut worker) = (Shop::open(), OneWorker::named("one"));
    worker.guards = Guards { spread_in_trailer: false, ..Guards::default() };
    shop.write(1_000);
    shop.work(&worker).unwrap();
    grow(&shop);
    shop.write(100);
    shop.work(&worker).unwrap();
}

#[test]
fn a_topic_that_grows_under_a_worker_stops_it() {
    let (shop, worker) = worked();
    let grown = std::cell::Cell::new(false);
    let error = shop.work_until(&worker, || {
        if !grown.replace(true) {
            std::thread::sleep(Duration::from_millis(300));
            grow(&shop);
        }
        false
    });
    assert!(matches!(error, Err(RuntimeError::OtherPartitions { .. })), "{error:?}");
}

#[test]
fn an_input_that_is_gone_is_refused_before_and_under_a_worker() {
    let (shop, worker) = worked();
    shop.broker.delete_topic("numbers");
    let error = refusal(&shop, &worker);
    assert!(matches!(&error, RuntimeError::TopicGone(topic) if topic == "numbers"), "{error}");
    let (shop, worker) = worked();
    let gone = std::cell::Cell::new(false);
    let error = shop.work_until(&worker, || {
        if !gone.replace(true) {
            std::thread::sleep(Duration::from_millis(300));
            shop.broker.delete_topic("numbers");
        }
        false
    });
    assert!(matches!(error, Err(RuntimeError::TopicGone(_))), "{error:?}");
}

#[test]
fn an_input_that_was_made_anew_is_refused() {
    let (shop, worker) = worked();
    shop.broker.delete_topic("numbers");
    shop.make("numbers");
    let error = refusal(&shop, &worker);
    assert!(matches!(error, RuntimeError::InputLost { end: 0, .. }), "{error}");
}

#[test]
fn an_input_that_was_cut_is_refused_unless_the_loss_is_accepted() {
    let (shop, mut worker) = worked();
    shop.write(500);
    for partition in 0..PARTITIONS {
        let end = shop.broker.extent("numbers", partition).unwrap().stable_end;
        shop.broker.delete_records("numbers", partition, end - 5);
    }
    let error = refusal(&shop, &worker);
    assert!(matches!(error, RuntimeError::InputLost { .. }), "{error}");
    worker.accept_reset = true;
    let counted = |shop: &Shop| shop.sums().values().map(Vec::len).sum::<usize>();
    shop.work_until(&worker, || counted(&shop) > 1_000).unwrap();
}

#[test]
fn a_changelog_that_was_made_anew_is_refused_with_and_without_the_directory() {
    let (shop, worker) = worked();
    shop.broker.delete_topic("changelog");
    shop.make("changelog");
    let error = refusal(&shop, &worker);
    assert!(matches!(error, RuntimeError::ChangelogLost { end: 0, .. }), "{error}");
    let error = refusal(&shop, &OneWorker::named("two"));
    assert!(matches!(error, RuntimeError::GroupAhead { .. }), "{error}");
}

#[test]
fn a_changelog_of_another_run_is_refused_although_it_is_as_long() {
    let (shop, worker) = worked();
    let (other, elsewhere) = (Shop::open(), OneWorker::named("elsewhere"));
    other.write(3_000);
    other.work(&elsewhere).unwrap();
    copy(&shop.disks.path().join("one"), &other.disks.path().join("one"));
    let error = refusal(&other, &worker);
    assert!(matches!(error, RuntimeError::OtherChangelog { .. }), "{error}");
}

#[test]
fn a_changelog_without_its_beginning_is_refused_with_a_stale_directory_and_without_any() {
    let (shop, worker) = worked();
    shop.write(1_000);
    let successor = OneWorker::named("two");
    shop.work(&successor).unwrap();
    for partition in 0..PARTITIONS {
        let end = shop.broker.extent("changelog", partition).unwrap().stable_end;
        shop.broker.delete_records("changelog", partition, end - 3);
    }
    for left in [&worker, &OneWorker::named("three")] {
        let error = refusal(&shop, left);
        assert!(matches!(error, RuntimeError::ChangelogCut { .. }), "{error}");
    }
    shop.write(1_000);
    shop.work(&successor).unwrap();
    assert_eq!(shop.sums(), shop.expected(), "who has the whole state goes on");
}

#[test]
fn a_changelog_that_has_moved_is_refused_with_and_without_the_directory() {
    let (shop, worker) = worked();
    shop.write(100);
    end_all(&shop, |last| last.moved_to("changelog-g2"));
    for worker in [&worker, &OneWorker::named("two")] {
        let error = refusal(&shop, worker);
        assert!(
            matches!(&error, RuntimeError::Moved { moved_to, .. } if moved_to == "changelog-g2"),
            "{error}"
        );
    }
}

#[test]
fn keys_that_were_spread_by_another_rule_are_refused_with_and_without_the_directory() {
    let (shop, worker) = worked();
    shop.write(100);
    end_all(&shop, |last| Trailer { partitioner: Some("crc32".to_owned()), ..last });
    for worker in [&worker, &OneWorker::named("two")] {
        let error = refusal(&shop, worker);
        assert!(matches!(&error, RuntimeError::OtherPartitioner { .. }), "{error}");
    }
}

/// Writes one more trailer to each partition of the changelog, made of the last one.
fn end_all(shop: &Shop, next: impl Fn(Trailer) -> Trailer) {
    let mut reader = shop.broker.reader().unwrap();
    for partition in 0..PARTITIONS {
        let last = last_trailer(&shop.broker, &mut reader, "changelog", partition).unwrap().unwrap();
        end(shop, partition, &next(Trailer { sequence: last.sequence + 1, count: 0, ..last }));
    }
}

fn end(shop: &Shop, partition: i32, trailer: &Trailer) {
    let settings =
        ProducerSettings { transactional_id: "reshard".into(), transaction_timeout: Duration::from_secs(60) };
    let mut producer = shop.broker.producer(&settings).unwrap();
    let mut record = record_of("changelog", TRAILER_KEY.to_vec(), trailer.encode());
    record.partition = partition;
    producer.begin().unwrap();
    producer.send(&record, 0).unwrap();
    let _ = producer.commit().unwrap();
}

#[test]
fn a_store_of_another_partition_is_refused() {
    let (shop, worker) = worked();
    fs::remove_dir_all(worker.store(&shop, 1)).unwrap();
    copy(&worker.store(&shop, 0), &worker.store(&shop, 1));
    let error = refusal(&shop, &worker);
    assert!(matches!(error, RuntimeError::OtherChangelog { partition: 1, .. }), "{error}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
