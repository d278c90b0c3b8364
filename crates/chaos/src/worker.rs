//! Real `paczek` processes, which do as they are told: die, stop or sleep at a step of a transaction.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use paczek::{Hooks, main_with};
use stream_runtime::{Guards, Observer, Step};

use crate::shop::{PATIENCE, Shop};

/// Tells the worker process what is asked of it.
const ASKED: &str = "WORKER_ASKED";

/// Begins a worker's note that a transaction was committed and applied, before the processor and the time.
pub const APPLIED: &str = "applied";
/// Milliseconds between two of these.
const OFTEN: u64 = 200;

/// What befalls a worker, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// `KILL` or `STOP`, or `SLEEP` and how many seconds; nothing if empty.
    pub signal: String,
    /// The processor it befalls.
    pub processor: String,
    /// After this step …
    pub step: String,
    /// … of the transaction of this number since the start, …
    pub transaction: usize,
    /// … once it has taken so many records.
    pub records: usize,
    /// Guards taken away: `fence`, `offsets`, `replacement`, `ending` of the last owner's transaction.
    pub without: String,
}

/// A running `paczek` that a test started.
pub struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    /// The number of its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Starts `paczek run` as an instance of the shop, with its fate upon it.
    #[must_use]
    pub fn start(shop: &Shop, instance: &str, fate: &Fate) -> Self {
        Self::start_as("run", shop, instance, fate)
    }

    /// Starts a command of `paczek` that runs processors.
    #[must_use]
    pub fn start_as(command: &str, shop: &Shop, instance: &str, fate: &Fate) -> Self {
        let log = shop.directory.path().join(format!("{instance}.log"));
        let (transaction, records) = (fate.transaction.to_string(), fate.records.to_string());
        let file = log.display().to_string();
        let Fate { signal, processor, step, without, .. } = fate;
        let asked = [command, signal, processor, step, &transaction, &records, without, &file];
        let output = OpenOptions::new().create(true).append(true).open(log.with_extension("err")).unwrap();
        let child = itself()
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
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Kills it with SIGKILL; false if it had ended before.
    pub fn kill(&mut self) -> bool {
        if self.has_ended() {
            return false;
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap().signal() == Some(9)
    }

    /// Stops it (SIGSTOP).
    pub fn stop(&self) {
        signal("STOP", self.child.id());
    }

    /// Asks it to end (SIGTERM).
    pub fn ask_to_end(&self) {
        signal("TERM", self.child.id());
    }

    /// What it said on its standard error, of all processes of this instance.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log.with_extension("err")).unwrap_or_default()
    }

    /// Most resident memory it has had, in bytes.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or_default() * 1_024
    }

    /// Time its threads have spent on a core.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
        // Linux counts in hundredths of a second, whatever its own clock.
        Duration::from_millis(fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * 10)
    }

    /// Lets a stopped process go on.
    pub fn proceed(&self) {
        signal("CONT", self.child.id());
    }

    /// Whether the process is stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    }

    /// What the worker has noted: its fate, and what it restored.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    /// When a processor of this instance had committed something, in milliseconds since 1970; a few times a second.
    #[must_use]
    pub fn applied(&self, processor: &str) -> Vec<u64> {
        let of = |note: &String| {
            let mut words = note.split(' ');
            let ours = words.next() == Some(APPLIED) && words.next() == Some(processor);
            words.next().filter(|_| ours)?.parse().ok()
        };
        self.notes().iter().filter_map(of).collect()
    }

    /// Asks it to end, and waits until it has, cleanly.
    pub fn end(mut self) {
        self.ask_to_end();
        let deadline = std::time::Instant::now() + PATIENCE;
        while !self.has_ended() {
            assert!(std::time::Instant::now() < deadline, "the worker does not end");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the worker ended with {status}: {}", self.said());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}:\n{}\n{}", self.log.display(), self.said(), self.notes().join("\n"));
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nobody looks on, and nothing is taken away.
#[must_use]
pub fn no_hooks() -> Hooks {
    Hooks { observer: Arc::new(stream_runtime::Silent), guards: Guards::default() }
}

/// Runs processors in this process if that is what it was started for, to their end.
#[must_use]
pub fn work_if_asked() -> Option<ExitCode> {
    let asked = std::env::var(ASKED).ok()?;
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
        replace_producer: !fate.without.contains("replacement"),
        end_last_owner: !fate.without.contains("ending"),
        ..Guards::default()
    };
    let (transactions, met, applied) = (AtomicUsize::new(1), AtomicBool::new(false), Mutex::default());
    let observer = Arc::new(Executor { fate, transactions, met, applied, log });
    Some(main_with(["paczek".into(), command.into()], &Hooks { observer, guards }))
}

/// Brings a worker's fate upon it.
struct Executor {
    fate: Fate,
    transactions: AtomicUsize,
    met: AtomicBool,
    /// When it was last noted, of each processor, that something was committed and applied.
    applied: Mutex<BTreeMap<String, u64>>,
    log: File,
}

impl Observer for Executor {
    fn reached(&self, processor: &str, step: Step, records: usize) {
        if step == Step::Applied && self.is_due(processor) {
            self.note(&format!("{APPLIED} {processor} {}", now()));
        }
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
            self.note(&format!(
                "{} {processor} {step:?} {transaction} {records} {}",
                self.fate.signal,
                now()
            ));
            match self.fate.signal.strip_prefix("SLEEP ") {
                Some(seconds) => std::thread::sleep(Duration::from_secs(seconds.parse().unwrap())),
                None => signal(&self.fate.signal, std::process::id()),
            }
        }
    }

    fn restored(&self, processor: &str, partition: i32, from: i64, records: u64) {
        self.note(&format!("restored {processor} {partition} {from} {records} {}", now()));
    }
}

impl Executor {
    /// Whether it is time to note again that this processor has committed.
    fn is_due(&self, processor: &str) -> bool {
        let mut noted = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        let last = noted.entry(processor.to_owned()).or_default();
        let is_due = now().saturating_sub(*last) >= OFTEN;
        if is_due {
            *last = now();
        }
        is_due
    }

    fn note(&self, text: &str) {
        (&self.log).write_all(format!("{text}\n").as_bytes()).unwrap();
    }
}

/// This very program, to be run once more as a worker. It ends with whoever started it, however that ends.
fn itself() -> Command {
    let itself = std::env::current_exe().unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(&itself);
    if crate::shop::is_test(&itself) {
        command.args(["worker_process", "--exact", "--nocapture"]);
    }
    command
}

/// Milliseconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn signal(name: &str, process: u32) {
    let status = Command::new("kill").args([format!("-{name}"), process.to_string()]).status().unwrap();
    assert!(status.success(), "kill -{name} {process}");
}
