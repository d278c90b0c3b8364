//! How many instructions a stage takes for one event, counted by valgrind: the same on a busy machine as on an idle
//! one.
//!
//!   cargo bench --workspace --bench instructions

use std::hint::black_box;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, ensure};
use benches::{Profiles, Rows};

/// The same as `paczek` has, so that what is counted allocates as it does there.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Valgrind takes fifty times as long, also for what is not counted.
const ROWS: usize = 10_000;
/// The argument by which this executable, under valgrind, becomes one stage.
const STAGE: &str = "stage";

/// A stage runs over the rows and says over how many.
type Stage = (&'static str, fn(&Rows) -> usize);

const STAGES: [Stage; 5] = [
    ("ingest a raw row", |rows| counted(rows.raw.len(), |number| rows.accept(number).is_some())),
    ("encode an event", |rows| {
        counted(rows.events.len(), |number| codec::encode_event(&rows.events[number]).is_ok())
    }),
    ("decode an event", |rows| {
        counted(rows.avro.len(), |number| codec::decode_event(&rows.avro[number]).is_ok())
    }),
    ("apply an event", |rows| {
        let half = rows.events.len() / 2;
        let mut profiles = Profiles::of(&rows.events[..half]);
        counted(half, |number| profiles.apply(&rows.events[half + number]).is_some())
    }),
    ("decode, apply, encode", |rows| {
        let half = rows.events.len() / 2;
        let mut profiles = Profiles::of(&rows.events[..half]);
        counted(half, |number| profiles.decode_apply_encode(&rows.avro[half + number]).is_ok())
    }),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [STAGE, rows, stage] => run(rows, stage),
        _ => count_all(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Each stage in a process of its own, since valgrind counts a process.
fn count_all() -> anyhow::Result<()> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: this needs valgrind; deploy/install-tools bench installs it");
        return Ok(());
    }
    println!("{:12}{:26}{:>24}", "rows", "stage", "instructions an event");
    for rows in Rows::all(ROWS)? {
        for (stage, _) in STAGES {
            println!("{:12}{stage:26}{:>24}", rows.name, count(rows.name, stage)?);
        }
    }
    Ok(())
}

fn count(rows: &str, stage: &str) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=*counted_by_valgrind*",
        ])
        .arg(std::env::current_exe()?)
        .args([STAGE, rows, stage])
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{stage}: {told}");
    let collected = told.lines().find_map(|line| line.split("Collected :").nth(1));
    let collected: u64 =
        collected.and_then(|text| text.trim().parse().ok()).context("valgrind counted nothing")?;
    let events: u64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
    Ok(collected / events.max(1))
}

fn run(rows: &str, stage: &str) -> anyhow::Result<()> {
    let rows = Rows::all(ROWS)?.into_iter().find(|known| known.name == rows).context("no such rows")?;
    let (_, stage) = STAGES.iter().find(|(name, _)| *name == stage).context("no such stage")?;
    println!("{}", stage(&rows));
    Ok(())
}

fn counted(how_many: usize, stage: impl FnMut(usize) -> bool) -> usize {
    let done = counted_by_valgrind(how_many, stage);
    black_box(done);
    how_many
}

/// Valgrind counts from its beginning to its end, and finds it by its name.
#[inline(never)]
fn counted_by_valgrind(how_many: usize, mut stage: impl FnMut(usize) -> bool) -> usize {
    (0..how_many).filter(|number| black_box(stage(*number))).count()
}
