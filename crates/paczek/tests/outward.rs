//! What `outward.format` changes, seen from outside: the bytes for readers outside, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const EXAMPLE: &str = include_str!("../../../schemas/registry.example.toml");

#[test]
fn avro_changes_what_leaves_and_nothing_else() {
    let digests = |configuration: &str| -> Value {
        let output = demo(configuration, EXAMPLE);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["digests"].take()
    };
    let json = digests("");
    let avro = digests("outward = { format = 'avro', registry = 'ids.toml' }");
    assert_ne!(json["dead-letters"], avro["dead-letters"]);
    assert_eq!(json["dead-letters"]["records"], avro["dead-letters"]["records"]);
    for inner in ["events", "profile-updates"] {
        assert!(json[inner].is_object());
        assert_eq!(json[inner], avro[inner]);
    }
}

#[test]
fn an_id_that_is_missing_ends_the_start_with_its_subject() {
    let lines = EXAMPLE.lines().filter(|line| !line.starts_with("suppressions-value"));
    let ids = lines.collect::<Vec<_>>().join("\n");
    let output = demo("outward = { format = 'avro', registry = 'ids.toml' }", &ids);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("ids.toml: suppressions-value is missing"), "{told}");
}

/// The demo on the clickstream that ships with the project, in a folder with these two files.
fn demo(configuration: &str, ids: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("paczek.toml"), configuration).unwrap();
    fs::write(folder.path().join("ids.toml"), ids).unwrap();
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/shoppers.jsonl");
    let mut command = Command::new(env!("CARGO_BIN_EXE_paczek"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PACZEK_")) {
        command.env_remove(name);
    }
    command.current_dir(folder.path()).args([
        "demo",
        "--json",
        "--config",
        "paczek.toml",
        "--format",
        "segment",
    ]);
    command.arg("--input").arg(input).output().unwrap()
}
