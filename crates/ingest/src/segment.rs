use std::collections::BTreeMap;

use events::{
    Attribution, Cart, CartOp, Channel, Event, EventKind, EventTime, Item, ListContext, Order, Raw,
};

use crate::{
    Code, Rejection, Source, canonical,
    fields::{Fields, MOST_ENTRIES, MOST_ITEMS},
    instant,
};

/// Reads a message of Segment's tracking API: `track` with an event of the e-commerce specification,
/// `page`, `identify`.
///
/// Amounts are decimals in major units, as numbers or as text; ids may be whole numbers. Properties and
/// traits that have no place of their own become attributes when they are text, number or flag.
///
/// Source: Segment, *Spec: Common fields* and *Spec: V2 ecommerce events*.
pub(crate) fn read(value: &[u8], raw: &Raw<'_>, source: &Source) -> Result<Event, Rejection> {
    let mut message = Fields::parse(value)?;
    let kind = kind(&mut message)?;
    let event_id = message.event_id("messageId", raw.line)?;
    let times = times(&mut message)?;
    let mut event = Event {
        event_id,
        tenant: source.tenant.clone(),
        source: source.name.clone(),
        currency: source.currency.clone(),
        kind,
        event_time: times.event_time,
        received_at: source.received_at(raw, times.received_at, times.event_time),
        client_time: times.client_time,
        sent_at: times.sent_at,
        anonymous_id: message.id_or_number("anonymousId")?,
        user_id: message.id_or_number("userId")?,
        ..Event::default()
    };
    read_context(&mut event, &mut message)?;
    match kind {
        EventKind::Identified => event.attributes = message.object("traits")?.rest()?,
        EventKind::PageViewed => read_page(&mut event, message.object("properties")?)?,
        _ => read_properties(&mut event, message.object("properties")?)?,
    }
    Ok(event)
}

fn kind(message: &mut Fields<'_>) -> Result<EventKind, Rejection> {
    let call = message.text("type")?.ok_or_else(|| message.missing("type"))?;
    match call.as_str() {
        "page" => Ok(EventKind::PageViewed),
        "identify" => Ok(EventKind::Identified),
        "track" => {
            let name = message.text("event")?.ok_or_else(|| message.missing("event"))?;
            kind_of(&name).ok_or_else(|| message.refuse(Code::UnknownEvent, "event", "no such event"))
        }
        _ => Err(message.refuse(Code::UnknownEvent, "type", "must be track, page or identify")),
    }
}

fn kind_of(name: &str) -> Option<EventKind> {
    Some(match name {
        "Product Viewed" => EventKind::ProductViewed,
        "Product List Viewed" | "Product List Filtered" => EventKind::ProductListViewed,
        "Product Clicked" => EventKind::ProductClicked,
        "Products Searched" => EventKind::Searched,
        "Product Added" => EventKind::CartItemAdded,
        "Product Removed" => EventKind::CartItemRemoved,
        "Cart Viewed" => EventKind::CartViewed,
        "Product Added to Wishlist" => EventKind::WishlistAdded,
        "Product Removed from Wishlist" => EventKind::WishlistRemoved,
        "Checkout Started" => EventKind::CheckoutStarted,
        "Checkout Step Viewed" | "Checkout Step Completed" | "Payment Info Entered" => {
            EventKind::CheckoutStep
        }
        "Order Completed" => EventKind::OrderCompleted,
        "Order Updated" => EventKind::OrderUpdated,
        "Order Cancelled" => EventKind::OrderCancelled,
        "Order Refunded" => EventKind::OrderRefunded,
        "Promotion Viewed" => EventKind::PromotionViewed,
        "Promotion Clicked" => EventKind::PromotionClicked,
        "Coupon Applied" => EventKind::CouponApplied,
        "Coupon Denied" => EventKind::CouponDenied,
        "Product Reviewed" => EventKind::ProductReviewed,
        "Product Shared" | "Cart Shared" => EventKind::Shared,
        _ => return None,
    })
}

struct Times {
    event_time: EventTime,
    client_time: Option<EventTime>,
    sent_at: Option<EventTime>,
    received_at: Option<EventTime>,
}

