use codec::{
    CodecError, Outward, Subject, decode_dead_letter, decode_event, decode_heartbeat, decode_profile_update,
    encode_dead_letter, encode_event, encode_heartbeat, encode_profile_update, to_json,
};
use events::{Cause, Event, EventKind, EventTime, ProfileKey, ProfileUpdate};
use proptest::prelude::*;

use crate::arbitrary;
use crate::contract::assert_as_the_library;

proptest! {
    #[test]
    fn events_come_back(event in arbitrary::event()) {
        let bytes = encode_event(&event).unwrap();
        prop_assert_eq!(decode_event(&bytes).unwrap(), event.clone());
        assert_as_the_library(Subject::ClickstreamEvent, &bytes);
        let json = to_json(Subject::ClickstreamEvent, &bytes).unwrap();
        prop_assert_eq!(json["event_type"].as_str(), Some(event.kind.name()));
        prop_assert_eq!(json["event_time"].as_i64(), Some(event.event_time.0));
    }

    #[test]
    fn profile_updates_come_back(update in arbitrary::profile_update()) {
        let bytes = encode_profile_update(&update).unwrap();
        prop_assert_eq!(decode_profile_update(&bytes).unwrap(), update.clone());
        assert_as_the_library(Subject::ProfileUpdate, &bytes);
        let json = to_json(Subject::ProfileUpdate, &bytes).unwrap();
        prop_assert_eq!(json["profile_id"].as_str(), Some(update.profile.id()));
    }

    #[test]
    fn heartbeats_come_back(heartbeat in arbitrary::heartbeat()) {
        let bytes = encode_heartbeat(&heartbeat).unwrap();
        prop_assert_eq!(decode_heartbeat(&bytes).unwrap(), heartbeat);
        assert_as_the_library(Subject::Heartbeat, &bytes);
    }

    #[test]
    fn dead_letters_come_back(letter in arbitrary::dead_letter(), form in arbitrary::outward()) {
        let bytes = encode_dead_letter(&letter, form).unwrap();
        prop_assert_eq!(decode_dead_letter(&bytes).unwrap(), letter);
        if form != Outward::Json {
            assert_as_the_library(Subject::DeadLetter, &bytes);
        }
    }
}

#[test]
fn every_kind_comes_back() {
    for kind in EventKind::ALL {
        let event = Event { kind: *kind, ..Event::default() };
        assert_eq!(decode_event(&encode_event(&event).unwrap()).unwrap().kind, *kind);
    }
}

#[test]
fn a_dead_letter_shows_text_as_text_and_the_rest_in_hexadecimal() {
    let mut letter = arbitrary::refused(b"{\"price\": \"29,40\"}\n");
    letter.key = Some(vec![0xff, 0x00]);
    let json = to_json(Subject::DeadLetter, &encode_dead_letter(&letter, Outward::Json).unwrap()).unwrap();
    assert_eq!(json["payload"], "{\"price\": \"29,40\"}\n");
    assert_eq!(json["payload_hex"], serde_json::Value::Null);
    assert_eq!(json["key_hex"], "ff00");
    assert_eq!(json["key"], serde_json::Value::Null);
}

#[test]
fn the_worst_megabyte_fits_into_its_dead_letter() {
    for byte in [0x00, b'"', b'\n', 0xff] {
        let letter = arbitrary::refused(&vec![byte; 1_900_000]);
        for form in [Outward::Json, Outward::ConfluentAvro { schema_id: 1 }] {
            assert_eq!(decode_dead_letter(&encode_dead_letter(&letter, form).unwrap()).unwrap(), letter);
        }
    }
}

#[test]
fn what_has_no_form_on_the_wire_is_refused() {
    let update = ProfileUpdate { events: u64::MAX, ..update() };
    assert!(matches!(encode_profile_update(&update), Err(CodecError::Unencodable { .. })));
    let letter = events::DeadLetter { payload_bytes: u64::MAX, ..arbitrary::refused(b"") };
    assert!(matches!(encode_dead_letter(&letter, Outward::Json), Err(CodecError::Unencodable { .. })));
    let event = Event { event_id: "x".repeat(codec::MAX_VALUE_BYTES), ..Event::default() };
    assert!(matches!(encode_event(&event), Err(CodecError::TooLarge { .. })));
}

fn update() -> ProfileUpdate {
    ProfileUpdate {
        profile: ProfileKey::new("bakery", "anna"),
        user_id: None,
        anonymous_id: None,
        cause: Cause::Timer { due: EventTime(0) },
        session: None,
        carts: Vec::new(),
        recently_viewed: Vec::new(),
        purchased: Vec::new(),
        wished: Vec::new(),
        events: 0,
        orders: 0,
        abandonment: None,
    }
}
