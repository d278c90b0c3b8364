//! Avro's binary encoding of our own words.
//!
//! The wire structs have the fields of their schemas, in their order, so writing and reading them needs no schema at
//! hand. That costs a fifth of what a walk through the schema costs, and the tests hold every byte to `apache-avro`, which
//! itself writes what leaves the house.

mod fault;
pub(crate) mod library;
mod reader;
mod writer;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{CodecError, Subject};

/// The largest value, version byte or frame included: 2 MiB. Only dead letters are larger.
pub const MAX_VALUE_BYTES: usize = 2 * 1024 * 1024;

const VERSION: u8 = 1;
const USUAL_BYTES: usize = 512;

/// One byte version, then the datum.
pub(crate) fn encode<T: Serialize>(subject: Subject, value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    bytes.push(VERSION);
    writer::write(value, &mut bytes).map_err(|fault| fault.while_writing(subject))?;
    refuse_large(subject, bytes.len(), MAX_VALUE_BYTES)?;
    Ok(bytes)
}

/// The value behind the version byte, if nothing follows it.
pub(crate) fn decode<T: DeserializeOwned>(subject: Subject, bytes: &[u8]) -> Result<T, CodecError> {
    let what = subject.name();
    refuse_large(subject, bytes.len(), MAX_VALUE_BYTES)?;
    let (&found, datum) = bytes.split_first().ok_or(CodecError::Empty { what })?;
    if found != VERSION {
        return Err(CodecError::UnknownVersion { what, found, known: VERSION });
    }
    read(subject, datum)
}

/// The value in a datum, if nothing follows it.
pub(crate) fn read<T: DeserializeOwned>(subject: Subject, datum: &[u8]) -> Result<T, CodecError> {
    let (value, rest) = reader::read(datum).map_err(|fault| fault.while_reading(subject))?;
    match rest.len() {
        0 => Ok(value),
        bytes => Err(CodecError::TrailingBytes { what: subject.name(), bytes }),
    }
}

/// Refuses a value over its limit.
pub(crate) fn refuse_large(subject: Subject, bytes: usize, limit: usize) -> Result<(), CodecError> {
    let what = subject.name();
    if bytes > limit { Err(CodecError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}
