use std::collections::BTreeMap;

use events::{
    Attribution, Cart, CartOp, Channel, Consent, Event, EventKind, Geo, Item, ListContext, Order, Raw,
};

use crate::{
    Code, Rejection, Source,
    fields::{Fields, MOST_ENTRIES, MOST_ITEMS},
};

/// Reads the canonical event as JSON: the field names of the Avro schema `ClickstreamEvent`, money as
/// whole minor units, times as whole milliseconds, enums by their symbols.
///
/// Further members at the top become attributes when they are text, number or flag. The source is the
/// declared one, for time is kept per declared source; another name in the row becomes an attribute.
pub(crate) fn read(value: &[u8], raw: &Raw<'_>, source: &Source) -> Result<Event, Rejection> {
    let mut row = Fields::parse(value)?;
    let kind = kind(&mut row)?;
    let event_id = row.event_id("event_id", raw.line)?;
    let tenant = row.tenant("tenant_id")?.unwrap_or_else(|| source.tenant.clone());
    if tenant != source.tenant && !source.tenants.contains(&tenant) {
        return Err(row.refuse(Code::UnknownTenant, "tenant_id", "is none that the source declares"));
    }
    let event_time = row.millis("event_time")?.ok_or_else(|| row.missing("event_time"))?;
    let received_at = row.millis("received_at")?;
    let mut event = Event {
        event_id,
        tenant,
        source: source.name.clone(),
        currency: source.currency.clone(),
        kind,
        event_time,
        received_at: source.received_at(raw, received_at, event_time),
        client_time: row.millis("client_time")?,
        sent_at: row.millis("sent_at")?,
        seq: row.integer("seq")?,
        ..Event::default()
    };
    read_visitor(&mut event, &mut row)?;
    read_commerce(&mut event, &mut row)?;
    read_surroundings(&mut event, &mut row)?;
    let declared = row.text("source")?.filter(|name| *name != source.name);
    event.attributes = attributes(row, declared)?;
    Ok(event)
}

fn kind(row: &mut Fields<'_>) -> Result<EventKind, Rejection> {
    let name = row.text("event_type")?.ok_or_else(|| row.missing("event_type"))?;
    EventKind::parse(&name).ok_or_else(|| row.refuse(Code::UnknownEvent, "event_type", "no such event"))
}

fn read_visitor(event: &mut Event, row: &mut Fields<'_>) -> Result<(), Rejection> {
    event.anonymous_id = row.id("anonymous_id")?;
    event.user_id = row.id("user_id")?;
    event.session_id = row.id("session_id")?;
    event.page_view_id = row.id("page_view_id")?;
    event.extra_ids = row.id_map("extra_ids")?;
    event.channel = channel(row)?;
    Ok(())
}

fn read_commerce(event: &mut Event, row: &mut Fields<'_>) -> Result<(), Rejection> {
    event.currency = row.currency("currency")?.or(event.currency.take());
    let items = row.objects("items", MOST_ITEMS, Code::TooManyItems)?;
    event.items = items.into_iter().map(item).collect::<Result<_, _>>()?;
    event.cart = row.object_if_any("cart")?.map(cart).transpose()?;
    event.order = row.object_if_any("order")?.map(|fields| order(fields, event.kind)).transpose()?;
    event.list = row.object_if_any("list")?.map(list).transpose()?;
    Ok(())
}

fn read_surroundings(event: &mut Event, row: &mut Fields<'_>) -> Result<(), Rejection> {
    event.attribution = row.object_if_any("attribution")?.map(attribution).transpose()?;
    event.consent = row.object_if_any("consent")?.map(consent).transpose()?;
    event.geo = row.object_if_any("geo")?.map(geo).transpose()?;
    event.timezone = row.text("timezone")?;
    event.locale = row.text("locale")?;
    event.device_class = row.text("device_class")?;
    event.page_url = row.url("page_url")?;
    event.referrer = row.url("referrer")?;
    event.tracker = row.text("tracker")?;
    Ok(())
}

