use std::collections::BTreeMap;

use events::{
    Attribution, Cart, CartOp, Channel, Consent, Event, EventKind, EventTime, Geo, Item, ListContext, Order,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::adaptors::{Borrowed, KindName, List, Millis, Optional, Owned, Wire, mirror};
use super::as_json;
use crate::{CodecError, MAX_VALUE_BYTES, Subject, avro, frame};

const SUBJECT: Subject = Subject::ClickstreamEvent;

pub(crate) fn encode(event: &Event) -> Result<Vec<u8>, CodecError> {
    avro::encode(SUBJECT, &Borrowed::<EventWire>(event))
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Event, CodecError> {
    avro::decode::<Owned<EventWire>>(SUBJECT, bytes).map(|owned| owned.0)
}

pub(crate) fn to_json(event: &Event) -> Result<Value, CodecError> {
    as_json(SUBJECT, &Borrowed::<EventWire>(event))
}

pub(crate) fn canonical_json(bytes: &[u8], schema_id: Option<u32>) -> Result<Vec<u8>, CodecError> {
    let event = decode_input(bytes, schema_id)?;
    serde_json::to_vec(&Borrowed::<EventWire>(&event))
        .map_err(|_| CodecError::Unencodable { what: SUBJECT.name(), reason: "it has no form in JSON" })
}

/// Confluent's frame or the version byte, told apart by the first byte.
fn decode_input(bytes: &[u8], schema_id: Option<u32>) -> Result<Event, CodecError> {
    if bytes.first() != Some(&frame::MAGIC) {
        return decode(bytes);
    }
    let what = SUBJECT.name();
    avro::refuse_large(SUBJECT, bytes.len(), MAX_VALUE_BYTES)?;
    let (found, datum) = frame::open(what, bytes)?;
    if schema_id != Some(found) {
        return Err(CodecError::UnknownSchema { what });
    }
    avro::read::<Owned<EventWire>>(SUBJECT, datum).map(|owned| owned.0)
}

// Each struct has the fields of its record in the order of the schema, and each enum its symbols: Avro writes
// them as they come, without names.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Event")]
struct EventWire {
    event_id: String,
    #[serde(rename = "tenant_id")]
    tenant: String,
    source: String,
    #[serde(rename = "event_type", with = "KindName")]
    kind: EventKind,
    #[serde(with = "Millis")]
    event_time: EventTime,
    #[serde(with = "Millis")]
    received_at: EventTime,
    #[serde(with = "Optional::<Millis>")]
    client_time: Option<EventTime>,
    #[serde(with = "Optional::<Millis>")]
    sent_at: Option<EventTime>,
    seq: Option<i64>,
    anonymous_id: Option<String>,
    user_id: Option<String>,
    session_id: Option<String>,
    page_view_id: Option<String>,
    extra_ids: BTreeMap<String, String>,
    #[serde(with = "ChannelWire")]
    channel: Channel,
    #[serde(with = "List::<ItemWire>")]
    items: Vec<Item>,
    currency: Option<String>,
    #[serde(with = "Optional::<CartWire>")]
    cart: Option<Cart>,
    #[serde(with = "Optional::<OrderWire>")]
    order: Option<Order>,
    #[serde(with = "Optional::<ListWire>")]
    list: Option<ListContext>,
    #[serde(with = "Optional::<AttributionWire>")]
    attribution: Option<Attribution>,
    #[serde(with = "Optional::<ConsentWire>")]
    consent: Option<Consent>,
    #[serde(with = "Optional::<GeoWire>")]
    geo: Option<Geo>,
    timezone: Option<String>,
    locale: Option<String>,
    device_class: Option<String>,
    page_url: Option<String>,
    referrer: Option<String>,
    tracker: Option<String>,
    attributes: BTreeMap<String, String>,
}
mirror!(EventWire, Event);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Channel", rename_all = "SCREAMING_SNAKE_CASE")]
enum ChannelWire {
    Unknown,
    Web,
    App,
    Pos,
    CallCenter,
    Email,
    Server,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Item")]
struct ItemWire {
    product_id: String,
    variant_id: Option<String>,
    name: Option<String>,
    brand: Option<String>,
    categories: Vec<String>,
    price_minor: Option<i64>,
    list_price_minor: Option<i64>,
    quantity: i32,
    position: Option<i32>,
    coupon: Option<String>,
    url: Option<String>,
    image_url: Option<String>,
}
mirror!(ItemWire, Item);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Cart")]
struct CartWire {
    cart_id: Option<String>,
    #[serde(with = "CartOpWire")]
    op: CartOp,
    total_minor: Option<i64>,
    checkout_id: Option<String>,
    cart_url: Option<String>,
}
mirror!(CartWire, Cart);

#[derive(Serialize, Deserialize)]
#[serde(remote = "CartOp", rename_all = "SCREAMING_SNAKE_CASE")]
enum CartOpWire {
    Add,
    Remove,
    #[serde(rename = "SET_QTY")]
    SetQuantity,
    Clear,
    Snapshot,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Order")]
struct OrderWire {
    order_id: String,
    cart_id: Option<String>,
    checkout_id: Option<String>,
    status: String,
    total_minor: Option<i64>,
    shipping_minor: Option<i64>,
    tax_minor: Option<i64>,
    discount_minor: Option<i64>,
    coupons: Vec<String>,
}
mirror!(OrderWire, Order);

#[derive(Serialize, Deserialize)]
#[serde(remote = "ListContext")]
struct ListWire {
    list_id: Option<String>,
    query: Option<String>,
    filters: BTreeMap<String, String>,
    sort: Option<String>,
}
mirror!(ListWire, ListContext);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Attribution")]
struct AttributionWire {
    decision_id: Option<String>,
    campaign: BTreeMap<String, String>,
    experiments: BTreeMap<String, String>,
}
mirror!(AttributionWire, Attribution);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Consent")]
struct ConsentWire {
    version: String,
    purposes: BTreeMap<String, bool>,
    tcf: Option<String>,
}
mirror!(ConsentWire, Consent);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Geo")]
struct GeoWire {
    country: Option<String>,
    region: Option<String>,
    city: Option<String>,
    cell: Option<String>,
}
mirror!(GeoWire, Geo);
