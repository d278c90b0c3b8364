//! The rules of the house, as far as a machine can see them: which crate may lean on which, how rooms are named,
//! and that ARCHITECTURE.md shows the rooms that exist. Each rule is a pure function that answers with complaints;
//! beside the test that asks it about the workspace stands one that proves it can complain.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

/// Every crate, and the crates of the workspace that it may depend on (tests apart).
const ARROWS: &[(&str, &[&str])] = &[
    ("events", &[]),
    ("ingest", &["events"]),
    ("profile-updater", &["events"]),
    ("recommender", &["events"]),
    ("codec", &["events", "profile-updater", "recommender"]),
    ("state-store", &[]),
    ("stream-runtime", &["state-store"]),
    (
        "paczek",
        &[
            "events",
            "ingest",
            "profile-updater",
            "recommender",
            "codec",
            "state-store",
            "stream-runtime",
            "simulator",
        ],
    ),
    ("simulator", &["events", "state-store", "stream-runtime"]),
    ("chaos", &["events", "ingest", "paczek", "stream-runtime"]),
    (
        "benches",
        &[
            "events",
            "ingest",
            "profile-updater",
            "recommender",
            "codec",
            "state-store",
            "stream-runtime",
            "simulator",
        ],
    ),
];

/// Heavy libraries, and the one crate whose business each is.
const OWNERS: &[(&str, &str)] = &[
    ("rdkafka", "stream-runtime"),
    ("rocksdb", "state-store"),
    ("apache-avro", "codec"),
    ("clap", "paczek"),
];

/// The crates that only decide, and the libraries of plain values that they may use for it.
const PURE: &[&str] = &["events", "ingest", "profile-updater", "recommender"];
const PURE_MAY_USE: &[&str] = &["jiff", "serde", "serde_json", "thiserror", "uuid", "xxhash-rust"];

/// Names that do not say what is inside.
const EMPTY_NAMES: &[&str] = &["base", "common", "core", "data", "helper", "impl", "manager", "misc", "util"];

#[test]
fn crates_depend_only_along_the_arrows_of_the_design() {
    let edges =
        workspace().into_iter().flat_map(|(from, tos)| tos.into_iter().map(move |to| (from.clone(), to)));
    assert_none(edges.filter_map(|(from, to)| objection(&from, &to)));
}

#[test]
fn every_crate_has_its_row_of_arrows() {
    let crates: BTreeSet<String> = workspace().into_iter().map(|(name, _)| name).collect();
    let rows: BTreeSet<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(crates, rows, "left: the workspace, right: ARROWS; a new room first says whom it knows");
}

#[test]
fn an_arrow_that_nobody_drew_is_refused() {
    for (from, to) in [
        ("profile-updater", "ingest"),
        ("ingest", "codec"),
        ("stream-runtime", "events"),
        ("state-store", "stream-runtime"),
        ("events", "events"),
        ("a-crate-without-a-row", "events"),
    ] {
        assert!(
            objection(from, to).is_some_and(|why| why.contains("DESIGN")),
            "{from} → {to} was let through"
        );
    }
    assert_eq!(objection("codec", "profile-updater"), None);
}

#[test]
fn a_heavy_library_is_refused_to_all_but_its_owner() {
    for (library, owner) in OWNERS {
        assert_eq!(objection(owner, library), None);
        for (name, _) in ARROWS.iter().filter(|(name, _)| name != owner) {
            assert!(objection(name, library).is_some(), "{name} → {library} was let through");
        }
    }
}

#[test]
fn a_pure_crate_is_refused_all_but_plain_values() {
    assert!(objection("ingest", "tokio").is_some());
    assert_eq!(objection("ingest", "serde_json"), None);
    assert_eq!(objection("paczek", "tokio"), None, "the rule is for pure crates only");
}

#[test]
fn architecture_md_shows_exactly_the_crates_that_exist() {
    assert_none(map_complaints(&read(&root().join("ARCHITECTURE.md")), &crate_folders()));
}

#[test]
fn a_map_that_forgets_or_invents_a_crate_is_refused() {
    let crates = BTreeSet::from(["events".to_owned(), "ingest".to_owned()]);
    let complaints = |map| map_complaints(map, &crates).len();
    assert_eq!(complaints("## crates/events\n| `crates/ingest` | pure |"), 0);
    assert_eq!(complaints("## crates/events\nMentioned in passing: crates/ingest"), 1);
    assert_eq!(complaints("| crates/events | crates/ingest |\nSee crates/oven/src."), 1);
}

#[test]
fn the_program_starts_in_twenty_lines() {
    let lines = read(&root().join("crates/paczek/src/main.rs")).lines().count();
    assert!(lines <= 20, "main.rs has {lines} lines; what the program does belongs into its library");
}

#[test]
fn every_crate_says_what_it_knows_and_what_it_must_not_know() {
    for name in crate_folders() {
        let source = read(&root().join("crates").join(&name).join("src/lib.rs"));
        let first_page: String = source.lines().filter(|line| line.starts_with("//!")).collect();
        for words in ["Knows:", "Must not know:"] {
            assert!(first_page.contains(words), "the //! of crates/{name}/src/lib.rs lacks \"{words}\"");
        }
    }
}

#[test]
fn no_file_is_too_long_to_be_read_in_one_sitting() {
    for file in source_files() {
        let lines = read(&file).lines().count();
        assert!(lines <= 600, "{} has {lines} lines; 600 hold one subject", file.display());
    }
}

