//! Every decision of the log, made again.

use std::thread;

use events::ProfileUpdate;
use serde::Serialize;
use stream_runtime::broker::{Broker, LogReader};

use super::past::{Again, Customers, Moment, Past};
use super::recordings::{Group, Recording, Recordings};
use super::updates::{self, Updates};
use crate::config::Config;
use crate::problem::Problem;

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
/// The updates of a customer are lived through in the order of the log. Of the partitions those go on whose
/// next decision was made by the oldest models, side by side, so that the models are built once, going forward.
pub(crate) fn verify_all<B>(broker: &B, config: &Config) -> Result<Verified, Problem>
where
    B: Broker,
    B::Reader: Send,
{
    let mut recordings = Recordings::all(broker, config)?;
    let mut past = Past::read(broker, config, recordings.newest_epoch())?;
    let mut verified = Verified { decisions: recordings.decisions, ..Verified::default() };
    verified.cut = updates::cut(broker, config)?;
    for id in std::mem::take(&mut recordings.unreadable) {
        verified.miss(true, id);
    }
    let mut customers = Customers::default();
    for (topic, partitions) in updates::generations(broker, config)? {
        let mut lanes = Vec::new();
        let parts = recordings.split(partitions).into_iter().zip(customers.split(partitions));
        for (partition, (recordings, customers)) in (0..partitions).zip(parts) {
            let cut = verified.cut.clone();
            let verified = Verified { cut, ..Verified::default() };
            let updates = Updates::of(broker, &topic, partition)?;
            lanes.push(Lane { updates, next: None, recordings, customers, verified });
        }
        go_through(&mut lanes, &mut past)?;
        (recordings, customers) = (Recordings::default(), Customers::default());
        for lane in lanes {
            verified.add(lane.verified);
            recordings.take_in(lane.recordings);
            customers.add(lane.customers);
        }
    }
    for group in recordings.rest() {
        group.recordings.into_iter().for_each(|recording| verified.miss(group.lived, recording.id));
    }
    Ok(verified)
}

/// Goes through the partitions of one topic, side by side.
fn go_through<R: LogReader + Send>(lanes: &mut [Lane<R>], past: &mut Past) -> Result<(), Problem> {
    lanes.iter_mut().try_for_each(Lane::go_on)?;
    while let Some(epoch) = lanes.iter().filter_map(Lane::epoch).min() {
        let (now, before) = past.at(epoch);
        thread::scope(|scope| {
            let going = lanes.iter_mut().filter(|lane| lane.epoch().is_some_and(|next| next <= epoch));
            let going: Vec<_> =
                going.map(|lane| scope.spawn(move || lane.live(epoch, now, before))).collect();
            going.into_iter().try_for_each(|lane| lane.join().unwrap_or_else(|_| Err(panicked())))
        })?;
    }
    Ok(())
}

fn panicked() -> Problem {
    Problem::Failed("a thread that made decisions again panicked; please report it".to_owned())
}

/// A partition of `profile-updates`, with the customers and the decisions that fall into it.
struct Lane<R> {
    updates: Updates<R>,
    next: Option<Next>,
    recordings: Recordings,
    customers: Customers,
    verified: Verified,
}

struct Next {
    update: ProfileUpdate,
    /// The epoch of the models that it was decided by; `None` if none were asked.
    epoch: Option<i64>,
}

impl<R: LogReader> Lane<R> {
    /// The epoch by which it goes on; the outer `None` at its end.
    fn epoch(&self) -> Option<Option<i64>> {
        self.next.as_ref().map(|next| next.epoch)
    }

    fn go_on(&mut self) -> Result<(), Problem> {
        self.next = match self.updates.next().transpose()? {
            Some(update) => {
                let epoch = self.recordings.group(&update).and_then(|group| group.epoch());
                Some(Next { update, epoch })
            }
            None => None,
        };
        Ok(())
    }

    /// Goes on as long as decisions were made by the models of this epoch, or by none.
    fn live(&mut self, epoch: Option<i64>, now: Moment<'_>, before: Moment<'_>) -> Result<(), Problem> {
        while let Some(next) = self.next.take_if(|next| next.epoch.is_none() || next.epoch == epoch) {
            let mut nothing = Group::default();
            let group = self.recordings.group(&next.update).unwrap_or(&mut nothing);
            let at = if next.epoch.is_some() { now } else { before };
            let again = self.customers.live(&next.update, group, at)?;
            self.verified.compare(&again, group);
            self.go_on()?;
        }
        Ok(())
    }
}

impl Verified {
    /// Whether every decision was made again.
    pub(crate) fn holds(&self) -> bool {
        // Retention may have taken a decision before what it was made from.
        self.rederived == self.decisions && (self.unwritten == 0 || !self.cut.is_empty())
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

    /// Takes in what became of a lane's decisions.
    fn add(&mut self, found: Self) {
        self.rederived += found.rederived;
        self.different += found.different;
        self.missing_evidence += found.missing_evidence;
        self.repeated += found.repeated;
        self.unwritten += found.unwritten;
        found.first_differences.into_iter().for_each(|id| self.name(id));
    }

    /// Where the log is not whole any more, a difference proves nothing.
    fn miss(&mut self, evidence_is_there: bool, id: String) {
        if evidence_is_there && self.cut.is_empty() {
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
