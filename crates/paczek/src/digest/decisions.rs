use std::collections::BTreeMap;

use events::{CancelReason, CartAction, Silence, WouldHaveBeen};
use stream_runtime::SourceRecord;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::{TopicDigest, shown, take_texts};
use crate::headers;

/// How an outcome begins that no honest run comes to.
const IRREGULAR: &str = "IRREGULAR";

/// What was decided, in a form that is the same in every honest run.
///
/// Whether a product was relevant enough, and which, depends on what the item models had sealed by then; so of
/// a recommendation only that there was one decision counts, said or not. Of a reminder the net outcome counts:
/// one that was taken back equals one that was never sent, for the same reason.
#[derive(Default)]
pub(super) struct Decisions {
    /// Hashes of the ids of decisions about recommendations, and of what cannot be read.
    recommendations: Vec<u128>,
    triggers: BTreeMap<Trigger, Vec<Said>>,
}

/// What a reminder is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Trigger {
    key: Vec<u8>,
    due: i64,
    id: String,
}

/// One decision about a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    /// The reminder, by the hash of its value.
    Fire(u128),
    Cancel(CancelReason),
    Silence(Silence),
    /// The hash of anything else.
    Other(u128),
}

impl Decisions {
    pub(super) fn add_recommendation(&mut self, record: &SourceRecord) {
        self.add_id(record, record.header(headers::ID).unwrap_or_default());
    }

    pub(super) fn add_cart(&mut self, record: &SourceRecord) {
        let value = record.value.as_deref().unwrap_or_default();
        let Ok(decision) = codec::decode_abandoned_cart(value) else { return self.add_id(record, value) };
        let said = match (decision.action, decision.cancel_reason) {
            (CartAction::Fire, _) => Said::Fire(xxh3_128(value)),
            (CartAction::Cancel, Some(reason)) => Said::Cancel(reason),
            _ => Said::Other(xxh3_128(value)),
        };
        self.say(record, decision.abandoned_at.0, decision.trigger_id, said);
    }

    pub(super) fn add_suppression(&mut self, record: &SourceRecord) {
        // Only a silence about a cart goes back to a timer.
        let Some(due) = headers::read_number(record, headers::DUE) else {
            return self.add_recommendation(record);
        };
        let value = record.value.as_deref().unwrap_or_default();
        match codec::decode_suppression(value).map(|silence| (silence.would_have_been, silence.reason)) {
            Ok((WouldHaveBeen::AbandonedCart { trigger_id, .. }, reason)) => {
                self.say(record, due, trigger_id, Said::Silence(reason));
            }
            _ => self.add_id(record, value),
        }
    }

    /// How many were taken more than once, or together with another that excludes them.
    pub(super) fn repeated(&self) -> usize {
        let mut ids = self.recommendations.clone();
        ids.sort_unstable();
        let twice = ids.windows(2).filter(|pair| pair[0] == pair[1]).count();
        let irregular = |said: &&Vec<Said>| net(&mut said.to_vec()).starts_with(IRREGULAR);
        twice + self.triggers.values().filter(irregular).count()
    }

    /// Both in order, so that the sequence in which partitions were read does not show.
    pub(super) fn finish(mut self) -> TopicDigest {
        self.recommendations.sort_unstable();
        let (mut by_event, mut by_timer) = (Xxh3::new(), Xxh3::new());
        self.recommendations.iter().for_each(|id| by_event.update(&id.to_le_bytes()));
        for (trigger, said) in &mut self.triggers {
            let due = trigger.due.to_le_bytes();
            take_texts(&mut by_timer, &[&trigger.key, &due, trigger.id.as_bytes(), net(said).as_bytes()]);
        }
        TopicDigest {
            records: (self.recommendations.len() + self.triggers.len()) as u64,
            by_event: shown(&by_event),
            by_timer: shown(&by_timer),
        }
    }

    fn add_id(&mut self, record: &SourceRecord, id: &[u8]) {
        let mut hash = Xxh3::new();
        take_texts(&mut hash, &[record.key.as_deref().unwrap_or_default(), id]);
        self.recommendations.push(hash.digest128());
    }

    fn say(&mut self, record: &SourceRecord, due: i64, id: String, said: Said) {
        let key = record.key.clone().unwrap_or_default();
        self.triggers.entry(Trigger { key, due, id }).or_default().push(said);
    }
}