#[test]
fn files_and_modules_are_named_after_what_they_hold() {
    assert_none(source_files().iter().flat_map(|file| {
        let below_crates = file.strip_prefix(root().join("crates")).unwrap_or(file).with_extension("");
        let path = below_crates.iter().map(|part| part.to_string_lossy().into_owned());
        let names: Vec<String> =
            path.chain(modules(&read(file))).filter(|name| is_empty_name(name)).collect();
        names.into_iter().map(|name| format!("{}: \"{name}\" does not say what is inside", file.display()))
    }));
}

#[test]
fn a_name_that_does_not_say_what_is_inside_is_refused() {
    assert!(is_empty_name("util") && is_empty_name("helpers") && is_empty_name("data"));
    assert!(!is_empty_name("session") && !is_empty_name("scores"));
    let source = "pub(crate) mod helpers;\nmod cart {\n    pub mod misc;\n}\n// mod spoken_of";
    assert_eq!(modules(source), ["helpers", "cart", "misc"]);
    let looked_at = |name: &str| source_files().iter().any(|file| file.ends_with(name));
    assert!(looked_at("paczek/src/cli.rs") && looked_at("paczek/tests/kafka/kills.rs"));
}

/// Why the house refuses this dependency, or nothing.
fn objection(from: &str, to: &str) -> Option<String> {
    let row_of = |name| ARROWS.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, row)| *row);
    if row_of(to).is_some() {
        let row = row_of(from).unwrap_or_default();
        let why =
            || format!("{from} must not depend on {to}: the arrows of DESIGN §2 let it know only {row:?}");
        return (!row.contains(&to)).then(why);
    }
    if let Some((_, owner)) = OWNERS.iter().find(|(library, owner)| *library == to && *owner != from) {
        return Some(format!("{from} must not depend on {to}: DESIGN §2 gives it to {owner} alone"));
    }
    let why =
        || format!("{from} must not depend on {to}: a pure crate of DESIGN §2 uses only {PURE_MAY_USE:?}");
    (PURE.contains(&from) && !PURE_MAY_USE.contains(&to)).then(why)
}

/// A crate is on the map when a heading or a table row names its folder; no text may name a folder that is not there.
fn map_complaints(map: &str, crates: &BTreeSet<String>) -> Vec<String> {
    let signposts: Vec<&str> = map.lines().filter(|line| line.starts_with(['#', '|'])).collect();
    let shown = crates_named_in(&signposts.join("\n"));
    let named = crates_named_in(map);
    let forgotten =
        crates.difference(&shown).map(|name| format!("no heading or table row names crates/{name}"));
    let invented = named.difference(crates).map(|name| format!("crates/{name} is named, and does not exist"));
    forgotten.chain(invented).collect()
}

fn crates_named_in(text: &str) -> BTreeSet<String> {
    let ends_name = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    let names = text.split("crates/").skip(1).filter_map(|rest| rest.split(ends_name).next());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn is_empty_name(name: &str) -> bool {
    EMPTY_NAMES.contains(&name)
        || name.strip_suffix('s').is_some_and(|singular| EMPTY_NAMES.contains(&singular))
}

/// The modules that a source text declares.
fn modules(source: &str) -> Vec<String> {
    let declared = source.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["mod", name, ..] => Some(*name),
            [visibility, "mod", name, ..] if visibility.starts_with("pub") => Some(*name),
            _ => None,
        }
    });
    declared.map(|name| name.trim_end_matches(';').to_owned()).collect()
}

/// Each crate with what its manifest names to build with, so without dev-dependencies. `--no-deps` asks the manifests
/// alone: to resolve offline, cargo would want the crates of every other platform too, which a build never fetched.
fn workspace() -> Vec<(String, Vec<String>)> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--no-deps"];
    let answer = must(Command::new(cargo).args(arguments).current_dir(root()).output(), "cargo metadata");
    assert!(answer.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&answer.stderr));
    let metadata: Value = must(serde_json::from_slice(&answer.stdout), "cargo metadata");
    let named = |package: &Value| package["name"].as_str().unwrap_or_default().to_owned();
    let builds_with = |package: &Value| {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        dependencies.filter(|dependency| dependency["kind"] != "dev").map(named).collect()
    };
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages.map(|package| (named(package), builds_with(package))).collect()
}

fn crate_folders() -> BTreeSet<String> {
    let folders = entries(&root().join("crates")).into_iter().filter(|path| path.join("Cargo.toml").exists());
    folders.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect()
}

/// Every `.rs` file of a crate, and of its tests.
fn source_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let of_crate = |name: &String| ["src", "tests"].map(|part| root().join("crates").join(name).join(part));
    let folders = crate_folders();
    let mut folders: Vec<PathBuf> =
        folders.iter().flat_map(of_crate).filter(|folder| folder.exists()).collect();
    while let Some(folder) = folders.pop() {
        let (inner, files): (Vec<_>, Vec<_>) = entries(&folder).into_iter().partition(|path| path.is_dir());
        folders.extend(inner);
        found.extend(
            files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")),
        );
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = must(fs::read_dir(folder), &folder.display().to_string());
    read.flatten().map(|entry| entry.path()).collect()
}

fn read(file: &Path) -> String {
    must(fs::read_to_string(file), &file.display().to_string())
}

fn must<T, E: std::fmt::Display>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn assert_none(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
