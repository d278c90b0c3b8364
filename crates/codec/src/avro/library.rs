//! The library at the border: what leaves the house in Avro is written by `apache-avro`, against the schema that readers
//! outside have. It does not read here, because it takes a datum that ends before a nullable field for a whole one.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;

use super::USUAL_BYTES;
use super::fault::Fault;
use crate::{CodecError, Subject};

static WRITERS: LazyLock<Vec<(Subject, GenericDatumWriter<'static>)>> =
    LazyLock::new(|| Subject::ALL.iter().filter_map(|subject| Some((*subject, writer(*subject)?))).collect());

/// `head`, then the datum, of whatever size.
pub(crate) fn write<T: Serialize>(subject: Subject, head: &[u8], value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    bytes.extend_from_slice(head);
    let known = WRITERS.iter().find(|(known, _)| *known == subject);
    let written = known.and_then(|(_, writer)| writer.write_ser(&mut bytes, value).ok());
    written.map(|_| bytes).ok_or_else(|| Fault::OTHER.while_writing(subject))
}

fn writer(subject: Subject) -> Option<GenericDatumWriter<'static>> {
    let schema = Schema::parse_str(subject.schema_text()).ok()?;
    // The writer borrows the schema for as long as the process runs.
    let schema: &'static Schema = Box::leak(Box::new(schema));
    GenericDatumWriter::builder(schema).build().ok()
}
