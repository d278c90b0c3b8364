//! Starts a cluster for the tests of whichever crate includes this file.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// A cluster of one node, for one test at a time: two cores do not carry more.
pub(crate) struct Cluster {
    pub(crate) bootstrap: &'static str,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Waits for its turn; the first one starts the cluster.
    pub(crate) fn take() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        static NODE: OnceLock<Node> = OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self { bootstrap: &NODE.get_or_init(start).bootstrap, _turn: turn }
    }
}

/// A running node.
struct Node {
    bootstrap: String,
    _watch: Child,
}

/// Starts a node and somebody who ends it when this process is gone, however it went.
fn start() -> Node {
    let script = root().join("deploy/kafka/kafka");
    let run = std::env::temp_dir().join(format!("paczek-kafka-{}", std::process::id()));
    let port = free_port().to_string();
    let kafka = |command: &str| {
        let mut kafka = Command::new(&script);
        kafka.arg(command).env("KAFKA_RUN", &run).env("KAFKA_PORT", &port);
        kafka
    };
    let up = kafka("up").stderr(Stdio::inherit()).output().expect("deploy/kafka/kafka starts");
    assert!(up.status.success(), "deploy/kafka/kafka up failed");
    let watch =
        format!("while kill -0 {} 2>/dev/null; do sleep 0.5; done; exec \"$0\" down", std::process::id());
    let watch = Command::new("bash")
        .args(["-c", &watch])
        .arg(&script)
        .env("KAFKA_RUN", &run)
        .env("KAFKA_PORT", &port)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Whoever ends the test's process group does not end its watch.
        .process_group(0)
        .spawn()
        .expect("bash starts");
    let bootstrap = String::from_utf8(up.stdout).expect("an address").trim().to_owned();
    Node { bootstrap, _watch: watch }
}

/// A port whose successor is free too: the node's controller listens there.
fn free_port() -> u16 {
    let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).expect("small");
    (start..start + 2_000).step_by(2).find(|port| free(*port) && free(port + 1)).expect("a free port")
}

/// The project's root.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
