//! What the pipeline costs on Apache Kafka: `paczek run` on a file of real clickstream, and beside it, on the
//! same broker in the same run, a plain exactly-once copy of the same records: the physical limit.
//!
//!   cargo bench --workspace --bench pipeline
//!   cargo bench --workspace --bench pipeline -- --times 3 --json

mod arguments;
mod comparison;
mod copy_loop;
mod kafka;
mod measured;
mod program;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arguments::{Arguments, Job};
use comparison::Comparison;
use program::Program;

/// The same as `paczek` has, so that the two processes differ in what they do and not in how they allocate.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Clickstream of a real shop; it does not ship with the project.
const INPUT: &str = "../shared/data/alibaba-userbehavior/onehour_96k.csv";
/// Names another file of the same format.
const INPUT_VARIABLE: &str = "PACZEK_BENCH_INPUT";

fn main() -> ExitCode {
    match Arguments::parse(std::env::args().skip(1)).and_then(|arguments| execute(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pipeline: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.job {
        Job::CopyLoop(route) => copy_loop::copy(route),
        Job::Help => {
            println!("{}", arguments::HELP);
            Ok(())
        }
        Job::Compare { times } => compare(*times, arguments.json),
    }
}

fn compare(times: usize, json: bool) -> anyhow::Result<()> {
    let input = input();
    if !input.is_file() {
        eprintln!(
            "skipped: this needs Alibaba's UserBehavior clickstream (user,item,category,behaviour,second) in {}; \
             {INPUT_VARIABLE} names another file",
            input.display()
        );
        return Ok(());
    }
    let folder = tempfile::Builder::new().prefix("paczek-bench-").tempdir()?;
    let program = Program::find(&root())?;
    let report = Comparison::begin(program, &input, folder.path())?.repeat(times)?;
    println!("{}", if json { report.json().to_string() } else { report.table() });
    Ok(())
}

fn input() -> PathBuf {
    std::env::var_os(INPUT_VARIABLE).map_or_else(|| root().join(INPUT), PathBuf::from)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
