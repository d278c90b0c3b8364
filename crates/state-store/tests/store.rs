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
    let rows = |from: u8, limit| {
        let rows = store.rows(&[from], limit).unwrap().into_iter();
        rows.map(|(key, row)| (key[0], (row.value[0], row.timer))).collect::<Vec<_>>()
    };
    let known = |from: u8| model.range(from..).map(|(key, row)| (*key, *row));
    assert_eq!(rows(0, 100), known(0).collect::<Vec<_>>());
    assert_eq!(rows(3, 2), known(3).take(2).collect::<Vec<_>>());
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

/// The changes as a chunk of a load.
fn chunk(model: &mut Model, changes: &[Change]) -> BTreeMap<Vec<u8>, Option<Row>> {
    let row = |(value, timer): (u8, Option<i64>)| Row { value: vec![value], timer };
    batch(model, changes, 0);
    changes.iter().map(|(key, change)| (vec![*key], change.map(row))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_loaded_store_answers_as_a_map_does_and_goes_on(
        before in changes(), chunks in prop::collection::vec(changes(), 0..5), after in changes(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut stores: [Box<dyn StateStore>; 2] =
            [Box::new(MemoryStore::default()), Box::new(open(directory.path()))];
        for store in &mut stores {
            let mut model = Model::new();
            store.write(batch(&mut model, &before, 1)).unwrap();
            model.clear();
            store.begin_load().unwrap();
            chunks.iter().for_each(|changes| store.load(chunk(&mut model, changes)).unwrap());
            prop_assert_eq!(store.position().unwrap(), None, "not yet");
            store.finish_load(vec![2]).unwrap();
            check(&**store, &model, 2);
            store.write(batch(&mut model, &after, 3)).unwrap();
            check(&**store, &model, 3);
        }
        drop(stores);
        let mut model = Model::new();
        chunks.iter().chain([&after]).for_each(|changes| drop(chunk(&mut model, changes)));
        check(&open(directory.path()), &model, 3);
    }
}

#[test]
fn a_load_that_did_not_come_to_its_end_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let row = || Row { value: vec![1], timer: Some(7) };
    let rows = || BTreeMap::from([(vec![1], Some(row()))]);
    let mut store = open(directory.path());
    store.begin_load().unwrap();
    store.load(rows()).unwrap();
    assert_eq!(store.get(&[1]).unwrap(), Some(row()), "it was there");
    drop(store);
    let mut store = open(directory.path());
    assert_eq!(store.get(&[1]).unwrap(), None);
    assert_eq!(store.timers(0, 9, 9).unwrap(), []);
    store.begin_load().unwrap();
    store.load(rows()).unwrap();
    store.finish_load(vec![2]).unwrap();
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.get(&[1]).unwrap(), Some(row()), "this one did");
    assert_eq!(store.position().unwrap(), Some(vec![2]));
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
    let pid = std::process::id().to_string();
    assert!(matches!(again, Err(DirectoryError::InUse { owner, .. }) if owner == pid));
    drop(held);
    let later = StateDirectory::hold(directory.path(), || "third".into()).unwrap();
    assert_eq!(later.instance(), "first");
    drop(later);
    std::fs::write(directory.path().join("layout"), "2").unwrap();
    let newer = StateDirectory::hold(directory.path(), || "fourth".into());
    assert!(matches!(newer, Err(DirectoryError::OtherLayout(_))));
}
