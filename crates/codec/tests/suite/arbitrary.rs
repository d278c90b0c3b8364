//! Words with arbitrary content: any text, any number that the wire can hold.

use std::collections::BTreeMap;

use codec::Outward;
use events::{
    Abandonment, Attribution, Cart, CartLine, CartOp, CartView, Cause, Channel, Consent, DeadLetter, Event,
    EventKind, EventTime, Geo, Heartbeat, Item, ItemSeen, ListContext, Order, OriginTime, ProfileKey,
    ProfileUpdate, SessionView, Stage,
};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::contract::SCHEMA_ID;

/// Either form.
pub(crate) fn outward() -> impl Strategy<Value = Outward> {
    select(vec![Outward::Json, Outward::ConfluentAvro { schema_id: SCHEMA_ID }])
}

/// A refusal of that payload.
pub(crate) fn refused(payload: &[u8]) -> DeadLetter {
    DeadLetter {
        stage: "ingest".to_owned(),
        source: "clickstream".to_owned(),
        code: "NOT_JSON".to_owned(),
        field: String::new(),
        detail: "The value is not JSON.".to_owned(),
        key: None,
        payload: Some(payload.to_vec()),
        payload_bytes: payload.len() as u64,
    }
}

prop_compose! {
    pub(crate) fn event()(
        (event_id, tenant, source, kind) in (text(), text(), text(), select(EventKind::ALL)),
        (event_time, received_at) in (time(), time()),
        (client_time, sent_at, seq) in (of(time()), of(time()), of(any::<i64>())),
        (anonymous_id, user_id, session_id, page_view_id) in (maybe(), maybe(), maybe(), maybe()),
        (extra_ids, attributes, channel) in (texts(), texts(), channel()),
        (items, currency, cart, order) in (vec(item(), 0..3), maybe(), of(cart()), of(order())),
        (list, attribution, consent, geo) in (of(list()), of(attribution()), of(consent()), of(geo())),
        (timezone, locale, device_class) in (maybe(), maybe(), maybe()),
        (page_url, referrer, tracker) in (maybe(), maybe(), maybe()),
    ) -> Event {
        Event {
            event_id, tenant, source, kind, event_time, received_at, client_time, sent_at, seq, anonymous_id,
            user_id, session_id, page_view_id, extra_ids, channel, items, currency, cart, order, list,
            attribution, consent, geo, timezone, locale, device_class, page_url, referrer, tracker, attributes,
        }
    }
}

prop_compose! {
    pub(crate) fn profile_update()(
        (tenant, id, user_id, anonymous_id) in (text(), text(), maybe(), maybe()),
        (cause, session, carts) in (cause(), of(session()), vec(cart_view(), 0..3)),
        (recently_viewed, purchased, wished) in (seen(), seen(), seen()),
        (events, orders) in (0..=i64::MAX as u64, 0..=i64::MAX as u64),
        abandonment in of(abandonment()),
    ) -> ProfileUpdate {
        ProfileUpdate {
            profile: ProfileKey::new(&tenant, &id), user_id, anonymous_id, cause, session, carts, recently_viewed,
            purchased, wished, events, orders, abandonment,
        }
    }
}

prop_compose! {
    pub(crate) fn heartbeat()(source in text(), origins in vec((any::<i32>(), time()), 0..5)) -> Heartbeat {
        let origins = origins.into_iter().map(|(partition, time)| OriginTime { partition, time }).collect();
        Heartbeat { source, origins }
    }
}

prop_compose! {
    pub(crate) fn dead_letter()(
        (stage, source, code, field, detail) in (text(), text(), text(), text(), text()),
        (key, payload) in (of(bytes()), of(bytes())),
        payload_bytes in 0..=i64::MAX as u64,
    ) -> DeadLetter {
        DeadLetter { stage, source, code, field, detail, key, payload, payload_bytes }
    }
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..6).prop_map(String::from_iter)
}

pub(crate) fn maybe() -> impl Strategy<Value = Option<String>> {
    of(text())
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text(), text(), 0..3)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![text().prop_map(String::into_bytes), vec(any::<u8>(), 0..20)]
}

pub(crate) fn time() -> impl Strategy<Value = EventTime> {
    prop_oneof![any::<i64>().prop_map(EventTime), Just(EventTime::MIN), Just(EventTime::MAX)]
}

