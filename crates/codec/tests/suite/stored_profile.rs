//! The form of a stored profile is pinned: what this version writes, and that it reads it.

use codec::stored::{decode_profile, encode_profile};
use codec::{Subject, decode_event};
use events::EventTime;
use profile_updater::{Arrival, Outcome, Profile, Rules, apply};

use crate::contract::{example, wire_bytes};

/// The example frame is that of a customer who did what the example event says.
#[test]
fn the_example_frame_holds_the_profile_that_the_example_event_makes() {
    let event =
        wire_bytes(Subject::ClickstreamEvent, &example(Subject::ClickstreamEvent, "cart-item-added.json"));
    let event = decode_event(&event).unwrap();
    let key = event.profile_key().unwrap();
    let mut profile = Profile::default();
    let arrival = Arrival { late: false, settled: EventTime::MIN };
    let outcome = apply(&mut profile, &key, &event, arrival, &Rules::default());
    assert!(matches!(outcome, Outcome::Applied(_)));

    let frame: serde_json::Value =
        serde_json::from_str(include_str!("../../../../schemas/changelog-frame/examples/profile.json"))
            .unwrap();
    let bytes = |field: &str| -> Vec<u8> {
        frame[field]
            .as_str()
            .unwrap()
            .chars()
            .map(|letter| u8::try_from(u32::from(letter)).unwrap())
            .collect()
    };
    assert_eq!(bytes("key")[1..], *key.to_string().as_bytes());
    let stored = encode_profile(&profile).unwrap();
    let letters: String = stored.iter().map(|byte| char::from(*byte)).collect();
    assert_eq!(
        bytes("value"),
        stored,
        "the stored form has changed; it is now {}",
        serde_json::json!(letters)
    );
    assert_eq!(decode_profile(&stored).unwrap(), profile);
}
