use events::{DAY, Event, EventKind, EventTime, MINUTE};

use crate::{Code, Rejection};

/// Nothing that a web shop tells is older: 2000-01-01T00:00:00Z. Seconds read as milliseconds lie in 1970.
const EARLIEST: EventTime = EventTime(946_684_800_000);

/// How far clocks may be apart.
const CLOCK_TOLERANCE: i64 = 5 * MINUTE;

/// How old a live event may be when it is received: longer than a year, so that "last year at this time"
/// can be loaded.
const HORIZON: i64 = 400 * DAY;

/// Whether the fields of an event make sense together. `produced_at` is when its record was written.
pub(crate) fn check(event: &Event, produced_at: EventTime) -> Result<(), Rejection> {
    check_identity(event)?;
    check_currency(event)?;
    check_cart(event)?;
    check_order(event)?;
    check_time(event, produced_at)
}

fn check_identity(event: &Event) -> Result<(), Rejection> {
    match event.profile_key() {
        Some(_) => Ok(()),
        None => Err(refuse(Code::NoIdentity, "user_id", "a user id or an anonymous id is required")),
    }
}

fn check_currency(event: &Event) -> Result<(), Rejection> {
    let of_items = event.items.iter().flat_map(|item| [item.price_minor, item.list_price_minor]);
    let of_cart = event.cart.iter().map(|cart| cart.total_minor);
    let of_order = event
        .order
        .iter()
        .flat_map(|order| [order.total_minor, order.shipping_minor, order.tax_minor, order.discount_minor]);
    let has_money = of_items.chain(of_cart).chain(of_order).flatten().next().is_some();
    match has_money && event.currency.is_none() {
        true => Err(refuse(Code::MoneyWithoutCurrency, "currency", "is required beside an amount")),
        false => Ok(()),
    }
}

fn check_cart(event: &Event) -> Result<(), Rejection> {
    if !matches!(event.kind, EventKind::CartItemAdded | EventKind::CartItemRemoved) {
        return Ok(());
    }
    if event.cart.is_none() {
        return Err(refuse(Code::BadCartOp, "cart.op", "is required when a cart changes"));
    }
    match event.items.is_empty() {
        true => Err(refuse(Code::BadCartOp, "items", "must name what a cart gains or loses")),
        false => Ok(()),
    }
}

fn check_order(event: &Event) -> Result<(), Rejection> {
    if event.kind.stands_alone() && event.order.is_none() {
        return Err(refuse(Code::BadOrder, "order.order_id", "is required of an order"));
    }
    match event.kind == EventKind::OrderCompleted && event.items.is_empty() {
        true => Err(refuse(Code::BadOrder, "items", "must name what was bought")),
        false => Ok(()),
    }
}

fn check_time(event: &Event, produced_at: EventTime) -> Result<(), Rejection> {
    let refuse = |code, detail| Err(refuse(code, "event_time", detail));
    let time = event.event_time;
    if time < EARLIEST {
        return refuse(Code::TimeAbsurd, "must not lie before 2000-01-01; is it in milliseconds?");
    }
    // What a sender claims about its receipt cannot excuse a time that the record itself was written before:
    // one such event would end the idleness of everybody else.
    if time > event.received_at.min(produced_at).plus(CLOCK_TOLERANCE) {
        return refuse(Code::TimeFuture, "must not lie more than 5 minutes after the record was received");
    }
    if time < event.received_at.minus(HORIZON) {
        return refuse(Code::TooLate, "must not lie more than 400 days before the record was received");
    }
    Ok(())
}

fn refuse(code: Code, field: &'static str, detail: &'static str) -> Rejection {
    Rejection::of_field(code, field, detail)
}

#[cfg(test)]
mod tests {
    use events::{DAY, Item};

    use super::*;

    const NOON: EventTime = EventTime(1_773_489_600_000);

    fn viewed(event_time: EventTime, received_at: EventTime) -> Event {
        let anonymous_id = Some("cookie".to_owned());
        Event { tenant: "shop".into(), anonymous_id, event_time, received_at, ..Event::default() }
    }

    fn code(event: &Event, produced_at: EventTime) -> Option<Code> {
        check(event, produced_at).err().map(|rejection| rejection.code)
    }

    #[test]
    fn five_minutes_ahead_of_receipt_pass_and_a_millisecond_more_does_not() {
        let ahead = NOON.plus(CLOCK_TOLERANCE);
        assert_eq!(code(&viewed(ahead, NOON), NOON.plus(DAY)), None);
        assert_eq!(code(&viewed(ahead.plus(1), NOON), NOON.plus(DAY)), Some(Code::TimeFuture));
    }

    #[test]
    fn a_claimed_receipt_does_not_excuse_a_time_after_the_record_was_written() {
        let next_year = NOON.plus(365 * DAY);
        assert_eq!(code(&viewed(next_year, next_year), NOON), Some(Code::TimeFuture));
    }

    #[test]
    fn four_hundred_days_back_pass_and_a_millisecond_more_does_not() {
        let back = NOON.minus(HORIZON);
        assert_eq!(code(&viewed(back, NOON), NOON), None);
        assert_eq!(code(&viewed(back.minus(1), NOON), NOON), Some(Code::TooLate));
    }

    #[test]
    fn the_first_moment_of_2000_passes_and_the_one_before_does_not() {
        assert_eq!(code(&viewed(EARLIEST, EARLIEST), EARLIEST), None);
        assert_eq!(code(&viewed(EARLIEST.minus(1), EARLIEST), EARLIEST), Some(Code::TimeAbsurd));
    }

    #[test]
    fn the_first_broken_rule_counts() {
        let mut event = viewed(EventTime(0), NOON);
        event.kind = EventKind::CartItemAdded;
        event.items = vec![Item { price_minor: Some(1), ..Item::default() }];
        assert_eq!(code(&event, NOON), Some(Code::MoneyWithoutCurrency));
        event.currency = Some("EUR".into());
        assert_eq!(code(&event, NOON), Some(Code::BadCartOp));
        event.kind = EventKind::OrderShipped;
        assert_eq!(code(&event, NOON), Some(Code::BadOrder));
        event.anonymous_id = None;
        assert_eq!(code(&event, NOON), Some(Code::NoIdentity));
    }
}
