//! How a snapshot lies in a store: cut into rows, its checksum and the offsets it stands at in the position.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use state_store::{Row, StateStore, StoreError, WriteBatch};
use xxhash_rust::xxh3::xxh3_64;

/// Length of a row.
const ROW: usize = 1 << 20;

/// A table as it was when every partition had been read up to an offset.
pub(super) struct Snapshot {
    pub(super) bytes: Vec<u8>,
    pub(super) log: String,
    pub(super) next: BTreeMap<i32, i64>,
}

#[derive(Serialize, Deserialize)]
struct Position {
    log: String,
    rows: u32,
    checksum: u64,
    next: BTreeMap<i32, i64>,
}

/// Replaces what is kept, whole or not at all.
pub(super) fn keep(
    store: &mut dyn StateStore,
    bytes: &[u8],
    log: &str,
    next: &BTreeMap<i32, i64>,
) -> Result<(), StoreError> {
    let before = position(store)?.map_or(0, |position| position.rows);
    let mut batch = WriteBatch::default();
    let mut rows = 0;
    for part in bytes.chunks(ROW) {
        batch.put(key(rows), Row { value: part.to_vec(), timer: None }, None);
        rows += 1;
    }
    (rows..before).for_each(|row| batch.delete(key(row), None));
    let position = Position { log: log.to_owned(), rows, checksum: xxh3_64(bytes), next: next.clone() };
    // Neither text nor numbers fail to become JSON.
    batch.set_position(serde_json::to_vec(&position).unwrap_or_default());
    store.write(batch)
}

/// What is kept; `None` if there is nothing, or it is damaged.
pub(super) fn kept(store: &dyn StateStore) -> Result<Option<Snapshot>, StoreError> {
    let Some(Position { log, rows, checksum, next }) = position(store)? else { return Ok(None) };
    let mut bytes = Vec::new();
    for row in 0..rows {
        let Some(row) = store.get(&key(row))? else { return Ok(None) };
        bytes.extend_from_slice(&row.value);
    }
    Ok((xxh3_64(&bytes) == checksum).then_some(Snapshot { bytes, log, next }))
}

fn position(store: &dyn StateStore) -> Result<Option<Position>, StoreError> {
    Ok(store.position()?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn key(row: u32) -> Vec<u8> {
    row.to_be_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use state_store::MemoryStore;

    use super::*;

    #[test]
    fn a_snapshot_stands_in_the_form_of_its_version() {
        let (mut store, next) = (MemoryStore::default(), BTreeMap::from([(0, 7), (1, 9)]));
        keep(&mut store, b"models", "cluster/sessions", &next).unwrap();
        let position = String::from_utf8(store.position().unwrap().unwrap()).unwrap();
        assert_eq!(position, include_str!("../../tests/golden/snapshot-position.json"));
        assert_eq!(store.get(&[0, 0, 0, 0]).unwrap().unwrap().value, b"models");
        assert_eq!(kept(&store).unwrap().unwrap().next, next);
    }

    #[test]
    fn the_newest_snapshot_comes_back_whole_and_a_damaged_one_not_at_all() {
        let (mut store, next) = (MemoryStore::default(), BTreeMap::from([(0, 7), (1, 9)]));
        assert!(kept(&store).unwrap().is_none());
        let long: Vec<u8> = (0..3 * ROW + 5).map(|number| (number % 251) as u8).collect();
        for bytes in [&long[..], &[], &long[..ROW + 1]] {
            keep(&mut store, bytes, "log", &next).unwrap();
            let found = kept(&store).unwrap().unwrap();
            assert_eq!((found.bytes.as_slice(), found.log.as_str(), &found.next), (bytes, "log", &next));
        }
        assert!(store.get(&key(2)).unwrap().is_none(), "rows of a longer one go");
        let mut batch = WriteBatch::default();
        batch.put(key(1), Row { value: vec![0], timer: None }, None);
        store.write(batch).unwrap();
        assert!(kept(&store).unwrap().is_none());
    }
}
