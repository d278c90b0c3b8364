//! What the documentation says, held against the program: metrics, rejection codes, commands, exit codes, topics,
//! formats and settings all have their row, the picture is the program's own, and every link leads somewhere.
//! Each rule is a pure function that answers with complaints; beside the tests that ask it about the real pages
//! stands one that proves it can complain.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use chaos::table;
use ingest::{Code, Format};
use paczek::Config;
use stream_runtime::{Metric, Step};
use toml::{Table, Value};

const PAGES: [&str; 4] = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"];
const EXAMPLE: &str = "paczek.example.toml";

#[test]
fn the_readme_has_a_row_for_every_metric_with_its_labels_and_an_alert() {
    let readme = page("README.md");
    assert_none(
        Metric::ALL.iter().flat_map(|metric| metric_complaints(&readme, metric.name(), metric.labels())),
    );
    let known: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    assert_none(invented_metrics(&readme, &known));
}

#[test]
fn a_metric_without_row_labels_or_alert_is_refused() {
    let complaints = |row: &str| metric_complaints(row, "paczek_eggs", &["processor", "topic"]).len();
    assert_eq!(complaints("| `paczek_eggs` | `processor`, `topic` | eggs | none is left |"), 0);
    assert_eq!(complaints("`paczek_eggs` in passing"), 1);
    assert_eq!(complaints("| `paczek_eggs` | `processor` | eggs | none is left |"), 1);
    assert_eq!(complaints("| `paczek_eggs` | `processor`, `topic` | eggs | |"), 1);
    let invented = |text: &str| invented_metrics(text, &["paczek_eggs"]).len();
    assert_eq!(invented("rate(paczek_eggs_bucket[5m]) and paczek_eggs, not paczek"), 0);
    assert_eq!(invented("| `paczek_spoons` |"), 1);
}

#[test]
fn the_readme_has_a_row_for_every_rejection_code_and_for_no_other() {
    let readme = page("README.md");
    let known: BTreeSet<String> =
        Code::ALL.iter().map(|code| code.name().to_owned()).chain(codes_of_adapters()).collect();
    let shown = known_rows(&readme, is_code);
    assert_none(missing_rows(&readme, known.iter().map(String::as_str)));
    assert_none(shown.difference(&known).map(|code| format!("README.md: nothing refuses with {code}")));
}

