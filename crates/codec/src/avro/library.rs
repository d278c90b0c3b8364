//! The library at the border: what leaves the house in Avro is written by `apache-avro`, and what comes in from
//! outside is read by it. Between our own processors the shorter way beside it is taken.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::error::Details;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::util::max_allocation_bytes;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use crate::wire::adaptors::UNKNOWN_EVENT_TYPE;
use crate::{CodecError, Subject};

/// The largest text or list that a datum may claim, in bytes.
const MAX_ALLOCATION_BYTES: usize = 8 * 1024 * 1024;
const USUAL_BYTES: usize = 512;

static FORMATS: LazyLock<Vec<(Subject, Option<Format>)>> = LazyLock::new(|| {
    max_allocation_bytes(MAX_ALLOCATION_BYTES);
    Subject::ALL.iter().map(|subject| (*subject, Format::of(*subject))).collect()
});

/// How one subject is written and read.
struct Format {
    writer: GenericDatumWriter<'static>,
    reader: GenericDatumReader<'static>,
}

impl Format {
    fn of(subject: Subject) -> Option<Self> {
        let schema = Schema::parse_str(subject.schema_text()).ok()?;
        // The writer and the reader borrow the schema for as long as the process runs.
        let schema: &'static Schema = Box::leak(Box::new(schema));
        let writer = GenericDatumWriter::builder(schema).build().ok()?;
        Some(Self { writer, reader: GenericDatumReader::builder(schema).build().ok()? })
    }
}

fn format(subject: Subject) -> Option<&'static Format> {
    FORMATS.iter().find(|(known, _)| *known == subject)?.1.as_ref()
}

/// `head`, then the datum, of whatever size.
pub(crate) fn write<T: Serialize>(subject: Subject, head: &[u8], value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    bytes.extend_from_slice(head);
    let written = format(subject).and_then(|format| format.writer.write_ser(&mut bytes, value).ok());
    written.map(|_| bytes).ok_or_else(|| Fault::OTHER.while_writing(subject))
}

/// The value in a datum, if nothing follows it.
pub(crate) fn read<T: DeserializeOwned>(subject: Subject, mut datum: &[u8]) -> Result<T, CodecError> {
    let format = format(subject).ok_or_else(|| Fault::OTHER.while_reading(subject))?;
    let read = format.reader.read_deser(&mut datum);
    let value = read.map_err(|error| fault(error.details()).while_reading(subject))?;
    match datum.len() {
        0 => Ok(value),
        bytes => Err(CodecError::TrailingBytes { what: subject.name(), bytes }),
    }
}

/// The library's own messages may quote what was read, so they are told in our words.
fn fault(details: &Details) -> Fault {
    match details {
        Details::ReadBytes(_) | Details::ReadVariableIntegerBytes(_) => Fault::CUT,
        Details::ConvertToUtf8(_) => Fault::NOT_TEXT,
        Details::MemoryAllocation { .. } | Details::IntegerOverflow | Details::ZagI32(..) => {
            Fault::OUT_OF_RANGE
        }
        Details::GetUnionVariant { .. } => Fault::NO_BRANCH,
        Details::EnumSymbolIndex { .. } => Fault::NO_SYMBOL,
        Details::ConvertI64ToUsize(..) | Details::ConvertI32ToUsize(..) => Fault::NEGATIVE,
        Details::DeserializeValue(text) if text == UNKNOWN_EVENT_TYPE => Fault::UNKNOWN_EVENT,
        _ => Fault::OTHER,
    }
}
