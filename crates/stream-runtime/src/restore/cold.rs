//! A store that is filled from nothing: the newest value of each key, sorted, a chunk at a time.

use std::collections::{BTreeMap, HashMap};

use state_store::{Row, StateStore};

use crate::SourceRecord;
use crate::processor::{Failure, Processor};
use crate::trailer::store_key;

/// Rows that wait until there are enough of them for a file.
pub(super) struct Cold {
    values: HashMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
    limit: usize,
    begun: bool,
}

impl Cold {
    /// At most about `limit` bytes wait in memory.
    pub(super) fn new(limit: usize) -> Self {
        Self { values: HashMap::new(), bytes: 0, limit, begun: false }
    }

    /// Takes records in the order of the changelog.
    pub(super) fn take<P: Processor>(
        &mut self,
        processor: &P,
        store: &mut dyn StateStore,
        records: impl Iterator<Item = SourceRecord>,
    ) -> Result<(), Failure> {
        for SourceRecord { key, value, .. } in records {
            let Some(mut key) = key else { continue };
            let Some(length) = store_key(&key).map(<[u8]>::len) else { continue };
            // What is cut off in place needs no second copy.
            key.drain(..key.len() - length);
            self.bytes += length + value.as_ref().map_or(0, Vec::len);
            if let Some(older) = self.values.insert(key, value) {
                self.bytes -= length + older.map_or(0, |older| older.len());
            }
            if self.bytes >= self.limit {
                self.load(processor, store)?;
            }
        }
        Ok(())
    }

    /// Hands over all that waits. The store begins from nothing with the first of it.
    pub(super) fn load<P: Processor>(
        &mut self,
        processor: &P,
        store: &mut dyn StateStore,
    ) -> Result<(), Failure> {
        if !self.begun {
            store.begin_load()?;
            self.begun = true;
        }
        self.bytes = 0;
        let row = |(key, value): (Vec<u8>, Option<Vec<u8>>)| {
            let row = value.map(|value| super::row(processor, value)).transpose()?;
            Ok((key, row))
        };
        let chunk: BTreeMap<Vec<u8>, Option<Row>> =
            self.values.drain().map(row).collect::<Result<_, Failure>>()?;
        Ok(store.load(chunk)?)
    }
}
