use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use paczek::{Hooks, main_with};
use stream_runtime::{Guards, Observer, Step};

use super::shop::{PATIENCE, Shop};

/// Tells the worker process what is asked of it.
const ASKED: &str = "WORKER_ASKED";

/// What befalls a worker, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// `KILL` or `STOP`; nothing if empty.
    pub(crate) signal: String,
    /// The processor it befalls.
    pub(crate) processor: String,
    /// After this step …
    pub(crate) step: String,
    /// … of the transaction of this number since the start, …
    pub(crate) transaction: usize,
    /// … once it has taken so many records.
    pub(crate) records: usize,
    /// Guards taken away: `fence`, `offsets`.
    pub(crate) without: String,
}

/// A running `paczek` that a test started.
pub(crate) struct Worker {
    child: Child,
    log: std::path::PathBuf,
}

impl Worker {
    /// Starts `paczek run` as an instance of the shop, with its fate upon it.
    pub(crate) fn start(shop: &Shop, instance: &str, fate: &Fate) -> Self {
        Self::start_as("run", shop, instance, fate)
    }

    /// Starts a command of `paczek` that runs processors.
    pub(crate) fn start_as(command: &str, shop: &Shop, instance: &str, fate: &Fate) -> Self {
        let log = shop.directory.path().join(format!("{instance}.log"));
        let asked = [
            command,
            &*fate.signal,
            &*fate.processor,
            &*fate.step,
            &*fate.transaction.to_string(),
            &*fate.records.to_string(),
            &*fate.without,
            &*log.display().to_string(),
        ];
        let output = OpenOptions::new().create(true).append(true).open(log.with_extension("err")).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["worker_process", "--exact", "--nocapture"])
            .env(ASKED, asked.join("\n"))
            .envs(shop.environment(instance))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Lets a stopped process go on.
    pub(crate) fn proceed(&self) {
        signal("CONT", self.child.id());
    }

    /// Whether the process is stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    }

    /// What the worker has noted: its fate, and what it restored.
    pub(crate) fn notes(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// Asks it to end, and waits until it has, cleanly.
    pub(crate) fn end(mut self) {
        signal("TERM", self.child.id());
        let deadline = std::time::Instant::now() + PATIENCE;
        while !self.has_ended() {
            assert!(std::time::Instant::now() < deadline, "the worker does not end");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let status = self.child.wait().unwrap();
        let errors = std::fs::read_to_string(self.log.with_extension("err")).unwrap_or_default();
        assert!(status.success(), "the worker ended with {status}: {errors}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.log.with_extension("err")).unwrap_or_default();
            eprintln!("{}:\n{said}\n{}", self.log.display(), self.notes().join("\n"));
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs processors in this process if that is what it was started for.
pub(crate) fn work_if_asked() {
    let Ok(asked) = std::env::var(ASKED) else { return };
    let mut asked = asked.split('\n').map(ToOwned::to_owned);
    let mut next = || asked.next().unwrap_or_default();
    let command = next();
    let fate = Fate {
        signal: next(),
        processor: next(),
        step: next(),
        transaction: next().parse().unwrap(),
        records: next().parse().unwrap(),
        without: next(),
    };
    let log = OpenOptions::new().create(true).append(true).open(next()).unwrap();
    let guards = Guards {
        fence: !fate.without.contains("fence"),
        offsets_in_transaction: !fate.without.contains("offsets"),
        ..Guards::default()
    };
    let observer =
        Arc::new(Executor { fate, transactions: AtomicUsize::new(1), met: AtomicBool::new(false), log });
    let code = main_with(["paczek".into(), command.into()], &Hooks { observer, guards });
    std::process::exit(if code == std::process::ExitCode::SUCCESS { 0 } else { 1 });
}

/// Brings a worker's fate upon it.
struct Executor {
    fate: Fate,
    transactions: AtomicUsize,
    met: AtomicBool,
    log: File,
}

impl Observer for Executor {
    fn reached(&self, processor: &str, step: Step, records: usize) {
        if processor != self.fate.processor {
            return;
        }
        let transaction = match step {
            Step::Applied => self.transactions.fetch_add(1, Ordering::Relaxed),
            _ => self.transactions.load(Ordering::Relaxed),
        };
        let due = transaction >= self.fate.transaction && records >= self.fate.records;
        let due = due && !self.fate.signal.is_empty() && format!("{step:?}") == self.fate.step;
        // A stopped process goes on here, and is not stopped again.
        if due && !self.met.swap(true, Ordering::Relaxed) {
            // What was sent shall have left for the broker.
            std::thread::park_timeout(Duration::from_millis(250));
            self.note(&format!("{} {processor} {step:?} {transaction} {records}", self.fate.signal));
            signal(&self.fate.signal, std::process::id());
        }
    }

    fn restored(&self, processor: &str, partition: i32, from: i64, records: u64) {
        self.note(&format!("restored {processor} {partition} {from} {records}"));
    }
}

impl Executor {
    fn note(&self, text: &str) {
        (&self.log).write_all(format!("{text}\n").as_bytes()).unwrap();
    }
}

fn signal(name: &str, process: u32) {
    let status = Command::new("kill").args([format!("-{name}"), process.to_string()]).status().unwrap();
    assert!(status.success(), "kill -{name} {process}");
}
