//! Apache Kafka on this machine, by `deploy/kafka/kafka`: started for who needs it, and gone with them.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Ports of one node: its clients, its controller, whom the proxy leads there, the proxy.
const PORTS: u16 = 4;
/// Between the ports of two nodes of a cluster.
const APART: u16 = 10;

/// A cluster of one node, for one test at a time: two cores do not carry more.
pub struct Cluster {
    /// Its address.
    pub bootstrap: &'static str,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Waits for its turn; the first one starts the cluster.
    #[must_use]
    pub fn take() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        static NODE: OnceLock<Nodes> = OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self { bootstrap: &NODE.get_or_init(|| Nodes::start(1, "")).bootstrap, _turn: turn }
    }
}

/// The running nodes of a cluster. They end with this value, and with this process, however it goes.
pub struct Nodes {
    /// The addresses of its nodes.
    pub bootstrap: String,
    /// How many there are.
    pub count: u16,
    run: PathBuf,
    port: u16,
    more: String,
    watch: Child,
}

impl Nodes {
    /// Starts one node or three; `more` is added to their settings.
    ///
    /// # Panics
    /// When they do not start.
    #[must_use]
    pub fn start(count: u16, more: &str) -> Self {
        static STARTED: AtomicU16 = AtomicU16::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let run = std::env::temp_dir().join(format!("paczek-kafka-{}-{number}", std::process::id()));
        let port = free_ports(count);
        let watch = watch(&run);
        let mut nodes = Self { bootstrap: String::new(), count, run, port, more: more.to_owned(), watch };
        nodes.bootstrap = nodes.script(&["up", &count.to_string()]);
        nodes
    }

    /// `kill`, `stop`, `start`, `pause` or `resume` a node, counted from 1.
    pub fn node(&self, command: &str, node: u16) {
        self.script(&[command, &node.to_string()]);
    }

    /// Runs one of Kafka's own tools on this cluster; what it said.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn tool(&self, class: &str, arguments: &[&str]) -> String {
        self.script(&[&["tool", class, "--bootstrap-server", &self.bootstrap], arguments].concat())
    }

    /// Of each node the port it hears the proxy on, and the port it sends who comes by the proxy.
    #[must_use]
    pub fn proxied(&self) -> Vec<(u16, u16)> {
        (0..self.count).map(|node| self.port + APART * node).map(|port| (port + 2, port + 3)).collect()
    }

    fn script(&self, arguments: &[&str]) -> String {
        let mut script = Command::new(script());
        script.args(arguments).env("KAFKA_RUN", &self.run).env("KAFKA_PORT", self.port.to_string());
        script.env("KAFKA_PROXY", "1").env("KAFKA_MORE", &self.more);
        let said = script.stdin(Stdio::null()).output().expect("deploy/kafka/kafka starts");
        let errors = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "deploy/kafka/kafka {arguments:?} failed: {errors}");
        String::from_utf8(said.stdout).expect("text").trim().to_owned()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        // Its input ends, and it ends the nodes.
        drop(self.watch.stdin.take());
        // There is nothing left to do if it could not.
        let _ = self.watch.wait();
    }
}

/// Somebody who ends the nodes when this value or this process is gone: their input ends then.
fn watch(run: &PathBuf) -> Child {
    let mut watch = Command::new("bash");
    watch.args(["-c", "cat >/dev/null; \"$0\" down; rm -rf -- \"$1\""]).arg(script()).arg(run);
    watch.env("KAFKA_RUN", run).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Whoever ends this process's group does not end its watch.
    watch.process_group(0).spawn().expect("bash starts")
}

/// The first of as many free ports as the nodes need.
fn free_ports(nodes: u16) -> u16 {
    let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let all =
        |first: u16| (0..nodes).all(|node| (0..PORTS).all(|offset| free(first + APART * node + offset)));
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).expect("small");
    (start..start + 2_000).step_by(4).find(|port| all(*port)).expect("free ports")
}

fn script() -> PathBuf {
    root().join("deploy/kafka/kafka")
}

/// The project's root.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
