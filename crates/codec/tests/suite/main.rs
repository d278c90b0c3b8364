//! The codec against the contract in `schemas/`, against hostile bytes, and against its own past.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod arbitrary;
mod contract;
mod decisions;
mod examples;
mod framed;
mod golden;
mod hostile;
mod round_trip;
mod stored_golden;
mod stored_profile;
mod topics;
