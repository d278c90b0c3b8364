//! Bytes from anywhere: whatever they are, a decoder answers, and in the memory the bytes deserve.

use std::fs;

use codec::{
    CodecError, MAX_DEAD_LETTER_BYTES, MAX_VALUE_BYTES, Subject, canonical_json, decode_dead_letter,
    decode_event,
};
use codec::{Outward, encode_dead_letter, encode_event};
use events::Event;
use proptest::prelude::*;

use crate::arbitrary::refused;
use crate::contract::{examples, framed_bytes, schemas, through_the_domain, wire_bytes};

const AVRO: [Subject; 4] =
    [Subject::ClickstreamEvent, Subject::ProfileUpdate, Subject::Heartbeat, Subject::SessionEvent];

#[test]
fn no_truncation_is_a_value() {
    for (subject, bytes) in samples() {
        for end in 0..bytes.len() {
            assert!(through_the_domain(subject, &bytes[..end]).is_err(), "{subject} cut at {end}");
        }
    }
}

#[test]
fn leftover_bytes_are_refused() {
    for (subject, mut bytes) in samples() {
        for _ in 0..64 {
            bytes.push(0);
            assert!(through_the_domain(subject, &bytes).is_err(), "{subject}");
        }
    }
}

#[test]
fn every_flipped_bit_is_answered() {
    for (subject, bytes) in samples() {
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _answer = through_the_domain(subject, &flipped);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn random_bytes_are_answered(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for subject in Subject::ALL {
            let _answer = through_the_domain(*subject, &bytes);
        }
        for first in [0, 1] {
            if let Some(version) = bytes.first_mut() {
                *version = first;
            }
            for subject in Subject::ALL {
                let _answer = through_the_domain(*subject, &bytes);
            }
            let _answer = canonical_json(&bytes, schema_id(&bytes));
        }
    }
}

#[test]
fn every_other_version_is_refused() {
    for (subject, mut bytes) in samples().into_iter().filter(|(subject, _)| !subject.is_outward()) {
        for version in (0..=u8::MAX).filter(|version| *version != 1) {
            bytes[0] = version;
            let refusal = CodecError::UnknownVersion { what: subject.name(), found: version, known: 1 };
            assert_eq!(through_the_domain(subject, &bytes), Err(refusal));
        }
        assert_eq!(through_the_domain(subject, &[]), Err(CodecError::Empty { what: subject.name() }));
    }
}

#[test]
fn too_large_is_refused_unread() {
    let large = |what: Subject, limit| CodecError::TooLarge { what: what.name(), bytes: limit + 1, limit };
    for subject in AVRO {
        let answer = through_the_domain(subject, &vec![1; MAX_VALUE_BYTES + 1]);
        assert_eq!(answer, Err(large(subject, MAX_VALUE_BYTES)));
    }
    for subject in [Subject::Recommendation, Subject::AbandonedCart, Subject::Suppression] {
        let answer = through_the_domain(subject, &vec![b' '; MAX_VALUE_BYTES + 1]);
        assert_eq!(answer, Err(large(subject, MAX_VALUE_BYTES)));
    }
    let answer = decode_dead_letter(&vec![b' '; MAX_DEAD_LETTER_BYTES + 1]);
    assert_eq!(answer, Err(large(Subject::DeadLetter, MAX_DEAD_LETTER_BYTES)));
}

#[test]
fn claims_of_size_are_not_believed() {
    let before = peak_kib();
    // The field after the version or frame is a text: of 400 MB, of 1 TB, of less than nothing.
    let (large, negative) = ("it ends too early", "a length or index is negative");
    for (claim, reason) in [
        (&[0x80, 0x90, 0xbc, 0xfd, 0x02][..], large),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x40], large),
        (&[0x03], negative),
    ] {
        for subject in Subject::ALL {
            let head: &[u8] = if subject.is_outward() { &[0, 0, 0, 0, 1] } else { &[1] };
            let answer = through_the_domain(*subject, &[head, claim].concat());
            assert_eq!(answer, Err(malformed(*subject, reason)));
        }
    }
    // The items claim to be 2^61 and are none.
    let mut claim = before_items();
    claim.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40]);
    assert_eq!(decode_event(&claim), Err(malformed(Subject::ClickstreamEvent, "it ends too early")));
    assert_grown_little(before);
}

