//! The demo, run as a user runs it: the truth of a made-up shop is found whole, however the work is cut.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output};

use serde_json::Value;

const EVENTS: &str = "2000";
const SHOPPERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/shoppers.jsonl");

#[test]
fn every_cart_that_was_left_is_dealt_with_and_no_other() {
    for seed in ["1", "2", "3"] {
        let found = summary(&["--events", EVENTS, "--seed", seed], &[]);
        let of = |field: &str| found[field].as_u64().unwrap();
        assert_eq!((of("missed"), of("false_alarms"), of("repeated_decisions")), (0, 0, 0), "{found}");
        assert!(of("first_result_ms") < 10_000, "{found}");
        let truth = &found["truth"];
        assert!(truth["abandoned_carts"].as_u64() > Some(20), "{found}");
        assert_eq!(found["abandoned_carts"], truth["abandoned_carts"]);
        for field in ["accepted", "duplicates"] {
            assert_eq!(found[field], truth[field], "{field}");
        }
        assert_eq!((of("events"), &found["rejected"]), (2_000, &truth["malformed"]));
        assert!(of("reminders") > of("taken_back") && of("recommendations") > 500, "{found}");
    }
}

#[test]
fn however_the_work_is_cut_the_outcome_is_the_same() {
    let digests =
        |arguments: &[&str]| summary(&[&["--events", EVENTS], arguments].concat(), &[])["digests"].take();
    let one = digests(&["--seed", "4"]);
    assert_eq!(one.as_object().unwrap().len(), 5, "{one}");
    for partitions in ["1", "4"] {
        for batch in ["1", "7", "500"] {
            let other = digests(&["--seed", "4", "--partitions", partitions, "--batch", batch]);
            assert_eq!(other, one, "{partitions} partitions, batches of {batch}");
        }
    }
    let other = digests(&["--seed", "5"]);
    for (topic, digest) in one.as_object().unwrap() {
        assert_ne!(other[topic], *digest, "{topic}: another shop has another digest");
    }
}

#[test]
fn a_pipeline_that_is_less_patient_is_found_out() {
    let found = summary(&["--events", EVENTS], &[("PACZEK_PROFILES__IDLE", "29m")]);
    assert!(found["missed"].as_u64() > Some(0), "{found}");
    assert!(found["false_alarms"].as_u64() > Some(0), "{found}");
    // Who says everything late says nothing that was due before.
    let silent =
        summary(&["--events", EVENTS], &[("PACZEK_RECOMMENDER__SPEAK_AFTER", "2030-01-01T00:00:00Z")]);
    assert_eq!(silent["reminders"].as_u64(), Some(0));
    assert!(silent["missed"].as_u64() > Some(0), "{silent}");
}

#[test]
fn a_generated_file_says_the_same_as_the_shop_it_is_of() {
    let folder = tempfile::tempdir().unwrap();
    let (file, truth) = (folder.path().join("clicks.jsonl"), folder.path().join("truth.json"));
    let generated =
        paczek(&["generate", "--events", EVENTS, "--seed", "6", "--truth", truth.to_str().unwrap()], &[]);
    assert!(generated.status.success());
    std::fs::write(&file, &generated.stdout).unwrap();
    let truth: Value = serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap();

    let found = summary(&["--input", file.to_str().unwrap()], &[]);
    assert_eq!(found["events"].as_u64(), Some(2_000));
    assert_eq!(
        found["abandoned_carts"].as_u64(),
        Some(truth["abandoned_carts"].as_array().unwrap().len() as u64)
    );
    assert_eq!((&found["accepted"], &found["duplicates"]), (&truth["accepted"], &truth["duplicates"]));
    assert_eq!((&found["truth"], &found["missed"]), (&Value::Null, &Value::Null), "of a file nobody knows");
}

#[test]
fn a_person_reads_stories() {
    let output = paczek(&["demo", "--input", SHOPPERS], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for words in [
        "customer-greta leaves a cart, and is reminded of it\n  Saturday, 14 March 2026\n    10:15  looks at Trail boots",
        "    10:47  → we remind her of Trail boots by Northpath (89.90 EUR) in the cart, because",
        "60 events: 59 accepted, of which 1 had come before; 1 rejected (NOT_JSON 1).\n",
        "4 carts were left: ",
    ] {
        assert!(text.contains(words), "{words}\nis missing in\n{text}");
    }
}

fn summary(arguments: &[&str], environment: &[(&str, &str)]) -> Value {
    let output = paczek(&[&["demo", "--json"], arguments].concat(), environment);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn paczek(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paczek"));
    command.args(arguments).envs(environment.iter().copied()).output().unwrap()
}