/// What the row says under `attributes`, and its further members; what it says twice counts as said there.
fn attributes(mut row: Fields<'_>, source: Option<String>) -> Result<BTreeMap<String, String>, Rejection> {
    let said = row.object("attributes")?.rest()?;
    let too_many = row.refuse(Code::BadField, "attributes", "has more than 64 entries");
    let mut attributes = row.rest()?;
    attributes.extend(source.map(|source| ("source".to_owned(), source)));
    attributes.extend(said);
    match attributes.len() > MOST_ENTRIES {
        true => Err(too_many),
        false => Ok(attributes),
    }
}

fn channel(row: &mut Fields<'_>) -> Result<Channel, Rejection> {
    match row.text("channel")?.as_deref() {
        None | Some("UNKNOWN") => Ok(Channel::Unknown),
        Some("WEB") => Ok(Channel::Web),
        Some("APP") => Ok(Channel::App),
        Some("POS") => Ok(Channel::Pos),
        Some("CALL_CENTER") => Ok(Channel::CallCenter),
        Some("EMAIL") => Ok(Channel::Email),
        Some("SERVER") => Ok(Channel::Server),
        Some(_) => Err(row.refuse(
            Code::BadField,
            "channel",
            "must be UNKNOWN, WEB, APP, POS, CALL_CENTER, EMAIL or SERVER",
        )),
    }
}

fn item(mut fields: Fields<'_>) -> Result<Item, Rejection> {
    Ok(Item {
        product_id: fields.id("product_id")?.ok_or_else(|| fields.missing("product_id"))?,
        variant_id: fields.id("variant_id")?,
        name: fields.text("name")?,
        brand: fields.text("brand")?,
        categories: fields.texts("categories")?,
        price_minor: fields.minor("price_minor")?,
        list_price_minor: fields.minor("list_price_minor")?,
        quantity: fields.quantity("quantity")?,
        position: fields.position("position")?,
        coupon: fields.text("coupon")?,
        url: fields.url("url")?,
        image_url: fields.url("image_url")?,
    })
}

fn cart(mut fields: Fields<'_>) -> Result<Cart, Rejection> {
    Ok(Cart {
        cart_id: fields.id("cart_id")?,
        op: cart_op(&mut fields)?,
        total_minor: fields.minor("total_minor")?,
        checkout_id: fields.id("checkout_id")?,
        cart_url: fields.url("cart_url")?,
    })
}

fn cart_op(fields: &mut Fields<'_>) -> Result<CartOp, Rejection> {
    match fields.text("op")?.as_deref() {
        Some("ADD") => Ok(CartOp::Add),
        Some("REMOVE") => Ok(CartOp::Remove),
        Some("SET_QTY") => Ok(CartOp::SetQuantity),
        Some("CLEAR") => Ok(CartOp::Clear),
        Some("SNAPSHOT") => Ok(CartOp::Snapshot),
        _ => Err(fields.refuse(Code::BadCartOp, "op", "must be ADD, REMOVE, SET_QTY, CLEAR or SNAPSHOT")),
    }
}

fn order(mut fields: Fields<'_>, kind: EventKind) -> Result<Order, Rejection> {
    let no_id = fields.refuse(Code::BadOrder, "order_id", "is required of an order");
    Ok(Order {
        order_id: fields.id("order_id")?.ok_or(no_id)?,
        cart_id: fields.id("cart_id")?,
        checkout_id: fields.id("checkout_id")?,
        status: fields.text("status")?.unwrap_or_else(|| order_status(kind).to_owned()),
        total_minor: fields.minor("total_minor")?,
        shipping_minor: fields.minor("shipping_minor")?,
        tax_minor: fields.minor("tax_minor")?,
        discount_minor: fields.minor("discount_minor")?,
        coupons: fields.texts("coupons")?,
    })
}

