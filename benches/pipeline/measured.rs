use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Between two looks at the output.
const SAMPLE: Duration = Duration::from_millis(50);
/// An output that has not grown for so long may be complete.
const REST: Duration = Duration::from_secs(2);
/// An output that has not grown for so long, although not all is done, never will.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a process may take to end when asked to.
const FAREWELL: Duration = Duration::from_secs(20);
/// Linux counts processor time in these, whatever its own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process took from its start to the last output it committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) wall_seconds: f64,
    /// Of these, until the output began to grow: connecting and joining groups, in which the client now and then
    /// waits a second for nothing.
    pub(crate) start_seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_rss_mib: f64,
}

/// A process under measurement; it ends with this value.
pub(crate) struct Measured {
    child: Child,
    spawned: Instant,
    log: PathBuf,
}

impl Measured {
    /// Starts it; what it says goes to the log.
    pub(crate) fn spawn(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = fs::File::create(log)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let spawned = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, spawned, log: log.to_owned() })
    }

    /// Waits until the output grows no more and all is done. The sampling costs the broker something: the
    /// same for whoever is measured.
    pub(crate) fn figures(
        &mut self,
        output: impl Fn() -> anyhow::Result<i64>,
        done: impl Fn() -> anyhow::Result<bool>,
    ) -> anyhow::Result<Figures> {
        let (mut seen, mut grew, mut start) = (output()?, Instant::now(), self.spawned.elapsed());
        let mut figures: Option<Figures> = None;
        loop {
            sleep(SAMPLE);
            self.check_alive()?;
            let now = output()?;
            if now != seen {
                (seen, grew) = (now, Instant::now());
                figures = Some(self.look(start)?);
            } else if figures.is_none() {
                start = self.spawned.elapsed();
            } else if let Some(figures) = figures.filter(|_| grew.elapsed() >= REST)
                && done()?
            {
                return Ok(figures);
            }
            if grew.elapsed() > PATIENCE {
                bail!("nothing was written for {PATIENCE:?}; its last words:\n{}", self.last_words());
            }
        }
    }

    /// Asks it to end, as an operator does, and waits for it.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > FAREWELL {
                bail!("it did not end within {FAREWELL:?}; its last words:\n{}", self.last_words());
            }
            sleep(SAMPLE);
        }
        Ok(())
    }

    fn look(&self, start: Duration) -> anyhow::Result<Figures> {
        Ok(Figures {
            wall_seconds: self.spawned.elapsed().as_secs_f64(),
            start_seconds: start.as_secs_f64(),
            cpu_seconds: cpu_seconds(&self.proc("stat")?).context("/proc shows no processor time")?,
            peak_rss_mib: peak_rss_mib(&self.proc("status")?).context("/proc shows no VmHWM")?,
        })
    }

    fn proc(&self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).with_context(|| path)
    }

    fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it ended too early ({status}); its last words:\n{}", self.last_words()),
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User and system time of all threads: fields 14 and 15. The second field, a name, may contain anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

fn peak_rss_mib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1_024.0)
}