pub(crate) fn kind() -> impl Strategy<Value = EventKind> {
    select(EventKind::ALL)
}

fn channel() -> impl Strategy<Value = Channel> {
    select(vec![
        Channel::Unknown,
        Channel::Web,
        Channel::App,
        Channel::Pos,
        Channel::CallCenter,
        Channel::Email,
        Channel::Server,
    ])
}

prop_compose! {
    fn item()(
        (product_id, variant_id, name, brand) in (text(), maybe(), maybe(), maybe()),
        categories in vec(text(), 0..3),
        (price_minor, list_price_minor) in (of(any::<i64>()), of(any::<i64>())),
        (quantity, position) in (any::<i32>(), of(any::<i32>())),
        (coupon, url, image_url) in (maybe(), maybe(), maybe()),
    ) -> Item {
        Item {
            product_id, variant_id, name, brand, categories, price_minor, list_price_minor, quantity, position,
            coupon, url, image_url,
        }
    }
}

prop_compose! {
    fn cart()(
        op in select(vec![CartOp::Add, CartOp::Remove, CartOp::SetQuantity, CartOp::Clear, CartOp::Snapshot]),
        (cart_id, checkout_id, cart_url) in (maybe(), maybe(), maybe()),
        total_minor in of(any::<i64>()),
    ) -> Cart {
        Cart { cart_id, op, total_minor, checkout_id, cart_url }
    }
}

prop_compose! {
    fn order()(
        (order_id, cart_id, checkout_id, status) in (text(), maybe(), maybe(), text()),
        (total_minor, shipping_minor) in (of(any::<i64>()), of(any::<i64>())),
        (tax_minor, discount_minor) in (of(any::<i64>()), of(any::<i64>())),
        coupons in vec(text(), 0..3),
    ) -> Order {
        Order {
            order_id, cart_id, checkout_id, status, total_minor, shipping_minor, tax_minor, discount_minor, coupons,
        }
    }
}

prop_compose! {
    fn list()(list_id in maybe(), query in maybe(), filters in texts(), sort in maybe()) -> ListContext {
        ListContext { list_id, query, filters, sort }
    }
}

prop_compose! {
    fn attribution()(decision_id in maybe(), campaign in texts(), experiments in texts()) -> Attribution {
        Attribution { decision_id, campaign, experiments }
    }
}

prop_compose! {
    fn consent()(version in text(), purposes in btree_map(text(), any::<bool>(), 0..3), tcf in maybe()) -> Consent {
        Consent { version, purposes, tcf }
    }
}

prop_compose! {
    fn geo()(country in maybe(), region in maybe(), city in maybe(), cell in maybe()) -> Geo {
        Geo { country, region, city, cell }
    }
}

pub(crate) fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        (text(), select(EventKind::ALL), time()).prop_map(|(event_id, kind, event_time)| Cause::Event {
            event_id,
            kind,
            event_time
        }),
        time().prop_map(|due| Cause::Timer { due }),
    ]
}

prop_compose! {
    fn session()(session_id in text(), started_at in time(), last_event_at in time(), events in any::<u32>()) -> SessionView {
        SessionView { session_id, started_at, last_event_at, events }
    }
}

prop_compose! {
    pub(crate) fn cart_view()(
        cart_key in text(), lines in vec(cart_line(), 0..3), total_minor in any::<i64>(), currency in maybe(),
    ) -> CartView {
        CartView { cart_key, lines, total_minor, currency }
    }
}

prop_compose! {
    fn cart_line()(
        product_id in text(), variant_id in maybe(), quantity in any::<i32>(), price_minor in of(any::<i64>()),
    ) -> CartLine {
        CartLine { product_id, variant_id, quantity, price_minor }
    }
}

fn seen() -> impl Strategy<Value = Vec<ItemSeen>> {
    vec((text(), time()).prop_map(|(product_id, at)| ItemSeen { product_id, at }), 0..3)
}

prop_compose! {
    fn abandonment()(
        cart in cart_view(),
        fingerprint in text(),
        stage in select(vec![Stage::Cart, Stage::Checkout]),
        (last_activity_at, abandoned_at) in (time(), time()),
    ) -> Abandonment {
        Abandonment { cart, fingerprint, stage, last_activity_at, abandoned_at }
    }
}
