//! What a customer does, and what she hears of it.

use serde_json::{Value, json};

use crate::log::Said;
use crate::shop::Shop;

/// A customer at the shop's door, at the time that the clock shows.
pub(crate) struct Customer<'a> {
    shop: &'a mut Shop,
    name: &'static str,
}

impl<'a> Customer<'a> {
    pub(crate) fn new(shop: &'a mut Shop, name: &'static str) -> Self {
        Self { shop, name }
    }

    // --- what she does ---

    pub(crate) fn views(self, product: &str) -> Self {
        self.does(json!({ "event_type": "product_viewed", "items": [item(product)] }))
    }

    pub(crate) fn wishes_for(self, product: &str) -> Self {
        self.does(json!({ "event_type": "wishlist_added", "items": [item(product)] }))
    }

    pub(crate) fn adds(self, product: &str) -> Self {
        let id = self.shop.new_id();
        self.adds_as(&id, product)
    }

    /// Adds a product in an event of that id.
    pub(crate) fn adds_as(self, id: &str, product: &str) -> Self {
        let cart = json!({ "op": "ADD" });
        let event = json!({ "event_type": "cart_item_added", "items": [item(product)], "cart": cart });
        self.shop.happens(self.name, id, event);
        self
    }

    pub(crate) fn buys(self, product: &str) -> Self {
        let order = json!({ "order_id": self.shop.new_id(), "status": "completed" });
        self.does(json!({ "event_type": "order_completed", "items": [item(product)], "order": order }))
    }

    fn does(self, event: Value) -> Self {
        let id = self.shop.new_id();
        self.shop.happens(self.name, &id, event);
        self
    }

    // --- what she hears ---

    /// What was said about her carts: the action and when it was due, in order.
    pub(crate) fn reminders(self) -> Vec<Value> {
        self.hears("abandoned-carts")
    }

    /// The products that were shown to her last in a place; `None` if nothing ever was.
    pub(crate) fn sees(self, placement: &str) -> Option<Vec<String>> {
        let shown = self.hears("recommendations");
        let newest = shown.iter().rfind(|said| said["placement"] == placement)?;
        let items = newest["items"].as_array().unwrap();
        Some(items.iter().map(|item| item["product_id"].as_str().unwrap().to_owned()).collect())
    }

    /// Why nothing was said: what it would have been, and the reason.
    pub(crate) fn silences(self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let silences = self.hears("suppressions");
        silences.iter().map(|said| (text(&said["would_have_been"]), text(&said["reason_code"]))).collect()
    }

    /// The reasons for silence about her carts.
    pub(crate) fn cart_silences(self) -> Vec<String> {
        let of_carts = |(what, reason): (String, String)| (what == "ABANDONED_CART").then_some(reason);
        self.silences().into_iter().filter_map(of_carts).collect()
    }

    fn hears(self, topic: &str) -> Vec<Value> {
        let key = format!("shop|{}", self.name);
        let said = self.shop.said(topic).into_iter();
        said.filter(|said| said.key == key).map(|Said { value, .. }| value).collect()
    }
}

fn item(product: &str) -> Value {
    json!({ "product_id": product, "price_minor": 690, "quantity": 1 })
}