#[test]
fn codes_are_told_from_other_texts() {
    assert_eq!(
        quoted_codes(r#"refuse(record, "NO_FLOUR", "no flour is left", "flour"); "OVEN";"#),
        ["NO_FLOUR"]
    );
    assert_eq!(known_rows("| `NO_FLOUR` | x |\n| `flour` | y |", is_code), names(&["NO_FLOUR"]));
}

#[test]
fn the_readme_has_a_row_for_every_command_and_exit_code() {
    let readme = page("README.md");
    let commands = every_command();
    assert!(commands.iter().any(|command| command == "topics apply"), "{commands:?}");
    assert_none(commands.iter().filter(|command| !has_command(&readme, command)).map(no_row));
    let codes = exit_codes(&say(&["--help"]));
    assert!(codes.len() > 3, "{codes:?}");
    assert_none(missing_rows(&readme, codes.iter().map(String::as_str)));
}

#[test]
fn commands_and_exit_codes_are_read_from_the_help() {
    let help = "Exit codes: 0 done, 1 too hot, 2\nno flour.\n\nCommands:\n  bake   Bake\n         slowly\n  help   This\n\nOptions:\n  -h";
    assert_eq!(commands_in(help), ["bake"]);
    assert_eq!(exit_codes(help), ["0", "1", "2"]);
    assert!(has_command("| `paczek bake [--hot]` | bakes |", "bake"));
    assert!(!has_command("| `paczek bakery` | sells |\nRun `paczek bake`.", "bake"));
}

#[test]
fn the_readme_shows_every_topic_as_it_is_declared() {
    let readme = page("README.md");
    let topics = topics();
    assert!(topics.len() > 3);
    assert_none(topics.iter().flat_map(|topic| topic_complaints(&readme, topic)));
}

#[test]
fn a_topic_that_the_readme_shows_otherwise_is_refused() {
    let topic: Table = must(
        "name = 'eggs'\nwriter = 'hen'\nreaders = ['cook', 'guest']\nkey = 'nest|day'\ncleanup = 'delete'\n\
         retention_ms = 172800000\nformat = 'avro'"
            .parse(),
        "a topic",
    );
    let complaints = |row: &str| topic_complaints(row, &topic).len();
    assert_eq!(
        complaints(r"| `eggs` | hen | cook, guest | nest\|day | delete, after 2 days | Avro | - |"),
        0
    );
    assert_eq!(complaints(r"| `eggs` | fox | cook | day | compact | JSON | - |"), 5);
    assert_eq!(complaints("no table at all"), 1);
}

#[test]
fn the_readme_has_a_row_for_every_format() {
    let readme = page("README.md");
    assert_none(missing_rows(&readme, Format::ALL.iter().map(|format| format.name())));
}

#[test]
fn architecture_md_shows_the_topology_that_the_program_prints() {
    assert_none(picture_complaints(&page("ARCHITECTURE.md"), &say(&["topology"])));
}

#[test]
fn a_picture_that_is_not_the_programs_is_refused() {
    let complaints = |page: &str| picture_complaints(page, "a\n  └─► b\n").len();
    assert_eq!(complaints("<!-- topology -->\n```text\na\n  └─► b\n```\n<!-- /topology -->\n"), 0);
    assert_eq!(complaints("<!-- topology -->\n```text\na\n```\n<!-- /topology -->\n"), 1);
    assert_eq!(complaints("a\n  └─► b\n"), 1);
}

#[test]
fn architecture_md_says_what_follows_a_crash_after_every_step() {
    let steps: Vec<String> = every_step().iter().map(|step| format!("{step:?}")).collect();
    assert_eq!(steps.first().map(String::as_str), Some("Processing"));
    assert_none(missing_rows(&page("ARCHITECTURE.md"), steps.iter().map(String::as_str)));
}

#[test]
fn the_example_configuration_shows_every_value_with_its_default() {
    let file = root().join(EXAMPLE);
    let shown: Table = must(read(&file).parse(), EXAMPLE);
    let known: Table = must(Config::default().redacted().parse(), "the default configuration");
    assert_none(missing_values(&shown, &known));
    let config = must(Config::read(Some(&file), std::iter::empty()), EXAMPLE);
    assert_eq!(config.redacted(), Config::default().redacted(), "left: {EXAMPLE}, right: the defaults");
}

#[test]
fn the_example_configuration_is_one_that_the_program_takes() {
    let file = root().join(EXAMPLE).display().to_string();
    assert_eq!(say(&["topology", "--config", &file]), say(&["topology"]));
}

#[test]
fn the_configurations_in_the_readme_are_ones_that_the_program_takes() {
    let readme = page("README.md");
    let shown = blocks(&readme, "toml");
    assert!(!shown.is_empty());
    for text in shown {
        let file = must(tempfile::NamedTempFile::new(), "a file");
        must(fs::write(file.path(), text), "a file");
        must(Config::read(Some(file.path()), std::iter::empty()), text);
    }
}

#[test]
fn a_value_that_the_example_forgets_is_refused() {
    let table = |text: &str| -> Table { must(text.parse(), text) };
    let known = table("a = 1\n[b]\nc = 2\n[[d]]\ne = 3");
    assert_eq!(missing_values(&known, &known).len(), 0);
    assert_eq!(missing_values(&table("a = 1\n[b]\n[[d]]\nx = 3"), &known).len(), 2);
}

#[test]
fn the_readme_shows_the_table_of_the_fault_bench() {
    let lines: Vec<table::Line> = must(serde_json::from_str(&page(table::KEPT)), table::KEPT);
    assert_none(fault_complaints(&page("README.md"), &table::markdown(&lines)));
    let shown: BTreeSet<&str> = lines.iter().map(|line| line.row.as_str()).collect();
    let known: BTreeSet<&str> = chaos::rows::ROWS.iter().map(|row| row.id).collect();
    assert_eq!(shown, known, "left: {}, right: the rows of the bench", table::KEPT);
    let thirty = (1..=30).map(|number| format!("F-{number:02}"));
    assert_none(thirty.filter(|row| !known.contains(row.as_str())).map(no_row));
}

#[test]
fn a_table_of_faults_that_the_bench_did_not_write_is_refused() {
    let page = |table: &str| format!("{}{table}{}", table::BEGIN, table::END);
    assert_eq!(fault_complaints(&page("| F-01 | held |\n"), "| F-01 | held |\n").len(), 0);
    assert_eq!(fault_complaints(&page("| F-01 | held |\n"), "| F-01 | VIOLATED |\n").len(), 1);
    assert_eq!(fault_complaints("no marks", "").len(), 1);
}

#[test]
fn every_link_leads_somewhere() {
    let root = root();
    assert_none(
        PAGES.iter().flat_map(|name| broken_links(name, &page(name), |path| root.join(path).exists())),
    );
}

#[test]
fn a_link_into_nowhere_is_refused() {
    let text = "[a](here) [b](here#part) [c](#part) [d](https://elsewhere.example/) [e](nowhere)\n\n[f]: gone\n[g]: here";
    assert_eq!(
        broken_links("PAGE.md", text, |path| path == "here"),
        ["PAGE.md: the link to nowhere leads nowhere", "PAGE.md: the link to gone leads nowhere"]
    );
}

#[test]
fn the_tests_that_architecture_md_names_are_there() {
    let tests: String = test_sources(&root().join("crates")).iter().map(|file| read(file)).collect();
    assert_none(missing_tests(&page("ARCHITECTURE.md"), &tests));
}

#[test]
fn a_test_that_is_only_named_is_refused() {
    let tests = "fn bread_rises_in_the_oven() {}";
    assert_eq!(missing_tests("`bread_rises_in_the_oven`, `flour`, `a_b`", tests), [""; 0]);
    assert_eq!(
        missing_tests("`bread_burns_in_the_oven`", tests),
        ["no test is called bread_burns_in_the_oven"]
    );
}

// --- rules ---

fn metric_complaints(readme: &str, name: &str, labels: &[&str]) -> Vec<String> {
    let Some(row) = row_of(readme, name) else { return vec![no_row(name)] };
    let quoted: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    let mut complaints = Vec::new();
    if row.get(1) != Some(&quoted.join(", ")) {
        complaints.push(format!("README.md: the labels of `{name}` are {}", quoted.join(", ")));
    }
    if row.len() < 4 || row.last().is_none_or(String::is_empty) {
        complaints.push(format!("README.md: the row of `{name}` names no alert"));
    }
    complaints
}

fn invented_metrics(text: &str, known: &[&str]) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let metrics =
        words.filter(|word| word.starts_with("paczek_")).map(|word| word.trim_end_matches("_bucket"));
    let invented = metrics.filter(|word| !known.contains(word));
    invented.map(|word| format!("README.md: there is no metric {word}")).collect()
}