#[test]
fn the_densest_value_takes_a_bounded_multiple_of_its_size() {
    // One item of empty categories: each is one byte on the wire and one `String` in memory.
    const CATEGORIES: usize = 1_999_360;
    let before = peak_kib();
    let mut dense = before_items();
    dense.extend([0x02, 0x00, 0x00, 0x00, 0x00, 0x80, 0x88, 0xf4, 0x01]);
    dense.resize(dense.len() + CATEGORIES + ITEM_AFTER_CATEGORIES + FIELDS_FROM_ITEMS, 0);
    assert!(dense.len() < MAX_VALUE_BYTES);
    let event = decode_event(&dense).unwrap();
    assert_eq!(event.items[0].categories.len(), CATEGORIES);
    assert_grown_little(before);
}

#[test]
fn json_with_another_shape_is_refused() {
    let letter = String::from_utf8(encode_dead_letter(&refused(b"x"), Outward::Json).unwrap()).unwrap();
    let hostile = [
        letter.replace("\"key\"", "\"colour\":1,\"key\""),
        letter.replace("\"key\"", "\"stage\":\"twice\",\"key\""),
        letter.replace("\"payload_hex\":null", "\"payload_hex\":\"78\""),
        letter.replace("\"key_hex\":null", "\"key_hex\":\"xy\""),
        letter.replace("\"payload_bytes\":1", "\"payload_bytes\":1e999"),
        letter.replace("\"payload_bytes\":1", "\"payload_bytes\":-1"),
        format!("{letter}{{}}"),
        "[".repeat(1_000_000),
        "null".to_owned(),
    ];
    for json in hostile {
        assert!(json != letter && decode_dead_letter(json.as_bytes()).is_err());
    }
}

#[test]
fn no_message_repeats_what_was_read() {
    const SECRET: &str = "anna@bakery.example";
    let mut event = encode_event(&Event { event_id: SECRET.to_owned(), ..Event::default() }).unwrap();
    let at = event.windows(11).position(|window| window == b"page_viewed").unwrap();
    event[at..at + 11].copy_from_slice(&SECRET.as_bytes()[..11]);
    let unknown_kind = decode_event(&event).unwrap_err();
    assert!(unknown_kind.to_string().contains("event_type"), "{unknown_kind}");

    let letter = encode_dead_letter(&refused(b"x"), Outward::Json).unwrap();
    let letter = String::from_utf8(letter).unwrap().replace("\"stage\"", &format!("\"{SECRET}\""));
    let unknown_field = decode_dead_letter(letter.as_bytes()).unwrap_err();
    for error in [unknown_kind, unknown_field] {
        assert!(!format!("{error} {error:?}").contains("anna"), "{error:?}");
    }
}

/// Every example as it travels, an outward one in either form.
fn samples() -> Vec<(Subject, Vec<u8>)> {
    let of = |subject: &Subject| {
        let examples = examples(&schemas().join(subject.name()));
        let forms = |(_, example)| {
            let framed = subject.is_outward().then(|| framed_bytes(*subject, &example));
            [Some(wire_bytes(*subject, &example)), framed].into_iter().flatten()
        };
        examples.into_iter().flat_map(forms).map(|bytes| (*subject, bytes)).collect::<Vec<_>>()
    };
    Subject::ALL.iter().flat_map(of).collect()
}

/// How many bytes an empty event has from its items on: each field takes one.
const FIELDS_FROM_ITEMS: usize = 15;

/// How many zeros end an item of zeros behind its last category: the end of them, and seven fields.
const ITEM_AFTER_CATEGORIES: usize = 8;

/// An empty event, cut where its items begin.
fn before_items() -> Vec<u8> {
    let mut event = encode_event(&Event::default()).unwrap();
    event.truncate(event.len() - FIELDS_FROM_ITEMS);
    event
}

/// The id that a frame around `bytes` names, if there is one.
fn schema_id(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?))
}

fn malformed(subject: Subject, reason: &'static str) -> CodecError {
    CodecError::Malformed { what: subject.name(), reason }
}

/// The largest memory this process has held.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or_default()
}

/// Enough for the densest value, and for the tests that run at the same time in this process.
fn assert_grown_little(before_kib: u64) {
    let grown = peak_kib() - before_kib;
    assert!(grown < 256 * 1024, "the peak grew by {grown} KiB");
}
