//! The same job on Apache Kafka, which each run starts and stops itself: two instances, kills, a stopped
//! worker, held-back partitions, poison. Every run is compared with the demo by its digests.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod catch_up;
mod kills;
mod reshard;
mod stopped_worker;
mod support;
mod three_processes;

/// A worker process that a test started from this very binary; without its environment it is nothing.
#[test]
fn worker_process() {
    if let Some(code) = support::worker::work_if_asked() {
        std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
    }
}