/// The status of an order that an event of `kind` leaves behind when it names none.
pub(crate) fn order_status(kind: EventKind) -> &'static str {
    match kind {
        EventKind::OrderUpdated => "updated",
        EventKind::OrderCancelled => "cancelled",
        EventKind::OrderRefunded => "refunded",
        EventKind::OrderShipped => "shipped",
        EventKind::OrderDelivered => "delivered",
        _ => "completed",
    }
}

fn list(mut fields: Fields<'_>) -> Result<ListContext, Rejection> {
    Ok(ListContext {
        list_id: fields.id("list_id")?,
        query: fields.text("query")?,
        filters: fields.text_map("filters")?,
        sort: fields.text("sort")?,
    })
}

fn attribution(mut fields: Fields<'_>) -> Result<Attribution, Rejection> {
    Ok(Attribution {
        decision_id: fields.id("decision_id")?,
        campaign: fields.text_map("campaign")?,
        experiments: fields.text_map("experiments")?,
    })
}

fn consent(mut fields: Fields<'_>) -> Result<Consent, Rejection> {
    Ok(Consent {
        version: fields.text("version")?.ok_or_else(|| fields.missing("version"))?,
        purposes: fields.flag_map("purposes")?,
        tcf: fields.text("tcf")?,
    })
}

fn geo(mut fields: Fields<'_>) -> Result<Geo, Rejection> {
    Ok(Geo {
        country: fields.text("country")?,
        region: fields.text("region")?,
        city: fields.text("city")?,
        cell: fields.text("cell")?,
    })
}

#[cfg(test)]
mod tests {
    use events::EventTime;

    use super::*;
    use crate::{Format, SourceKind, accept};

    const NOON: i64 = 1_773_489_600_000;

