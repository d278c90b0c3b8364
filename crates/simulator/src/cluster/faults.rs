use crate::chance::Chance;

/// What may go wrong with a single call, in thousandths of all calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// It fails before anything is done.
    pub fails: u32,
    /// It is done, and the caller hears that it does not answer.
    pub lost_answers: u32,
    /// It takes long.
    pub slow: u32,
    /// A member hears nothing of its group yet, though there is news.
    pub deaf: u32,
    /// A record is read twice.
    pub repeats: u32,
    /// A commit is asked for twice by the client, which says so; the first request lingers in the network.
    pub troubled_commits: u32,
    /// The same, and the client says nothing: the gap of a protocol without KIP-890.
    pub silent_copies: u32,
    /// A store cannot be opened yet.
    pub held_stores: u32,
    /// Markers of transactions come late.
    pub late_markers: bool,
    /// Offsets of a generation that is over are accepted.
    pub accepts_stale: bool,
}

/// Something that goes wrong between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gust {
    /// kill -9.
    Crash,
    /// kill -9, and what the disk had not been told to keep is lost from some write on.
    PowerCut,
    /// kill -9, and the directory is gone.
    LoseDirectory,
    /// A worker stands still, perhaps until others take it for dead.
    Pause,
    /// A worker is asked to leave.
    Stop,
    /// Somebody joins a group and is not heard of again.
    Stranger,
    /// A disk keeps what it has.
    Flush,
    /// A worker's next write to its disk fails.
    BreakDisk,
    /// One of the markers that are late is written.
    Marker,
    /// The changelogs are compacted.
    Compact,
}

impl Gust {
    /// Its name in tables and traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::PowerCut => "power cut",
            Self::LoseDirectory => "directory lost",
            Self::Pause => "pause",
            Self::Stop => "stop",
            Self::Stranger => "stranger",
            Self::Flush => "flush",
            Self::BreakDisk => "disk error",
            Self::Marker => "marker",
            Self::Compact => "compaction",
        }
    }
}

/// What may go wrong in a run.
#[derive(Clone, Debug, Default)]
pub struct Storm {
    /// With single calls.
    pub faults: Faults,
    /// How often between two steps, in thousandths.
    pub gusts: u32,
    /// What, and how likely each is.
    pub weights: Vec<(Gust, u32)>,
    /// For how long, in milliseconds.
    pub lasts: i64,
    /// After it all is done once the log has stood still for so long: longer than anybody waits for others, in
    /// milliseconds.
    pub still: i64,
    /// A worker that went down or stands still is back after this time at the latest, in milliseconds.
    pub longest_rest: i64,
    /// A request lingers in the network for this time at most, in milliseconds.
    pub longest_linger: i64,
    /// Topics that are compacted.
    pub changelogs: Vec<String>,
    /// Groups and the topic that each reads.
    pub groups: Vec<(String, String)>,
    /// Topics that are to stand still at the end, with their partitions.
    pub watched: Vec<(String, i32)>,
}

impl Storm {
    pub(super) fn draw(&self, chance: &mut Chance) -> Option<Gust> {
        let choices: Vec<(Option<Gust>, u32)> =
            self.weights.iter().map(|(gust, weight)| (Some(*gust), *weight)).collect();
        chance.weighted(&choices, None)
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    Fails,
    AnswerLost,
    /// It takes so many milliseconds.
    Slow(i64),
}

/// What becomes of a commit that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copy {
    None,
    Told,
    Silent,
}

impl Faults {
    pub(super) fn fate(&self, chance: &mut Chance) -> Fate {
        let drawn = chance.below(1_000) as u32;
        let (fails, lost) = (self.fails, self.fails + self.lost_answers);
        match drawn {
            drawn if drawn < fails => Fate::Fails,
            drawn if drawn < lost => Fate::AnswerLost,
            drawn if drawn < lost + self.slow => Fate::Slow(chance.between(1, 400)),
            _ => Fate::Done,
        }
    }

    pub(super) fn copy(&self, chance: &mut Chance) -> Copy {
        match chance.below(1_000) as u32 {
            drawn if drawn < self.troubled_commits => Copy::Told,
            drawn if drawn < self.troubled_commits + self.silent_copies => Copy::Silent,
            _ => Copy::None,
        }
    }
}
