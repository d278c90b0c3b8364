//! Whatever arrives, the answer is an event within its bounds or a rejection that repeats nothing of it.

use events::{Event, EventTime, Raw};
use ingest::{Format, Rejection, Source, SourceKind, accept, peek};
use proptest::{collection::vec, prelude::*, sample::Index};

/// What a sender would like to see in our logs.
const MARKER: &str = "zażółć\u{1b}[31m";

const SEEDS: [(Format, &str); 5] = [
    (
        Format::Segment,
        r#"{"type":"track","event":"Order Completed","messageId":"m","anonymousId":"a","userId":"u",
        "timestamp":"2026-03-14T12:00:00.000+01:00","originalTimestamp":"2026-03-14T11:00:00Z",
        "context":{"timezone":"Europe/Warsaw","device":{"type":"ios"},"campaign":{"source":"mail"}},
        "properties":{"order_id":"o","total":"12.50","tax":0.5,"currency":"EUR","gift":true,
        "products":[{"product_id":7,"price":"6.25","quantity":2,"position":1,"variant":"red"}]}}"#,
    ),
    (
        Format::Segment,
        r#"{"type":"track","event":"Product List Filtered","messageId":"m","anonymousId":"a",
        "originalTimestamp":"2026-03-14T11:00:00Z","sentAt":"2026-03-14T11:00:01Z",
        "receivedAt":"2026-03-14T11:00:02Z",
        "properties":{"list_id":"l","filters":[{"type":"a","value":1}]}}"#,
    ),
    (
        Format::Segment,
        r#"{"type":"identify","messageId":"m","userId":"u","timestamp":"2026-03-14T12:00:00Z",
        "traits":{"plan":"gold","age":40}}"#,
    ),
    (
        Format::Canonical,
        r#"{"event_id":"1","tenant_id":"shop","event_type":"cart_item_added","event_time":1773489600000,
        "seq":1,"user_id":"u","extra_ids":{"loyalty_no":"7"},"channel":"WEB","currency":"EUR",
        "items":[{"product_id":"x","categories":["a","b"],"price_minor":625,"quantity":2}],
        "cart":{"cart_id":"c","op":"ADD","total_minor":1250},"order":{"order_id":"o","coupons":["k"]},
        "consent":{"version":"1","purposes":{"ads":true}},"geo":{"country":"PL"},"attributes":{"a":"b"}}"#,
    ),
    (Format::Alibaba, "543462,1715,1464116,cart,1511658000"),
];

fn answer(format: Format, value: &[u8]) -> Result<Event, Rejection> {
    let produced_at = EventTime(1_773_500_000_000);
    let raw = Raw { value: Some(value), line: Some(3), produced_at };
    let live = Source::new("clickstream", "shop", format, SourceKind::Live);
    let _ = accept(&raw, &live);
    let historic = Source { kind: SourceKind::Historic, ..live };
    let answer = accept(&raw, &historic);
    let seen = peek(&raw, &historic);
    assert_eq!(seen.event_time, answer.as_ref().ok().map(|event| event.event_time));
    answer
}

fn check(answer: &Result<Event, Rejection>) {
    match answer {
        Ok(event) => {
            assert!(event.profile_key().is_some());
            assert!(event.items.len() <= 200 && event.attributes.len() <= 64);
            assert!(event.items.iter().all(|item| (1..=10_000).contains(&item.quantity)));
            assert!(event.items.iter().filter_map(|item| item.price_minor).all(|price| price >= 0));
            assert!((946_684_800_000..=1_773_500_300_000).contains(&event.event_time.0));
        }
        Err(rejection) => {
            let known = |character: char| character.is_ascii_alphanumeric() || "_.[]".contains(character);
            assert!(rejection.field.chars().all(known), "{rejection}");
            assert!(rejection.to_string().is_ascii(), "{rejection}");
        }
    }
}

fn settings() -> ProptestConfig {
    ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() }
}

fn seed() -> impl Strategy<Value = (Format, &'static str)> {
    proptest::sample::select(SEEDS.as_slice())
}

/// Texts and keys of a seed, one of which is put in another's place.
fn quoted(seed: &str) -> Vec<(usize, usize)> {
    let quotes: Vec<usize> = seed.match_indices('"').map(|(at, _)| at).collect();
    quotes.chunks_exact(2).map(|pair| (pair[0], pair[1] + 1)).collect()
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("{}".to_owned()),
        Just("[[]]".to_owned()),
        Just("1e308".to_owned()),
        Just("-1e-400".to_owned()),
        Just(format!("\"{}\"", "9".repeat(3_000))),
        Just(r#""\u001b]0;""#.to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        "\"[0-9TZ:.+eE-]{0,40}\"",
    ]
}

#[test]
fn the_seeds_are_accepted() {
    for (format, seed) in SEEDS {
        let answer = answer(format, seed.as_bytes());
        assert!(answer.is_ok(), "{seed}: {answer:?}");
    }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn any_bytes_get_an_answer(bytes in vec(any::<u8>(), 0..300)) {
        for format in Format::ALL {
            check(&answer(*format, &bytes));
        }
    }

    #[test]
    fn any_text_of_json_characters_gets_an_answer(text in r#"[{}\[\]",:\\0-9eE.a-z \-]{0,200}"#) {
        for format in Format::ALL {
            check(&answer(*format, text.as_bytes()));
        }
    }

    #[test]
    fn a_damaged_record_gets_an_answer(
        (format, seed) in seed(),
        damage in vec((any::<Index>(), 0..4_u8, any::<u8>()), 1..6),
    ) {
        let mut bytes = seed.as_bytes().to_vec();
        for (index, how, byte) in damage {
            if bytes.is_empty() { break }
            let at = index.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at),
            }
        }
        check(&answer(format, &bytes));
    }

    #[test]
    fn a_record_with_a_foreign_value_gets_an_answer(
        (format, seed) in seed(), index in any::<Index>(), value in scalar(),
    ) {
        let texts = quoted(seed);
        prop_assume!(!texts.is_empty());
        let (from, to) = texts[index.index(texts.len())];
        check(&answer(format, format!("{}{value}{}", &seed[..from], &seed[to..]).as_bytes()));
    }

    #[test]
    fn a_rejection_never_repeats_the_record(
        (format, seed) in seed(), index in any::<Index>(), escaped in any::<bool>(),
    ) {
        let marker = if escaped { MARKER.replace('\u{1b}', "\\u001b") } else { MARKER.to_owned() };
        let texts = quoted(seed);
        let (from, to) = match texts.is_empty() {
            true => (0, 6),
            false => texts[index.index(texts.len())],
        };
        let quote = if texts.is_empty() { "" } else { "\"" };
        let text = format!("{}{quote}{marker}{quote}{}", &seed[..from], &seed[to..]);
        let answer = answer(format, text.as_bytes());
        check(&answer);
        if let Err(rejection) = answer {
            let said = rejection.to_string();
            prop_assert!(!said.contains("zaż") && !said.contains("[31m"), "{said}");
        }
    }
}
