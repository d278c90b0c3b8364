//! What becomes of a worker whose topics, state or version are not those it left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod damage;
mod refusals;
mod shop;
mod sums;
mod upgrade;
