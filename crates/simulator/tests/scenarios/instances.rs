use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use stream_runtime::{Guards, Observer, Step};

use crate::log::{decisions, digests};
use crate::shop::{Shop, config};

const CUSTOMERS: [&str; 8] = ["anna", "bea", "cleo", "dora", "ella", "fay", "gwen", "hana"];

/// Counts the transactions of each processor.
#[derive(Default)]
struct Transactions(Mutex<BTreeMap<String, usize>>);

impl Observer for Transactions {
    fn reached(&self, processor: &str, step: Step, _: usize) {
        if step == Step::Applied {
            *self.0.lock().unwrap().entry(processor.to_owned()).or_default() += 1;
        }
    }
}

fn day(mut shop: Shop) -> Shop {
    for (number, name) in CUSTOMERS.into_iter().enumerate() {
        shop.at(&format!("09:{:02}", number * 3)).customer(name).views("bun").adds("jam");
    }
    for (number, name) in CUSTOMERS.into_iter().step_by(2).enumerate() {
        shop.at(&format!("10:{:02}", number * 3)).customer(name).buys("jam");
    }
    shop.closes();
    shop
}

#[test]
fn two_instances_share_the_work_and_say_what_one_says() {
    let (one, two) = (Arc::new(Transactions::default()), Arc::new(Transactions::default()));
    let shared = day(Shop::watched(config(), 2, Guards::default(), vec![one.clone(), two.clone()]));
    let alone = day(Shop::with(config(), 2));
    for worked in [one, two] {
        let worked = worked.0.lock().unwrap().clone();
        assert_eq!(worked.len(), 3, "every processor had its share in both: {worked:?}");
    }
    assert_eq!(digests(shared.broker()), digests(alone.broker()));
    assert_eq!(decisions(shared.broker()), decisions(alone.broker()));
}
