//! Every decision of the log, made again.

use events::ProfileUpdate;
use serde::Serialize;
use stream_runtime::broker::{Broker, LogReader};

use super::past::{Again, Past};
use super::recordings::{Group, Recording, Recordings};
use super::updates::{self, Updates};
use crate::config::Config;
use crate::problem::Problem;
use crate::read::count_partitions;

/// Ids of decisions that a report names.
const NAMED: usize = 20;

/// What became of the decisions of a log when they were made again.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verified {
    /// Records in the three topics.
    pub(crate) decisions: u64,
    /// Made again, byte for byte.
    pub(crate) rederived: u64,
    /// The log gives another decision, or none.
    pub(crate) different: u64,
    /// The log does not hold any more what it was made from.
    pub(crate) missing_evidence: u64,
    /// Written more than once.
    pub(crate) repeated: u64,
    /// The log gives it, and nobody has written it: retention has taken it, or it is still to come.
    pub(crate) unwritten: u64,
    /// Ids of the first that do not re-derive.
    pub(crate) first_differences: Vec<String>,
    /// Topics whose first records are gone.
    pub(crate) cut: Vec<String>,
}

/// Makes every decision of the three topics again, from `profile-updates` and `sessions`.
///
/// The updates of a customer are lived through in the order of the log. Between partitions the one goes first
/// whose next decision was made by the older models, so that the models are built once, going forward.
pub(crate) fn verify_all<B: Broker>(broker: &B, config: &Config) -> Result<Verified, Problem> {
    let mut recordings = Recordings::all(broker, config)?;
    let mut past = Past::read(broker, config, recordings.newest_epoch())?;
    let mut verified = Verified { decisions: recordings.decisions, ..Verified::default() };
    verified.cut = updates::cut(broker, config)?;
    let topic = config.topic("profile-updates");
    let mut cursors = Vec::new();
    for partition in 0..count_partitions(broker, &topic)? {
        let mut cursor = Cursor { updates: Updates::of(broker, config, partition)?, next: None };
        cursor.go_on(&mut recordings)?;
        cursors.push(cursor);
    }
    while let Some(cursor) = cursors.iter_mut().filter(|cursor| cursor.next.is_some()).min_by_key(epoch) {
        if let Some(Next { update, .. }) = cursor.next.take() {
            verified.live(&update, &mut recordings, &mut past)?;
        }
        cursor.go_on(&mut recordings)?;
    }
    Ok(verified.with_the_rest(recordings))
}

/// A partition of `profile-updates`, and what comes next in it.
struct Cursor<R> {
    updates: Updates<R>,
    next: Option<Next>,
}

struct Next {
    update: ProfileUpdate,
    /// The epoch of the models that it was decided by; `None` if none were asked.
    epoch: Option<i64>,
}

fn epoch<R>(cursor: &&mut Cursor<R>) -> Option<i64> {
    cursor.next.as_ref().and_then(|next| next.epoch)
}

impl<R: LogReader> Cursor<R> {
    fn go_on(&mut self, recordings: &mut Recordings) -> Result<(), Problem> {
        self.next = match self.updates.next().transpose()? {
            Some(update) => {
                let epoch = recordings.group(&update).and_then(|group| group.epoch());
                Some(Next { update, epoch })
            }
            None => None,
        };
        Ok(())
    }
}

impl Verified {
    /// Whether every decision was made again.
    pub(crate) fn holds(&self) -> bool {
        self.rederived == self.decisions
    }

    fn live(
        &mut self,
        update: &ProfileUpdate,
        recordings: &mut Recordings,
        past: &mut Past,
    ) -> Result<(), Problem> {
        let mut nothing = Group::default();
        let group = recordings.group(update).unwrap_or(&mut nothing);
        let again = past.live(update, group)?;
        self.compare(&again, group);
        Ok(())
    }

    fn compare(&mut self, again: &Again, group: &mut Group) {
        group.lived = true;
        for decision in &again.decisions {
            let of_id = |recording: &mut Recording| recording.id == decision.id;
            let mut recorded = group.recordings.extract_if(.., of_id);
            match recorded.next() {
                None => self.unwritten += 1,
                Some(recording) if recording.is(&decision.value) => self.rederived += 1,
                Some(recording) => {
                    self.miss(again.models_known || recording.epoch.is_none(), recording.id);
                }
            }
            for recording in recorded {
                self.repeated += 1;
                self.name(recording.id);
            }
        }
    }

    /// What nothing was compared with.
    fn with_the_rest(mut self, recordings: Recordings) -> Self {
        for id in &recordings.unreadable {
            self.miss(true, id.clone());
        }
        for group in recordings.rest() {
            for recording in group.recordings {
                self.miss(group.lived, recording.id);
            }
        }
        self
    }

    fn miss(&mut self, evidence_is_there: bool, id: String) {
        if evidence_is_there {
            self.different += 1;
        } else {
            self.missing_evidence += 1;
        }
        self.name(id);
    }

    fn name(&mut self, id: String) {
        if self.first_differences.len() < NAMED {
            self.first_differences.push(id);
        }
    }

    /// The report for a person.
    pub(crate) fn describe(&self) -> String {
        let mut text =
            format!("{} decisions, {} made again from the log byte for byte", self.decisions, self.rederived);
        for (count, words) in [
            (self.different, "come out differently"),
            (self.missing_evidence, "go back to records that the log does not hold any more"),
            (self.repeated, "are there more than once"),
            (self.unwritten, "follow from the log and are not in the topics"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {words}"));
            }
        }
        text.push('\n');
        if !self.first_differences.is_empty() {
            text.push_str(&format!("not the same: {}\n", self.first_differences.join(", ")));
        }
        if !self.holds() && !self.cut.is_empty() {
            text.push_str(&format!("the first records are gone from: {}\n", self.cut.join(", ")));
        }
        text
    }
}
