//! What a record of the shop means: raw bytes in, one canonical [`Event`] or one [`Rejection`] out.
//!
//! Knows: the input formats, one file each, with their field names, units and clocks; the bounds every
//! event keeps; how old an event is against its raw partition.
//! Must not know: Kafka, RocksDB, Avro, tokio, a clock.
//!
//! # The order of checks
//!
//! It is fixed, and the first failure counts:
//!
//! 1. the record: `NULL_VALUE`, `TOO_LARGE`;
//! 2. its translation, where the format needs one ([`accept_translated`]): `SHORT_FRAME`, `BAD_MAGIC`,
//!    `UNKNOWN_SCHEMA`, `NOT_AVRO`, `TRAILING_BYTES`;
//! 3. its text: `NOT_JSON` (UTF-8), `TOO_DEEP`, then `NOT_JSON` or `DUPLICATE_KEY`, whichever comes
//!    first in the text; `NOT_CSV`;
//! 4. its fields, one by one in the order in which the format's file reads them;
//! 5. the event as a whole, in the order of `rules.rs`: `NO_IDENTITY`, `MONEY_WITHOUT_CURRENCY`,
//!    `BAD_CART_OP`, `BAD_ORDER`, `TIME_ABSURD`, `TIME_FUTURE`, `TOO_LATE`.
//!
//! A rejection of step 4 names the field as the sender wrote it (`properties.products[2].price`), one of
//! step 5 names the field of the canonical event (`cart.op`). Neither ever repeats what the sender chose.

mod alibaba;
mod canonical;
mod fields;
mod frontier;
mod instant;
mod json;
mod money;
mod rejection;
mod rules;
mod segment;
mod source;

use std::{fmt, str::FromStr};

use events::{Event, EventTime, Raw};

pub use frontier::{Frontier, Mark};
pub use rejection::{Code, Rejection};
pub use source::{DEFAULT_LATENESS, DEFAULT_MAX_VALUE_BYTES, Source, SourceKind};

/// Turns a raw record of `source` into the canonical event it states.
///
/// Everything the event says comes from the record and the declaration of its source, so the same record
/// always gives the same event.
///
/// # Errors
///
/// The first check that fails, in the order given at the top of this crate.
pub fn accept(raw: &Raw<'_>, source: &Source) -> Result<Event, Rejection> {
    read(bounded(raw, source)?, raw, source)
}

/// As [`accept`], of a format whose records another crate has to put into words first: `translate` takes the
/// value, which is there and not too large, and gives what the format reads.
///
/// # Errors
///
/// The first check that fails, `translate` being one of them.
pub fn accept_translated(
    raw: &Raw<'_>,
    source: &Source,
    translate: impl FnOnce(&[u8]) -> Result<Vec<u8>, Rejection>,
) -> Result<Event, Rejection> {
    read(&translate(bounded(raw, source)?)?, raw, source)
}

fn bounded<'a>(raw: &Raw<'a>, source: &Source) -> Result<&'a [u8], Rejection> {
    let value = raw.value.ok_or(Rejection::of_record(Code::NullValue, "the record has no value"))?;
    match value.len() > source.max_value_bytes {
        true => Err(Rejection::of_record(Code::TooLarge, "longer than the source's max_value_bytes")),
        false => Ok(value),
    }
}

fn read(value: &[u8], raw: &Raw<'_>, source: &Source) -> Result<Event, Rejection> {
    let event = source.format.read(value, raw, source)?;
    rules::check(&event, raw.produced_at)?;
    Ok(event)
}

/// When a raw record happened and whose it is: what rows are sorted and keyed by before they are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// Its event time; `None` if the record would be rejected.
    pub event_time: Option<EventTime>,
    /// The customer's id, else the visitor's; `None` if the record would be rejected.
    pub key: Option<String>,
}

/// Looks into a raw record of `source` without keeping the event; a record that would be rejected shows
/// nothing.
#[must_use]
pub fn peek(raw: &Raw<'_>, source: &Source) -> Peek {
    match accept(raw, source) {
        Ok(event) => Peek { event_time: Some(event.event_time), key: event.user_id.or(event.anonymous_id) },
        Err(_) => Peek::default(),
    }
}

macro_rules! formats {
    ($($(#[$doc:meta])* $variant:ident = $name:literal => $read:path),+ $(,)?) => {
        /// How the records of a source are written.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Format { $($(#[$doc])* $variant),+ }

        impl Format {
            /// Every format.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name it has in a configuration file.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            fn read(self, value: &[u8], raw: &Raw<'_>, source: &Source) -> Result<Event, Rejection> {
                match self { $(Self::$variant => $read(value, raw, source)),+ }
            }
        }
    };
}

// A further format is one file and one line here.
formats! {
    /// JSON of Segment's tracking API: `track` with the names of its e-commerce specification v2, `page`
    /// and `identify`.
    Segment = "segment" => segment::read,
    /// JSON with the field names of the canonical event: money in minor units, times in milliseconds.
    Canonical = "canonical" => canonical::read,
    /// The canonical event in Avro. This crate knows no Avro: it reads the canonical JSON that such a record
    /// is translated into, by the same rules.
    Avro = "avro" => canonical::read,
    /// CSV of Alibaba's UserBehavior data set: user, item, category, behaviour, seconds since 1970.
    Alibaba = "alibaba" => alibaba::read,
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|format| format.name() == name).ok_or(UnknownFormat)
    }
}

/// A name that no [`Format`] has. Its text lists the names there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFormat;

impl std::error::Error for UnknownFormat {}

impl fmt::Display for UnknownFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
        write!(formatter, "no such format; there are: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(*format));
        }
    }

    #[test]
    fn an_unknown_format_is_answered_with_the_names_there_are() {
        let error = "Segment".parse::<Format>().map_err(|error| error.to_string());
        assert_eq!(error, Err("no such format; there are: segment, canonical, avro, alibaba".into()));
    }

    #[test]
    fn a_peek_shows_the_customer_before_the_visitor_and_nothing_of_a_rejected_row() {
        let source = Source::new("clickstream", "shop", Format::Canonical, SourceKind::Historic);
        let produced_at = EventTime(1_773_500_000_000);
        let see = |text: &str| peek(&Raw { value: Some(text.as_bytes()), line: None, produced_at }, &source);
        let row =
            r#"{"event_id":"1","event_type":"page_viewed","event_time":1773480000000,"anonymous_id":"a""#;

        let known = see(&format!(r#"{row},"user_id":"u"}}"#));
        let expected = Peek { event_time: Some(EventTime(1_773_480_000_000)), key: Some("u".into()) };
        assert_eq!(known, expected);
        assert_eq!(see(&format!("{row}}}")).key.as_deref(), Some("a"));
        assert_eq!(see(row), Peek::default());
    }
}
