//! Catching up is no reason to fire.

use events::{EventTime, HOUR};
use ingest::Format;
use paczek::{End, RawRecord, raw_records, write_raw};

use crate::support::clickstreams;
use crate::support::cluster::Cluster;
use crate::support::shop::{Demo, INGEST, PROFILE_UPDATER, Shop, rows, wait};
use crate::support::worker::{Fate, Worker};

/// The raw partition that is held back.
const HELD: i32 = 2;

#[test]
fn a_partition_held_back_for_an_hour_of_event_time_changes_nothing() {
    let Some(file) = clickstreams::ten_days() else { return };
    let cluster = Cluster::take();
    let shop = Shop::open(&cluster, "held", &[]);
    let records = raw_records(&rows(&file, Format::Alibaba), 4, End::Ended);
    load_holding_back(&shop, records);
    assert_eq!(shop.digests(), Demo::of(&file).digests);
}

#[test]
fn rows_dealt_round_robin_with_one_partition_held_back_are_never_late_and_abandon_the_same_carts() {
    let Some(file) = clickstreams::ten_days() else { return };
    let cluster = Cluster::take();
    let shop = Shop::open(&cluster, "dealt", &[]);
    let mut records = raw_records(&rows(&file, Format::Alibaba), 4, End::Ended);
    let dealt = records.iter_mut().filter(|record| record.value.is_some());
    dealt.zip((0..4).cycle()).for_each(|(record, partition)| record.partition = partition);
    load_holding_back(&shop, records);
    let late = shop.records("events").iter().filter(|record| record.header("late").is_some()).count();
    assert_eq!(late, 0, "each raw partition is in order, so nothing is late");
    let (found, demo) = (shop.digests(), Demo::of(&file).digests);
    assert_eq!(found["profile-updates"].by_timer, demo["profile-updates"].by_timer);
    assert_eq!(found["profile-updates"].records, demo["profile-updates"].records);
}

/// Loads hour after hour, the held partition always an hour of event time behind the others, and lets the
/// workers take all there is each time before it catches up.
fn load_holding_back(shop: &Shop, records: Vec<RawRecord>) {
    let worker = Worker::start(shop, "a", &Fate::default());
    let (held, others): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.partition == HELD);
    let start = others.first().expect("rows").time;
    let last = others.iter().rfind(|record| record.value.is_some()).expect("rows").time;
    let mut waves = 0;
    let mut through = start.plus(24 * HOUR);
    let (mut held, mut others) = (held.as_slice(), others.as_slice());
    while !held.is_empty() || !others.is_empty() {
        write(shop, &mut others, through);
        if waves < 2 {
            settle(shop);
            let noticed = shop
                .records("profile-updates")
                .iter()
                .filter(|record| record.header("due").is_some())
                .count();
            assert!(waves > 0 || noticed == 0, "nothing is noticed before every partition has been heard of");
        }
        let behind = if others.is_empty() { EventTime::MAX } else { through.minus(HOUR) };
        write(shop, &mut held, behind);
        through = if through < last { through.plus(24 * HOUR) } else { EventTime::MAX };
        waves += 1;
    }
    assert!(waves > 5, "the file spans days");
    shop.finish(|| {});
    worker.end();
}

/// Writes the records up to a time and takes them off the list.
fn write(shop: &Shop, records: &mut &[RawRecord], through: EventTime) {
    let (now, later) = records.split_at(records.partition_point(|record| record.time <= through));
    write_raw(&shop.broker, &shop.topic("clickstream"), now).unwrap();
    *records = later;
}

/// Waits until the workers have taken what there is, so that the held partition really is behind. The last
/// offset of a partition is the mark that ends a transaction.
fn settle(shop: &Shop) {
    for (processor, input) in [(INGEST, "clickstream"), (PROFILE_UPDATER, "events")] {
        let ends = shop.extents(&shop.topic(input));
        wait("the workers catch up", || {
            let offsets = shop.group_offsets(processor);
            let taken = |partition| offsets.get(partition).copied().unwrap_or(0);
            ends.iter().all(|(partition, extent)| taken(partition) >= extent.stable_end - 1)
        });
    }
}