    const COMPLETE: &str = r#"{
        "event_id": "e1", "tenant_id": "other-shop", "source": "web-pixel", "event_type": "cart_item_added",
        "event_time": 1773489600000, "received_at": 1773489601000, "client_time": 1773489599000,
        "sent_at": 1773489600500, "seq": 4, "anonymous_id": "a", "user_id": "u", "session_id": "s",
        "page_view_id": "p", "extra_ids": {"loyalty_no": "77"}, "channel": "CALL_CENTER",
        "items": [{"product_id": "boots", "variant_id": "42", "name": "Boots", "brand": "Alp",
            "categories": ["shoes", "boots"], "price_minor": 8990, "list_price_minor": 9990, "quantity": 2,
            "position": 0, "coupon": "SPRING", "url": "https://shop/boots", "image_url": "https://b.jpg"}],
        "currency": "eur",
        "cart": {"cart_id": "c", "op": "SET_QTY", "total_minor": 17980, "checkout_id": "k",
            "cart_url": "https://c"},
        "order": {"order_id": "o", "status": "draft", "coupons": ["SPRING"]},
        "list": {"list_id": "l", "query": "boots", "filters": {"size": "42"}, "sort": "price"},
        "attribution": {"decision_id": "d", "campaign": {"source": "mail"}, "experiments": {"x": "b"}},
        "consent": {"version": "3", "purposes": {"ads": false}, "tcf": "CP"},
        "geo": {"country": "PL", "region": "MZ", "city": "Warszawa", "cell": "u3q"},
        "timezone": "Europe/Warsaw", "locale": "pl-PL", "device_class": "mobile", "page_url": "https://shop/",
        "referrer": "", "tracker": "own/1", "attributes": {"gift": "yes", "twice": "inside"},
        "loud": true, "weight": 1.50, "twice": "outside", "nested": {"left": "out"}, "nothing": null
    }"#;

    fn read_from(source: &Source, text: &str) -> Result<Event, Rejection> {
        let raw = Raw { value: Some(text.as_bytes()), line: None, produced_at: EventTime(NOON + 60_000) };
        accept(&raw, source)
    }

    fn read_live(text: &str) -> Result<Event, Rejection> {
        read_from(&source(SourceKind::Live), text)
    }

    fn source(kind: SourceKind) -> Source {
        let tenants = vec!["other-shop".to_owned()];
        Source { tenants, ..Source::new("clickstream", "shop", Format::Canonical, kind) }
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn item() -> Item {
        Item {
            product_id: "boots".into(),
            variant_id: Some("42".into()),
            name: Some("Boots".into()),
            brand: Some("Alp".into()),
            categories: vec!["shoes".into(), "boots".into()],
            price_minor: Some(8990),
            list_price_minor: Some(9990),
            quantity: 2,
            position: Some(0),
            coupon: Some("SPRING".into()),
            url: Some("https://shop/boots".into()),
            image_url: Some("https://b.jpg".into()),
        }
    }

    fn cart() -> Cart {
        Cart {
            cart_id: Some("c".into()),
            op: CartOp::SetQuantity,
            total_minor: Some(17_980),
            checkout_id: Some("k".into()),
            cart_url: Some("https://c".into()),
        }
    }

    fn order() -> Order {
        Order {
            order_id: "o".into(),
            status: "draft".into(),
            coupons: vec!["SPRING".into()],
            ..Order::default()
        }
    }

    fn list() -> ListContext {
        ListContext {
            list_id: Some("l".into()),
            query: Some("boots".into()),
            filters: map(&[("size", "42")]),
            sort: Some("price".into()),
        }
    }

    fn attribution() -> Attribution {
        Attribution {
            decision_id: Some("d".into()),
            campaign: map(&[("source", "mail")]),
            experiments: map(&[("x", "b")]),
        }
    }

    fn consent() -> Consent {
        Consent {
            version: "3".into(),
            purposes: BTreeMap::from([("ads".into(), false)]),
            tcf: Some("CP".into()),
        }
    }

    fn geo() -> Geo {
        Geo {
            country: Some("PL".into()),
            region: Some("MZ".into()),
            city: Some("Warszawa".into()),
            cell: Some("u3q".into()),
        }
    }

    #[test]
    fn every_canonical_field_is_read() {
        let expected = Event {
            event_id: "e1".into(),
            tenant: "other-shop".into(),
            source: "clickstream".into(),
            kind: EventKind::CartItemAdded,
            event_time: EventTime(NOON),
            received_at: EventTime(NOON + 1_000),
            client_time: Some(EventTime(NOON - 1_000)),
            sent_at: Some(EventTime(NOON + 500)),
            seq: Some(4),
            anonymous_id: Some("a".into()),
            user_id: Some("u".into()),
            session_id: Some("s".into()),
            page_view_id: Some("p".into()),
            extra_ids: map(&[("loyalty_no", "77")]),
            channel: Channel::CallCenter,
            items: vec![item()],
            currency: Some("EUR".into()),
            cart: Some(cart()),
            order: Some(order()),
            list: Some(list()),
            attribution: Some(attribution()),
            consent: Some(consent()),
            geo: Some(geo()),
            timezone: Some("Europe/Warsaw".into()),
            locale: Some("pl-PL".into()),
            device_class: Some("mobile".into()),
            page_url: Some("https://shop/".into()),
            referrer: None,
            tracker: Some("own/1".into()),
            attributes: map(&[
                ("gift", "yes"),
                ("loud", "true"),
                ("source", "web-pixel"),
                ("twice", "inside"),
                ("weight", "1.5"),
            ]),
        };
        assert_eq!(read_live(COMPLETE), Ok(expected));
    }

    #[test]
    fn what_a_row_leaves_out_comes_from_its_source_and_its_record() {
        let row = r#"{"event_id":"1","event_type":"page_viewed","event_time":1773489600000,"user_id":"u",
            "source":"clickstream"}"#;
        let event = read_live(row);
        let expected = Event {
            event_id: "1".into(),
            tenant: "shop".into(),
            source: "clickstream".into(),
            event_time: EventTime(NOON),
            received_at: EventTime(NOON + 60_000),
            user_id: Some("u".into()),
            ..Event::default()
        };
        assert_eq!(event, Ok(expected));
    }

    #[test]
    fn a_historic_row_was_received_when_it_happened() {
        let event = read_from(&source(SourceKind::Historic), COMPLETE);
        assert_eq!(event.map(|event| event.received_at), Ok(EventTime(NOON)));
    }

    #[test]
    fn an_order_has_the_status_its_event_leaves_behind() {
        let row = |kind: &str| {
            format!(
                r#"{{"event_id":"1","event_type":"{kind}","event_time":1773489600000,"user_id":"u",
                "items":[{{"product_id":"x"}}],"order":{{"order_id":"o"}}}}"#
            )
        };
        for (kind, status) in [("order_completed", "completed"), ("order_cancelled", "cancelled")] {
            let order = read_live(&row(kind)).map(|event| event.order.map(|order| order.status));
            assert_eq!(order, Ok(Some(status.to_owned())));
        }
    }

    #[test]
    fn a_refused_field_is_named_by_its_path_and_never_by_the_sender() {
        let head = r#""event_id":"1","event_type":"product_viewed","event_time":1773489600000,"user_id":"u""#;
        let cases = [
            (r#""items":[{"product_id":"x"},{"product_id":7}]"#, Code::BadField, "items[1].product_id"),
            (r#""items":[{"product_id":"x","price_minor":1.5}]"#, Code::BadMoney, "items[0].price_minor"),
            (r#""items":[{"product_id":"x","quantity":1.5}]"#, Code::BadQuantity, "items[0].quantity"),
            (r#""items":["x"]"#, Code::BadField, "items[0]"),
            (r#""cart":{"op":"add"}"#, Code::BadCartOp, "cart.op"),
            (r#""order":{}"#, Code::BadOrder, "order.order_id"),
            (r#""channel":"web""#, Code::BadField, "channel"),
            (r#""extra_ids":{"secret":""}"#, Code::BadId, "extra_ids"),
            (r#""extra_ids":{"":"x"}"#, Code::BadId, "extra_ids"),
            (r#""consent":{"version":"1","purposes":{"secret":"yes"}}"#, Code::BadField, "consent.purposes"),
            (r#""consent":{}"#, Code::MissingField, "consent.version"),
            (r#""secret\n":"x""#, Code::BadField, ""),
            (r#""attributes":{"secret\n":"x"}"#, Code::BadField, "attributes"),
            (r#""tenant_id":"a b""#, Code::BadId, "tenant_id"),
            (r#""received_at":"2026-03-14T12:00:00Z""#, Code::BadField, "received_at"),
            (r#""received_at":1e300"#, Code::BadTime, "received_at"),
        ];
        for (member, code, field) in cases {
            let refused = read_live(&format!("{{{head},{member}}}")).err();
            let refused = refused.map(|rejection| (rejection.code, rejection.field));
            assert_eq!(refused, Some((code, field.to_owned())), "{member}");
        }
    }

    #[test]
    fn sixty_four_attributes_pass_and_one_more_does_not() {
        let row = |extras: usize| {
            let extras: String = (0..extras).map(|index| format!(r#","x{index}":1"#)).collect();
            format!(
                r#"{{"event_id":"1","event_type":"page_viewed","event_time":1773489600000,"user_id":"u",
                "attributes":{{"a":1}}{extras}}}"#
            )
        };
        assert_eq!(read_live(&row(63)).map(|event| event.attributes.len()), Ok(64));
        let refused = read_live(&row(64)).map_err(|rejection| (rejection.code, rejection.field));
        assert_eq!(refused, Err((Code::BadField, "attributes".to_owned())));
    }
}
