use std::sync::Arc;

use events::{MINUTE, SECOND};
use fastrand::Rng;
use serde_json::{Value, json};
use stream_runtime::{Output, partition_for};

use crate::headers;

/// 2026-03-14 at nine o'clock, in milliseconds since 1970.
pub(super) const OPENING: i64 = 1_773_478_800_000;
/// The disorder that changes nothing.
const LATENESS: i64 = 10 * MINUTE;
const PRODUCTS: [&str; 5] = ["bun", "cake", "pretzel", "bagel", "roll"];

/// A morning of a few customers, as it arrives: carts that are left and carts that are bought, lines that
/// come twice, out of order, too late, or cannot be read.
pub(super) struct Input {
    /// In order of arrival; the last of each partition is its end.
    pub(super) records: Vec<Output>,
}

/// One line on its way.
struct Line {
    arrives: i64,
    key: String,
    value: String,
}

impl Input {
    pub(super) fn of(seed: u64, topic: &str, partitions: i32) -> Self {
        let mut chance = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x7061_637a);
        let mut lines: Vec<Line> = Vec::new();
        for customer in 0..chance.u32(3..=6) {
            visit(customer, &mut chance, &mut lines);
        }
        lines.sort_by(|one, other| {
            (one.arrives, &one.key, &one.value).cmp(&(other.arrives, &other.key, &other.value))
        });
        let topic: Arc<str> = Arc::from(topic);
        let rows = lines.into_iter().enumerate().map(|(number, line)| Output {
            topic: Arc::clone(&topic),
            partition: partition_for(line.key.as_bytes(), partitions),
            key: Some(line.key.into_bytes()),
            value: Some(line.value.into_bytes()),
            headers: vec![headers::text(headers::LINE, &(number + 1).to_string())],
        });
        let mut records: Vec<Output> = rows.collect();
        records.extend((0..partitions).map(|partition| Output {
            topic: Arc::clone(&topic),
            partition,
            key: None,
            value: None,
            headers: vec![headers::text(headers::END_OF_SOURCE, "true")],
        }));
        Self { records }
    }
}

/// Everything one customer does this morning.
fn visit(customer: u32, chance: &mut Rng, lines: &mut Vec<Line>) {
    let key = format!("customer-{customer}");
    let mut time = OPENING + i64::from(chance.u32(0..120)) * MINUTE;
    for act in 0..chance.u32(3..=9) {
        // Some pauses are long enough for a cart to count as left, some just are not.
        time += match chance.u32(0..6) {
            0 => chance.i64(25 * MINUTE..45 * MINUTE),
            1 => chance.i64(MINUTE..29 * MINUTE),
            _ => chance.i64(SECOND..3 * MINUTE),
        };
        let value = row(&format!("{customer}-{act}"), &key, time, chance);
        let arrives = time
            + match chance.u32(0..10) {
                // Whether a timer knows of an order that is too late depends on when it comes: nobody promises.
                0 if value["order"].is_null() => LATENESS + chance.i64(MINUTE..90 * MINUTE),
                1..=3 => chance.i64(0..LATENESS - SECOND),
                _ => 0,
            };
        noise(&value, &key, arrives, chance, lines);
        lines.push(Line { arrives, key: key.clone(), value: value.to_string() });
    }
}

/// What trackers and networks add of their own.
fn noise(value: &Value, key: &str, arrives: i64, chance: &mut Rng, lines: &mut Vec<Line>) {
    let mut add = |after: i64, value: String| {
        lines.push(Line { arrives: arrives + after, key: key.to_owned(), value });
    };
    match chance.u32(0..16) {
        0 => add(chance.i64(0..5 * MINUTE), value.to_string()),
        1 => {
            let mut other = value.clone();
            other["items"][0]["quantity"] = json!(7);
            add(chance.i64(1..MINUTE), other.to_string());
        }
        2 => add(0, format!("{{\"event_id\": \"{}", chance.u32(..))),
        3 => add(0, json!({ "event_id": "x", "event_type": "danced", "event_time": arrives }).to_string()),
        _ => {}
    }
}

fn row(id: &str, key: &str, time: i64, chance: &mut Rng) -> Value {
    let product = PRODUCTS[chance.usize(0..PRODUCTS.len())];
    let quantity = chance.i32(1..4);
    let item = json!({ "product_id": product, "price_minor": 350, "quantity": quantity });
    let mut row = json!({
        "event_id": id, "event_time": time, "received_at": time, "user_id": key, "items": [item], "currency": "PLN",
    });
    let cart = |op: &str| json!({ "op": op });
    match chance.u32(0..10) {
        0..=4 => {
            row["event_type"] = json!("cart_item_added");
            row["cart"] = cart("ADD");
        }
        5 => {
            row["event_type"] = json!("cart_item_removed");
            row["cart"] = cart("REMOVE");
        }
        6 => {
            row["event_type"] = json!("order_completed");
            row["order"] = json!({ "order_id": id });
        }
        _ => row["event_type"] = json!("product_viewed"),
    }
    row
}
