//! The bytes of yesterday: topics hold them for years, so an encoder that writes others needs a new
//! schema version, not a new golden file.

use codec::{Subject, to_json};

use crate::contract::{example, through_the_domain, wire_bytes};

#[test]
fn an_event_has_the_bytes_it_always_had() {
    assert_golden(
        Subject::ClickstreamEvent,
        "product-viewed.json",
        include_str!("../golden/clickstream-event.product-viewed.hex"),
    );
}

#[test]
fn a_profile_update_has_the_bytes_it_always_had() {
    assert_golden(
        Subject::ProfileUpdate,
        "timer-cart-abandoned.json",
        include_str!("../golden/profile-update.timer-cart-abandoned.hex"),
    );
}

#[test]
fn what_else_travels_between_processors_has_the_bytes_it_always_had() {
    assert_golden(
        Subject::Heartbeat,
        "two-partitions.json",
        include_str!("../golden/heartbeat.two-partitions.hex"),
    );
    assert_golden(Subject::SessionEvent, "viewed.json", include_str!("../golden/session-event.viewed.hex"));
}

fn assert_golden(subject: Subject, file: &str, golden: &str) {
    let example = example(subject, file);
    let encoded = through_the_domain(subject, &wire_bytes(subject, &example)).unwrap();
    assert_eq!(to_hex(&encoded), golden, "the bytes of {subject} have changed");
    assert_eq!(to_json(subject, &from_hex(golden)).unwrap(), example);
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

pub(crate) fn from_hex(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}
