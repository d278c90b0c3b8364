//! Every reason to refuse a record, each with a record that is refused for it.

use std::collections::BTreeSet;

use events::{EventTime, Raw};
use ingest::{Code, Format, Rejection, Source, SourceKind, accept, accept_translated};

/// 2026-03-14T12:00:00Z.
const NOON: EventTime = EventTime(1_773_489_600_000);

/// What a translation answers of a record that it cannot put into words.
const UNTRANSLATABLE: [Code; 5] =
    [Code::ShortFrame, Code::BadMagic, Code::UnknownSchema, Code::NotAvro, Code::TrailingBytes];

struct Case {
    code: Code,
    field: &'static str,
    format: Format,
    value: Option<Vec<u8>>,
}

fn case(code: Code, field: &'static str, format: Format, value: impl Into<Vec<u8>>) -> Case {
    Case { code, field, format, value: Some(value.into()) }
}

/// A complete canonical row of `kind` at noon, of a visitor, with further members.
fn row(kind: &str, members: &str) -> String {
    row_at(NOON, kind, &format!(r#""anonymous_id":"a",{members}"#))
}

fn row_at(time: EventTime, kind: &str, members: &str) -> String {
    format!(r#"{{"event_id":"1","event_type":"{kind}","event_time":{},{members}}}"#, time.0)
}

fn item(members: &str) -> String {
    row("product_viewed", &format!(r#""currency":"EUR","items":[{{"product_id":"x",{members}}}]"#))
}

fn unreadable() -> Vec<Case> {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    vec![
        Case { code: Code::NullValue, field: "", format: Format::Segment, value: None },
        Case { code: Code::NullValue, field: "", format: Format::Alibaba, value: None },
        case(Code::TooLarge, "", Format::Segment, "{".repeat(5_000)),
        case(Code::TooLarge, "", Format::Alibaba, ",".repeat(5_000)),
        case(Code::TooDeep, "", Format::Canonical, deep),
        case(Code::NotJson, "", Format::Segment, ""),
        case(Code::NotJson, "", Format::Segment, "[]"),
        case(Code::NotJson, "", Format::Canonical, "{\"a\":\"\u{1}\"}"),
        case(Code::NotJson, "", Format::Canonical, b"\xff{}".as_slice()),
        case(Code::DuplicateKey, "", Format::Canonical, r#"{"user_id":"a","user_id":"b"}"#),
        case(Code::NotCsv, "", Format::Alibaba, "1,2,3"),
        case(Code::NotCsv, "", Format::Alibaba, b"1,2,3,pv,\xff".as_slice()),
    ]
}

fn misshapen() -> Vec<Case> {
    let long = "x".repeat(2_049);
    let items = vec![r#"{"product_id":"x"}"#; 201].join(",");
    vec![
        case(Code::MissingField, "event_type", Format::Canonical, "{}"),
        case(
            Code::MissingField,
            "event_time",
            Format::Canonical,
            r#"{"event_type":"searched","event_id":"1"}"#,
        ),
        case(Code::MissingField, "type", Format::Segment, r#"{"type":null}"#),
        case(Code::BadField, "locale", Format::Canonical, row("searched", &format!(r#""locale":"{long}""#))),
        case(Code::BadField, "items", Format::Canonical, row("searched", r#""items":{}"#)),
        case(Code::BadField, "type", Format::Segment, r#"{"type":["track"]}"#),
        case(
            Code::UnknownTenant,
            "tenant_id",
            Format::Canonical,
            r#"{"event_id":"e","event_type":"page_viewed","tenant_id":"rival"}"#,
        ),
        case(Code::UnknownEvent, "type", Format::Segment, r#"{"type":"group"}"#),
        case(Code::UnknownEvent, "event", Format::Segment, r#"{"type":"track","event":"Song Played"}"#),
        case(Code::UnknownEvent, "event_type", Format::Canonical, r#"{"event_type":"slept"}"#),
        case(Code::BadId, "user_id", Format::Canonical, row("searched", r#""user_id":"""#)),
        case(Code::BadId, "user_id", Format::Canonical, row("searched", r#""user_id":"a\u001b[31m""#)),
        case(Code::BadId, "tenant_id", Format::Canonical, row("searched", r#""tenant_id":"a|b""#)),
        case(Code::BadTime, "event_time", Format::Canonical, row_at(EventTime::MAX, "searched", r#""a":1"#)),
        case(
            Code::BadTime,
            "timestamp",
            Format::Segment,
            r#"{"type":"page","messageId":"1","timestamp":"noon"}"#,
        ),
        case(
            Code::TooManyItems,
            "items",
            Format::Canonical,
            row("searched", &format!(r#""items":[{items}]"#)),
        ),
        case(Code::BadQuantity, "items[0].quantity", Format::Canonical, item(r#""quantity":0"#)),
        case(Code::BadQuantity, "items[0].quantity", Format::Canonical, item(r#""quantity":-1"#)),
        case(Code::BadQuantity, "items[0].quantity", Format::Canonical, item(r#""quantity":10001"#)),
        case(Code::BadQuantity, "items[0].quantity", Format::Canonical, item(r#""quantity":0.5"#)),
        case(Code::BadMoney, "items[0].price_minor", Format::Canonical, item(r#""price_minor":-1"#)),
        case(
            Code::BadMoney,
            "items[0].price_minor",
            Format::Canonical,
            item(r#""price_minor":1000000000000"#),
        ),
        case(Code::BadCurrency, "currency", Format::Canonical, row("searched", r#""currency":"€€€""#)),
        case(Code::BadCurrency, "currency", Format::Canonical, row("searched", r#""currency":"EU""#)),
    ]
}

fn against_the_rules() -> Vec<Case> {
    let price = r#""items":[{"product_id":"x","price_minor":5}]"#;
    let visitor = r#""anonymous_id":"a""#;
    let of = |code, field, row: String| case(code, field, Format::Canonical, row);
    vec![
        of(Code::NoIdentity, "user_id", row_at(NOON, "searched", r#""session_id":"s""#)),
        of(Code::MoneyWithoutCurrency, "currency", row("product_viewed", price)),
        of(
            Code::MoneyWithoutCurrency,
            "currency",
            row("cart_viewed", r#""cart":{"op":"ADD","total_minor":0}"#),
        ),
        of(Code::BadCartOp, "cart.op", row("cart_item_added", r#""items":[{"product_id":"x"}]"#)),
        of(Code::BadCartOp, "cart.op", row("cart_item_added", r#""cart":{"op":"GROW"}"#)),
        of(Code::BadCartOp, "items", row("cart_item_removed", r#""cart":{"op":"REMOVE"}"#)),
        of(Code::BadOrder, "order.order_id", row("order_completed", r#""items":[{"product_id":"x"}]"#)),
        of(Code::BadOrder, "items", row("order_completed", r#""order":{"order_id":"o"}"#)),
        of(Code::TimeAbsurd, "event_time", row_at(EventTime(NOON.0 / 1_000), "searched", visitor)),
        of(Code::TimeFuture, "event_time", row_at(NOON.plus(3_600_000), "searched", visitor)),
        of(Code::TooLate, "event_time", row_at(NOON.minus(401 * 86_400_000), "searched", visitor)),
        case(Code::TimeAbsurd, "event_time", Format::Alibaba, "1,2,3,pv,15"),
    ]
}

fn cases() -> Vec<Case> {
    unreadable().into_iter().chain(misshapen()).chain(against_the_rules()).collect()
}

fn refuse(case: &Case, kind: SourceKind) -> Option<Rejection> {
    let mut source = Source::new("clickstream", "shop", case.format, kind);
    source.max_value_bytes = 4_999;
    accept(&Raw { value: case.value.as_deref(), line: Some(1), produced_at: NOON }, &source).err()
}

#[test]
fn each_record_is_refused_for_its_reason_and_at_its_field() {
    for case in cases() {
        let refused = refuse(&case, SourceKind::Live).map(|rejection| (rejection.code, rejection.field));
        let text = case.value.as_deref().map(String::from_utf8_lossy);
        assert_eq!(refused, Some((case.code, case.field.to_owned())), "{text:?}");
    }
}

#[test]
fn every_code_has_a_record_that_is_refused_for_it() {
    let tried: BTreeSet<Code> = cases().iter().map(|case| case.code).chain(UNTRANSLATABLE).collect();
    let all: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    assert_eq!(tried, all);
}

#[test]
fn a_translation_comes_after_the_size_and_before_the_text() {
    let source = Source { max_value_bytes: 3, ..Source::new("s", "t", Format::Avro, SourceKind::Live) };
    let answer = |value: Option<&[u8]>, translated: Result<Vec<u8>, Code>| {
        let raw = Raw { value, line: None, produced_at: NOON };
        let refuse = |code| Rejection { code, field: String::new(), detail: String::new() };
        accept_translated(&raw, &source, |_| translated.map_err(refuse)).map_err(|rejection| rejection.code)
    };
    for code in UNTRANSLATABLE {
        assert_eq!(answer(Some(b"abc"), Err(code)), Err(code));
        assert_eq!(answer(Some(b"abcd"), Err(code)), Err(Code::TooLarge));
        assert_eq!(answer(None, Err(code)), Err(Code::NullValue));
    }
    // What it is translated into may be longer than the record.
    let text = row("searched", r#""locale":"pl""#).into_bytes();
    assert_eq!(answer(Some(b"abc"), Ok(text)).map(|event| event.locale), Ok(Some("pl".to_owned())));
    assert_eq!(answer(Some(b"abc"), Ok(b"abc".to_vec())), Err(Code::NotJson));
}

#[test]
fn a_historic_row_is_never_too_late_but_may_not_lie_ahead_of_its_record() {
    for case in cases() {
        let refused = refuse(&case, SourceKind::Historic).map(|rejection| rejection.code);
        let expected = (case.code != Code::TooLate).then_some(case.code);
        assert_eq!(refused, expected);
    }
}
