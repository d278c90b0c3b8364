//! Other partitions on Apache Kafka, in the middle of ten days.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ingest::Format;
use paczek::{End, Row, raw_records, write_raw};
use serde_json::Value;

use crate::support::clickstreams;
use crate::support::cluster::Cluster;
use crate::support::shop::{Demo, Shop, rows, wait};
use crate::support::worker::{Fate, Worker};

/// Of the time that a try needs which nobody kills, each one lives so much longer than the one before it.
const STEPS: u32 = 8;
/// More kills than this, and it comes to no end.
const MOST: u32 = 5 * STEPS;

#[test]
fn ten_days_with_other_partitions_in_the_middle_say_what_they_say_without() {
    let Some(file) = clickstreams::ten_days() else { return };
    let cluster = Cluster::take();
    let mut shop = Shop::open(&cluster, "resharded", &[]);
    let rows = rows(&file, Format::Alibaba);
    let (first, rest) = rows.split_at(rows.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);

    let worker = Worker::start(&shop, "a", &Fate::default());
    write(&shop, first, End::Open);
    shop.finish(|| {});
    let reshard = ["reshard", "--to-partitions", "6", "--json"];
    assert!(refused(&shop, &reshard, 1).contains("has members"));
    worker.end();

    let began = Instant::now();
    let told: Value = serde_json::from_str(&shop.expect(&reshard)).unwrap();
    let step = began.elapsed() / STEPS;
    assert_eq!((&told["generation"], &told["already"]), (&Value::from(2), &Value::from(false)), "{told}");
    assert!(told["moved"][1]["rows"].as_u64() > Some(100), "{told}");
    let again: Value = serde_json::from_str(&shop.expect(&reshard)).unwrap();
    assert_eq!(again["already"], true, "what is done is done");
    refused(&shop, &["run"], 2);

    shop.set("GENERATION", "2");
    work(&shop, second);
    kill_until_through(&shop, &["reshard", "--to-partitions", "3"], step);

    shop.set("GENERATION", "3");
    write(&shop, third, End::Ended);
    let worker = Worker::start(&shop, "a", &Fate::default());
    let demo = Demo::of(&file);
    wait("all is said as without", || shop.digests() == demo.digests);
    worker.end();
}

fn work(shop: &Shop, rows: &[Row]) {
    let worker = Worker::start(shop, "a", &Fate::default());
    write(shop, rows, End::Open);
    shop.finish(|| {});
    worker.end();
}

fn write(shop: &Shop, rows: &[Row], end: End) {
    let topic = shop.topic("clickstream");
    write_raw(&shop.broker, &topic, &raw_records(rows, 4, end)).unwrap();
}

/// The sentence with which a command is refused.
fn refused(shop: &Shop, arguments: &[&str], code: i32) -> String {
    let refused = shop.command(arguments);
    let sentence = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(code), "{sentence}");
    sentence
}

/// Kills the command, each time a step later, until it is faster.
fn kill_until_through(shop: &Shop, arguments: &[&str], step: Duration) {
    for kills in 0..MOST {
        let mut command = shop.prepared(arguments);
        let mut running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let given = step * (kills + 1);
        sleep(given);
        if let Some(status) = running.try_wait().unwrap() {
            println!("killed {kills} times, then through within {given:?}");
            assert!(status.success() && kills >= 3, "after {kills} kills: {status}");
            return;
        }
        running.kill().unwrap();
        running.wait().unwrap();
    }
    panic!("it comes to no end");
}
