//! The real processors in a simulated cluster, by the thousand seeds: whatever goes wrong, the outcome is that of an
//! undisturbed run; and where a guard is taken away, a seed finds it out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output};
use std::time::Instant;

use serde_json::Value;

/// Seeds that each twin may live through.
const TWIN_LIMIT: &str = "0..2000";

#[test]
fn whatever_goes_wrong_the_outcome_is_that_of_an_undisturbed_run() {
    let began = Instant::now();
    let swept = simulate(&["--seeds", "0..20000"]);
    println!("20,000 seeds in {:.0} s: {swept}", began.elapsed().as_secs_f64());
    assert_eq!(swept["seeds"], 20_000);
    assert_eq!(swept["findings"], Value::Array(Vec::new()));
    let steps = [
        "Opening",
        "Processing",
        "OutputsSent",
        "Sealed",
        "Drained",
        "TrailersWritten",
        "OffsetsSent",
        "Committed",
        "Applied",
    ];
    for step in steps {
        assert!(swept["crashes"][step].as_u64() > Some(10), "crashes after {step}: {swept}");
    }
    assert!(swept["copies"].as_u64() > Some(1_000), "standby copies: {swept}");
}

#[test]
fn every_guard_that_is_taken_away_is_found_out() {
    let caught = simulate(&["--twins", "--seeds", TWIN_LIMIT]);
    for twin in caught.as_array().unwrap() {
        println!("{:<20} seed {:>5}  {}", twin["twin"], twin["seed"], twin["violation"]);
        assert!(twin["seed"].is_u64(), "{} lives through {TWIN_LIMIT}", twin["twin"]);
    }
    assert_eq!(caught.as_array().unwrap().len(), 9);
}

#[test]
fn a_transaction_that_is_torn_unseen_repeats_outputs_word_for_word_and_nothing_else() {
    let swept = simulate(&["--faults", "kip890", "--seeds", "0..1000"]);
    println!("values said twice in {} seeds: {}", swept["seeds"], swept["repeats"]);
    assert_eq!(swept["findings"], Value::Array(Vec::new()));
    assert!(swept["repeats"].as_u64() > Some(0), "nothing was torn: {swept}");
}

#[test]
fn the_outcome_is_the_same_on_rocksdb() {
    let swept = simulate(&["--store", "rocksdb", "--seeds", "0..200"]);
    assert_eq!((&swept["seeds"], &swept["findings"]), (&Value::from(200), &Value::Array(Vec::new())));
}

#[test]
fn seeds_that_once_found_something_find_nothing_any_more() {
    let lines = include_str!("fixtures/seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let (run, what) = line.split_once(':').unwrap();
        let mut words = run.split_whitespace();
        let seed: u64 = words.next().unwrap().parse().unwrap();
        let seeds = format!("{seed}..{}", seed + 1);
        let swept = simulate(&[&["--seeds", &seeds], &words.collect::<Vec<_>>()[..]].concat());
        assert_eq!(swept["findings"], Value::Array(Vec::new()), "{what}");
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn a_seed_does_the_same_again_and_what_it_finds_is_told() {
    let found = simulate(&["--without", "state-first", "--seeds", "0..100"]);
    let seed = found[0]["seed"].as_u64().unwrap();
    let seeds = format!("{seed}..{}", seed + 1);
    let run = || paczek(&["--without", "state-first", "--seeds", &seeds, "--trace"]);
    let (one, other) = (run(), run());
    assert_eq!(one.stdout, other.stdout, "a seed is not the same twice");
    assert_eq!(one.status.code(), Some(1));
    let told = String::from_utf8(one.stdout).unwrap();
    let again = format!("--seeds {seeds} --without state-first --trace");
    assert!(told.lines().count() > 50 && told.contains(&again), "{told}");
}

#[test]
fn a_sweep_goes_on_from_where_it_noted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("seeds.txt");
    let file = file.to_str().unwrap();
    assert_eq!(simulate(&["--seeds", "0..30", "--resume", file])["seeds"], 30);
    assert_eq!(simulate(&["--seeds", "0..50", "--resume", file])["seeds"], 20, "only what was left");
    let noted = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, noted.replace("\"found\":[]", "\"found\":[7]")).unwrap();
    assert_eq!(
        simulate(&["--seeds", "0..50", "--resume", file])["seeds"],
        1,
        "what was found is not forgotten"
    );
    let refused = |arguments: &[&str]| paczek(arguments).status.code() == Some(2);
    assert!(refused(&["--seeds", "0..50", "--resume", file, "--faults", "kip890"]));
    assert!(refused(&["--seeds", "1..50", "--resume", file]));
    assert!(refused(&["--seeds", "9..3"]));
}

fn simulate(arguments: &[&str]) -> Value {
    let output = paczek(&[&["--json"], arguments].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

fn paczek(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paczek")).arg("simulate").args(arguments).output().unwrap()
}