fn topic_complaints(readme: &str, topic: &Table) -> Vec<String> {
    let text = |key: &str| topic.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = text("name");
    let Some(row) = row_of(readme, &name) else { return vec![no_row(&name)] };
    let readers: Vec<&str> = topic
        .get("readers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let wanted = [
        (1, text("writer")),
        (2, readers.join(", ")),
        (3, text("key")),
        (4, cleanup(topic)),
        (5, wire(topic)),
    ];
    let shown = |cell: usize, words: &str| row.get(cell).is_some_and(|shown| shown.contains(words));
    let differs = |(cell, words): &(usize, String)| !shown(*cell, words);
    let told =
        |(_, words): (usize, String)| format!("README.md: the row of `{name}` does not say \"{words}\"");
    wanted.into_iter().filter(differs).map(told).collect()
}

/// How long a topic keeps what it has, in words.
fn cleanup(topic: &Table) -> String {
    const DAY: i64 = 86_400_000;
    let kept = topic.get("retention_ms").and_then(Value::as_integer).unwrap_or_default();
    match (topic.get("cleanup").and_then(Value::as_str), kept) {
        (Some("delete"), -1) => "delete, kept for good".to_owned(),
        (Some("delete"), kept) => format!("delete, after {} days", kept / DAY),
        (other, _) => other.unwrap_or_default().to_owned(),
    }
}

