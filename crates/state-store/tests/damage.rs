//! Whatever becomes of the bytes on the disk, a store gives the answers of some position that it names, or none.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use state_store::{RocksOptions, RocksStore, Row, StateStore, StoreError, Timer, WriteBatch, open_sound};

const BATCHES: u64 = 60;
const KEYS: u64 = 300;
const ROWS: u64 = 40;
/// Where the child of the full disk finds its directory.
const CHILD: &str = "PACZEK_TEST_FULL_DISK";

type Rows = BTreeMap<Vec<u8>, Row>;

/// A buffer so small that there are many files.
fn options() -> RocksOptions {
    RocksOptions::new(1 << 20, 64 << 10)
}

/// A number that follows from another one, as if by chance.
fn scattered(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7
}

/// What batch number `batch` changes: keys, and what they become.
fn changes(batch: u64) -> BTreeMap<Vec<u8>, Option<Row>> {
    let change = |row: u64| {
        let drawn = scattered(batch * ROWS + row);
        let key = format!("key-{:04}", drawn % KEYS).into_bytes();
        let value: Vec<u8> = (0..40).flat_map(|part| scattered(drawn + part).to_le_bytes()).collect();
        let timer = (!drawn.is_multiple_of(3)).then_some((drawn % 10_000) as i64);
        (key, (!drawn.is_multiple_of(11)).then_some(Row { value, timer }))
    };
    (0..ROWS).map(change).collect()
}

fn apply(rows: &mut Rows, batch: u64) -> WriteBatch {
    let mut write = WriteBatch::default();
    for (key, change) in changes(batch) {
        let before = rows.get(&key).and_then(|row| row.timer);
        match change {
            Some(row) => {
                write.put(key.clone(), row.clone(), before);
                rows.insert(key, row);
            }
            None => {
                write.delete(key.clone(), before);
                rows.remove(&key);
            }
        }
    }
    write.set_position(batch.to_be_bytes().to_vec());
    write
}

fn rows_at(position: Option<u64>) -> Rows {
    let mut rows = Rows::new();
    (0..position.map_or(0, |position| position + 1)).for_each(|batch| drop(apply(&mut rows, batch)));
    rows
}

fn position(store: &RocksStore) -> Result<Option<u64>, StoreError> {
    Ok(store.position()?.map(|bytes| u64::from_be_bytes(bytes.try_into().unwrap())))
}

fn timers_of(rows: &Rows) -> Vec<Timer> {
    let timer = |(key, row): (&Vec<u8>, &Row)| Some(Timer { due: row.timer?, key: key.clone() });
    let mut timers: Vec<_> = rows.iter().filter_map(timer).collect();
    timers.sort();
    timers
}

/// Everything a store answers, if it answers.
fn answers(store: &RocksStore) -> Result<(Option<u64>, Rows, Vec<Timer>), StoreError> {
    let mut rows = Rows::new();
    store.scan(|key, row| drop(rows.insert(key.to_vec(), row)))?;
    for key in 0..KEYS {
        let key = format!("key-{key:04}").into_bytes();
        assert_eq!(store.get(&key)?, rows.get(&key).cloned(), "read alone and in a row");
    }
    Ok((position(store)?, rows, store.timers(i64::MIN, i64::MAX, usize::MAX)?))
}

/// Brings a store from where it stands to the end, as a changelog does.
fn go_on(store: &mut RocksStore) -> Result<(), StoreError> {
    let known = position(store)?;
    let mut rows = rows_at(known);
    for batch in known.map_or(0, |known| known + 1)..BATCHES {
        store.write(apply(&mut rows, batch))?;
    }
    Ok(())
}

fn assert_whole(store: &RocksStore) -> Result<(), StoreError> {
    let (position, rows, timers) = answers(store)?;
    let expected = rows_at(position);
    assert!(rows == expected, "a wrong answer at {position:?}");
    assert!(timers == timers_of(&expected), "wrong timers at {position:?}");
    Ok(())
}

/// A store with some of its rows in files and some in its log.
fn filled(path: &Path) {
    let mut store = RocksStore::open(path, &options()).unwrap();
    go_on(&mut store).unwrap();
    assert_whole(&store).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The files of a kind, of one length at least.
fn files(directory: &Path, kind: &str) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        (name.ends_with(kind) || name.starts_with(kind)) && fs::metadata(path).unwrap().len() > 0
    };
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(is_one).collect();
    files.sort();
    files
}

/// What came of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Harmless,
    SetAside,
}

