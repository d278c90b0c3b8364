use std::time::{SystemTime, UNIX_EPOCH};

use events::{SpeechControl, SpeechKind};

use crate::shop::{Shop, config};

fn switch(shop: &mut Shop, kind: SpeechKind, speaking: bool) {
    let control = SpeechControl { tenant: "shop".into(), kind, speaking };
    paczek::switch(shop.broker(), shop.config(), &control).unwrap();
    shop.hears_of(kind, speaking);
}

#[test]
fn a_kind_that_is_switched_off_is_silent_while_the_other_goes_on() {
    let mut shop = Shop::open();
    shop.at("09:00").customer("bea").views("bun").views("jam");
    switch(&mut shop, SpeechKind::AbandonedCarts, false);
    shop.at("09:10").customer("anna").adds("bun");
    assert_eq!(shop.at("10:00").customer("anna").cart_silences(), ["SPEAKING_OFF"]);
    assert_eq!(shop.customer("anna").reminders().len(), 0);
    assert!(shop.customer("anna").sees("FOR_YOU").is_some());
    switch(&mut shop, SpeechKind::Recommendations, false);
    let before = shop.said("recommendations").len();
    shop.at("10:10").customer("anna").views("jam");
    assert_eq!(shop.at("10:20").said("recommendations").len(), before);
    let silent = ("RECOMMENDATION".to_owned(), "SPEAKING_OFF".to_owned());
    assert!(shop.customer("anna").silences().contains(&silent));
}

#[test]
fn what_was_learned_in_silence_is_spoken_of_once_it_is_on_again() {
    let mut shop = Shop::open();
    for kind in SpeechKind::ALL {
        switch(&mut shop, kind, false);
    }
    shop.at("09:00").customer("bea").views("bun").views("jam");
    shop.at("09:10").customer("anna").adds("bread");
    assert_eq!(shop.at("10:00").said("recommendations"), []);
    assert_eq!(shop.said("abandoned-carts"), []);
    for kind in SpeechKind::ALL {
        switch(&mut shop, kind, true);
    }
    shop.at("10:10").customer("anna").views("bun");
    let shown = shop.at("10:11").customer("anna").sees("SIMILAR_USERS");
    assert_eq!(shown.unwrap(), ["jam"], "the models have learned of bea");
    shop.at("10:12").customer("anna").adds("jam");
    let said = shop.closes().customer("anna").reminders();
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["cart"]["lines"].as_array().unwrap().len(), 2, "the cart was kept meanwhile");
}

#[test]
fn a_switch_outlives_the_process_and_holds_before_its_first_decision() {
    let mut shop = Shop::open();
    shop.at("09:00").customer("anna").adds("bun");
    for kind in SpeechKind::ALL {
        switch(&mut shop, kind, false);
    }
    shop.restarts_after(|shop| {
        shop.customer("bea").wishes_for("jam");
    });
    let silent = ("RECOMMENDATION".to_owned(), "SPEAKING_OFF".to_owned());
    assert_eq!(shop.customer("bea").silences(), [silent.clone(), silent], "one for each placement");
    assert_eq!(shop.closes().customer("anna").cart_silences(), ["SPEAKING_OFF"]);
    assert_eq!(shop.customer("anna").reminders().len(), 0);
}

#[test]
fn what_is_switched_can_be_looked_up_and_an_unknown_tenant_is_refused() {
    let mut shop = Shop::open();
    let speaking = |shop: &Shop| {
        let switches = paczek::speaking(shop.broker(), shop.config()).unwrap();
        switches.into_iter().map(|one| (one.kind, one.speaking)).collect::<Vec<_>>()
    };
    assert_eq!(speaking(&shop), [("recommendations", true), ("abandoned-carts", true)]);
    switch(&mut shop, SpeechKind::AbandonedCarts, false);
    assert_eq!(speaking(&shop), [("recommendations", true), ("abandoned-carts", false)]);
    let stranger =
        SpeechControl { tenant: "stranger".into(), kind: SpeechKind::AbandonedCarts, speaking: false };
    assert!(paczek::switch(shop.broker(), shop.config(), &stranger).is_err());
}

#[test]
fn what_was_due_before_speech_begins_is_a_backfill() {
    let mut config = config();
    config.recommender.speak_after = "2026-03-14T10:00:00Z".into();
    let mut shop = Shop::with(config, 1);
    shop.at("09:00").customer("anna").adds("bun");
    shop.at("09:45").customer("bea").adds("bun");
    assert_eq!(shop.closes().customer("anna").cart_silences(), ["BACKFILL"]);
    assert_eq!(shop.customer("anna").reminders().len(), 0);
    assert_eq!(shop.customer("bea").reminders().len(), 1, "hers was due after ten");
    let to_anna = shop.customer("anna").silences();
    assert!(to_anna.contains(&("RECOMMENDATION".to_owned(), "BACKFILL".to_owned())));
}

#[test]
fn what_is_due_too_long_ago_is_stale_by_the_clock_that_the_decision_carries() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = i64::try_from(since.as_millis()).unwrap();
    let mut config = config();
    config.sources[0].kind = "live".into();
    let mut shop = Shop::with(config, 1);
    shop.at_millis(now - 2 * 3_600_000).customer("anna").wishes_for("bun");
    shop.at_millis(now - 60_000).customer("bea").wishes_for("bun");
    let stale = ("RECOMMENDATION".to_owned(), "STALE".to_owned());
    assert_eq!(shop.customer("anna").silences(), [stale.clone(), stale], "one for each placement");
    assert_eq!(shop.customer("bea").sees("FOR_YOU").unwrap(), ["bun"]);
    let decisions = shop.said("suppressions").into_iter().chain(shop.said("recommendations"));
    for said in decisions.collect::<Vec<_>>() {
        let read: i64 = said.headers["clock"].parse().unwrap();
        assert!((now..now + 120_000).contains(&read), "{read}");
    }
}

#[test]
fn history_is_decided_without_a_look_at_the_clock() {
    let mut shop = Shop::open();
    shop.at("09:00").customer("anna").adds("bun");
    let said = shop.closes().said("abandoned-carts");
    assert_eq!(said.len(), 1);
    assert!(said[0].headers.contains_key("due") && !said[0].headers.contains_key("clock"));
}
