use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};

/// Reads until whoever holds the other end of its input lets go, in whatever way, and cleans up then.
const GUARDIAN: &str = "cat >/dev/null; \"$1\" down; rm -rf -- \"$2\"";

/// One node of Apache Kafka on loopback, in a folder of its own.
pub(crate) struct Kafka {
    pub(crate) bootstrap: String,
    guardian: Child,
}

impl Kafka {
    /// Starts it. It is stopped, and the folder removed, when this value goes or the process ends, be it by
    /// kill -9.
    pub(crate) fn start(root: &Path, folder: &Path) -> anyhow::Result<Self> {
        let (script, run) = (root.join("deploy/kafka/kafka").canonicalize()?, folder.join("kafka"));
        // Before the node: it can die while it starts.
        let guardian = guardian(&script, &run, folder)?;
        let mut kafka = Self { bootstrap: String::new(), guardian };
        eprintln!("starting Apache Kafka");
        let port = free_ports()?;
        let started = Command::new(&script)
            .args(["up", "1"])
            .env("KAFKA_RUN", &run)
            .env("KAFKA_PORT", port.to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(started.status.success(), "{} did not start Kafka", script.display());
        kafka.bootstrap = String::from_utf8(started.stdout)?.trim().to_owned();
        Ok(kafka)
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        // Whether it could or not, there is nothing left to do.
        let _ = self.guardian.wait();
    }
}

fn guardian(script: &Path, run: &PathBuf, folder: &Path) -> anyhow::Result<Child> {
    let mut command = Command::new("bash");
    command.args(["-c", GUARDIAN, "guardian"]).arg(script).arg(folder).env("KAFKA_RUN", run);
    // A group of its own, so that the terminal's Ctrl-C does not end the guardian with us.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null());
    command.spawn().context("bash is needed to look after Kafka")
}

/// Two neighbours below the range from which outgoing connections take theirs.
fn free_ports() -> anyhow::Result<u16> {
    let first = u16::try_from(std::process::id() % 1_000).unwrap_or(0) * 10;
    let mut candidates = (0..5_000_u16).map(|step| 20_000 + (first + 2 * step) % 10_000);
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    candidates.find(|port| free(*port) && free(port + 1)).context("no two free ports side by side")
}
