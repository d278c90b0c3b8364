//! Scenarios: the whole pipeline on the log in memory, with a shop's clock that is moved by hand. Each test is a
//! sentence about what customers do and what is said to them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod carts;
mod crashes;
mod customer;
mod instances;
mod log;
mod recommendations;
mod shop;
mod speech;
