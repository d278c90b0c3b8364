use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::error::Details;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::util::max_allocation_bytes;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::adaptors::UNKNOWN_EVENT_TYPE;
use crate::{CodecError, Subject};

/// The largest value, version byte or frame included: 2 MiB. Only dead letters are larger.
pub const MAX_VALUE_BYTES: usize = 2 * 1024 * 1024;

const VERSION: u8 = 1;
const MAX_ALLOCATION_BYTES: usize = 8 * 1024 * 1024;
const USUAL_BYTES: usize = 512;

/// A subject's schema, parsed when it is first needed.
pub(crate) type LazyFormat = LazyLock<Result<Format, CodecError>>;

/// How one subject is written and read.
pub(crate) struct Format {
    what: &'static str,
    writer: GenericDatumWriter<'static>,
    reader: GenericDatumReader<'static>,
}

impl Format {
    pub(crate) fn of(subject: Subject) -> Result<Self, CodecError> {
        let broken = |_| CodecError::BrokenSchema { what: subject.name() };
        max_allocation_bytes(MAX_ALLOCATION_BYTES);
        let schema = Schema::parse_str(subject.schema_text()).map_err(broken)?;
        // The writer and the reader borrow the schema for as long as the process runs.
        let schema: &'static Schema = Box::leak(Box::new(schema));
        Ok(Self {
            what: subject.name(),
            writer: GenericDatumWriter::builder(schema).build().map_err(broken)?,
            reader: GenericDatumReader::builder(schema).build().map_err(broken)?,
        })
    }
}

/// One byte version, then the datum.
pub(crate) fn encode<T: Serialize>(format: &LazyFormat, value: &T) -> Result<Vec<u8>, CodecError> {
    let format = format.as_ref().map_err(Clone::clone)?;
    let bytes = write(format, &[VERSION], value)?;
    refuse_large(format.what, bytes.len(), MAX_VALUE_BYTES)?;
    Ok(bytes)
}

/// The value behind the version byte, if nothing follows it.
pub(crate) fn decode<T: DeserializeOwned>(format: &LazyFormat, bytes: &[u8]) -> Result<T, CodecError> {
    let format = format.as_ref().map_err(Clone::clone)?;
    let what = format.what;
    refuse_large(what, bytes.len(), MAX_VALUE_BYTES)?;
    let (&found, datum) = bytes.split_first().ok_or(CodecError::Empty { what })?;
    if found != VERSION {
        return Err(CodecError::UnknownVersion { what, found, known: VERSION });
    }
    read(format, datum)
}

/// `head`, then the datum, of whatever size.
pub(crate) fn write<T: Serialize>(format: &Format, head: &[u8], value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    bytes.extend_from_slice(head);
    format
        .writer
        .write_ser(&mut bytes, value)
        .map_err(|_| CodecError::Unencodable { what: format.what, reason: "it does not fit its schema" })?;
    Ok(bytes)
}

/// The value in a datum, if nothing follows it.
pub(crate) fn read<T: DeserializeOwned>(format: &Format, mut datum: &[u8]) -> Result<T, CodecError> {
    let what = format.what;
    let value = format.reader.read_deser(&mut datum).map_err(|error| malformed(what, error.details()))?;
    if !datum.is_empty() {
        return Err(CodecError::TrailingBytes { what, bytes: datum.len() });
    }
    Ok(value)
}

/// Refuses a value over its limit.
pub(crate) fn refuse_large(what: &'static str, bytes: usize, limit: usize) -> Result<(), CodecError> {
    if bytes > limit { Err(CodecError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}

/// Avro's own messages may quote what was read, so they are told in our words.
fn malformed(what: &'static str, details: &Details) -> CodecError {
    let reason = match details {
        Details::ReadBytes(_) | Details::ReadVariableIntegerBytes(_) => "it ends too early",
        Details::ConvertToUtf8(_) => "a text is not UTF-8",
        Details::MemoryAllocation { .. } => "a text claims more bytes than a value may have",
        Details::GetUnionVariant { .. } => "a nullable field is neither null nor a value",
        Details::EnumSymbolIndex { .. } => "an enum has no symbol of that number",
        Details::IntegerOverflow | Details::ZagI32(..) => "a number is out of its range",
        Details::ConvertI64ToUsize(..) | Details::ConvertI32ToUsize(..) => "a length or index is negative",
        Details::DeserializeValue(text) if text == UNKNOWN_EVENT_TYPE => {
            return CodecError::UnknownEventType { what };
        }
        _ => "a field does not hold what its schema says",
    };
    CodecError::Malformed { what, reason }
}
