use serde_json::json;

use crate::shop::Shop;

/// 2026-03-14 at that time, in milliseconds since 1970.
fn millis(hours: i64, minutes: i64) -> i64 {
    1_773_446_400_000 + (hours * 60 + minutes) * 60_000
}

#[test]
fn a_cart_that_is_left_is_spoken_about_once_and_is_due_after_half_an_hour() {
    let mut shop = Shop::open();
    shop.at("09:00").customer("anna").adds("bun");
    assert_eq!(shop.at("09:40").customer("anna").reminders().len(), 0, "an event could still come");
    assert_eq!(shop.at("09:41").customer("anna").reminders().len(), 1);
    let said = shop.closes().customer("anna").reminders();
    assert_eq!(said.len(), 1);
    assert_eq!((&said[0]["action"], &said[0]["version"]), (&json!("FIRE"), &json!(1)));
    assert_eq!(said[0]["fire_at"], json!(millis(9, 30)));
    assert_eq!(said[0]["cart"]["lines"][0]["product_id"], json!("bun"));
}

#[test]
fn whoever_goes_on_looking_is_not_reminded_before_she_has_stopped() {
    let mut shop = Shop::open();
    shop.at("09:00").customer("anna").adds("bun");
    shop.at("09:20").customer("anna").views("cake");
    let said = shop.closes().customer("anna").reminders();
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["fire_at"], json!(millis(9, 50)));
}

#[test]
fn a_purchase_before_it_is_due_makes_silence() {
    let mut shop = Shop::open();
    shop.at("09:00").customer("anna").adds("bun");
    shop.at("09:20").customer("anna").buys("bun");
    assert_eq!(shop.closes().customer("anna").reminders().len(), 0);
    assert_eq!(shop.customer("anna").cart_silences().len(), 0, "nothing was left, so nothing is explained");
}

#[test]
fn a_purchase_after_the_reminder_takes_it_back() {
    let mut shop = Shop::open();
    shop.at("09:00").customer("anna").adds("bun");
    shop.at("10:00").customer("anna").buys("bun");
    let said = shop.closes().customer("anna").reminders();
    let actions: Vec<_> = said.iter().map(|said| said["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["FIRE", "CANCEL"]);
    assert_eq!(said[0]["trigger_id"], said[1]["trigger_id"]);
    assert_ne!(said[0]["decision_id"], said[1]["decision_id"]);
    assert_eq!(said[1]["cancel_reason"], json!("PURCHASED"));
}

#[test]
fn a_purchase_that_is_known_before_the_reminder_leaves_is_the_reason_for_silence() {
    let mut shop = Shop::open();
    shop.at("09:00").customer("anna").adds("bun");
    shop.at("09:35").customer("anna").buys("bun");
    assert_eq!(shop.closes().customer("anna").reminders().len(), 0);
    assert_eq!(shop.customer("anna").cart_silences(), ["PURCHASED"]);
}

#[test]
fn the_same_content_is_not_spoken_about_twice_and_another_cart_is() {
    let mut shop = Shop::open();
    shop.at("09:00").customer("anna").adds("bun");
    shop.at("11:00").customer("anna").views("bun");
    assert_eq!(shop.at("12:00").customer("anna").reminders().len(), 1, "the cart is as it was");
    shop.at("13:00").customer("anna").adds("cake");
    let said = shop.closes().customer("anna").reminders();
    assert_eq!(said.len(), 2);
    assert_eq!(said[1]["cart"]["lines"].as_array().unwrap().len(), 2);
    assert_ne!(said[0]["trigger_id"], said[1]["trigger_id"]);
}

#[test]
fn a_duplicate_event_changes_nothing() {
    let mut shop = Shop::open();
    shop.at("09:00").customer("anna").adds_as("click", "bun");
    let shown = shop.said("recommendations").len() + shop.said("suppressions").len();
    // The same event once more: its time too.
    shop.at("09:05").at("09:00").customer("anna").adds_as("click", "bun");
    assert_eq!(shop.said("recommendations").len() + shop.said("suppressions").len(), shown);
    let said = shop.closes().customer("anna").reminders();
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["cart"]["lines"][0]["quantity"], json!(1));
    assert_eq!(said[0]["fire_at"], json!(millis(9, 30)));
}

#[test]
fn disorder_that_the_lateness_allows_changes_no_abandonment() {
    let told = |disordered: bool| {
        let mut shop = Shop::open();
        shop.at("09:00").customer("anna").adds("bun");
        if disordered {
            shop.at("09:14").customer("bea").views("cake");
            shop.at("09:05").customer("anna").adds("cake");
        } else {
            shop.at("09:05").customer("anna").adds("cake");
            shop.at("09:14").customer("bea").views("cake");
        }
        shop.closes().customer("anna").reminders()
    };
    let (said, in_order) = (told(true), told(false));
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["fire_at"], json!(millis(9, 35)));
    assert_eq!(said, in_order);
}

#[test]
fn a_late_view_changes_nothing_and_a_late_order_does() {
    let mut shop = Shop::open();
    shop.at("09:00").customer("anna").adds("bun");
    shop.at("09:00").customer("bea").adds("bun");
    // A view and an order that arrive a quarter of an hour after they happened.
    shop.at("09:25").at("09:10").customer("anna").views("cake");
    shop.at("09:10").customer("bea").buys("bun");
    let said = shop.closes().customer("anna").reminders();
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["fire_at"], json!(millis(9, 30)), "as if she had not looked");
    assert_eq!(shop.customer("bea").reminders().len(), 0, "she has bought it");
}
