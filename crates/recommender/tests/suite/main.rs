//! The item models against Serenade's way of computing them, and against every way to read their log.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod epochs;
mod neighbours;
mod serenade_example;

use events::{EventTime, Interest, ProfileKey, SessionEntry, SessionFact};

/// Somebody looked at a product.
pub(crate) fn seen(profile: &str, session: &str, product: &str, at: i64) -> SessionEntry {
    SessionEntry {
        profile: ProfileKey::new("bakery", profile),
        event_time: EventTime(at),
        sequence: 0,
        fact: SessionFact::Seen {
            session_id: session.to_owned(),
            event_id: format!("{session}/{product}/{at}"),
            interest: Interest::Viewed,
            product_ids: vec![product.to_owned()],
        },
    }
}
