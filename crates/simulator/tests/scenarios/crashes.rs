use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stream_runtime::{Guards, Observer, Step};

use crate::log::{decisions, digests};
use crate::shop::{Shop, config};

const PROCESSORS: [&str; 3] = ["ingest-clickstream", "profile-updater", "recommender"];
/// The process dies when the step is reached so many times: in the middle of the day.
const TURN: usize = 11;

/// Kills the process the way nobody can prepare for: a thread is gone between two steps, with its transaction open.
struct Dies {
    processor: &'static str,
    step: Step,
    turns: AtomicUsize,
}

impl Observer for Dies {
    fn reached(&self, processor: &str, step: Step, _: usize) {
        if processor == self.processor
            && step == self.step
            && self.turns.fetch_add(1, Ordering::Relaxed) + 1 == TURN
        {
            panic!("killed by the test");
        }
    }
}

/// A day with something of everything: a reminder, one taken back, a silence, recommendations, a bad line.
fn day(mut shop: Shop) -> Shop {
    shop.at("09:00").customer("bea").views("bun").views("jam").adds("bun");
    shop.at("09:10").customer("anna").views("bun").adds("cake");
    shop.at("09:12").tracks("anna", b"not a line");
    shop.at("09:20").customer("cleo").adds("bun");
    shop.at("09:50").customer("bea").buys("bun");
    shop.at("09:52").customer("cleo").buys("bun");
    shop.at("10:00").customer("dora").views("bun").views("cake");
    shop.closes();
    shop
}

/// The same decisions, each once and to the last letter, and the same events and updates behind them.
fn assert_same_day(shop: &Shop, undisturbed: &Shop, what: &str) {
    let (said, expected) = (decisions(shop.broker()), decisions(undisturbed.broker()));
    let unexpected: Vec<_> = said.iter().filter(|one| !expected.contains(one)).collect();
    let missing: Vec<_> = expected.iter().filter(|one| !said.contains(one)).collect();
    assert!(unexpected.is_empty() && missing.is_empty(), "{what}: said {unexpected:#?}, not {missing:#?}");
    assert_eq!(said.len(), expected.len(), "{what}: something was said twice");
    assert_eq!(digests(shop.broker()), digests(undisturbed.broker()), "{what}");
}

#[test]
fn an_undisturbed_day_has_something_of_everything() {
    let mut shop = day(Shop::open());
    let actions = |said: Vec<serde_json::Value>| -> Vec<String> {
        said.iter().map(|said| said["action"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(actions(shop.customer("anna").reminders()), ["FIRE"]);
    assert_eq!(actions(shop.customer("bea").reminders()), ["FIRE", "CANCEL"]);
    assert_eq!(shop.customer("cleo").cart_silences(), ["PURCHASED"]);
    assert!(shop.customer("dora").sees("SIMILAR_USERS").is_some());
    assert_eq!(shop.said("dead-letters").len(), 1);
}

#[test]
fn a_day_without_its_last_hour_is_seen_to_differ() {
    let (mut shop, whole) = (Shop::open(), day(Shop::open()));
    shop.at("09:00").customer("bea").views("bun");
    shop.closes();
    assert_ne!(decisions(shop.broker()), decisions(whole.broker()));
    assert_ne!(digests(shop.broker()), digests(whole.broker()));
}

fn day_with_a_death(processor: &'static str, step: Step, guards: Guards) -> Shop {
    let dies = Arc::new(Dies { processor, step, turns: AtomicUsize::new(0) });
    let shop = day(Shop::watched(config(), 1, guards, vec![dies]).may_die());
    assert_eq!(shop.restarts, 1, "{processor} did not die after {step:?}");
    shop
}

#[test]
fn without_its_offsets_in_the_transaction_a_death_would_be_noticed() {
    let guards = Guards { offsets_in_transaction: false, ..Guards::default() };
    let shop = day_with_a_death(PROCESSORS[0], Step::Committed, guards);
    assert_ne!(digests(shop.broker())["events"], digests(day(Shop::open()).broker())["events"]);
}

fn dies_after_each_step_of(processor: &'static str) {
    let undisturbed = day(Shop::open());
    for step in Step::ALL {
        let shop = day_with_a_death(processor, step, Guards::default());
        assert_same_day(&shop, &undisturbed, &format!("{processor} died after {step:?}"));
    }
}

#[test]
fn ingest_may_die_after_any_step_and_nobody_notices() {
    dies_after_each_step_of(PROCESSORS[0]);
}

#[test]
fn the_profile_updater_may_die_after_any_step_and_nobody_notices() {
    dies_after_each_step_of(PROCESSORS[1]);
}

#[test]
fn the_recommender_may_die_after_any_step_and_nobody_notices() {
    dies_after_each_step_of(PROCESSORS[2]);
}
