//! Both stores answer as a plain map does, and what RocksDB holds survives being reopened.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use state_store::{
    DirectoryError, MemoryStore, RocksOptions, RocksStore, Row, StateDirectory, StateStore, StoreError,
    Timer, WriteBatch,
};

type Model = BTreeMap<u8, (u8, Option<i64>)>;
type Change = (u8, Option<(u8, Option<i64>)>);

fn open(path: &Path) -> RocksStore {
    RocksStore::open(path, &RocksOptions::default()).unwrap()
}

fn batch(model: &mut Model, changes: &[Change], position: u8) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for (key, change) in changes {
        let before = model.get(key).and_then(|(_, timer)| *timer);
        match change {
            Some((value, timer)) => {
                batch.put(vec![*key], Row { value: vec![*value], timer: *timer }, before);
                model.insert(*key, (*value, *timer));
            }
            None => {
                batch.delete(vec![*key], before);
                model.remove(key);
            }
        }
    }
    batch.set_position(vec![position]);
    batch
}

fn check(store: &dyn StateStore, model: &Model, position: u8) {
    for key in 0..8 {
        let row = model.get(&key).map(|(value, timer)| Row { value: vec![*value], timer: *timer });
        assert_eq!(store.get(&[key]).unwrap(), row);
    }
    let mut timers: Vec<Timer> = model
        .iter()
        .filter_map(|(key, (_, timer))| timer.map(|due| Timer { due, key: vec![*key] }))
        .collect();
    timers.sort();
    assert_eq!(store.timers(i64::MIN, i64::MAX, 100).unwrap(), timers);
    let some: Vec<Timer> = timers.into_iter().filter(|timer| (-2..=1).contains(&timer.due)).take(2).collect();
    assert_eq!(store.timers(-2, 1, 2).unwrap(), some);
    assert_eq!(store.position().unwrap(), Some(vec![position]));
}

/// Keys of one batch are distinct: a transaction writes each key once.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop::option::of((any::<u8>(), prop::option::of(-4i64..4)));
    prop::collection::btree_map(0u8..8, change, 0..6).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn stores_answer_as_a_map_does(batches in prop::collection::vec(changes(), 1..8)) {
        let directory = tempfile::tempdir().unwrap();
        let (mut memory, mut rocks) = (MemoryStore::default(), open(directory.path()));
        let (mut model, mut other) = (Model::new(), Model::new());
        for (number, changes) in batches.iter().enumerate() {
            memory.write(batch(&mut model, changes, number as u8)).unwrap();
            rocks.write(batch(&mut other, changes, number as u8)).unwrap();
            check(&memory, &model, number as u8);
            check(&rocks, &model, number as u8);
        }
        drop(rocks);
        check(&open(directory.path()), &model, batches.len() as u8 - 1);
    }
}

#[test]
fn a_store_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let _open = open(directory.path());
    let again = RocksStore::open(directory.path(), &RocksOptions::default());
    assert!(matches!(again, Err(StoreError::Engine { .. })));
}

#[test]
fn a_directory_is_held_once_and_keeps_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let held = StateDirectory::hold(directory.path(), || "first".into()).unwrap();
    let again = StateDirectory::hold(directory.path(), || "second".into());
    assert!(matches!(again, Err(DirectoryError::InUse(_))));
    drop(held);
    let later = StateDirectory::hold(directory.path(), || "third".into()).unwrap();
    assert_eq!(later.instance(), "first");
}
