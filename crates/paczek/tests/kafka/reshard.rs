//! Other partitions on Apache Kafka, in the middle of ten days.

use ingest::Format;
use paczek::{End, Row, raw_records, write_raw};
use serde_json::Value;

use crate::support::clickstreams;
use crate::support::cluster::Cluster;
use crate::support::shop::{Demo, Shop, rows, wait};
use crate::support::worker::{Fate, Worker};

#[test]
fn ten_days_with_other_partitions_in_the_middle_say_what_they_say_without() {
    let Some(file) = clickstreams::ten_days() else { return };
    let cluster = Cluster::take();
    let mut shop = Shop::open(&cluster, "resharded", &[]);
    let rows = rows(&file, Format::Alibaba);
    let (first, rest) = rows.split_at(rows.len() / 2);
    write(&shop, first, End::Open);
    let worker = Worker::start(&shop, "a", &Fate::default());
    shop.finish(|| {});
    let reshard = ["reshard", "--to-partitions", "6", "--json"];
    let refused = shop.command(&reshard);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("has members"));
    worker.end();

    let told: Value = serde_json::from_str(&shop.expect(&reshard)).unwrap();
    assert_eq!((&told["generation"], &told["already"]), (&Value::from(2), &Value::from(false)), "{told}");
    assert!(told["moved"][1]["rows"].as_u64() > Some(100), "{told}");
    let again: Value = serde_json::from_str(&shop.expect(&reshard)).unwrap();
    assert_eq!(again["already"], true, "what is done is done");
    assert_eq!(shop.command(&["run"]).status.code(), Some(2), "the former generation starts no more");

    shop.set("GENERATION", "2");
    write(&shop, rest, End::Ended);
    let worker = Worker::start(&shop, "a", &Fate::default());
    let demo = Demo::of(&file);
    wait("all is said as without", || shop.digests() == demo.digests);
    worker.end();
}

fn write(shop: &Shop, rows: &[Row], end: End) {
    let topic = shop.topic("clickstream");
    write_raw(&shop.broker, &topic, &raw_records(rows, 4, end)).unwrap();
}
