/// A record that was refused, kept whole with the reason, so that nothing is lost.
///
/// Where it came from (topic, partition, offset) stands in the record's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The processor that refused it, such as `ingest`.
    pub stage: String,
    /// The declared source it came from.
    pub source: String,
    /// Stable code of the reason, such as `NO_IDENTITY`.
    pub code: String,
    /// Path of the field at fault, such as `properties.products[2].price`; empty for the whole record.
    pub field: String,
    /// One sentence for a person. It never repeats the payload.
    pub detail: String,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's value, cut where `payload_bytes` says more; `None` for a null value.
    pub payload: Option<Vec<u8>>,
    /// Size of the whole value in bytes.
    pub payload_bytes: u64,
}
