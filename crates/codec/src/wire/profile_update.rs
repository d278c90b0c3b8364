use events::{
    Abandonment, CartLine, CartView, Cause, EventKind, EventTime, ItemSeen, ProfileKey, ProfileUpdate,
    SessionView, Stage,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::adaptors::{KindName, List, Millis, Optional, Wire, mirror};
use super::as_json;
use crate::{CodecError, Subject, avro};

const SUBJECT: Subject = Subject::ProfileUpdate;

pub(crate) fn encode(update: &ProfileUpdate) -> Result<Vec<u8>, CodecError> {
    avro::encode(SUBJECT, &Outgoing::try_from(update)?)
}

pub(crate) fn decode(bytes: &[u8]) -> Result<ProfileUpdate, CodecError> {
    avro::decode::<Incoming>(SUBJECT, bytes)?.try_into()
}

pub(crate) fn to_json(update: &ProfileUpdate) -> Result<Value, CodecError> {
    as_json(SUBJECT, &Outgoing::try_from(update)?)
}

/// A profile update as it is written, borrowed.
#[derive(Serialize)]
struct Outgoing<'a> {
    tenant_id: &'a str,
    profile_id: &'a str,
    user_id: Option<&'a str>,
    anonymous_id: Option<&'a str>,
    cause: CauseKind,
    cause_event_id: Option<&'a str>,
    #[serde(with = "Optional::<KindName>")]
    cause_event_type: Option<EventKind>,
    #[serde(with = "Millis")]
    cause_time: EventTime,
    #[serde(with = "Optional::<SessionWire>")]
    session: &'a Option<SessionView>,
    #[serde(with = "List::<CartViewWire>")]
    carts: &'a Vec<CartView>,
    #[serde(with = "List::<ItemSeenWire>")]
    recently_viewed: &'a Vec<ItemSeen>,
    #[serde(with = "List::<ItemSeenWire>")]
    purchased: &'a Vec<ItemSeen>,
    #[serde(with = "List::<ItemSeenWire>")]
    wished: &'a Vec<ItemSeen>,
    events: i64,
    orders: i64,
    #[serde(with = "Optional::<AbandonmentWire>")]
    abandonment: &'a Option<Abandonment>,
}

impl<'a> TryFrom<&'a ProfileUpdate> for Outgoing<'a> {
    type Error = CodecError;

    fn try_from(update: &'a ProfileUpdate) -> Result<Self, CodecError> {
        let (cause, cause_event_id, cause_event_type, cause_time) = match &update.cause {
            Cause::Event { event_id, kind, event_time } => {
                (CauseKind::Event, Some(event_id.as_str()), Some(*kind), *event_time)
            }
            Cause::Timer { due } => (CauseKind::Timer, None, None, *due),
        };
        Ok(Self {
            tenant_id: update.profile.tenant(),
            profile_id: update.profile.id(),
            user_id: update.user_id.as_deref(),
            anonymous_id: update.anonymous_id.as_deref(),
            cause,
            cause_event_id,
            cause_event_type,
            cause_time,
            session: &update.session,
            carts: &update.carts,
            recently_viewed: &update.recently_viewed,
            purchased: &update.purchased,
            wished: &update.wished,
            events: to_long(update.events)?,
            orders: to_long(update.orders)?,
            abandonment: &update.abandonment,
        })
    }
}

/// A profile update as it was read, before anybody has looked into it.
#[derive(Deserialize)]
struct Incoming {
    tenant_id: String,
    profile_id: String,
    user_id: Option<String>,
    anonymous_id: Option<String>,
    cause: CauseKind,
    cause_event_id: Option<String>,
    #[serde(with = "Optional::<KindName>")]
    cause_event_type: Option<EventKind>,
    #[serde(with = "Millis")]
    cause_time: EventTime,
    #[serde(with = "Optional::<SessionWire>")]
    session: Option<SessionView>,
    #[serde(with = "List::<CartViewWire>")]
    carts: Vec<CartView>,
    #[serde(with = "List::<ItemSeenWire>")]
    recently_viewed: Vec<ItemSeen>,
    #[serde(with = "List::<ItemSeenWire>")]
    purchased: Vec<ItemSeen>,
    #[serde(with = "List::<ItemSeenWire>")]
    wished: Vec<ItemSeen>,
    events: i64,
    orders: i64,
    #[serde(with = "Optional::<AbandonmentWire>")]
    abandonment: Option<Abandonment>,
}