/// What it comes to. Whatever was said too often comes to nothing that an honest run comes to.
fn net(said: &mut [Said]) -> String {
    said.sort_unstable();
    match said {
        [Said::Fire(value)] => format!("FIRE {value:032x}"),
        [Said::Fire(_), Said::Cancel(CancelReason::Purchased)] | [Said::Silence(Silence::Purchased)] => {
            "PURCHASED".to_owned()
        }
        [Said::Silence(reason)] => format!("SILENCE {reason:?}"),
        other => format!("{IRREGULAR} {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use events::{AbandonedCart, CartView, Cause, EventTime, Placement, ProfileKey, Stage, Suppression};

    fn record(id: &str, value: Vec<u8>, due: Option<i64>) -> SourceRecord {
        let mut headers = vec![headers::text(headers::ID, id)];
        headers.extend(due.map(|due| headers::number(headers::DUE, due)));
        SourceRecord { key: Some(b"shop|anna".to_vec()), value: Some(value), headers, ..Default::default() }
    }

    fn cart(trigger: &str, cancel_reason: Option<CancelReason>) -> SourceRecord {
        let action = cancel_reason.map_or(CartAction::Fire, |_| CartAction::Cancel);
        let decision = AbandonedCart {
            decision_id: format!("{trigger}-{action:?}"),
            trigger_id: trigger.to_owned(),
            profile: ProfileKey::new("shop", "anna"),
            user_id: None,
            action,
            cancel_reason,
            version: 1,
            kind: Stage::Cart,
            step: 1,
            steps_total: 1,
            cart: CartView { cart_key: "anna".into(), lines: Vec::new(), total_minor: 0, currency: None },
            cart_fingerprint: "00".into(),
            last_activity_at: EventTime(1),
            abandoned_at: EventTime(2),
            fire_at: EventTime(2),
            decided_at: EventTime(2),
            rule_version: "1".into(),
            reasons: Vec::new(),
        };
        record(
            &decision.decision_id,
            codec::encode_abandoned_cart(&decision, codec::Outward::Json).unwrap(),
            Some(2),
        )
    }

    fn silence(id: &str, about: WouldHaveBeen, reason: Silence) -> SourceRecord {
        let due = matches!(about, WouldHaveBeen::AbandonedCart { .. }).then_some(2);
        let event = Cause::Event {
            event_id: "e".into(),
            kind: events::EventKind::ProductViewed,
            event_time: EventTime(1),
        };
        let silence = Suppression {
            decision_id: id.to_owned(),
            profile: ProfileKey::new("shop", "anna"),
            user_id: None,
            would_have_been: about,
            reason,
            trigger: due.map_or(event, |due| Cause::Timer { due: EventTime(due) }),
            rule_version: "1".into(),
            model_epoch: None,
        };
        record(id, codec::encode_suppression(&silence, codec::Outward::Json).unwrap(), due)
    }

    fn silent_cart(trigger: &str, reason: Silence) -> SourceRecord {
        let about = WouldHaveBeen::AbandonedCart { trigger_id: trigger.to_owned(), step: 1 };
        silence(&format!("{trigger}-Fire"), about, reason)
    }

    fn repeated(carts: &[SourceRecord]) -> usize {
        let mut decisions = Decisions::default();
        carts.iter().for_each(|record| decisions.add_cart(record));
        decisions.repeated()
    }

    fn by_timer(carts: &[SourceRecord], silences: &[SourceRecord]) -> String {
        digest(&[], carts, silences).by_timer
    }

    fn digest(
        recommendations: &[SourceRecord],
        carts: &[SourceRecord],
        silences: &[SourceRecord],
    ) -> TopicDigest {
        let mut decisions = Decisions::default();
        recommendations.iter().for_each(|record| decisions.add_recommendation(record));
        carts.iter().for_each(|record| decisions.add_cart(record));
        silences.iter().for_each(|record| decisions.add_suppression(record));
        decisions.finish()
    }

    #[test]
    fn a_reminder_taken_back_equals_one_never_sent() {
        let (fired, taken_back) = (cart("t", None), cart("t", Some(CancelReason::Purchased)));
        let purchased = by_timer(&[], &[silent_cart("t", Silence::Purchased)]);
        assert_eq!(by_timer(&[fired.clone(), taken_back.clone()], &[]), purchased);
        for other in [
            by_timer(&[], &[]),
            by_timer(from_ref(&fired), &[]),
            by_timer(from_ref(&taken_back), &[]),
            by_timer(&[], &[silent_cart("t", Silence::Stock)]),
            by_timer(&[], &[silent_cart("u", Silence::Purchased)]),
        ] {
            assert_ne!(other, purchased);
        }
    }

    #[test]
    fn what_was_decided_twice_shows() {
        let (fired, taken_back) = (cart("t", None), cart("t", Some(CancelReason::Purchased)));
        let silent = silent_cart("t", Silence::Purchased);
        let once = [by_timer(from_ref(&fired), &[]), by_timer(&[], from_ref(&silent))];
        assert_eq!([repeated(from_ref(&fired)), repeated(&[fired.clone(), fired.clone()])], [0, 1]);
        for twice in [
            by_timer(&[fired.clone(), fired.clone()], &[]),
            by_timer(&[fired.clone(), taken_back.clone(), taken_back], &[]),
            by_timer(&[fired], from_ref(&silent)),
            by_timer(&[], &[silent.clone(), silent]),
        ] {
            assert!(!once.contains(&twice));
        }
    }

    #[test]
    fn of_a_recommendation_counts_that_it_was_decided_once() {
        let about = WouldHaveBeen::Recommendation { placement: Placement::ForYou };
        let silent = |id| silence(id, about.clone(), Silence::BelowFloor);
        let said = |id, value: &[u8]| record(id, value.to_vec(), None);
        let one = digest(&[said("a", b"shoes"), said("b", b"coats")], &[], &[]);
        assert_eq!(one, digest(&[said("b", b"shirts")], &[], &[silent("a")]));
        assert_ne!(one, digest(&[said("a", b"shoes")], &[], &[]));
        assert_ne!(one, digest(&[said("a", b"shoes"), said("b", b"coats")], &[], &[silent("a")]));
        assert_eq!((one.records, one.by_timer), (2, by_timer(&[], &[])));
    }
}
