//! The fault bench. `chaos --help` says how it is run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, UNIX_EPOCH};

use chaos::cluster::root;
use chaos::ledger::{Ledger, Tries};
use chaos::rows::{How, ROWS, Row, Tier};
use chaos::stage::Scale;
use chaos::{bench, table, worker};

/// The same as `paczek` has, since this program becomes its workers.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const HELP: &str = "\
Faults on a real Apache Kafka, which this starts and stops itself: is anything lost or doubled?

  chaos --all                 every row, then the soak
  chaos --rows F-01,F-13      these
  chaos --tier 1              the rows of this tier
  chaos table [--readme]      the table of what has been tried so far; with --readme it goes into README.md

  --small       few and short tries, as continuous integration runs them
  --for 60m     begin no try after this time; the next run goes on where this one ended
  --state FILE  where tries are kept; by default in ~/.cache/paczek/chaos
  --json        the table as JSON

It ends with 1 if anything was lost, doubled or otherwise violated, with 3 if tries are left.";

fn main() -> ExitCode {
    if let Some(code) = worker::work_if_asked() {
        return code;
    }
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == "paczek") {
        return paczek::main_with(arguments, &worker::no_hooks());
    }
    let text: Vec<String> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    match Asked::parse(&text).and_then(|asked| asked.execute()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::from(2)
        }
    }
}

/// What is asked for.
struct Asked {
    rows: Vec<&'static Row>,
    scale: Scale,
    until: Option<Instant>,
    state: PathBuf,
    json: bool,
    table: bool,
    readme: bool,
    help: bool,
}

impl Asked {
    fn parse(text: &[String]) -> Result<Self, String> {
        let mut asked = Self {
            rows: Vec::new(),
            scale: Scale::Full,
            until: None,
            state: default_state()?,
            json: false,
            table: false,
            readme: false,
            help: text.is_empty(),
        };
        let mut words = text.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word {
                "--all" => asked.rows = ROWS.iter().collect(),
                "--rows" => asked.rows = named(value()?)?,
                "--tier" => asked.rows = of_tier(value()?)?,
                "--small" => asked.scale = Scale::Small,
                "--for" => asked.until = Some(Instant::now() + span(value()?)?),
                "--state" => asked.state = PathBuf::from(value()?),
                "--json" => asked.json = true,
                "table" => asked.table = true,
                "--readme" => asked.readme = true,
                "--help" | "-h" => asked.help = true,
                other => return Err(format!("{other} is unknown; see chaos --help")),
            }
        }
        Ok(asked)
    }

    fn execute(&self) -> Result<ExitCode, String> {
        if self.help {
            println!("{HELP}");
            return Ok(ExitCode::SUCCESS);
        }
        let mut ledger = Ledger::open(&self.state, &build()?)?;
        if self.table {
            return self.show(&ledger.tries);
        }
        let done = bench::run(&self.rows, self.scale, &mut ledger, self.until)?;
        let code = self.show(&ledger.tries)?;
        Ok(if code == ExitCode::SUCCESS && !done { ExitCode::from(3) } else { code })
    }

    fn show(&self, tries: &Tries) -> Result<ExitCode, String> {
        let lines = table::lines(tries);
        let json = serde_json::to_string_pretty(&lines).map_err(|error| error.to_string())?;
        println!("{}", if self.json { json.clone() } else { table::markdown(&lines) });
        if self.readme {
            write_readme(&json, &table::markdown(&lines))?;
        }
        let violated = lines.iter().any(|line| line.verdict.starts_with("VIOLATED"));
        Ok(if violated { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// The table into README.md, and what it was made of beside this crate, where a test compares both.
fn write_readme(json: &str, markdown: &str) -> Result<(), String> {
    let readme = root().join("README.md");
    let told = |error: std::io::Error| format!("{}: {error}", readme.display());
    let page = std::fs::read_to_string(&readme).map_err(told)?;
    let page = table::put_into(&page, markdown).ok_or("README.md has no marks for the table")?;
    std::fs::write(&readme, page).map_err(told)?;
    std::fs::write(root().join(table::KEPT), format!("{json}\n")).map_err(told)
}

fn named(names: &str) -> Result<Vec<&'static Row>, String> {
    let find = |name| ROWS.iter().find(|row| row.id == name).ok_or_else(|| format!("there is no row {name}"));
    names.split(',').map(find).collect()
}

/// Those of a tier that this bench runs; the first tier has those of tier 0 in it.
fn of_tier(tier: &str) -> Result<Vec<&'static Row>, String> {
    let of = |tiers: &[Tier]| {
        ROWS.iter()
            .filter(|row| {
                tiers.contains(&row.tier) && matches!(row.how, How::Tries { .. } | How::Twin { .. })
            })
            .collect()
    };
    match tier {
        "1" => Ok(of(&[Tier::T0, Tier::T1])),
        "2" => Ok(of(&[Tier::T2])),
        other => Err(format!("{other} is no tier: 1 or 2")),
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let told = || format!("{text} is no length of time such as 60m");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(told)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(told()),
    };
    Ok(Duration::from_secs(number.parse::<u64>().map_err(|_| told())? * seconds))
}

fn default_state() -> Result<PathBuf, String> {
    let home = std::env::var_os("HOME").ok_or("HOME is not set; name a file with --state")?;
    Ok(PathBuf::from(home).join(".cache/paczek/chaos/tries.json"))
}

/// A name for this very program, by which tries of another one are told.
fn build() -> Result<String, String> {
    let told = |error: std::io::Error| format!("this program cannot be looked at: {error}");
    let found = std::env::current_exe().and_then(std::fs::metadata).map_err(told)?;
    let made = found.modified().map_err(told)?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{}-{}", found.len(), made.as_secs()))
}
