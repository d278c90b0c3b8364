use events::{Cart, CartOp, Event, EventKind, EventTime, Item, Order, Raw};

use crate::{Code, Rejection, Source, fields, instant};

/// Reads one row of the UserBehavior data set, `user_id,item_id,category_id,behaviour,seconds`, without
/// quotes or header. A row has no id but its line number; it shows no price.
///
/// Source: Tianchi data set 649, *User Behavior Data from Taobao*.
pub(crate) fn read(value: &[u8], raw: &Raw<'_>, source: &Source) -> Result<Event, Rejection> {
    let [user_id, item_id, category_id, behaviour, time] = columns(value)?;
    let user_id = id("user_id", user_id)?;
    let item_id = id("item_id", item_id)?;
    let category_id = id("category_id", category_id)?;
    let kind = kind(behaviour)?;
    let event_time = time_of(time)?;
    let line = raw.line.ok_or_else(|| refuse(Code::MissingField, "line", "is what gives a row its id"))?;
    let event_id = fields::line_id(line);
    Ok(Event {
        tenant: source.tenant.clone(),
        source: source.name.clone(),
        kind,
        event_time,
        received_at: source.received_at(raw, None, event_time),
        seq: i64::try_from(line).ok(),
        user_id: Some(user_id),
        items: vec![Item {
            product_id: item_id,
            categories: vec![category_id],
            quantity: 1,
            ..Item::default()
        }],
        cart: (kind == EventKind::CartItemAdded).then_some(ADD),
        order: (kind == EventKind::OrderCompleted).then(|| order(&event_id)),
        event_id,
        ..Event::default()
    })
}

const ADD: Cart =
    Cart { cart_id: None, op: CartOp::Add, total_minor: None, checkout_id: None, cart_url: None };

/// Each purchase stands alone in the data, so it is its own order.
fn order(event_id: &str) -> Order {
    Order { order_id: event_id.to_owned(), status: "completed".to_owned(), ..Order::default() }
}

fn columns(value: &[u8]) -> Result<[&str; 5], Rejection> {
    let not_csv = || Rejection::of_record(Code::NotCsv, "must be five fields of UTF-8 with commas between");
    let row = std::str::from_utf8(value).map_err(|_| not_csv())?;
    let columns: Vec<&str> = row.trim_end_matches(['\r', '\n']).splitn(6, ',').collect();
    columns.try_into().map_err(|_| not_csv())
}

fn id(name: &'static str, text: &str) -> Result<String, Rejection> {
    match fields::is_id(text) {
        true => Ok(text.to_owned()),
        false => Err(refuse(Code::BadId, name, fields::ID_SHAPE)),
    }
}

fn kind(behaviour: &str) -> Result<EventKind, Rejection> {
    match behaviour {
        "pv" => Ok(EventKind::ProductViewed),
        "fav" => Ok(EventKind::WishlistAdded),
        "cart" => Ok(EventKind::CartItemAdded),
        "buy" => Ok(EventKind::OrderCompleted),
        _ => Err(refuse(Code::BadField, "behaviour", "must be pv, fav, cart or buy")),
    }
}

fn time_of(text: &str) -> Result<EventTime, Rejection> {
    let seconds: Option<i64> = text.parse().ok();
    let time = seconds.and_then(|seconds| seconds.checked_mul(events::SECOND)).and_then(instant::from_millis);
    time.ok_or_else(|| refuse(Code::BadTime, "time", "must be seconds since 1970"))
}

fn refuse(code: Code, field: &'static str, detail: &'static str) -> Rejection {
    Rejection::of_field(code, field, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, SourceKind, accept};

    fn read_row(row: &str, line: Option<u64>) -> Result<Event, Rejection> {
        let source = Source::new("clickstream", "taobao", Format::Alibaba, SourceKind::Historic);
        let produced_at = EventTime(1_773_500_000_000);
        accept(&Raw { value: Some(row.as_bytes()), line, produced_at }, &source)
    }

    #[test]
    fn a_row_becomes_an_event_of_its_line() {
        let event = read_row("543462,1715,1464116,pv,1511658000", Some(7));
        let item = Item {
            product_id: "1715".into(),
            categories: vec!["1464116".into()],
            quantity: 1,
            ..Item::default()
        };
        let expected = Event {
            event_id: "line:7".into(),
            tenant: "taobao".into(),
            source: "clickstream".into(),
            kind: EventKind::ProductViewed,
            event_time: EventTime(1_511_658_000_000),
            received_at: EventTime(1_511_658_000_000),
            seq: Some(7),
            user_id: Some("543462".into()),
            items: vec![item],
            ..Event::default()
        };
        assert_eq!(event, Ok(expected));
    }

    #[test]
    fn a_cart_row_adds_one_piece_and_a_purchase_is_an_order_of_its_own() {
        let added = read_row("1,2,3,cart,1511658000\r\n", Some(1));
        assert_eq!(added.map(|event| (event.kind, event.cart)), Ok((EventKind::CartItemAdded, Some(ADD))));
        let bought = read_row("1,2,3,buy,1511658000", Some(2));
        assert_eq!(bought.map(|event| event.order), Ok(Some(order("line:2"))));
        let wished = read_row("1,2,3,fav,1511658000", Some(3));
        assert_eq!(wished.map(|event| (event.cart, event.order)), Ok((None, None)));
    }

    #[test]
    fn a_row_is_refused_by_the_name_of_its_column() {
        let refused =
            |row: &str, line| read_row(row, line).err().map(|rejection| (rejection.code, rejection.field));
        let cases = [
            ("", Code::NotCsv, ""),
            ("1,2,3,pv", Code::NotCsv, ""),
            ("1,2,3,pv,1511658000,6", Code::NotCsv, ""),
            (",2,3,pv,1511658000", Code::BadId, "user_id"),
            ("1,\u{7},3,pv,1511658000", Code::BadId, "item_id"),
            ("1,2,,pv,1511658000", Code::BadId, "category_id"),
            ("1,2,3,view,1511658000", Code::BadField, "behaviour"),
            ("1,2,3,pv,yesterday", Code::BadTime, "time"),
            ("1,2,3,pv,9223372036854775807", Code::BadTime, "time"),
            // The data set's last row, cut in the middle of its time.
            ("301780,543546,4181361,pv,15", Code::TimeAbsurd, "event_time"),
        ];
        for (row, code, field) in cases {
            assert_eq!(refused(row, Some(1)), Some((code, field.to_owned())), "{row}");
        }
        let no_line = refused("1,2,3,pv,1511658000", None);
        assert_eq!(no_line, Some((Code::MissingField, "line".to_owned())));
    }
}