/// Segment's servers write `timestamp` already corrected; a message that never passed them has the
/// client's times only and is corrected here.
fn times(message: &mut Fields<'_>) -> Result<Times, Rejection> {
    let timestamp = message.rfc3339("timestamp")?;
    let client_time = message.rfc3339("originalTimestamp")?;
    let sent_at = message.rfc3339("sentAt")?;
    let received_at = message.rfc3339("receivedAt")?;
    let event_time = match (timestamp, client_time, sent_at, received_at) {
        (Some(timestamp), ..) => timestamp,
        (None, Some(happened), Some(sent), Some(received)) => instant::without_skew(happened, sent, received)
            .ok_or_else(|| message.refuse(Code::BadTime, "originalTimestamp", "is no time once corrected"))?,
        (None, Some(happened), ..) => happened,
        (None, None, ..) => return Err(message.missing("timestamp")),
    };
    Ok(Times { event_time, client_time, sent_at, received_at })
}

fn read_context(event: &mut Event, message: &mut Fields<'_>) -> Result<(), Rejection> {
    let mut context = message.object("context")?;
    let mut device = context.object("device")?;
    let is_app = !device.is_empty() || !context.object("app")?.is_empty();
    let is_server = message.text("channel")?.as_deref() == Some("server");
    event.channel = match (is_server, is_app) {
        (true, _) => Channel::Server,
        (false, true) => Channel::App,
        (false, false) => Channel::Web,
    };
    event.device_class = device.text("type")?;
    event.session_id = context.id_or_number("sessionId")?;
    event.timezone = context.text("timezone")?;
    event.locale = context.text("locale")?;
    let mut page = context.object("page")?;
    event.page_url = page.url("url")?;
    event.referrer = page.url("referrer")?;
    event.tracker = tracker(context.object("library")?)?;
    let campaign = context.object("campaign")?.rest()?;
    event.attribution = (!campaign.is_empty()).then(|| Attribution { campaign, ..Attribution::default() });
    Ok(())
}

fn tracker(mut library: Fields<'_>) -> Result<Option<String>, Rejection> {
    let name = library.text("name")?;
    let version = library.text("version")?;
    Ok(name.map(|name| match version {
        Some(version) => format!("{name}/{version}"),
        None => name,
    }))
}

fn read_page(event: &mut Event, mut properties: Fields<'_>) -> Result<(), Rejection> {
    let url = properties.url("url")?;
    let referrer = properties.url("referrer")?;
    event.page_url = event.page_url.take().or(url);
    event.referrer = event.referrer.take().or(referrer);
    event.attributes = properties.rest()?;
    Ok(())
}

fn read_properties(event: &mut Event, mut properties: Fields<'_>) -> Result<(), Rejection> {
    event.currency = properties.currency("currency")?.or(event.currency.take());
    event.items = items(event.kind, event.currency.as_deref(), &mut properties)?;
    event.cart = cart(event.kind, &mut properties)?;
    event.order = order(event.kind, event.currency.as_deref(), &mut properties)?;
    event.list = list(event.kind, &mut properties)?;
    event.attributes = properties.rest()?;
    Ok(())
}

/// The products under `products`, or the one that the properties themselves describe.
fn items(
    kind: EventKind,
    currency: Option<&str>,
    properties: &mut Fields<'_>,
) -> Result<Vec<Item>, Rejection> {
    if properties.has("products") {
        let products = properties.objects("products", MOST_ITEMS, Code::TooManyItems)?;
        return products.into_iter().map(|mut product| item(&mut product, currency)).collect();
    }
    let is_named = properties.has("product_id") || properties.has("sku");
    match kind {
        EventKind::ProductViewed
        | EventKind::ProductClicked
        | EventKind::WishlistAdded
        | EventKind::WishlistRemoved
        | EventKind::ProductReviewed => Ok(vec![item(properties, currency)?]),
        // A cart event without its product breaks a rule of its own, and a cart can be shared whole.
        EventKind::CartItemAdded | EventKind::CartItemRemoved | EventKind::Shared if is_named => {
            Ok(vec![item(properties, currency)?])
        }
        _ => Ok(Vec::new()),
    }
}

fn item(fields: &mut Fields<'_>, currency: Option<&str>) -> Result<Item, Rejection> {
    Ok(Item {
        product_id: product_id(fields)?,
        variant_id: fields.id_or_number("variant")?,
        name: fields.text("name")?,
        brand: fields.text("brand")?,
        categories: fields.text("category")?.into_iter().collect(),
        price_minor: fields.money("price", currency)?,
        list_price_minor: None,
        quantity: fields.quantity("quantity")?,
        position: fields.position("position")?,
        coupon: fields.text("coupon")?,
        url: fields.url("url")?,
        image_url: fields.url("image_url")?,
    })
}

