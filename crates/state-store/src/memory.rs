use std::collections::{BTreeMap, BTreeSet};

use crate::{Row, Size, StateStore, StoreError, Timer, WriteBatch};

/// A store that lasts as long as the process.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    rows: BTreeMap<Vec<u8>, Row>,
    timers: BTreeSet<Timer>,
    position: Option<Vec<u8>>,
}

impl StateStore for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows.get(key).cloned())
    }

    fn rows(&self, from: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let rows = self.rows.range(from.to_vec()..).take(limit);
        Ok(rows.map(|(key, row)| (key.clone(), row.clone())).collect())
    }

    fn position(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.position.clone())
    }

    fn timers(&self, from: i64, through: i64, limit: usize) -> Result<Vec<Timer>, StoreError> {
        let start = Timer { due: from, key: Vec::new() };
        let due = self.timers.range(start..).take_while(|timer| timer.due <= through);
        Ok(due.take(limit).cloned().collect())
    }

    fn write(&mut self, batch: WriteBatch) -> Result<(), StoreError> {
        for timer in &batch.timers_cleared {
            self.timers.remove(timer);
        }
        self.timers.extend(batch.timers_set);
        for (key, row) in batch.rows {
            match row {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
        if batch.position.is_some() {
            self.position = batch.position;
        }
        Ok(())
    }

    fn begin_load(&mut self) -> Result<(), StoreError> {
        *self = Self::default();
        Ok(())
    }

    fn load(&mut self, chunk: BTreeMap<Vec<u8>, Option<Row>>) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for (key, row) in chunk {
            let before = self.rows.get(&key).and_then(|row| row.timer);
            match row {
                Some(row) => batch.put(key, row, before),
                None => batch.delete(key, before),
            }
        }
        self.write(batch)
    }

    fn finish_load(&mut self, position: Vec<u8>) -> Result<(), StoreError> {
        self.position = Some(position);
        Ok(())
    }

    fn size(&self) -> Size {
        let bytes = self.rows.iter().map(|(key, row)| key.len() + row.value.len()).sum::<usize>();
        Size { rows: self.rows.len() as u64, bytes: bytes as u64 }
    }
}
