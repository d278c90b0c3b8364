//! The rule by which a cart counts as abandoned, held against its definition on random histories.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

use events::{Cart, CartOp, Event, EventKind, EventTime, Item, MINUTE, Order, ProfileKey};
use profile_updater::{Arrival, Outcome, Profile, Rules, apply, fire};
use proptest::prelude::*;

const IDLE: i64 = 30 * MINUTE;
const LATENESS: i64 = 10 * MINUTE;

/// One step of a customer: when, what, which product, and by how much its arrival is delayed.
type Step = (i64, u8, u8, i64);

fn step() -> impl Strategy<Value = Step> {
    // Minutes, so that silences of exactly the idle time are common.
    (0i64..400, 0u8..4, 0u8..3, 0i64..=10)
        .prop_map(|(at, what, product, delay)| (at * MINUTE, what, product, delay * MINUTE))
}

fn event(number: usize, (at, what, product, _): Step) -> Event {
    let kind = match what {
        0 => EventKind::ProductViewed,
        1 => EventKind::CartItemAdded,
        2 => EventKind::CartItemRemoved,
        _ => EventKind::OrderCompleted,
    };
    let cart = |op| Some(Cart { cart_id: None, op, total_minor: None, checkout_id: None, cart_url: None });
    Event {
        event_id: format!("event-{number}"),
        tenant: "shop".into(),
        user_id: Some("anna".into()),
        kind,
        event_time: EventTime(at),
        seq: Some(number as i64),
        items: vec![Item { product_id: product.to_string(), quantity: 1, ..Item::default() }],
        cart: match what {
            1 => cart(CartOp::Add),
            2 => cart(CartOp::Remove),
            _ => None,
        },
        order: (what == 3).then(|| Order {
            order_id: format!("order-{number}"),
            status: "completed".into(),
            ..Order::default()
        }),
        ..Event::default()
    }
}

/// The definition, word by word, on the whole history at once.
fn by_definition(steps: &[Step]) -> Vec<(i64, BTreeMap<u8, i32>)> {
    let mut history: Vec<(i64, usize, u8, u8)> =
        steps.iter().enumerate().map(|(number, s)| (s.0, number, s.1, s.2)).collect();
    history.sort_unstable();
    let cart_at = |time: i64| {
        let mut cart = BTreeMap::<u8, i32>::new();
        for (_, _, what, product) in history.iter().filter(|(at, ..)| *at <= time) {
            match what {
                1 => *cart.entry(*product).or_default() += 1,
                2 => {
                    if let Some(quantity) = cart.get_mut(product) {
                        *quantity -= 1;
                    }
                }
                3 => {
                    cart.remove(product);
                }
                _ => {}
            }
            cart.retain(|_, quantity| *quantity > 0);
        }
        cart
    };
    let times: BTreeSet<i64> = history.iter().map(|(at, ..)| *at).collect();
    let mut noticed = BTreeSet::new();
    let mut abandoned = Vec::new();
    for a in &times {
        let due = a + IDLE;
        let silent = !times.iter().any(|time| a < time && *time < due);
        let cart = cart_at(due);
        if silent && !cart_at(*a).is_empty() && !cart.is_empty() && noticed.insert(cart.clone()) {
            abandoned.push((due, cart));
        }
    }
    abandoned
}

