//! The adapters: bytes in, a pure crate's decision, bytes out.

mod avro_input;
mod ingest;
mod item_models;
mod profile_updater;
mod recommender;
mod speaking;

use std::sync::Arc;

use codec::Outward;
use events::DeadLetter;
use stream_runtime::{Failure, Header, Output, SourceRecord, partition_for};

use crate::headers;

pub(crate) use ingest::IngestProcessor;
pub(crate) use item_models::{ITEM_MODELS, ModelTable};
pub(crate) use profile_updater::{CLICKSTREAM, Origins, ProfileProcessor, TimeGuards, told};
pub(crate) use recommender::RecommenderProcessor;
pub(crate) use speaking::{SPEAKING, Speaking};

/// Longest part of a refused value that a dead letter carries, in bytes.
const PAYLOAD_LIMIT: usize = 1 << 20;
/// Longest key that a dead letter carries, in bytes.
const KEY_LIMIT: usize = 4 << 10;

/// A topic that is written to, by key.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) topic: Arc<str>,
    pub(crate) partitions: i32,
    /// How outward values are written to it; what inner topics hold has one form.
    pub(crate) outward: Outward,
}

impl Target {
    fn keyed(&self, key: Vec<u8>, value: Vec<u8>, headers: Vec<Header>) -> Output {
        Output {
            topic: Arc::clone(&self.topic),
            partition: partition_for(&key, self.partitions),
            key: Some(key),
            value: Some(value),
            headers,
        }
    }
}

/// Why a record was refused.
struct Refusal<'a> {
    stage: &'a str,
    source: &'a str,
    code: &'a str,
    field: &'a str,
    detail: &'a str,
}

/// The dead letter of a refused record, with where it came from in its headers.
fn dead_letter(target: &Target, record: &SourceRecord, refusal: &Refusal<'_>) -> Result<Output, Failure> {
    let cut = |bytes: &Vec<u8>, limit: usize| bytes[..bytes.len().min(limit)].to_vec();
    let key = record.key.as_ref().map(|key| cut(key, KEY_LIMIT));
    let letter = DeadLetter {
        stage: refusal.stage.to_owned(),
        source: refusal.source.to_owned(),
        code: refusal.code.to_owned(),
        field: refusal.field.to_owned(),
        detail: refusal.detail.to_owned(),
        key: key.clone(),
        payload: record.value.as_ref().map(|value| cut(value, PAYLOAD_LIMIT)),
        payload_bytes: record.value.as_ref().map_or(0, Vec::len) as u64,
    };
    let mut headers = vec![
        headers::text(headers::CODE, refusal.code),
        headers::text(headers::ORIGIN_TOPIC, &record.topic),
        headers::number(headers::ORIGIN_PARTITION, i64::from(record.partition)),
        headers::number(headers::ORIGIN_OFFSET, record.offset),
        headers::number(headers::ORIGIN_TIMESTAMP, record.timestamp),
    ];
    if let Some(line) = headers::read_number(record, headers::LINE) {
        headers.push(headers::number(headers::LINE, line));
    }
    let value = codec::encode_dead_letter(&letter, target.outward)?;
    Ok(Output { key: key.clone(), ..target.keyed(key.unwrap_or_default(), value, headers) })
}
