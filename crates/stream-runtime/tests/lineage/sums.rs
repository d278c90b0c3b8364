//! A processor that both the tests of owners who come and go and those of state that does not fit run.

use std::sync::Arc;

use state_store::Timer;
use stream_runtime::{
    Context, Failure, Output, Outputs, Processor, SourceRecord, StreamTime, TaskTime, partition_for,
};

pub(crate) const PARTITIONS: i32 = 4;
pub(crate) const KEYS: u64 = 50;

/// Keeps a sum for each key, and says it anew with each record.
pub(crate) struct Sums;

impl Processor for Sums {
    type State = u64;

    fn decode(&self, bytes: &[u8]) -> Result<u64, Failure> {
        Ok(u64::from_le_bytes(bytes.try_into()?))
    }

    fn encode(&self, state: &u64) -> Result<Vec<u8>, Failure> {
        Ok(state.to_le_bytes().to_vec())
    }

    fn timer(&self, _: &u64) -> Option<i64> {
        None
    }

    fn settled(&self, _: &StreamTime) -> i64 {
        i64::MIN
    }

    fn process(&self, record: &SourceRecord, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        let key = record.key.clone().unwrap_or_default();
        let added = self.decode(record.value.as_deref().unwrap_or_default())?;
        let sum = context.state(&key)?;
        *sum += added;
        let value = sum.to_le_bytes().to_vec();
        context.emit(record_of("sums", key, value));
        Ok(())
    }

    fn fire(&self, _: &Timer, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        Ok(())
    }

    fn heartbeat(&self, _: &[TaskTime<'_>], _: &mut Outputs) -> Result<(), Failure> {
        Ok(())
    }
}

/// A record where its key belongs.
pub(crate) fn record_of(topic: &str, key: Vec<u8>, value: Vec<u8>) -> Output {
    let partition = partition_for(&key, PARTITIONS);
    Output { topic: Arc::from(topic), partition, key: Some(key), value: Some(value), headers: Vec::new() }
}