/// The reducer, fed in order of arrival, with timers that run as stream time moves.
fn by_reducer(steps: &[Step], eager: bool) -> Vec<(i64, BTreeMap<u8, i32>)> {
    let (key, rules) = (ProfileKey::new("shop", "anna"), Rules::default());
    let mut arriving: Vec<(i64, usize)> =
        steps.iter().enumerate().map(|(number, s)| (s.0 + s.3, number)).collect();
    arriving.sort_unstable();
    let (mut profile, mut frontier, mut noticed) = (Profile::default(), EventTime::MIN, Vec::new());
    for (_, number) in arriving {
        let event = event(number, steps[number]);
        let late = event.event_time < frontier.minus(LATENESS);
        assert!(!late, "arrivals are delayed by no more than the lateness");
        frontier = frontier.max(event.event_time);
        let settled = frontier.minus(LATENESS + 1);
        let arrival = Arrival { late, settled: if eager { settled } else { EventTime::MIN } };
        assert!(matches!(apply(&mut profile, &key, &event, arrival, &rules), Outcome::Applied(_)));
        if eager && profile.timer(&rules).is_some_and(|due| due <= settled) {
            noticed.extend(fire(&mut profile, &key, settled, &rules));
        }
    }
    noticed.extend(fire(&mut profile, &key, EventTime::MAX, &rules));
    assert_eq!(profile.timer(&rules), None, "nothing is left to be judged");
    noticed
        .into_iter()
        .filter_map(|update| update.abandonment)
        .map(|left| {
            let lines = left.cart.lines.iter();
            let cart = lines.map(|line| (line.product_id.parse().unwrap(), line.quantity)).collect();
            (left.abandoned_at.0, cart)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_reducer_notices_what_the_definition_says(steps in prop::collection::vec(step(), 0..40)) {
        let expected = by_definition(&steps);
        prop_assert_eq!(&by_reducer(&steps, true), &expected, "timers as stream time moves");
        prop_assert_eq!(&by_reducer(&steps, false), &expected, "timers all at the end");
    }
}

#[test]
fn an_event_at_the_end_of_the_silence_does_not_break_it() {
    let steps = [(0, 1, 1, 0), (IDLE, 0, 1, 0)];
    assert_eq!(by_reducer(&steps, true), [(IDLE, BTreeMap::from([(1, 1)]))]);
    let steps = [(0, 1, 1, 0), (IDLE - 1, 0, 1, 0)];
    assert_eq!(by_reducer(&steps, true), [(2 * IDLE - 1, BTreeMap::from([(1, 1)]))]);
}

#[test]
fn the_same_content_is_noticed_once_and_another_again() {
    let steps = [(0, 1, 1, 0), (2 * IDLE, 0, 1, 0), (4 * IDLE, 1, 2, 0)];
    let dues: Vec<i64> = by_reducer(&steps, true).iter().map(|(due, _)| *due).collect();
    assert_eq!(dues, [IDLE, 5 * IDLE]);
}

#[test]
fn a_late_purchase_closes_what_it_contains_and_a_late_view_changes_nothing() {
    let (key, rules, mut profile) = (ProfileKey::new("shop", "anna"), Rules::default(), Profile::default());
    let on_time = Arrival { late: false, settled: EventTime::MIN };
    let late = Arrival { late: true, settled: EventTime(IDLE - 1) };
    apply(&mut profile, &key, &event(0, (0, 1, 1, 0)), on_time, &rules);
    let before = profile.clone();
    assert_eq!(apply(&mut profile, &key, &event(1, (5, 0, 1, 0)), late, &rules), Outcome::Late);
    assert_eq!(profile, before);
    assert!(matches!(apply(&mut profile, &key, &event(2, (6, 3, 1, 0)), late, &rules), Outcome::Applied(_)));
    assert_eq!(fire(&mut profile, &key, EventTime::MAX, &rules), []);
}

#[test]
fn a_purchase_that_names_a_cart_closes_it_whole_and_leaves_another() {
    let (key, rules, mut profile) = (ProfileKey::new("shop", "anna"), Rules::default(), Profile::default());
    let on_time = Arrival { late: false, settled: EventTime::MIN };
    for (number, cart) in ["first", "second"].into_iter().enumerate() {
        let mut added = event(number, (number as i64, 1, number as u8, 0));
        added.cart.as_mut().unwrap().cart_id = Some(cart.into());
        apply(&mut profile, &key, &added, on_time, &rules);
    }
    let mut order = event(2, (2, 3, 9, 0));
    order.order.as_mut().unwrap().cart_id = Some("first".into());
    apply(&mut profile, &key, &order, on_time, &rules);
    let left = fire(&mut profile, &key, EventTime::MAX, &rules);
    let carts: Vec<_> =
        left.iter().filter_map(|u| u.abandonment.as_ref()).map(|a| &a.cart.cart_key).collect();
    assert_eq!(carts, ["second"]);
}

#[test]
fn a_flood_of_changes_stays_bounded() {
    let (key, rules, mut profile) = (ProfileKey::new("shop", "anna"), Rules::default(), Profile::default());
    let on_time = Arrival { late: false, settled: EventTime::MIN };
    for number in 0..5_000 {
        let mut added = event(number, (number as i64, 1, 0, 0));
        added.items[0].product_id = number.to_string();
        apply(&mut profile, &key, &added, on_time, &rules);
    }
    let left = fire(&mut profile, &key, EventTime::MAX, &rules);
    assert_eq!(left[0].abandonment.as_ref().unwrap().cart.lines.len(), 500);
}