fn wire(topic: &Table) -> String {
    match topic.get("format").and_then(Value::as_str) {
        Some("avro") => "Avro".to_owned(),
        Some("json") => "JSON".to_owned(),
        _ => String::new(),
    }
}

fn picture_complaints(page: &str, printed: &str) -> Vec<String> {
    let wanted = format!("<!-- topology -->\n```text\n{printed}```\n<!-- /topology -->\n");
    let complaint = || format!("ARCHITECTURE.md: between the marks of the topology belongs\n{wanted}");
    if page.contains(&wanted) { Vec::new() } else { vec![complaint()] }
}

fn fault_complaints(readme: &str, wanted: &str) -> Vec<String> {
    let complaint =
        || "README.md: the table of faults is not the bench's; `chaos table --readme` puts it in".to_owned();
    let same = table::put_into(readme, wanted).is_some_and(|page| page == readme);
    if same { Vec::new() } else { vec![complaint()] }
}

fn missing_values(shown: &Table, known: &Table) -> Vec<String> {
    let (shown, known) = (paths(&shown.clone().into()), paths(&known.clone().into()));
    known.difference(&shown).map(|path| format!("{EXAMPLE}: {path} is missing")).collect()
}

/// Every value in a tree of tables and lists, by its path.
fn paths(value: &Value) -> BTreeSet<String> {
    let below = |name: String, value: &Value| match value {
        Value::Table(_) | Value::Array(_) => {
            paths(value).into_iter().map(|path| format!("{name}.{path}")).collect::<Vec<_>>()
        }
        _ => vec![name],
    };
    match value {
        Value::Table(table) => table.iter().flat_map(|(name, value)| below(name.clone(), value)).collect(),
        Value::Array(list) => {
            list.iter().enumerate().flat_map(|(number, value)| below(number.to_string(), value)).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn broken_links(name: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let in_place = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let below = text.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split("]: ").nth(1));
    let targets = in_place.chain(below);
    let here = targets.filter(|target| !target.contains("://")).filter_map(|target| target.split('#').next());
    let broken = here.filter(|path| !path.is_empty() && !exists(path));
    broken.map(|path| format!("{name}: the link to {path} leads nowhere")).collect()
}

/// Names in backticks that are as long as those of tests, and that no test has.
fn missing_tests(page: &str, tests: &str) -> Vec<String> {
    let quoted = page.split('`').skip(1).step_by(2);
    let is_word = |name: &&str| name.chars().all(|one| one.is_ascii_lowercase() || one == '_');
    let named = quoted.filter(is_word).filter(|name| name.matches('_').count() > 3);
    let missing = named.filter(|name| !tests.contains(&format!("fn {name}(")));
    missing.map(|name| format!("no test is called {name}")).collect()
}

fn test_sources(folder: &Path) -> Vec<PathBuf> {
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) =
        entries(folder).into_iter().partition(|path| path.is_dir());
    let in_tests = files.into_iter().filter(|file| file.components().any(|part| part.as_os_str() == "tests"));
    let rust = in_tests.filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    rust.chain(folders.iter().flat_map(|folder| test_sources(folder))).collect()
}

/// What stands between the fences of one language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn missing_rows<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.filter(|name| row_of(text, name).is_none()).map(no_row).collect()
}

fn no_row(name: impl AsRef<str>) -> String {
    format!("no row of a table shows `{}`", name.as_ref())
}

// --- tables ---

/// The row whose first cell is this name.
fn row_of(text: &str, name: &str) -> Option<Vec<String>> {
    rows(text).find(|row| row.first().is_some_and(|cell| *cell == format!("`{name}`")))
}

