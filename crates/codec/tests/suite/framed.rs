//! Confluent's frame: outward values in it, and canonical events that a shop writes in Avro.

use codec::{CodecError, Outward, SchemaIds, Subject, canonical_json, encode_event, to_json};
use events::Event;
use proptest::prelude::*;
use serde_json::Value as Json;

use crate::arbitrary;
use crate::contract::{
    SCHEMA_ID, examples, framed_bytes, schemas, through_the_domain, through_the_domain_into, wire_bytes,
};

const EVENT: Subject = Subject::ClickstreamEvent;
const WHAT: &str = "clickstream-event";

#[test]
fn every_outward_example_is_the_same_in_either_form() {
    let mut seen = 0;
    for subject in Subject::ALL.iter().filter(|subject| subject.is_outward()) {
        for (path, example) in examples(&schemas().join(subject.name())) {
            let framed = framed_bytes(*subject, &example);
            let form = Outward::ConfluentAvro { schema_id: SCHEMA_ID };
            let json = wire_bytes(*subject, &example);
            let ours = through_the_domain_into(form, *subject, &json).unwrap();
            assert_eq!(ours, framed, "{}", path.display());
            assert_eq!(to_json(*subject, &framed).unwrap(), example, "{}", path.display());
            let back: Json = serde_json::from_slice(&through_the_domain(*subject, &framed).unwrap()).unwrap();
            assert_eq!(back, example, "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen}");
}

#[test]
fn an_outward_frame_that_ends_in_its_id_is_refused() {
    for subject in Subject::ALL.iter().filter(|subject| subject.is_outward()) {
        for bytes in 1..5 {
            let answer = through_the_domain(*subject, &[0; 4][..bytes]);
            assert_eq!(answer, Err(CodecError::ShortFrame { what: subject.name(), bytes }));
        }
    }
}

#[test]
fn an_event_in_avro_reads_as_its_canonical_json_in_either_frame() {
    for (path, example) in examples(&schemas().join(WHAT)) {
        for bytes in [framed_bytes(EVENT, &example), wire_bytes(EVENT, &example)] {
            let json: Json =
                serde_json::from_slice(&canonical_json(&bytes, Some(SCHEMA_ID)).unwrap()).unwrap();
            assert_eq!(json, example, "{}", path.display());
        }
    }
}

#[test]
fn only_the_id_of_the_topic_is_taken() {
    let (_, example) = examples(&schemas().join(WHAT)).remove(0);
    let framed = framed_bytes(EVENT, &example);
    for schema_id in [None, Some(SCHEMA_ID + 1), Some(SCHEMA_ID.swap_bytes())] {
        assert_eq!(canonical_json(&framed, schema_id), Err(CodecError::UnknownSchema { what: WHAT }));
    }
    // The version byte names our own schema, whatever a registry says.
    assert!(canonical_json(&wire_bytes(EVENT, &example), None).is_ok());
}

#[test]
fn another_first_byte_is_refused() {
    let (_, example) = examples(&schemas().join(WHAT)).remove(0);
    let mut bytes = framed_bytes(EVENT, &example);
    for found in 2..=u8::MAX {
        bytes[0] = found;
        let refusal = CodecError::UnknownVersion { what: WHAT, found, known: 1 };
        assert_eq!(canonical_json(&bytes, Some(SCHEMA_ID)), Err(refusal));
    }
    assert_eq!(canonical_json(&[], Some(SCHEMA_ID)), Err(CodecError::Empty { what: WHAT }));
}

#[test]
fn a_framed_event_that_is_cut_or_lengthened_is_refused() {
    for (_, example) in examples(&schemas().join(WHAT)) {
        let mut framed = framed_bytes(EVENT, &example);
        for end in 1..framed.len() {
            let refusal = canonical_json(&framed[..end], Some(SCHEMA_ID)).unwrap_err();
            let short = matches!(refusal, CodecError::ShortFrame { .. });
            assert_eq!(short, end < 5, "cut at {end}: {refusal}");
        }
        framed.push(0);
        let refusal = CodecError::TrailingBytes { what: WHAT, bytes: 1 };
        assert_eq!(canonical_json(&framed, Some(SCHEMA_ID)), Err(refusal));
    }
}

#[test]
fn an_event_type_without_canonical_name_has_an_answer_of_its_own() {
    let mut bytes = encode_event(&Event::default()).unwrap();
    let at = bytes.windows(11).position(|window| window == b"page_viewed").unwrap();
    bytes[at] = b'P';
    assert_eq!(canonical_json(&bytes, None), Err(CodecError::UnknownEventType { what: WHAT }));
}

#[test]
fn the_example_registry_names_every_outward_topic() {
    let text = std::fs::read_to_string(schemas().join("registry.example.toml")).unwrap();
    let ids = SchemaIds::parse(&text).unwrap();
    let topics = ["recommendations", "abandoned-carts", "suppressions", "dead-letters"];
    assert!(topics.iter().all(|topic| ids.of(topic).is_ok()));
    assert_eq!(ids.only(topics.into_iter().chain(["clickstream"])), Ok(()));
}

proptest! {
    #[test]
    fn any_event_is_told_in_full(event in arbitrary::event()) {
        let bytes = encode_event(&event).unwrap();
        let json: Json = serde_json::from_slice(&canonical_json(&bytes, None).unwrap()).unwrap();
        prop_assert_eq!(json, to_json(EVENT, &bytes).unwrap());
    }
}
