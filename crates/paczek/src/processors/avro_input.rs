//! Canonical events that the shop writes in Avro: `codec` puts them into the words that `ingest` judges.

use codec::CodecError;
use events::{Event, Raw};
use ingest::{Code, Rejection, Source};

/// The event in a record of a source in Avro, whose schema has that id in a registry.
pub(super) fn accept(raw: &Raw<'_>, source: &Source, schema_id: Option<u32>) -> Result<Event, Rejection> {
    ingest::accept_translated(raw, source, |value| codec::canonical_json(value, schema_id).map_err(refused))
}

fn refused(error: CodecError) -> Rejection {
    let (code, field) = match error {
        CodecError::TooLarge { .. } => (Code::TooLarge, ""),
        CodecError::Empty { .. } | CodecError::ShortFrame { .. } => (Code::ShortFrame, ""),
        CodecError::UnknownVersion { .. } => (Code::BadMagic, ""),
        CodecError::UnknownSchema { .. } => (Code::UnknownSchema, ""),
        CodecError::UnknownEventType { .. } => (Code::UnknownEvent, "event_type"),
        CodecError::TrailingBytes { .. } => (Code::TrailingBytes, ""),
        CodecError::Malformed { .. } | CodecError::Unencodable { .. } => (Code::NotAvro, ""),
    };
    Rejection { code, field: field.to_owned(), detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use events::{Cart, CartOp, EventKind, EventTime, Item, Order};
    use ingest::{Format, SourceKind};

    use super::*;

    const NOON: EventTime = EventTime(1_773_489_600_000);

    fn source() -> Source {
        Source::new("clickstream", "shop", Format::Avro, SourceKind::Live)
    }

    fn answer(value: Option<&[u8]>) -> Result<Event, (Code, String)> {
        let raw = Raw { value, line: None, produced_at: NOON };
        accept(&raw, &source(), Some(7)).map_err(|rejection| (rejection.code, rejection.field))
    }

    /// One that is accepted.
    fn event() -> Event {
        Event {
            event_id: "e1".into(),
            tenant: "shop".into(),
            source: "clickstream".into(),
            kind: EventKind::CartItemAdded,
            event_time: NOON,
            received_at: NOON,
            user_id: Some("anna".into()),
            currency: Some("PLN".into()),
            items: vec![Item {
                product_id: "bun".into(),
                price_minor: Some(450),
                quantity: 2,
                ..Item::default()
            }],
            cart: Some(Cart {
                cart_id: Some("c".into()),
                op: CartOp::Add,
                total_minor: None,
                checkout_id: None,
                cart_url: None,
            }),
            ..Event::default()
        }
    }

    fn versioned(event: &Event) -> Vec<u8> {
        codec::encode_event(event).unwrap()
    }

    fn framed(event: &Event) -> Vec<u8> {
        [&[0, 0, 0, 0, 7], &versioned(event)[1..]].concat()
    }

    #[test]
    fn an_event_in_avro_is_the_event_in_either_frame() {
        assert_eq!(answer(Some(&versioned(&event()))), Ok(event()));
        assert_eq!(answer(Some(&framed(&event()))), Ok(event()));
    }

    #[test]
    fn what_is_no_record_of_the_schema_is_refused_with_its_code() {
        let good = framed(&event());
        let mut unknown_kind = good.clone();
        let at = good.windows(9).position(|text| text == b"cart_item").unwrap();
        unknown_kind[at] = b'k';
        for (value, code, field) in [
            (vec![], Code::ShortFrame, ""),
            (good[..4].to_vec(), Code::ShortFrame, ""),
            ([&[9], &good[1..]].concat(), Code::BadMagic, ""),
            (b"{\"event_id\":\"e1\"}".to_vec(), Code::BadMagic, ""),
            ([&[0, 0, 0, 0, 8], &good[5..]].concat(), Code::UnknownSchema, ""),
            (good[..good.len() - 1].to_vec(), Code::NotAvro, ""),
            ([&good[..], &[0]].concat(), Code::TrailingBytes, ""),
            (unknown_kind, Code::UnknownEvent, "event_type"),
            (vec![0; (1 << 20) + 1], Code::TooLarge, ""),
        ] {
            assert_eq!(answer(Some(&value)), Err((code, field.to_owned())), "{value:?}");
        }
        assert_eq!(answer(None), Err((Code::NullValue, String::new())));
    }

    #[test]
    fn every_bound_of_the_canonical_form_holds_with_its_code_and_its_path() {
        type Break = fn(&mut Event);
        let cases: [(Break, Code, &str); 16] = [
            (|event| event.event_id.clear(), Code::BadId, "event_id"),
            (|event| event.tenant = "rival".into(), Code::UnknownTenant, "tenant_id"),
            (|event| event.user_id = Some("a\u{1b}".into()), Code::BadId, "user_id"),
            (|event| event.user_id = None, Code::NoIdentity, "user_id"),
            (|event| event.items.clear(), Code::BadCartOp, "items"),
            (|event| event.cart = None, Code::BadCartOp, "cart.op"),
            (|event| event.items = vec![Item::default(); 201], Code::TooManyItems, "items"),
            (|event| event.items[0].product_id = "x".repeat(129), Code::BadId, "items[0].product_id"),
            (|event| event.items[0].price_minor = Some(-1), Code::BadMoney, "items[0].price_minor"),
            (|event| event.items[0].quantity = 0, Code::BadQuantity, "items[0].quantity"),
            (|event| event.currency = Some("€".into()), Code::BadCurrency, "currency"),
            (|event| event.currency = None, Code::MoneyWithoutCurrency, "currency"),
            (|event| event.locale = Some("x".repeat(2_049)), Code::BadField, "locale"),
            (|event| event.event_time = EventTime(NOON.0 / 1_000), Code::TimeAbsurd, "event_time"),
            (|event| event.event_time = NOON.plus(300_001), Code::TimeFuture, "event_time"),
            (|event| event.order = Some(Order::default()), Code::BadId, "order.order_id"),
        ];
        for (break_it, code, field) in cases {
            let mut event = event();
            break_it(&mut event);
            assert_eq!(answer(Some(&versioned(&event))), Err((code, field.to_owned())), "{code}");
        }
    }

    #[test]
    fn no_rejection_repeats_what_was_read() {
        let secret = "anna@bakery.example";
        let mut bytes = versioned(&Event { event_id: secret.into(), ..event() });
        bytes.pop();
        let raw = Raw { value: Some(&bytes), line: None, produced_at: NOON };
        let rejection = accept(&raw, &source(), None).unwrap_err();
        assert!(!rejection.to_string().contains("anna"), "{rejection}");
    }
}
