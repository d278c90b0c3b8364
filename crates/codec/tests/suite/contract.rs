use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use codec::{
    CodecError, Outward, Subject, decode_abandoned_cart, decode_control, decode_dead_letter, decode_event,
    decode_heartbeat, decode_profile_update, decode_recommendation, decode_session_entry, decode_suppression,
    encode_abandoned_cart, encode_control, encode_dead_letter, encode_event, encode_heartbeat,
    encode_profile_update, encode_recommendation, encode_session_entry, encode_suppression, to_json,
};
use serde_json::Value as Json;

/// `schemas/` of this repository.
pub(crate) fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

/// The folders of `schemas/` that describe a subject, by name.
pub(crate) fn subject_folders() -> Vec<PathBuf> {
    let is_subject = |path: &PathBuf| path.join("v1.avsc").is_file() || path.join("examples").is_dir();
    entries(&schemas()).into_iter().filter(is_subject).collect()
}

/// What stands in `folder`, by name.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// The examples of a subject's folder, with their paths.
pub(crate) fn examples(folder: &Path) -> Vec<(PathBuf, Json)> {
    let read = |path: PathBuf| {
        let json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        (path, json)
    };
    entries(&folder.join("examples")).into_iter().map(read).collect()
}

/// The schema in a subject's folder.
pub(crate) fn schema(folder: &Path) -> Schema {
    let text = fs::read_to_string(folder.join("v1.avsc")).unwrap();
    Schema::parse_str(&text).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

/// An example as Avro reads it.
pub(crate) fn as_avro(schema: &Schema, example: &Json) -> Value {
    let value = Value::try_from(example.clone()).unwrap().resolve(schema).unwrap();
    assert!(value.validate(schema));
    value
}

/// The schema id in the frames of the tests; each of its bytes is another one.
pub(crate) const SCHEMA_ID: u32 = 0x0102_0304;

/// An example as it travels by default, made without our own encoder.
pub(crate) fn wire_bytes(subject: Subject, example: &Json) -> Vec<u8> {
    match subject.is_outward() {
        true => serde_json::to_vec(example).unwrap(),
        false => [vec![1], datum(subject, example)].concat(),
    }
}

/// An example behind Confluent's frame, made without our own encoder.
pub(crate) fn framed_bytes(subject: Subject, example: &Json) -> Vec<u8> {
    [vec![0, 1, 2, 3, 4], datum(subject, example)].concat()
}

/// Holds bytes that our encoder made to the library: it reads what they say, and what it writes of that reads as they do.
pub(crate) fn assert_as_the_library(subject: Subject, ours: &[u8]) {
    let said = to_json(subject, ours).unwrap();
    let (head, mut body) = ours.split_at(if subject.is_outward() { 5 } else { 1 });
    let schema = Schema::parse_str(subject.schema_text()).unwrap();
    let read = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut body).unwrap();
    assert!(body.is_empty());
    assert_eq!(read, as_avro(&schema, &said));
    let theirs = [head, &datum(subject, &said)].concat();
    assert_eq!(to_json(subject, &theirs).unwrap(), said);
    assert_eq!(theirs.len(), ours.len());
}

fn datum(subject: Subject, example: &Json) -> Vec<u8> {
    let schema = Schema::parse_str(subject.schema_text()).unwrap();
    let mut bytes = Vec::new();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    writer.write_value(&mut bytes, as_avro(&schema, example)).unwrap();
    bytes
}

/// Bytes to the domain's word and back, in the default form.
pub(crate) fn through_the_domain(subject: Subject, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    through_the_domain_into(Outward::Json, subject, bytes)
}

/// Bytes to the domain's word and back; an outward one in that form.
pub(crate) fn through_the_domain_into(
    form: Outward,
    subject: Subject,
    bytes: &[u8],
) -> Result<Vec<u8>, CodecError> {
    match subject {
        Subject::ClickstreamEvent => encode_event(&decode_event(bytes)?),
        Subject::ProfileUpdate => encode_profile_update(&decode_profile_update(bytes)?),
        Subject::Heartbeat => encode_heartbeat(&decode_heartbeat(bytes)?),
        Subject::DeadLetter => encode_dead_letter(&decode_dead_letter(bytes)?, form),
        Subject::SessionEvent => encode_session_entry(&decode_session_entry(bytes)?),
        Subject::Recommendation => encode_recommendation(&decode_recommendation(bytes)?, form),
        Subject::AbandonedCart => encode_abandoned_cart(&decode_abandoned_cart(bytes)?, form),
        Subject::Suppression => encode_suppression(&decode_suppression(bytes)?, form),
        Subject::Control => encode_control(&decode_control(bytes)?, form),
    }
}

/// The example of `subject` in the file of that name.
pub(crate) fn example(subject: Subject, file: &str) -> Json {
    let path = schemas().join(subject.name()).join("examples").join(file);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