/// The names that stand alone in the first cell of a row.
fn known_rows(text: &str, is_one: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let firsts = rows(text).filter_map(|row| row.into_iter().next());
    let named = firsts.filter_map(|cell| Some(cell.strip_prefix('`')?.strip_suffix('`')?.to_owned()));
    named.filter(|name| is_one(name)).collect()
}

fn has_command(text: &str, command: &str) -> bool {
    let (alone, with_more) = (format!("`paczek {command}`"), format!("`paczek {command} "));
    rows(text).any(|row| row.first().is_some_and(|cell| *cell == alone || cell.starts_with(&with_more)))
}

fn rows(text: &str) -> impl Iterator<Item = Vec<String>> {
    text.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|')).map(|row| {
        // A bar inside of a cell is written \|.
        let cells = row.replace(r"\|", "\0");
        cells.split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
    })
}

// --- what the program says ---

/// What the program prints, without a configuration.
fn say(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paczek"));
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PACZEK_")) {
        command.env_remove(name);
    }
    let output = must(command.args(arguments).output(), "paczek");
    assert!(output.status.success(), "paczek {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    must(String::from_utf8(output.stdout), "paczek")
}

fn every_command() -> Vec<String> {
    let below = |command: String| {
        let actions = commands_in(&say(&[&command, "--help"]));
        match actions.is_empty() {
            true => vec![command],
            false => actions.into_iter().map(|action| format!("{command} {action}")).collect(),
        }
    };
    commands_in(&say(&["--help"])).into_iter().flat_map(below).collect()
}

fn commands_in(help: &str) -> Vec<String> {
    let list =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let entries = list.filter_map(|line| line.strip_prefix("  ").filter(|entry| !entry.starts_with(' ')));
    let names = entries.filter_map(|entry| entry.split(' ').next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

fn exit_codes(help: &str) -> Vec<String> {
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let list = words.split("Exit codes: ").nth(1).and_then(|rest| rest.split('.').next()).unwrap_or_default();
    let codes = list.split(", ").filter_map(|entry| entry.split(' ').next());
    codes.filter(|code| code.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned).collect()
}

/// The codes with which the adapters refuse, beside those of ingest.
fn codes_of_adapters() -> Vec<String> {
    let folder = root().join("crates/paczek/src/processors");
    let found: Vec<String> = entries(&folder).iter().flat_map(|file| quoted_codes(&read(file))).collect();
    assert!(!found.is_empty(), "no code in {}", folder.display());
    found
}

fn quoted_codes(source: &str) -> Vec<String> {
    source.split('"').filter(|text| is_code(text)).map(str::to_owned).collect()
}

fn is_code(text: &str) -> bool {
    text.contains('_') && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// Every step in its order. A new one does not compile here until it has its place.
fn every_step() -> Vec<Step> {
    let after = |step: &Step| match step {
        Step::Processing => Some(Step::OutputsSent),
        Step::OutputsSent => Some(Step::Sealed),
        Step::Sealed => Some(Step::Drained),
        Step::Drained => Some(Step::TrailersWritten),
        Step::TrailersWritten => Some(Step::OffsetsSent),
        Step::OffsetsSent => Some(Step::Committed),
        Step::Committed => Some(Step::Applied),
        Step::Applied => None,
    };
    let steps: Vec<Step> = std::iter::successors(Some(Step::Processing), after).collect();
    assert_eq!(steps, Step::ALL, "left: what comes after what");
    steps
}

fn topics() -> Vec<Table> {
    let files = entries(&root().join("schemas/topics"));
    files.iter().map(|file| must(read(file).parse(), &file.display().to_string())).collect()
}

// --- files ---

fn page(name: &str) -> String {
    read(&root().join(name))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = must(fs::read_dir(folder), &folder.display().to_string())
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

fn read(file: &Path) -> String {
    must(fs::read_to_string(file), &file.display().to_string())
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn must<T, E: std::fmt::Display>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn assert_none(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