impl TryFrom<Incoming> for ProfileUpdate {
    type Error = CodecError;

    fn try_from(wire: Incoming) -> Result<Self, CodecError> {
        let cause = match (wire.cause, wire.cause_event_id, wire.cause_event_type) {
            (CauseKind::Event, Some(event_id), Some(kind)) => {
                Cause::Event { event_id, kind, event_time: wire.cause_time }
            }
            (CauseKind::Timer, None, None) => Cause::Timer { due: wire.cause_time },
            _ => return Err(malformed("its cause and the event of its cause contradict each other")),
        };
        Ok(Self {
            profile: ProfileKey::new(&wire.tenant_id, &wire.profile_id),
            user_id: wire.user_id,
            anonymous_id: wire.anonymous_id,
            cause,
            session: wire.session,
            carts: wire.carts,
            recently_viewed: wire.recently_viewed,
            purchased: wire.purchased,
            wished: wire.wished,
            events: from_long(wire.events)?,
            orders: from_long(wire.orders)?,
            abandonment: wire.abandonment,
        })
    }
}

fn to_long(count: u64) -> Result<i64, CodecError> {
    let what = Subject::ProfileUpdate.name();
    i64::try_from(count).map_err(|_| CodecError::Unencodable { what, reason: "a counter is over 2^63 - 1" })
}

fn from_long(count: i64) -> Result<u64, CodecError> {
    u64::try_from(count).map_err(|_| malformed("a counter is negative"))
}

fn malformed(reason: &'static str) -> CodecError {
    CodecError::Malformed { what: Subject::ProfileUpdate.name(), reason }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum CauseKind {
    Event,
    Timer,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SessionView")]
struct SessionWire {
    session_id: String,
    #[serde(with = "Millis")]
    started_at: EventTime,
    #[serde(with = "Millis")]
    last_event_at: EventTime,
    events: u32,
}
mirror!(SessionWire, SessionView);

#[derive(Serialize, Deserialize)]
#[serde(remote = "CartView", deny_unknown_fields)]
pub(super) struct CartViewWire {
    cart_key: String,
    #[serde(with = "List::<CartLineWire>")]
    lines: Vec<CartLine>,
    total_minor: i64,
    currency: Option<String>,
}
mirror!(CartViewWire, CartView);

#[derive(Serialize, Deserialize)]
#[serde(remote = "CartLine", deny_unknown_fields)]
pub(super) struct CartLineWire {
    product_id: String,
    variant_id: Option<String>,
    quantity: i32,
    price_minor: Option<i64>,
}
mirror!(CartLineWire, CartLine);

#[derive(Serialize, Deserialize)]
#[serde(remote = "ItemSeen")]
struct ItemSeenWire {
    product_id: String,
    #[serde(with = "Millis")]
    at: EventTime,
}
mirror!(ItemSeenWire, ItemSeen);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Abandonment")]
struct AbandonmentWire {
    #[serde(with = "CartViewWire")]
    cart: CartView,
    fingerprint: String,
    #[serde(with = "StageWire")]
    stage: Stage,
    #[serde(with = "Millis")]
    last_activity_at: EventTime,
    #[serde(with = "Millis")]
    abandoned_at: EventTime,
}
mirror!(AbandonmentWire, Abandonment);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Stage", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum StageWire {
    Cart,
    Checkout,
}
mirror!(StageWire, Stage);
