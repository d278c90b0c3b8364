use serde_json::json;

use crate::shop::Shop;

#[test]
fn a_malformed_line_is_a_dead_letter_and_the_next_one_goes_on() {
    let mut shop = Shop::open();
    shop.at("09:00").tracks("anna", b"{\"event_type\": \"product_vie");
    shop.customer("anna").adds("bun");
    let letters = shop.closes().said("dead-letters");
    let codes: Vec<_> = letters.iter().map(|letter| &letter.value["code"]).collect();
    assert_eq!(codes, [&json!("NOT_JSON")]);
    assert_eq!(shop.customer("anna").reminders().len(), 1);
}
