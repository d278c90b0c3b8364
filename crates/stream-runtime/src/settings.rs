use std::time::Duration;

/// Above the usual settings of earlier runs.
const MOST_RECORDS_BEFORE: usize = 50_000;

/// Where to start where no position exists yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// At the oldest record.
    Earliest,
    /// Behind the newest record.
    Latest,
    /// At the first record written at this time or later, in milliseconds since 1970.
    Time(i64),
}

/// How a worker runs.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Name of the processor, such as `profile-updater`.
    pub processor: String,
    /// The topic it reads.
    pub input: String,
    /// Its changelog, with as many partitions as the input.
    pub changelog: String,
    /// Its consumer group.
    pub group: String,
    /// Name of this worker, unique among all and the same after a restart: its producer's `transactional.id`.
    pub transactional_id: String,
    /// Length of a cycle.
    pub commit_interval: Duration,
    /// Records in one transaction.
    pub max_records: usize,
    /// Input bytes in one transaction.
    pub max_bytes: usize,
    /// Decoded states kept in memory for each task.
    pub hot_states: usize,
    /// Silence after which a member counts as dead.
    pub session_timeout: Duration,
    /// Time after which the broker aborts a transaction that was left open.
    pub transaction_timeout: Duration,
    /// Where to start where no position exists yet.
    pub start_from: StartFrom,
    /// Go on where the group's offset is ahead of the changelog's.
    pub accept_reset: bool,
    /// Which copies it keeps of what others own.
    pub standby: Standby,
    /// What holds exactly-once up.
    pub guards: Guards,
}

/// Copies of state that follow the changelog of a partition somebody else owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standby {
    /// Instances that keep a copy of each partition besides its owner.
    pub copies: usize,
    /// A new instance follows changelogs before it joins its group, also without copies.
    pub join_when_warm: bool,
    /// Changelog records of one partition that may still be missing when it joins.
    pub warm_lag: u64,
}

impl Default for Standby {
    fn default() -> Self {
        Self { copies: 0, join_when_warm: false, warm_lag: 10_000 }
    }
}

impl WorkerSettings {
    /// No transaction changes more states of one task than this, also where a larger `max_records` held before.
    pub(crate) fn frame_limit(&self) -> usize {
        frame_limit(self.max_records)
    }
}

/// See [`WorkerSettings::frame_limit`].
pub(crate) fn frame_limit(max_records: usize) -> usize {
    max_records.max(MOST_RECORDS_BEFORE).saturating_add(crate::task::FIRE_LIMIT)
}

/// The guards of exactly-once, each of which a twin test takes away to show that it bites. They are not
/// reachable from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards {
    /// Offsets are accepted from a current member of the group only.
    pub fence: bool,
    /// Offsets commit with the outputs, and the changelog's count.
    pub offsets_in_transaction: bool,
    /// Who takes a partition over ends the transaction that its last owner left open.
    pub end_last_owner: bool,
    /// Whoever joins a group sees to it that no partition stays nobody's.
    pub share_out: bool,
    /// A changelog counts up to its last trailer, and the trailer says where to go on reading.
    pub trailer: bool,
    /// The state stores learn of a transaction once it has committed.
    pub state_after_commit: bool,
    /// A producer that came into doubt is not used for another transaction.
    pub replace_producer: bool,
    /// Trailers say over how many partitions keys are spread. Without it they are written in the form before this
    /// one, as by an instance that has not been upgraded yet.
    pub spread_in_trailer: bool,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            fence: true,
            offsets_in_transaction: true,
            end_last_owner: true,
            share_out: true,
            trailer: true,
            state_after_commit: true,
            replace_producer: true,
            spread_in_trailer: true,
        }
    }
}
