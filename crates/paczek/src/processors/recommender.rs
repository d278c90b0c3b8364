use std::sync::Arc;

use events::{Cause, EventTime, ProfileUpdate, SpeechKind};
use recommender::{Catalogue, Customer, Decision, ItemModels, Knowledge, Rules, Speech, decide};
use state_store::Timer;
use stream_runtime::{
    Context, Failure, Header, Metric, Output, Outputs, Processor, SourceRecord, StreamTime, TaskTime,
};

use super::{ModelTable, Refusal, Speaking, Target, dead_letter};
use crate::headers;

const STAGE: &str = "recommender";

/// Profile updates in, decisions out; one customer for each key. Clones share the item models.
#[derive(Clone)]
pub(crate) struct RecommenderProcessor {
    pub(crate) models: Arc<ModelTable>,
    pub(crate) catalogue: Catalogue,
    pub(crate) rules: Rules,
    /// What may be said, but for the clock, which is read once in each transaction, and for `speaking`.
    pub(crate) speech: Speech,
    /// What is switched off by now.
    pub(crate) speaking: Arc<Speaking>,
    pub(crate) recommendations: Target,
    pub(crate) abandoned_carts: Target,
    pub(crate) suppressions: Target,
    pub(crate) dead_letters: Target,
}

impl Processor for RecommenderProcessor {
    type State = Customer;

    fn decode(&self, bytes: &[u8]) -> Result<Customer, Failure> {
        Ok(codec::stored::decode_customer(bytes)?)
    }

    fn encode(&self, customer: &Customer) -> Result<Vec<u8>, Failure> {
        Ok(codec::stored::encode_customer(customer)?)
    }

    fn timer(&self, _: &Customer) -> Option<i64> {
        None
    }

    fn settled(&self, _: &StreamTime) -> i64 {
        i64::MIN
    }

    fn process(&self, record: &SourceRecord, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        let Some(value) = record.value.as_deref() else { return Ok(()) };
        if headers::is_heartbeat(record) {
            return Ok(());
        }
        match codec::decode_profile_update(value) {
            Ok(update) => self.decide(&update, context),
            Err(error) => {
                let (code, detail) = ("UNREADABLE_PROFILE_UPDATE", error.to_string());
                let source = "profile-updates";
                let refusal = Refusal { stage: STAGE, source, code, field: "", detail: &detail };
                context.metrics().add(Metric::DeadLetters, &[STAGE, code], 1);
                context.emit(dead_letter(&self.dead_letters, record, &refusal)?);
                Ok(())
            }
        }
    }

    fn fire(&self, _: &Timer, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        Ok(())
    }

    fn heartbeat(&self, _: &[TaskTime<'_>], _: &mut Outputs) -> Result<(), Failure> {
        Ok(())
    }
}

impl RecommenderProcessor {
    fn decide(&self, update: &ProfileUpdate, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        let speech = self.speech_to(update.profile.tenant(), EventTime(context.clock()));
        let key = update.profile.to_string().into_bytes();
        let customer = context.state(&key)?;
        let decisions = self.models.read(|models| self.decisions(customer, update, models, &speech));
        for decision in decisions {
            context.emit(self.output(&decision, key.clone(), &speech)?);
        }
        Ok(())
    }

    /// What may be said to customers of a tenant now.
    pub(crate) fn speech_to(&self, tenant: &str, now: EventTime) -> Speech {
        let on = |kind| self.speaking.is_on(tenant, kind);
        Speech {
            recommendations: on(SpeechKind::Recommendations),
            abandoned_carts: on(SpeechKind::AbandonedCarts),
            now,
            ..self.speech
        }
    }

    /// What an update leads to with these models.
    pub(crate) fn decisions(
        &self,
        customer: &mut Customer,
        update: &ProfileUpdate,
        models: &ItemModels,
        speech: &Speech,
    ) -> Vec<Decision> {
        decide(customer, update, &self.knowledge(models, speech))
    }

    /// What decisions are made by.
    pub(crate) fn knowledge<'a>(&'a self, models: &'a ItemModels, speech: &'a Speech) -> Knowledge<'a> {
        Knowledge { models, catalogue: &self.catalogue, rules: &self.rules, speech }
    }

    /// The record of a decision.
    pub(crate) fn output(
        &self,
        decision: &Decision,
        key: Vec<u8>,
        speech: &Speech,
    ) -> Result<Output, Failure> {
        Ok(match decision {
            Decision::Recommendation(said) => {
                let headers = headers_of(&Decided::by_event(&said.decision_id), speech);
                let value = codec::encode_recommendation(said, self.recommendations.outward)?;
                self.recommendations.keyed(key, value, headers)
            }
            Decision::AbandonedCart(said) => {
                let due = (said.cancel_reason.is_none()).then_some(said.fire_at);
                let headers = headers_of(&Decided { id: &said.decision_id, due }, speech);
                let value = codec::encode_abandoned_cart(said, self.abandoned_carts.outward)?;
                self.abandoned_carts.keyed(key, value, headers)
            }
            Decision::Suppression(silence) => {
                let due = match silence.trigger {
                    Cause::Timer { due } => Some(due),
                    Cause::Event { .. } => None,
                };
                let headers = headers_of(&Decided { id: &silence.decision_id, due }, speech);
                let value = codec::encode_suppression(silence, self.suppressions.outward)?;
                self.suppressions.keyed(key, value, headers)
            }
        })
    }
}

/// What the headers of a decision tell of it.
struct Decided<'a> {
    id: &'a str,
    /// When the timer was due that it goes back to.
    due: Option<EventTime>,
}

impl<'a> Decided<'a> {
    fn by_event(id: &'a str) -> Self {
        Self { id, due: None }
    }
}

fn headers_of(decided: &Decided<'_>, speech: &Speech) -> Vec<Header> {
    let mut written = vec![headers::text(headers::ID, decided.id)];
    written.extend(decided.due.map(|due| headers::number(headers::DUE, due.0)));
    if speech.max_decision_age.is_some() {
        written.push(headers::number(headers::CLOCK, speech.now.0));
    }
    written
}
