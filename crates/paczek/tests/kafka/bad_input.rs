//! What is wrong is said in one sentence with an exit code of its own, or stands in the dead letters.

use std::fmt::Write as _;
use std::process::Command;

use events::EventTime;
use ingest::Format;
use paczek::{End, RawRecord, raw_records, write_raw};

use crate::support::clickstreams;
use crate::support::cluster::{Cluster, root};
use crate::support::shop::{Demo, Shop, rows};
use crate::support::worker::{Fate, Worker};

#[test]
fn one_percent_of_poison_becomes_dead_letters_and_changes_nothing_else() {
    let Some(file) = clickstreams::ten_days() else { return };
    let cluster = Cluster::take();
    let shop = Shop::open(&cluster, "poison", &[]);
    let (poisoned, poison) = poisoned(&std::fs::read_to_string(&file).unwrap());
    let path = shop.directory.path().join("poisoned.csv");
    std::fs::write(&path, poisoned).unwrap();
    shop.load(&path);
    let worker = Worker::start(&shop, "a", &Fate::default());
    shop.finish(|| {});
    let (found, demo, clean) = (shop.digests(), Demo::of(&path), Demo::of(&file));
    assert_eq!(found, demo.digests);
    assert_eq!(found["dead-letters"].records, poison);
    assert_eq!(found["profile-updates"].by_timer, clean.digests["profile-updates"].by_timer);
    assert_eq!(demo.json["accepted"], clean.json["accepted"]);
    assert_eq!(demo.json["abandoned_carts"], clean.json["abandoned_carts"]);
    worker.end();
}

#[test]
fn every_kind_of_poison_stands_in_the_dead_letters_with_code_field_and_origin() {
    let cluster = Cluster::take();
    let shop = Shop::open(&cluster, "segment", &[("SOURCES__0__FORMAT", "segment")]);
    let file = root().join("crates/paczek/demo/shoppers.jsonl");
    let mut records = raw_records(&rows(&file, Format::Segment), 4, End::Ended);
    for (number, (value, _, _)) in poison().into_iter().enumerate() {
        let partition = i32::try_from(number % 4).unwrap();
        let (key, headers) = (b"poison".to_vec(), Vec::new());
        records.insert(number * 4, RawRecord { partition, key, value, headers, time: EventTime::MIN });
    }
    write_raw(&shop.broker, &shop.topic("clickstream"), &records).unwrap();
    let worker = Worker::start(&shop, "a", &Fate::default());
    shop.finish(|| {});

    let (found, demo) = (shop.digests(), Demo::with(&file, "segment"));
    assert_eq!(found["events"], demo.digests["events"], "the partitions go on");
    assert_eq!(found["profile-updates"], demo.digests["profile-updates"]);
    let clickstream = shop.records("clickstream");
    let mut codes = Vec::new();
    for record in
        shop.records("dead-letters").iter().filter(|record| record.key.as_deref() == Some(b"poison"))
    {
        let letter = codec::decode_dead_letter(record.value.as_deref().unwrap()).unwrap();
        let number =
            |name| std::str::from_utf8(record.header(name).unwrap()).unwrap().parse::<i64>().unwrap();
        let (partition, offset) = (number("origin-partition"), number("origin-offset"));
        let origin =
            clickstream.iter().find(|raw| i64::from(raw.partition) == partition && raw.offset == offset);
        let whole = origin.unwrap().value.as_ref().map_or(0, Vec::len);
        assert_eq!(letter.payload_bytes, whole as u64, "{}", letter.code);
        assert_eq!(record.header("code").unwrap(), letter.code.as_bytes());
        codes.push((letter.code, letter.field));
    }
    let mut expected: Vec<_> =
        poison().into_iter().map(|(_, code, field)| (code.to_owned(), field.to_owned())).collect();
    codes.sort();
    expected.sort();
    assert_eq!(codes, expected);
    worker.end();
}

#[test]
fn check_says_in_one_sentence_what_to_do() {
    let nowhere = check(&[("PACZEK_KAFKA__BOOTSTRAP", "127.0.0.1:9")]);
    assert_eq!(nowhere.0, 3);
    assert!(nowhere.1.contains("no answer from Kafka at 127.0.0.1:9"), "{}", nowhere.1);
    let misspelt = check(&[("PACZEK_KAFKA__BOTSTRAP", "127.0.0.1:9")]);
    assert_eq!(misspelt.0, 2);
    assert!(misspelt.1.contains("did you mean `bootstrap`?"), "{}", misspelt.1);

    let cluster = Cluster::take();
    let shop = Shop::open(&cluster, "checked", &[]);
    shop.expect(&["check"]);
    let environment = shop.environment("none");
    let mut missing = environment.clone();
    missing.push(("PACZEK_TOPIC_PREFIX".into(), "nobody-".into()));
    let missing = check(&missing);
    assert_eq!(missing.0, 4);
    assert!(missing.1.contains("does not exist; make it with `paczek topics apply`"), "{}", missing.1);
    shop.broker.add_partitions(&shop.topic("profile-updater-changelog"), 6).unwrap();
    crate::support::shop::wait("the new partitions", || check(&environment).0 != 0);
    let uneven = check(&environment);
    assert_eq!(uneven.0, 5);
    assert!(uneven.1.contains("has 6 partitions where 4 are needed"), "{}", uneven.1);
    let run = shop.command(&["run"]);
    assert_eq!(run.status.code(), Some(5), "the start stops as check does");
}

