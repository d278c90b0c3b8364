use events::{EventTime, MINUTE, Raw};

use crate::Format;

/// How much older than the newest event of its raw partition an event may be, unless the source says
/// otherwise: 10 minutes, in milliseconds.
pub const DEFAULT_LATENESS: i64 = 10 * MINUTE;

/// The longest value that is looked into, unless the source says otherwise: 1 MiB.
pub const DEFAULT_MAX_VALUE_BYTES: usize = 1 << 20;

/// A declared input of the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, such as `clickstream`.
    pub name: String,
    /// The tenant of rows that name none.
    pub tenant: String,
    /// Further tenants that rows may name; any other is refused.
    pub tenants: Vec<String>,
    /// How its records are written.
    pub format: Format,
    /// Whether it happens now.
    pub kind: SourceKind,
    /// How much older than the newest event of its raw partition an event may be, in milliseconds.
    pub lateness: i64,
    /// The longest value that is looked into, in bytes.
    pub max_value_bytes: usize,
    /// ISO 4217 code of the amounts in records that name none, in capitals. Segment's own specification
    /// gives a cart event a price without one.
    pub currency: Option<String>,
}

impl Source {
    /// A source with the default lateness and size limit.
    #[must_use]
    pub fn new(name: &str, tenant: &str, format: Format, kind: SourceKind) -> Self {
        Self {
            name: name.to_owned(),
            tenant: tenant.to_owned(),
            tenants: Vec::new(),
            format,
            kind,
            lateness: DEFAULT_LATENESS,
            max_value_bytes: DEFAULT_MAX_VALUE_BYTES,
            currency: None,
        }
    }

    /// When the shop's servers received a record: what the record says, else when it was produced. A
    /// historic row was received when it happened, or old files would be all too late.
    pub(crate) fn received_at(
        &self,
        raw: &Raw<'_>,
        said: Option<EventTime>,
        event_time: EventTime,
    ) -> EventTime {
        match self.kind {
            SourceKind::Live => said.unwrap_or(raw.produced_at),
            SourceKind::Historic => event_time,
        }
    }
}

/// Whether a source happens now or is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Its records are written while they happen.
    Live,
    /// Files and replays: its records may be of any age.
    Historic,
}
