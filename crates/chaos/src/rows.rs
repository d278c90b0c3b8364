//! The thirty faults, and the soak.

mod brokers;
mod kills;
mod limits;
mod members;
mod network;
mod refusals;
mod stops;

use crate::stage::Stage;
use crate::tried::Tried;

/// When a row is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Without a broker.
    T0,
    /// In continuous integration, with one broker.
    T1,
    /// When somebody has the time.
    T2,
}

/// How a row is run, or why not.
#[derive(Clone, Copy)]
pub enum How {
    /// By this bench.
    Tries {
        /// Tries at full scale.
        full: usize,
        /// Tries at the small scale; 0 for none.
        small: usize,
        /// One of them.
        run: fn(&mut Stage, usize) -> Tried,
    },
    /// By this bench, with a guard taken away: until a try shows what the guard is for.
    Twin {
        /// The most tries.
        most: usize,
        /// One of them.
        run: fn(&mut Stage, usize) -> Tried,
    },
    /// By tests, which these words name.
    Tests(&'static str),
    /// Not: what it needs is not there.
    Not(&'static str),
}

/// A fault.
#[derive(Clone, Copy)]
pub struct Row {
    /// F-01 to F-30, or SOAK.
    pub id: &'static str,
    /// What goes wrong.
    pub fault: &'static str,
    /// When it is run.
    pub tier: Tier,
    /// How it is run.
    pub how: How,
}

const fn tries(full: usize, small: usize, run: fn(&mut Stage, usize) -> Tried) -> How {
    How::Tries { full, small, run }
}

const fn row(id: &'static str, tier: Tier, fault: &'static str, how: How) -> Row {
    Row { id, fault, tier, how }
}

/// The soak's name.
pub const SOAK: &str = "SOAK";

/// Every row.
pub const ROWS: &[Row] = &[
    row("F-01", Tier::T1, "worker killed at a random point", tries(1, 1, kills::random_kills)),
    row("F-02", Tier::T1, "worker asked to end", tries(1, 1, kills::orderly_ends)),
    row(
        "F-03",
        Tier::T1,
        "worker killed at each step, and while it restores",
        tries(1, 1, kills::every_step),
    ),
    row("F-04", Tier::T2, "worker stopped for a minute, replaced, continued", tries(5, 0, stops::zombie)),
    row("F-05", Tier::T2, "each of three brokers ends and comes back", tries(2, 0, brokers::rolling_bounce)),
    row(
        "F-06",
        Tier::T2,
        "each of three brokers is killed and comes back",
        tries(2, 0, brokers::rolling_kill),
    ),
    row("F-07", Tier::T2, "two of three brokers away for a minute", tries(1, 0, brokers::two_of_three)),
    row("F-08", Tier::T1, "the only broker away for a minute", tries(2, 1, brokers::only_one)),
    row(
        "F-09",
        Tier::T2,
        "coordinators of transactions and groups killed",
        tries(1, 0, brokers::coordinators),
    ),
    row("F-10", Tier::T2, "a member joins or leaves every 5 s, cooperatively", tries(1, 0, members::storm)),
    row("F-11", Tier::T1, "static member back within its session", How::Tests(COMES_BACK)),
    row("F-12", Tier::T2, "handler slower than a member may be", tries(1, 0, stops::slow_handler)),
    row("F-13", Tier::T1, "network slow, then cutting, then a black hole", tries(1, 1, network::bad_network)),
    row(
        "F-14",
        Tier::T2,
        "end of a transaction held until a later one is open",
        tries(5, 0, network::late_end),
    ),
    row("F-14 twin", Tier::T2, "the same with the producer kept: must double", TWIN),
    row("F-15", Tier::T1, "broker gives up a transaction", tries(3, 1, stops::timed_out)),
    row("F-16", Tier::T2, "broker takes a megabyte a second", tries(1, 0, limits::quota)),
    row(
        "F-17",
        Tier::T1,
        "topic with more partitions, deleted, made anew",
        tries(1, 1, refusals::topic_changes),
    ),
    row("F-18", Tier::T1, "input truncated past the position", tries(1, 1, refusals::truncated_input)),
    row(
        "F-19",
        Tier::T1,
        "schema registry down",
        How::Not("the registry is a file; none is asked over the network"),
    ),
    row("F-20", Tier::T1, "little space left on the disk", tries(1, 1, limits::nearly_full_disk)),
    row("F-21", Tier::T2, "no space left on the disk", How::Tests(DAMAGE)),
    row("F-22", Tier::T2, "RocksDB's files damaged", How::Tests(DAMAGE)),
    row("F-23", Tier::T1, "state directory lost", tries(1, 1, kills::lost_directory)),
    row(
        "F-24",
        Tier::T1,
        "directory of somebody else, or from long ago",
        tries(1, 1, refusals::stale_directory),
    ),
    row("F-25", Tier::T0, "two processes on one directory", tries(1, 1, refusals::shared_directory)),
    row("F-26", Tier::T2, "512 MB of memory", tries(1, 0, limits::little_memory)),
    row("F-27", Tier::T0, "clock jumps", How::Not(CLOCK)),
    row("F-28", Tier::T1, "upgrade with live state", How::Tests(UPGRADE)),
    row("F-29", Tier::T1, "dead letters may not be written", tries(1, 1, limits::no_dead_letters)),
    row("F-30", Tier::T2, "a batch that cannot be read", How::Not(QUARANTINE)),
    row(SOAK, Tier::T2, "rounds of kills under load", tries(80, 0, kills::soak)),
];

const TWIN: How = How::Twin { most: 20, run: network::late_end_unguarded };
const COMES_BACK: &str = "`crates/stream-runtime/tests/conformance`: `a_member_that_comes_back_has_its_share_at_once`, which CI runs on Apache Kafka";
const DAMAGE: &str =
    "`crates/state-store/tests/damage.rs`, where a file may not grow beyond a limit and bytes are flipped";
const UPGRADE: &str = "`crates/stream-runtime/tests/lineage`, two instances, on the log in memory";
const CLOCK: &str = "timers run on the time in events; only an idle live partition follows the machine's clock, see Known gaps";
const QUARANTINE: &str = "there is no quarantine yet, and no watchdog but `paczek_stalled_partition_seconds`";