#[test]
fn a_state_directory_is_used_by_one_process_at_a_time() {
    let cluster = Cluster::take();
    let shop = Shop::open(&cluster, "directory", &[]);
    let mut worker = Worker::start(&shop, "none", &Fate::default());
    crate::support::shop::wait("the worker is up", || {
        assert!(!worker.has_ended(), "the worker ended");
        shop.state("none").join("instance").exists()
    });
    let second = shop.command(&["run"]);
    assert_eq!(second.status.code(), Some(6));
    let owner = format!("in use by process {};", worker.process());
    assert!(String::from_utf8_lossy(&second.stderr).contains(&owner));
    worker.end();
}

/// Values of Segment's shape that must not pass, each with the code and field of its refusal.
fn poison() -> Vec<(Option<Vec<u8>>, &'static str, &'static str)> {
    let added = |change: &str| {
        let text = r#"{"type":"track","event":"Product Added","messageId":"m","userId":"u","timestamp":"2026-03-14T09:00:00Z","#;
        Some(format!("{text}{change}}}").into_bytes())
    };
    let text = |text: &str| Some(text.as_bytes().to_vec());
    vec![
        (None, "NULL_VALUE", ""),
        (text("not json"), "NOT_JSON", ""),
        (text(&"[".repeat(100_000)), "TOO_DEEP", ""),
        (text(&" ".repeat((1 << 20) + 1)), "TOO_LARGE", ""),
        (text(r#"{"type":"track","event":"Song Played","messageId":"m"}"#), "UNKNOWN_EVENT", "event"),
        (
            text(r#"{"type":"page","messageId":"m","timestamp":"2026-03-14T09:00:00Z"}"#),
            "NO_IDENTITY",
            "user_id",
        ),
        (
            text(r#"{"type":"page","messageId":"m","userId":"u","timestamp":1773478800}"#),
            "BAD_FIELD",
            "timestamp",
        ),
        (
            text(r#"{"type":"page","messageId":"m","userId":"u","timestamp":"1999-12-31T23:59:59Z"}"#),
            "TIME_ABSURD",
            "event_time",
        ),
        (
            text(r#"{"type":"page","messageId":"m","userId":"u","timestamp":"2999-01-01T00:00:00Z"}"#),
            "TIME_FUTURE",
            "event_time",
        ),
        (
            added(r#""properties":{"product_id":"p","price":-1,"currency":"EUR"}"#),
            "BAD_MONEY",
            "properties.price",
        ),
        (
            added(r#""properties":{"product_id":"p","price":1e300,"currency":"EUR"}"#),
            "BAD_MONEY",
            "properties.price",
        ),
        (added(r#""properties":{"product_id":"p","quantity":-3}"#), "BAD_QUANTITY", "properties.quantity"),
        (
            added(r#""properties":{"product_id":"p","quantity":1000000000}"#),
            "BAD_QUANTITY",
            "properties.quantity",
        ),
    ]
}

/// The file with a bad line after every hundredth, and how many those are.
fn poisoned(clean: &str) -> (String, u64) {
    let poison = [
        "not,a,click",
        "1,2,3,stare,1511658000",
        "1,2,3,pv,1511658000000000000000",
        "1,2,3,pv,-5",
        "1,2,3,pv,1",
        "1,2,3,pv,99999999999",
        ",2,3,pv,1511658000",
        "{\"type\":\"track\"}",
        "[[[[[[[[",
        "\u{1}\u{2}",
    ];
    let (mut text, mut count) = (String::new(), 0);
    for (number, line) in clean.lines().enumerate() {
        writeln!(text, "{line}").unwrap();
        if number % 100 == 99 {
            writeln!(text, "{}", poison[count as usize % poison.len()]).unwrap();
            count += 1;
        }
    }
    (text, count)
}

fn check<T: AsRef<std::ffi::OsStr>>(environment: &[(T, T)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paczek"));
    command.arg("check").envs(environment.iter().map(|(name, value)| (name, value)));
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}
