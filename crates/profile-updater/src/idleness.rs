use events::EventTime;
use serde::{Deserialize, Serialize};

/// How many runs of activity wait to be judged; the two oldest join when one more comes.
const WAITING: usize = 64;

/// When the customer did something: runs of activity, oldest first, whose following silence has not
/// been judged yet. Between two runs lies a silence of at least the idle time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Idleness {
    runs: Vec<Run>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    from: EventTime,
    through: EventTime,
}

impl Idleness {
    pub(crate) fn apply(&mut self, at: EventTime, idle: i64) {
        let mut joined = Run { from: at, through: at };
        self.runs.retain(|run| {
            let touches = run.from.minus(idle) < at && at < run.through.plus(idle);
            if touches {
                joined.from = joined.from.min(run.from);
                joined.through = joined.through.max(run.through);
            }
            !touches
        });
        let place = self.runs.partition_point(|run| run.from < joined.from);
        self.runs.insert(place, joined);
        if self.runs.len() > WAITING {
            let oldest = self.runs.remove(0);
            self.runs[0].from = oldest.from;
        }
    }

    /// The end of the oldest run: the silence after it is the next to be judged.
    pub(crate) fn first(&self) -> Option<EventTime> {
        self.runs.first().map(|run| run.through)
    }

    /// The silence after the oldest run has been judged.
    pub(crate) fn judged(&mut self) {
        self.runs.remove(0);
    }

    /// Forgets the runs whose silence was over by `settled`.
    pub(crate) fn forget(&mut self, settled: EventTime, idle: i64) {
        self.runs.retain(|run| run.through.plus(idle) > settled);
    }
}
