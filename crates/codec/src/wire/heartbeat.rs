use events::{EventTime, Heartbeat, OriginTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::adaptors::{Borrowed, List, Millis, Owned, Wire, mirror};
use super::as_json;
use crate::{CodecError, Subject, avro};

const SUBJECT: Subject = Subject::Heartbeat;

pub(crate) fn encode(heartbeat: &Heartbeat) -> Result<Vec<u8>, CodecError> {
    avro::encode(SUBJECT, &Borrowed::<HeartbeatWire>(heartbeat))
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Heartbeat, CodecError> {
    avro::decode::<Owned<HeartbeatWire>>(SUBJECT, bytes).map(|owned| owned.0)
}

pub(crate) fn to_json(heartbeat: &Heartbeat) -> Result<Value, CodecError> {
    as_json(SUBJECT, &Borrowed::<HeartbeatWire>(heartbeat))
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Heartbeat")]
struct HeartbeatWire {
    source: String,
    #[serde(with = "List::<OriginTimeWire>")]
    origins: Vec<OriginTime>,
}
mirror!(HeartbeatWire, Heartbeat);

// The end of a source is `EventTime::MAX`, which is `i64::MAX` as it stands.
#[derive(Serialize, Deserialize)]
#[serde(remote = "OriginTime")]
struct OriginTimeWire {
    partition: i32,
    #[serde(with = "Millis")]
    time: EventTime,
}
mirror!(OriginTimeWire, OriginTime);
