//! How soon it goes on: `paczek run` and Kafka Streams on Apache Kafka with the same profiles, killed with -9 under load
//! and restarted on their disk, restarted without it, or replaced by another instance; and how fast a lost
//! store is filled.
//!
//!   cargo bench --workspace --bench failover
//!   cargo bench --workspace --bench failover -- --profiles 100000 --json

mod arguments;
mod contender;
mod duel;
#[path = "../pipeline/kafka.rs"]
mod kafka;
#[path = "../pipeline/program.rs"]
mod program;
mod report;
mod rows;
mod shop;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arguments::Arguments;
use kafka::Kafka;
use program::Program;
use report::Report;

/// The same as `paczek` has, so that a restore here costs what it costs there.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The Kafka Streams application to compare with; it does not ship with the project.
const PEER: &str = "../shared/peer";
/// Names another folder that holds it.
const PEER_VARIABLE: &str = "PACZEK_PEER";

fn main() -> ExitCode {
    match Arguments::parse(std::env::args().skip(1)).and_then(|arguments| execute(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failover: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.help {
        println!("{}", arguments::HELP);
        return Ok(());
    }
    let folder = tempfile::Builder::new().prefix("paczek-failover-").tempdir()?;
    let program = Program::find(&root())?;
    let mut report = Report { profiles: arguments.profiles, ..Report::default() };
    {
        let kafka = Kafka::start(&root(), &folder.path().join("rows"))?;
        report.rows = Some(rows::restore(&kafka.bootstrap, &folder.path().join("store"), arguments.rows)?);
    }
    for peer in [false, true] {
        let folder = folder.path().join(if peer { "peer" } else { "paczek" });
        if peer && !peer_folder().join("streams").is_dir() {
            eprintln!(
                "no Kafka Streams peer in {}; {PEER_VARIABLE} names another folder",
                peer_folder().display()
            );
            continue;
        }
        let kafka = Kafka::start(&root(), &folder)?;
        report.runs.extend(duel::run(&kafka.bootstrap, &folder, &program, peer, arguments.profiles)?);
    }
    if let Some(page) = &arguments.write {
        report.write_into(page)?;
    }
    println!("{}", if arguments.json { report.json().to_string() } else { report.table() });
    Ok(())
}

fn peer_folder() -> PathBuf {
    std::env::var_os(PEER_VARIABLE).map_or_else(|| root().join(PEER), PathBuf::from)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