/// Uses a damaged store as a worker does: after each complaint it is opened anew.
fn live_with(path: &Path) -> Outcome {
    let mut outcome = Outcome::Harmless;
    for _ in 0..3 {
        let mut opened = open_sound(path, &options()).unwrap();
        if opened.set_aside.is_some() {
            assert_eq!(position(&opened.store).unwrap(), None, "an empty one takes its place");
            outcome = Outcome::SetAside;
        }
        let whole = assert_whole(&opened.store).and_then(|()| go_on(&mut opened.store));
        match whole.and_then(|()| assert_whole(&opened.store)) {
            Ok(()) => return outcome,
            Err(error) => assert!(error.is_damaged(), "{error}"),
        }
    }
    panic!("it never came right");
}

#[test]
fn a_hundred_flipped_bytes_and_four_lost_files_give_no_wrong_answer() {
    let temporary = tempfile::tempdir().unwrap();
    let base = temporary.path().join("base");
    filled(&base);
    let kinds = [".sst", ".log", "MANIFEST", "CURRENT"];
    let mut outcomes = BTreeMap::new();
    for seed in 0..104u64 {
        let (path, kind) = (temporary.path().join(seed.to_string()), kinds[seed as usize % 4]);
        copy(&base, &path);
        let files = files(&path, kind);
        let file = &files[scattered(seed) as usize % files.len()];
        if seed < 100 {
            let mut bytes = fs::read(file).unwrap();
            let at = scattered(seed + 1_000) as usize % bytes.len();
            bytes[at] ^= 1 << (seed % 8);
            fs::write(file, bytes).unwrap();
        } else {
            fs::remove_file(file).unwrap();
        }
        *outcomes.entry((kind, seed < 100, live_with(&path) == Outcome::SetAside)).or_insert(0) += 1;
        fs::remove_dir_all(&path).unwrap();
    }
    println!("kind, flipped, set aside: {outcomes:?}");
    let seen = outcomes.iter().filter(|((kind, _, aside), _)| *kind == ".sst" && *aside);
    assert!(seen.map(|(_, count)| count).sum::<i32>() > 20, "damage to rows is seen: {outcomes:?}");
}

#[test]
fn a_row_that_was_changed_with_a_right_checksum_would_be_noticed_here() {
    let temporary = tempfile::tempdir().unwrap();
    filled(temporary.path());
    let mut store = RocksStore::open(temporary.path(), &options()).unwrap();
    let (key, row) = rows_at(Some(BATCHES - 1)).pop_first().unwrap();
    let mut batch = WriteBatch::default();
    batch.put(key, Row { value: vec![0], timer: row.timer }, row.timer);
    store.write(batch).unwrap();
    let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| assert_whole(&store)));
    assert!(checked.is_err());
}

#[test]
fn only_the_last_damaged_store_is_kept_and_a_sound_one_is_left_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("7");
    filled(&path);
    assert!(open_sound(&path, &options()).unwrap().set_aside.is_none());
    for _ in 0..2 {
        fs::write(path.join("CURRENT"), "nothing\n").unwrap();
        let opened = open_sound(&path, &options()).unwrap();
        assert_eq!(opened.set_aside.unwrap(), temporary.path().join("7.damaged"));
    }
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 2);
}

/// A limit on the size of files stands for a full disk: it needs no rights, and whatever grows meets it: the
/// log, a flush, a compaction, the manifest.
#[test]
fn a_full_disk_is_named_and_whatever_was_acknowledged_is_there_once_there_is_room() {
    let mut refused = 0;
    for blocks in [1, 8, 24, 40, 64, 100, 140, 200, 300, 400, 600] {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("store");
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let child = Command::new("sh")
            .args(["-c", &limited])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_fills_the_disk", "--ignored", "--nocapture"])
            .env(CHILD, &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        let (acknowledged, full) = (said.lines().rev().find_map(number), said.contains("FULL"));
        assert!(full || acknowledged == Some(BATCHES - 1), "{blocks}: {said}");
        refused += usize::from(full);
        let mut opened = open_sound(&path, &options()).unwrap();
        let known = position(&opened.store).unwrap();
        if opened.set_aside.is_none() {
            assert!(known >= acknowledged, "{blocks}: {known:?} is there, {acknowledged:?} was acknowledged");
        }
        assert_whole(&opened.store).unwrap();
        go_on(&mut opened.store).unwrap();
        assert_whole(&opened.store).unwrap();
    }
    assert!(refused >= 5, "the disk was full {refused} times");
}

fn number(line: &str) -> Option<u64> {
    line.strip_prefix("written ")?.parse().ok()
}

#[test]
#[ignore = "the child of another test"]
fn child_that_fills_the_disk() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let written = RocksStore::open(Path::new(&path), &options()).and_then(|mut store| {
        let mut rows = Rows::new();
        for batch in 0..BATCHES {
            store.write(apply(&mut rows, batch))?;
            println!("written {batch}");
        }
        Ok(())
    });
    match written {
        Err(StoreError::Full { .. }) => println!("FULL"),
        Err(error) => println!("OTHERWISE {error}"),
        Ok(()) => {}
    }
}
