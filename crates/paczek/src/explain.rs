//! Why was this said? A decision, made again from the log at the epoch that it records.

mod past;
mod recordings;
#[cfg(test)]
mod tests;
mod updates;
mod verification;
mod words;

use codec::Subject;
use events::{Cause, ProfileKey, ProfileUpdate};
use recommender::Decision;
use serde::Serialize;
use serde_json::Value;
use stream_runtime::broker::Broker;
use stream_runtime::{SourceRecord, partition_for};

use crate::config::Config;
use crate::problem::Problem;
use crate::read::{Records, Until};
use past::{Customers, Past, Rederived};
use recordings::{Origin, Recordings, TOPICS, id_of, origin_of, read_decision};
use updates::Updates;

pub(crate) use verification::{Verified, verify_all};

/// A decision with all that led to it.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    pub(crate) decision_id: String,
    pub(crate) topic: String,
    /// `tenant|id`.
    pub(crate) profile: String,
    pub(crate) verdict: Verdict,
    /// The decision as it stands in the topic.
    pub(crate) decision: Value,
    /// The same for a person, a sentence each.
    pub(crate) words: Vec<String>,
}

/// Whether the log gives the same decision again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Verdict {
    /// Byte for byte.
    Identical,
    /// It gives another one.
    Different,
    /// The update that caused it is not in the log any more.
    UpdateGone,
    /// The sessions that its item models had learned are not in the log any more.
    SessionsGone,
}

/// Explains one decision; `None` if there is none of that id.
pub(crate) fn explain<B: Broker>(
    broker: &B,
    config: &Config,
    id: &str,
) -> Result<Option<Explained>, Problem> {
    let Some((name, record)) = find(broker, config, id)? else { return Ok(None) };
    let unreadable =
        || Problem::Failed(format!("decision {id} stands in {} and cannot be read", record.topic));
    let decision = read_decision(name, &record).ok_or_else(unreadable)?;
    let key = record.key.clone().unwrap_or_default();
    let lived = live_through(broker, config, &key, &decision, id)?;
    let written = record.value.as_deref().unwrap_or_default();
    let whole = updates::cut(broker, config)?.is_empty();
    let verdict = lived.verdict(written, whole);
    let cause = lived.cause.as_ref();
    Ok(Some(Explained {
        decision_id: id.to_owned(),
        topic: record.topic.to_string(),
        profile: String::from_utf8_lossy(&key).into_owned(),
        verdict,
        words: words::tell(&decision, cause, verdict, written.len()),
        decision: codec::to_json(subject_of(&decision), written).map_err(|_| unreadable())?,
    }))
}

/// Where a decision stands.
fn find<B: Broker>(
    broker: &B,
    config: &Config,
    id: &str,
) -> Result<Option<(&'static str, SourceRecord)>, Problem> {
    for name in TOPICS {
        for record in Records::of(broker, &config.topic(name), None, Until::End)? {
            let record = record?;
            if id_of(&record.headers) == id {
                return Ok(Some((name, record)));
            }
        }
    }
    Ok(None)
}

/// What the log gives for the update that caused a decision.
struct Lived {
    cause: Option<Cause>,
    again: Option<Rederived>,
    models_known: bool,
}

impl Lived {
    /// Where the log is not whole any more, a difference proves nothing.
    fn verdict(&self, written: &[u8], whole: bool) -> Verdict {
        match &self.again {
            _ if self.cause.is_none() => Verdict::UpdateGone,
            Some(again) if again.value == written => Verdict::Identical,
            _ if !self.models_known || !whole => Verdict::SessionsGone,
            _ => Verdict::Different,
        }
    }
}

/// Lives through the updates of a customer up to the one that caused the decision.
fn live_through<B: Broker>(
    broker: &B,
    config: &Config,
    key: &[u8],
    decision: &Decision,
    id: &str,
) -> Result<Lived, Problem> {
    let mut recordings = Recordings::of_key(broker, config, key)?;
    let mut past = Past::read(broker, config, epoch_of(decision))?;
    let mut customers = Customers::default();
    let profile = ProfileKey::parse(&String::from_utf8_lossy(key));
    let origin = origin_of(decision);
    let mut lived = Lived { cause: None, again: None, models_known: true };
    for (topic, partitions) in updates::generations(broker, config)? {
        for update in Updates::of(broker, &topic, partition_for(key, partitions))? {
            let update: ProfileUpdate = update?;
            if Some(&update.profile) != profile.as_ref() {
                continue;
            }
            let group = recordings.group(&update).cloned().unwrap_or_default();
            if Origin::from(&update.cause) != origin {
                customers.live(&update, &group, past.at(None).0)?;
                continue;
            }
            let again = customers.live(&update, &group, past.at(group.epoch()).0)?;
            lived.models_known = again.models_known;
            lived.cause = Some(update.cause);
            lived.again = again.decisions.into_iter().find(|again| again.id == id);
            if lived.again.is_some() {
                return Ok(lived);
            }
        }
    }
    Ok(lived)
}

fn subject_of(decision: &Decision) -> Subject {
    match decision {
        Decision::Recommendation(_) => Subject::Recommendation,
        Decision::AbandonedCart(_) => Subject::AbandonedCart,
        Decision::Suppression(_) => Subject::Suppression,
    }
}

fn epoch_of(decision: &Decision) -> Option<i64> {
    match decision {
        Decision::Recommendation(said) => said.model_epoch,
        Decision::AbandonedCart(_) => None,
        Decision::Suppression(silence) => silence.model_epoch,
    }
}
