use crate::shop::Shop;

/// Two customers who looked at a bun and then at jam.
fn with_two_who_went_on_from_bun_to_jam() -> Shop {
    let mut shop = Shop::open();
    shop.at("09:00").customer("bea").views("bun").views("jam");
    shop.customer("cleo").views("bun").views("jam");
    shop
}

#[test]
fn two_who_looked_at_the_same_things_teach_what_a_third_may_like() {
    let mut shop = with_two_who_went_on_from_bun_to_jam();
    shop.at("09:10").customer("anna").views("bun");
    assert_eq!(shop.customer("anna").sees("SIMILAR_USERS").unwrap(), ["jam"]);
}

#[test]
fn what_happened_in_the_last_half_minute_is_not_taught_yet() {
    let mut shop = with_two_who_went_on_from_bun_to_jam();
    shop.customer("anna").views("bun");
    assert_eq!(shop.customer("anna").sees("SIMILAR_USERS"), None);
}

#[test]
fn what_is_in_the_cart_is_not_recommended() {
    let mut shop = with_two_who_went_on_from_bun_to_jam();
    shop.at("09:10").customer("anna").adds("jam");
    shop.at("09:11").customer("anna").views("bun");
    let shown = shop.customer("anna").sees("SIMILAR_USERS").unwrap_or_default();
    assert!(!shown.contains(&"jam".to_owned()), "{shown:?}");
    let shown = shop.customer("anna").sees("FOR_YOU").unwrap_or_default();
    assert!(!shown.contains(&"jam".to_owned()), "{shown:?}");
}

#[test]
fn what_was_bought_is_never_recommended() {
    let mut shop = with_two_who_went_on_from_bun_to_jam();
    shop.at("09:10").customer("anna").buys("jam");
    shop.at("20:00").customer("anna").wishes_for("jam").views("bun");
    shop.customer("dora").views("bun");
    assert!(shop.customer("dora").sees("FOR_YOU").unwrap().contains(&"jam".to_owned()), "it is to others");
    let said = shop.closes().said("recommendations").into_iter();
    let to_anna: Vec<_> = said.filter(|said| said.key == "shop|anna").collect();
    assert!(!to_anna.is_empty());
    for said in to_anna {
        let (items, excluded) = (said.value["items"].to_string(), said.value["excluded"].to_string());
        assert!(!items.contains("jam") && excluded.contains("jam"), "{}", said.value);
    }
}

#[test]
fn where_nothing_is_relevant_nothing_is_said_and_that_is_explained() {
    let mut shop = Shop::open();
    shop.at("09:00").customer("anna").views("bun");
    assert_eq!(shop.closes().said("recommendations"), []);
    let silent = ("RECOMMENDATION".to_owned(), "BELOW_FLOOR".to_owned());
    assert_eq!(shop.customer("anna").silences(), [silent.clone(), silent], "one for each placement");
}
