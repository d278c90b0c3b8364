//! Decisions and session entries with arbitrary content: each comes back, and what contradicts itself is refused.

use codec::{
    CodecError, Outward, Subject, decode_abandoned_cart, decode_control, decode_recommendation,
    decode_session_entry, decode_suppression, encode_abandoned_cart, encode_control, encode_recommendation,
    encode_session_entry, encode_suppression,
};
use events::{
    AbandonedCart, CancelReason, CartAction, Exclusion, ExclusionCode, Interest, Placement, ProfileKey,
    Reason, ReasonCode, Recommendation, RecommendedItem, SessionEntry, SessionFact, Silence, SpeechControl,
    SpeechKind, Stage, Suppression, WouldHaveBeen,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::arbitrary::{cart_view, cause, kind, maybe, outward, text, time};
use crate::contract::{assert_as_the_library, example, framed_bytes, through_the_domain};

proptest! {
    #[test]
    fn session_entries_come_back(entry in session_entry()) {
        let bytes = encode_session_entry(&entry).unwrap();
        prop_assert_eq!(decode_session_entry(&bytes).unwrap(), entry);
        assert_as_the_library(Subject::SessionEvent, &bytes);
    }

    #[test]
    fn recommendations_come_back(said in recommendation(), form in outward()) {
        let bytes = encode_recommendation(&said, form).unwrap();
        prop_assert_eq!(decode_recommendation(&bytes).unwrap(), said);
        if form != Outward::Json {
            assert_as_the_library(Subject::Recommendation, &bytes);
        }
    }

    #[test]
    fn abandoned_carts_come_back(said in abandoned_cart(), form in outward()) {
        let bytes = encode_abandoned_cart(&said, form).unwrap();
        prop_assert_eq!(decode_abandoned_cart(&bytes).unwrap(), said);
        if form != Outward::Json {
            assert_as_the_library(Subject::AbandonedCart, &bytes);
        }
    }

    #[test]
    fn suppressions_come_back(silence in suppression(), form in outward()) {
        let bytes = encode_suppression(&silence, form).unwrap();
        prop_assert_eq!(decode_suppression(&bytes).unwrap(), silence);
        if form != Outward::Json {
            assert_as_the_library(Subject::Suppression, &bytes);
        }
    }

    #[test]
    fn switches_come_back(
        (tenant, kind, speaking, form) in (text(), select(&SpeechKind::ALL[..]), any::<bool>(), outward()),
    ) {
        let control = SpeechControl { tenant, kind, speaking };
        let bytes = encode_control(&control, form).unwrap();
        prop_assert_eq!(decode_control(&bytes).unwrap(), control);
        if form != Outward::Json {
            assert_as_the_library(Subject::Control, &bytes);
        }
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (subject, file, field, value) in [
        (Subject::AbandonedCart, "fire.json", "cancel_reason", serde_json::json!("PURCHASED")),
        (Subject::AbandonedCart, "cancel-purchased.json", "cancel_reason", serde_json::Value::Null),
        (Subject::Suppression, "cart-purchased.json", "placement", serde_json::json!("FOR_YOU")),
        (Subject::Suppression, "cart-purchased.json", "step", serde_json::Value::Null),
        (Subject::Suppression, "nothing-relevant.json", "cause_event_id", serde_json::Value::Null),
        (Subject::Recommendation, "for-you.json", "placement", serde_json::json!("EVERYWHERE")),
    ] {
        let mut json = example(subject, file);
        json[field] = value;
        let bytes = serde_json::to_vec(&json).unwrap();
        let answer = through_the_domain(subject, &bytes);
        assert!(matches!(answer, Err(CodecError::Malformed { .. })), "{file}: {field}");
    }
}

#[test]
fn a_score_that_json_cannot_write_is_refused_in_either_form() {
    let bytes = serde_json::to_vec(&example(Subject::Recommendation, "for-you.json")).unwrap();
    let mut said = decode_recommendation(&bytes).unwrap();
    said.items[0].score = f64::NAN;
    for form in [Outward::Json, Outward::ConfluentAvro { schema_id: 1 }] {
        assert!(matches!(encode_recommendation(&said, form), Err(CodecError::Unencodable { .. })));
    }
}

#[test]
fn a_number_that_json_cannot_write_is_not_read_from_avro() {
    for (subject, file) in [(Subject::Recommendation, "for-you.json"), (Subject::AbandonedCart, "fire.json")]
    {
        let mut json = example(subject, file);
        let weight = json.pointer_mut(match subject {
            Subject::Recommendation => "/items/0/reasons/0/weight",
            _ => "/reasons/0/weight",
        });
        *weight.unwrap() = serde_json::json!(0.123_456_789);
        let mut bytes = framed_bytes(subject, &json);
        assert!(through_the_domain(subject, &bytes).is_ok());
        let at = bytes.windows(8).position(|bytes| bytes == 0.123_456_789_f64.to_le_bytes()).unwrap();
        bytes[at..at + 8].copy_from_slice(&f64::INFINITY.to_le_bytes());
        let answer = through_the_domain(subject, &bytes);
        assert!(matches!(answer, Err(CodecError::Malformed { reason, .. }) if reason.contains("finite")));
    }
}

prop_compose! {
    fn session_entry()(
        (tenant, id, event_time) in (text(), text(), time()),
        sequence in 0..=i64::MAX as u64,
        fact in prop_oneof![
            of(text()).prop_map(|session_id| SessionFact::Forget { session_id }),
            (text(), text(), interest(), vec(text(), 0..4)).prop_map(
                |(session_id, event_id, interest, product_ids)| SessionFact::Seen {
                    session_id, event_id, interest, product_ids
                }
            ),
        ],
    ) -> SessionEntry {
        SessionEntry { profile: ProfileKey::new(&tenant, &id), event_time, sequence, fact }
    }
}

fn interest() -> impl Strategy<Value = Interest> {
    select(vec![Interest::Viewed, Interest::Added, Interest::Purchased])
}

/// A number of so few digits that this build's JSON reader gives it back to the last bit.
fn score() -> impl Strategy<Value = f64> {
    any::<u16>().prop_map(|number| f64::from(number) / 64.0)
}

prop_compose! {
    fn reason()(
        code in select(vec![
            ReasonCode::SimilarSessions, ReasonCode::Popular, ReasonCode::Wished, ReasonCode::CartLeft,
        ]),
        weight in score(),
        source_event_ids in vec(text(), 0..3),
    ) -> Reason {
        Reason { code, weight, source_event_ids }
    }
}

prop_compose! {
    fn item()(
        (product_id, rank, score) in (text(), any::<u32>(), score()),
        (price_minor, currency, reasons) in (of(any::<i64>()), maybe(), vec(reason(), 0..3)),
    ) -> RecommendedItem {
        RecommendedItem { product_id, rank, score, price_minor, currency, reasons }
    }
}

prop_compose! {
    fn exclusion()(
        product_id in text(),
        code in select(vec![ExclusionCode::Bought, ExclusionCode::InCart, ExclusionCode::OutOfStock]),
    ) -> Exclusion {
        Exclusion { product_id, code }
    }
}

prop_compose! {
    fn recommendation()(
        (decision_id, tenant, id, user_id) in (text(), text(), text(), maybe()),
        (placement, trigger_event_id, trigger_kind) in (select(Placement::ALL), text(), kind()),
        (decided_at, rule_version, model_epoch, valid_until) in (time(), text(), of(any::<i64>()), time()),
        (items, excluded) in (vec(item(), 0..3), vec(exclusion(), 0..3)),
    ) -> Recommendation {
        Recommendation {
            decision_id, profile: ProfileKey::new(&tenant, &id), user_id, placement, trigger_event_id,
            trigger_kind, decided_at, rule_version, model_epoch, items, excluded, valid_until,
        }
    }
}

prop_compose! {
    fn abandoned_cart()(
        (decision_id, trigger_id, tenant, id, user_id) in (text(), text(), text(), text(), maybe()),
        action in select(vec![CartAction::Fire, CartAction::Update, CartAction::Cancel]),
        (version, step, steps_total) in (any::<u32>(), any::<u32>(), any::<u32>()),
        (kind, cart) in (select(vec![Stage::Cart, Stage::Checkout]), cart_view()),
        (cart_fingerprint, rule_version) in (text(), text()),
        (last_activity_at, abandoned_at, fire_at, decided_at) in (time(), time(), time(), time()),
        reasons in vec(reason(), 0..3),
    ) -> AbandonedCart {
        AbandonedCart {
            decision_id, trigger_id, profile: ProfileKey::new(&tenant, &id), user_id, action,
            cancel_reason: (action == CartAction::Cancel).then_some(CancelReason::Purchased),
            version, kind, step, steps_total, cart, cart_fingerprint, last_activity_at, abandoned_at, fire_at,
            decided_at, rule_version, reasons,
        }
    }
}

prop_compose! {
    fn suppression()(
        (decision_id, tenant, id, user_id) in (text(), text(), text(), maybe()),
        would_have_been in prop_oneof![
            select(Placement::ALL).prop_map(|placement| WouldHaveBeen::Recommendation { placement }),
            (text(), any::<u32>())
                .prop_map(|(trigger_id, step)| WouldHaveBeen::AbandonedCart { trigger_id, step }),
        ],
        reason in select(vec![
            Silence::SpeakingOff, Silence::Backfill, Silence::Stale, Silence::Purchased, Silence::Stock,
            Silence::BelowFloor,
        ]),
        (trigger, rule_version, model_epoch) in (cause(), text(), of(any::<i64>())),
    ) -> Suppression {
        Suppression {
            decision_id, profile: ProfileKey::new(&tenant, &id), user_id, would_have_been, reason, trigger,
            rule_version, model_epoch,
        }
    }
}
