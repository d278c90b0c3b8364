//! The demo's figures on real clickstream against a count that follows the definition word by word and
//! shares nothing with the reducer: neither its code nor its way of going about it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Thirty idle minutes, in the seconds of the file.
const IDLE: i64 = 30 * 60;
/// 2000-01-01T00:00:00Z.
const OLDEST: i64 = 946_684_800;

#[test]
fn an_hour_of_a_real_shop() {
    check("alibaba-userbehavior/onehour_96k.csv", 96_169, 96_168, 4_935);
}

#[test]
fn ten_days_of_a_real_shop_whose_rows_are_not_in_time_order() {
    check("alibaba-userbehavior/hotitems_10k.csv", 10_000, 10_000, 307);
}

fn check(name: &str, events: u64, accepted: u64, abandoned: usize) {
    let Some(path) = shared(name) else { return };
    let counted = Counted::of(&path);
    assert_eq!(
        (counted.rows, counted.accepted, counted.abandoned),
        (events, accepted, abandoned),
        "by definition"
    );
    for partitions in ["1", "4"] {
        let demo = demo(&path, partitions);
        let of = |field: &str| demo[field].as_u64().unwrap();
        assert_eq!(of("events"), counted.rows);
        assert_eq!(of("accepted"), counted.accepted);
        assert_eq!(of("rejected"), counted.rows - counted.accepted);
        assert_eq!(of("abandoned_carts"), counted.abandoned as u64, "{partitions} partitions");
    }
}

/// What a file holds, by the definition.
struct Counted {
    rows: u64,
    accepted: u64,
    abandoned: usize,
}

/// When, in which line, what (behaviour), which product.
type Act = (i64, u64, String, String);

impl Counted {
    fn of(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let (mut rows, mut accepted) = (0, 0);
        let mut customers: BTreeMap<String, Vec<Act>> = BTreeMap::new();
        for line in text.lines() {
            rows += 1;
            if let Some((customer, act)) = act(rows, line) {
                accepted += 1;
                customers.entry(customer).or_default().push(act);
            }
        }
        Self { rows, accepted, abandoned: customers.into_values().map(abandoned).sum() }
    }
}

fn act(number: u64, line: &str) -> Option<(String, Act)> {
    let fields: Vec<&str> = line.split(',').collect();
    let [customer, product, _, behaviour, time] = fields[..] else { return None };
    let time: i64 = time.parse().ok().filter(|time| *time >= OLDEST)?;
    ["pv", "fav", "cart", "buy"]
        .contains(&behaviour)
        .then(|| (customer.to_owned(), (time, number, behaviour.to_owned(), product.to_owned())))
}

/// For every moment `a` at which the customer did something: was there silence until `T = a + 30 min`, did the
/// cart hold a line after `a` and at `T`, and has its content at `T` not been counted before?
fn abandoned(mut acts: Vec<Act>) -> usize {
    acts.sort();
    let moments: BTreeSet<i64> = acts.iter().map(|act| act.0).collect();
    let mut counted = BTreeSet::new();
    for a in &moments {
        let due = a + IDLE;
        let silent = !moments.iter().any(|moment| a < moment && *moment < due);
        if silent && !cart(&acts, *a).is_empty() && !cart(&acts, due).is_empty() {
            counted.insert(cart(&acts, due));
        }
    }
    counted.len()
}

/// The cart at a moment: what was put in since it was last bought.
fn cart(acts: &[Act], at: i64) -> BTreeMap<&str, usize> {
    let mut cart = BTreeMap::new();
    for (_, _, behaviour, product) in acts.iter().filter(|act| act.0 <= at) {
        match behaviour.as_str() {
            "cart" => *cart.entry(product.as_str()).or_default() += 1,
            "buy" => drop(cart.remove(product.as_str())),
            _ => {}
        }
    }
    cart
}

fn demo(path: &Path, partitions: &str) -> serde_json::Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paczek"));
    command.args(["demo", "--json", "--format", "alibaba", "--partitions", partitions, "--input"]).arg(path);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn shared(name: &str) -> Option<PathBuf> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    let path = std::env::var_os("SHARED_DATA").map_or(beside, PathBuf::from).join(name);
    if !path.exists() {
        // Past the test harness, which keeps what a passing test prints to itself.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: needs {name} in ../shared/data or in the folder that SHARED_DATA names"
        );
        return None;
    }
    Some(path)
}