fn product_id(fields: &mut Fields<'_>) -> Result<String, Rejection> {
    if let Some(product_id) = fields.id_or_number("product_id")? {
        return Ok(product_id);
    }
    fields.id_or_number("sku")?.ok_or_else(|| fields.missing("product_id"))
}

fn cart(kind: EventKind, properties: &mut Fields<'_>) -> Result<Option<Cart>, Rejection> {
    let op = match kind {
        EventKind::CartItemAdded => CartOp::Add,
        EventKind::CartItemRemoved => CartOp::Remove,
        _ => return Ok(None),
    };
    let cart_id = properties.id_or_number("cart_id")?;
    Ok(Some(Cart { cart_id, op, total_minor: None, checkout_id: None, cart_url: None }))
}

fn order(
    kind: EventKind,
    currency: Option<&str>,
    properties: &mut Fields<'_>,
) -> Result<Option<Order>, Rejection> {
    if !kind.stands_alone() {
        return Ok(None);
    }
    let Some(order_id) = properties.id_or_number("order_id")? else { return Ok(None) };
    Ok(Some(Order {
        order_id,
        cart_id: properties.id_or_number("cart_id")?,
        checkout_id: properties.id_or_number("checkout_id")?,
        status: canonical::order_status(kind).to_owned(),
        total_minor: total(currency, properties)?,
        shipping_minor: properties.money("shipping", currency)?,
        tax_minor: properties.money("tax", currency)?,
        discount_minor: properties.money("discount", currency)?,
        coupons: properties.text("coupon")?.into_iter().collect(),
    }))
}

/// Senders use the three names interchangeably; `total` is the one that the specification says is paid.
fn total(currency: Option<&str>, properties: &mut Fields<'_>) -> Result<Option<i64>, Rejection> {
    for name in ["total", "revenue", "value"] {
        if properties.has(name) {
            return properties.money(name, currency);
        }
    }
    Ok(None)
}

fn list(kind: EventKind, properties: &mut Fields<'_>) -> Result<Option<ListContext>, Rejection> {
    let mut list = ListContext { list_id: properties.id_or_number("list_id")?, ..ListContext::default() };
    if matches!(kind, EventKind::ProductListViewed | EventKind::Searched) {
        list.query = properties.text("query")?;
        list.filters = choices(properties, "filters")?;
        let sorts = choices(properties, "sorts")?;
        let sort: Vec<String> = sorts.iter().map(|(by, direction)| format!("{by}:{direction}")).collect();
        list.sort = (!sort.is_empty()).then(|| sort.join(","));
    }
    Ok((list != ListContext::default()).then_some(list))
}

/// A list of `{type, value}`; the values of one type are joined by commas.
fn choices(properties: &mut Fields<'_>, name: &'static str) -> Result<BTreeMap<String, String>, Rejection> {
    let mut choices: BTreeMap<String, String> = BTreeMap::new();
    for mut choice in properties.objects(name, MOST_ENTRIES, Code::BadField)? {
        let by = choice.id_or_number("type")?.ok_or_else(|| choice.missing("type"))?;
        let value = choice.id_or_number("value")?.ok_or_else(|| choice.missing("value"))?;
        choices
            .entry(by)
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert(value);
    }
    Ok(choices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, SourceKind, accept};

    const NOON: EventTime = EventTime(1_773_489_600_000);

    fn read_line(text: &str, kind: SourceKind, line: Option<u64>) -> Result<Event, Rejection> {
        let source = Source::new("clickstream", "shop", Format::Segment, kind);
        accept(&Raw { value: Some(text.as_bytes()), line, produced_at: NOON.plus(60_000) }, &source)
    }

    fn read_live(text: &str) -> Result<Event, Rejection> {
        read_line(text, SourceKind::Live, None)
    }

    fn track(event: &str, properties: &str) -> String {
        format!(
            r#"{{"type":"track","event":"{event}","messageId":"m","userId":"u",
            "timestamp":"2026-03-14T12:00:00Z","properties":{{{properties}}}}}"#
        )
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    const PRODUCT_ADDED: &str = r#"{
        "type": "track", "event": "Product Added", "messageId": "m-1", "anonymousId": "a",
        "originalTimestamp": "2026-03-14T11:59:00+01:00", "sentAt": "2026-03-14T11:59:02+01:00",
        "receivedAt": "2026-03-14T12:00:02Z", "timestamp": "2026-03-14T12:00:00.000Z",
        "integrations": {"All": true}, "version": 2, "userId": null,
        "context": {"timezone": "Europe/Warsaw", "locale": "pl-PL", "userAgent": "Mozilla/5.0",
            "page": {"url": "https://shop/boots", "referrer": ""},
            "library": {"name": "a.js", "version": "2"},
            "campaign": {"source": "mail"}, "sessionId": 17},
        "properties": {"cart_id": "c", "product_id": 507, "sku": "G-32", "category": "Shoes",
            "name": "Boots", "brand": "Alp", "variant": "42", "price": 89.90, "quantity": 2,
            "coupon": "MAY", "position": 3, "url": "https://shop/boots",
            "image_url": "https://shop/b.jpg", "currency": "eur",
            "value": 179.8, "gift": true, "nested": {"left": "out"}}}"#;

    fn boots() -> Item {
        Item {
            product_id: "507".into(),
            variant_id: Some("42".into()),
            name: Some("Boots".into()),
            brand: Some("Alp".into()),
            categories: vec!["Shoes".into()],
            price_minor: Some(8990),
            list_price_minor: None,
            quantity: 2,
            position: Some(3),
            coupon: Some("MAY".into()),
            url: Some("https://shop/boots".into()),
            image_url: Some("https://shop/b.jpg".into()),
        }
    }

    #[test]
    fn a_product_added_is_an_addition_to_its_cart() {
        let event = read_live(PRODUCT_ADDED);
        let cart = Cart {
            cart_id: Some("c".into()),
            op: CartOp::Add,
            total_minor: None,
            checkout_id: None,
            cart_url: None,
        };
        let campaign = map(&[("source", "mail")]);
        let expected = Event {
            event_id: "m-1".into(),
            tenant: "shop".into(),
            source: "clickstream".into(),
            kind: EventKind::CartItemAdded,
            event_time: NOON,
            received_at: NOON.plus(2_000),
            client_time: Some(EventTime(1_773_485_940_000)),
            sent_at: Some(EventTime(1_773_485_942_000)),
            anonymous_id: Some("a".into()),
            session_id: Some("17".into()),
            channel: Channel::Web,
            items: vec![boots()],
            currency: Some("EUR".into()),
            cart: Some(cart),
            attribution: Some(Attribution { campaign, ..Attribution::default() }),
            timezone: Some("Europe/Warsaw".into()),
            locale: Some("pl-PL".into()),
            page_url: Some("https://shop/boots".into()),
            tracker: Some("a.js/2".into()),
            attributes: map(&[("gift", "true"), ("sku", "G-32"), ("value", "179.8")]),
            ..Event::default()
        };
        assert_eq!(event, Ok(expected));
    }

    #[test]
    fn a_product_removed_is_taken_out_of_its_cart() {
        let event = read_live(&track("Product Removed", r#""cart_id":"c","sku":"x","quantity":3"#));
        let removed = event.map(|event| {
            let cart = event.cart.map(|cart| (cart.op, cart.cart_id));
            (cart, event.items.into_iter().map(|item| (item.product_id, item.quantity)).collect())
        });
        let cart = Some((CartOp::Remove, Some("c".to_owned())));
        assert_eq!(removed, Ok((cart, vec![("x".to_owned(), 3)])));
    }

    #[test]
    fn an_order_completed_is_an_order_with_its_items() {
        let event = read_live(&track(
            "Order Completed",
            r#""order_id":"o","checkout_id":"k","cart_id":"c","total":"27.50","revenue":25,"shipping":3,
            "tax":2.004,"discount":2.5,"coupon":"MAY","currency":"USD","affiliation":"Store",
            "products":[{"product_id":"x","price":19},{"sku":"y","price":"3","quantity":"2"}]"#,
        ));
        let order = Order {
            order_id: "o".into(),
            cart_id: Some("c".into()),
            checkout_id: Some("k".into()),
            status: "completed".into(),
            total_minor: Some(2750),
            shipping_minor: Some(300),
            tax_minor: Some(200),
            discount_minor: Some(250),
            coupons: vec!["MAY".into()],
        };
        let items = [("x", 1900, 1), ("y", 300, 2)].map(|(id, price, quantity)| Item {
            product_id: id.into(),
            price_minor: Some(price),
            quantity,
            ..Item::default()
        });
        let event = event.map(|event| (event.order, event.items, event.attributes));
        let attributes = map(&[("affiliation", "Store"), ("revenue", "25")]);
        assert_eq!(event, Ok((Some(order), items.to_vec(), attributes)));
    }

    #[test]
    fn what_was_paid_is_the_total_else_the_revenue_else_the_value() {
        let total = |amounts: &str| {
            let properties =
                format!(r#""order_id":"o","currency":"EUR","products":[{{"sku":"x"}}]{amounts}"#);
            let event = read_live(&track("Order Completed", &properties));
            event.map(|event| event.order.and_then(|order| order.total_minor))
        };
        assert_eq!(total(r#","value":1,"revenue":2,"total":3"#), Ok(Some(300)));
        assert_eq!(total(r#","value":1,"revenue":2,"total":null"#), Ok(Some(200)));
        assert_eq!(total(r#","value":1"#), Ok(Some(100)));
        assert_eq!(total(""), Ok(None));
    }

    #[test]
    fn every_event_of_the_vocabulary_has_its_kind() {
        let cases = [
            ("Product Viewed", "product_viewed"),
            ("Product List Viewed", "product_list_viewed"),
            ("Product List Filtered", "product_list_viewed"),
            ("Product Clicked", "product_clicked"),
            ("Products Searched", "searched"),
            ("Product Added", "cart_item_added"),
            ("Product Removed", "cart_item_removed"),
            ("Cart Viewed", "cart_viewed"),
            ("Product Added to Wishlist", "wishlist_added"),
            ("Product Removed from Wishlist", "wishlist_removed"),
            ("Checkout Started", "checkout_started"),
            ("Checkout Step Viewed", "checkout_step"),
            ("Checkout Step Completed", "checkout_step"),
            ("Payment Info Entered", "checkout_step"),
            ("Order Completed", "order_completed"),
            ("Order Updated", "order_updated"),
            ("Order Cancelled", "order_cancelled"),
            ("Order Refunded", "order_refunded"),
            ("Promotion Viewed", "promotion_viewed"),
            ("Promotion Clicked", "promotion_clicked"),
            ("Coupon Applied", "coupon_applied"),
            ("Coupon Denied", "coupon_denied"),
            ("Product Reviewed", "product_reviewed"),
            ("Product Shared", "shared"),
            ("Cart Shared", "shared"),
        ];
        for (name, kind) in cases {
            let event =
                read_live(&track(name, r#""product_id":"x","order_id":"o","products":[{"sku":"x"}]"#));
            assert_eq!(event.map(|event| event.kind.name()), Ok(kind), "{name}");
        }
    }

    #[test]
    fn looking_at_a_cart_or_checking_out_changes_no_cart() {
        for name in ["Cart Viewed", "Checkout Started"] {
            let event = read_live(&track(name, r#""cart_id":"c","order_id":"o","products":[{"sku":"x"}]"#));
            let event = event.map(|event| (event.cart, event.order, event.items.len(), event.attributes));
            assert_eq!(event, Ok((None, None, 1, map(&[("cart_id", "c"), ("order_id", "o")]))), "{name}");
        }
    }

    #[test]
    fn a_page_is_a_page_view_and_an_identify_shows_its_traits() {
        let head = r#""messageId":"m","anonymousId":"a","timestamp":"2026-03-14T12:00:00Z""#;
        let shown = r#""properties":{"url":"https://shop/","title":"Shop","referrer":"https://s"}"#;
        let page = read_live(&format!(r#"{{"type":"page",{head},{shown}}}"#));
        let page = page.map(|event| (event.kind, event.page_url, event.referrer, event.attributes));
        let (url, referrer) = (Some("https://shop/".to_owned()), Some("https://s".to_owned()));
        assert_eq!(page, Ok((EventKind::PageViewed, url, referrer, map(&[("title", "Shop")]))));

        let traits = r#""traits":{"plan":"gold","age":40,"address":{"city":"X"},"none":null}"#;
        let identify = read_live(&format!(r#"{{"type":"identify",{head},{traits}}}"#));
        let identify = identify.map(|event| (event.kind, event.attributes));
        assert_eq!(identify, Ok((EventKind::Identified, map(&[("age", "40"), ("plan", "gold")]))));
    }

    #[test]
    fn a_filtered_list_keeps_its_filters_and_order() {
        let event = read_live(&track(
            "Product List Filtered",
            r#""list_id":"todays_deals","filters":[{"type":"size","value":42},{"type":"size","value":"43"}],
            "sorts":[{"type":"price","value":"desc"}]"#,
        ));
        let list = ListContext {
            list_id: Some("todays_deals".into()),
            query: None,
            filters: map(&[("size", "42,43")]),
            sort: Some("price:desc".into()),
        };
        assert_eq!(event.map(|event| event.list), Ok(Some(list)));
    }

    #[test]
    fn the_client_clock_is_corrected_when_all_three_times_are_there() {
        let message = |times: &str| format!(r#"{{"type":"page","messageId":"m","userId":"u",{times}}}"#);
        let event_time = |times: &str| read_live(&message(times)).map(|event| event.event_time);
        let original = r#""originalTimestamp":"2001-01-01T00:00:00Z""#;
        let sent = r#""sentAt":"2001-01-01T00:00:03Z""#;
        let received = r#""receivedAt":"2026-03-14T13:00:03+01:00""#;
        assert_eq!(event_time(&format!("{original},{sent},{received}")), Ok(NOON));
        let stamp = r#""timestamp":"2026-03-14T12:00:01Z""#;
        assert_eq!(event_time(&format!("{original},{sent},{received},{stamp}")), Ok(NOON.plus(1_000)));
        let near = r#""originalTimestamp":"2026-03-14T12:00:02Z""#;
        assert_eq!(event_time(&format!("{near},{received}")), Ok(NOON.plus(2_000)));
        let neither = event_time(&format!("{sent},{received}")).map_err(|rejection| rejection.to_string());
        assert_eq!(neither, Err("MISSING_FIELD timestamp: is required".to_owned()));
    }

    #[test]
    fn a_message_without_id_takes_the_number_of_its_line() {
        let text = r#"{"type":"page","userId":"u","timestamp":"2026-03-14T12:00:00Z"}"#;
        let event = read_line(text, SourceKind::Historic, Some(12));
        assert_eq!(event.map(|event| (event.event_id, event.received_at)), Ok(("line:12".to_owned(), NOON)));
        let refused = read_live(text).map_err(|rejection| rejection.to_string());
        assert_eq!(refused, Err("MISSING_FIELD messageId: is required".to_owned()));
    }

    #[test]
    fn the_channel_is_the_server_the_app_or_the_web() {
        let channel = |members: &str| {
            let head = r#""type":"page","messageId":"m","userId":"u","timestamp":"2026-03-14T12:00:00Z""#;
            let event = read_live(&format!("{{{head},{members}}}"));
            event.map(|event| (event.channel, event.device_class))
        };
        let phone = r#""context":{"device":{"type":"ios"}}"#;
        assert_eq!(channel(phone), Ok((Channel::App, Some("ios".to_owned()))));
        assert_eq!(channel(r#""context":{"app":{"name":"Shop"}}"#), Ok((Channel::App, None)));
        assert_eq!(
            channel(&format!(r#""channel":"server",{phone}"#)).map(|both| both.0),
            Ok(Channel::Server)
        );
        assert_eq!(channel(r#""context":{"device":null}"#), Ok((Channel::Web, None)));
    }

    #[test]
    fn a_refused_property_is_named_by_its_path() {
        let cases = [
            (
                r#""products":[{"sku":"x"},{"sku":"y","price":-1}]"#,
                Code::BadMoney,
                "properties.products[1].price",
            ),
            (r#""products":[{"name":"x"}]"#, Code::MissingField, "properties.products[0].product_id"),
            (r#""products":{}"#, Code::BadField, "properties.products"),
            (r#""product_id":"x","price":"a lot","currency":"EUR""#, Code::BadMoney, "properties.price"),
            (r#""product_id":"x","price":[],"currency":"EUR""#, Code::BadField, "properties.price"),
            (r#""product_id":"x","quantity":0"#, Code::BadQuantity, "properties.quantity"),
            (r#""product_id":"""#, Code::BadId, "properties.product_id"),
            (r#""product_id":true"#, Code::BadField, "properties.product_id"),
            (r#""product_id":"x","currency":"euro""#, Code::BadCurrency, "properties.currency"),
            (r#""product_id":"x","price":5"#, Code::MoneyWithoutCurrency, "currency"),
            (r#""name":"Boots""#, Code::BadCartOp, "items"),
        ];
        for (properties, code, field) in cases {
            let refused = read_live(&track("Product Added", properties)).err();
            let refused = refused.map(|rejection| (rejection.code, rejection.field));
            assert_eq!(refused, Some((code, field.to_owned())), "{properties}");
        }
        let viewed = read_live(&track("Product Viewed", r#""name":"Boots""#)).err();
        assert_eq!(viewed.map(|rejection| rejection.code), Some(Code::MissingField));
    }
}
