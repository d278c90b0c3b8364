use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, Direction, IteratorMode,
    Options, ReadOptions, WriteOptions,
};

use crate::damage::{at_open, at_work, hindered, note_damage};
use crate::load::{Family, Load};
use crate::{Row, Size, StateStore, StoreError, Timer, WriteBatch};

const ROWS: &str = "rows";
const TIMERS: &str = "timers";
const META: &str = "meta";
/// The column families; `true` for the one that is read key by key.
const FAMILIES: [(&str, bool); 3] = [(ROWS, true), (TIMERS, false), (META, false)];
const POSITION: &[u8] = b"position";
/// A row's value begins with its timer: due time, or this for none.
const NO_TIMER: i64 = i64::MIN;
const TIMER_BYTES: usize = 8;

/// What the stores of one process share.
#[derive(Clone)]
pub struct RocksOptions {
    cache: Cache,
    write_buffer_bytes: usize,
}

impl RocksOptions {
    /// `cache_bytes` for all stores together, `write_buffer_bytes` for each.
    #[must_use]
    pub fn new(cache_bytes: usize, write_buffer_bytes: usize) -> Self {
        Self { cache: Cache::new_lru_cache(cache_bytes), write_buffer_bytes }
    }
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self::new(64 << 20, 16 << 20)
    }
}

/// One RocksDB: rows, timers and the position, written in one batch.
///
/// Its write-ahead log is on and never synced: a killed process loses nothing, and what a power cut takes
/// is replayed from the changelog, since the position goes with it.
pub struct RocksStore {
    db: DB,
    path: PathBuf,
    options: RocksOptions,
    load: Option<Load>,
}

impl RocksStore {
    /// Opens the store in `path`, or creates it. One whose load did not come to its end is empty.
    ///
    /// # Errors
    /// When another process has it open, or the directory is damaged.
    pub fn open(path: &Path, options: &RocksOptions) -> Result<Self, StoreError> {
        let families =
            FAMILIES.map(|(name, points)| ColumnFamilyDescriptor::new(name, family(options, points)));
        let database = database().map_err(|error| hindered(path, &error))?;
        sync_logs(path).map_err(|error| hindered(path, &error))?;
        let db = DB::open_cf_descriptors(&database, path, families).map_err(|error| at_open(path, &error))?;
        let mut store = Self { db, path: path.to_owned(), options: options.clone(), load: None };
        // Only now, since whoever has the store open is still loading it.
        if Load::was_interrupted(path) {
            store.empty()?;
            Load::clear(path).map_err(|error| store.unwritable(&error))?;
        }
        Ok(store)
    }

    /// A family that is dropped is gone at once, however much it held.
    fn empty(&mut self) -> Result<(), StoreError> {
        for (name, points) in FAMILIES {
            let dropped = self.db.drop_cf(name);
            let made = dropped.and_then(|()| self.db.create_cf(name, &family(&self.options, points)));
            made.map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    fn is_empty(&self) -> Result<bool, StoreError> {
        for (name, _) in FAMILIES {
            if self.db.iterator_cf(self.family(name)?, IteratorMode::Start).next().is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn family(&self, name: &str) -> Result<&rocksdb::ColumnFamily, StoreError> {
        self.db.cf_handle(name).ok_or_else(|| StoreError::Malformed { path: self.path.display().to_string() })
    }

    fn failed(&self, error: &rocksdb::Error) -> StoreError {
        note_damage(&self.path, at_work(&self.path, error))
    }

    fn unwritable(&self, error: &io::Error) -> StoreError {
        hindered(&self.path, error)
    }

    fn malformed(&self) -> StoreError {
        note_damage(&self.path, StoreError::Malformed { path: self.path.display().to_string() })
    }

    /// Every row, by key.
    ///
    /// # Errors
    /// When the disk or its contents are damaged.
    pub fn scan(&self, mut see: impl FnMut(&[u8], Row)) -> Result<(), StoreError> {
        for entry in self.db.iterator_cf(self.family(ROWS)?, IteratorMode::Start) {
            let (key, stored) = entry.map_err(|error| self.failed(&error))?;
            see(&key, read_row(&stored).ok_or_else(|| self.malformed())?);
        }
        Ok(())
    }

    fn estimate(&self, property: &str) -> u64 {
        let value =
            self.family(ROWS).ok().and_then(|rows| self.db.property_int_value_cf(rows, property).ok());
        value.flatten().unwrap_or(0)
    }
}

impl StateStore for RocksStore {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let stored = self.db.get_pinned_cf(self.family(ROWS)?, key).map_err(|error| self.failed(&error))?;
        stored.map(|stored| read_row(&stored).ok_or_else(|| self.malformed())).transpose()
    }

    fn rows(&self, from: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let mode = IteratorMode::From(from, Direction::Forward);
        let rows = self.db.iterator_cf(self.family(ROWS)?, mode).take(limit);
        rows.map(|entry| {
            let (key, stored) = entry.map_err(|error| self.failed(&error))?;
            Ok((key.into_vec(), read_row(&stored).ok_or_else(|| self.malformed())?))
        })
        .collect()
    }

    fn position(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(self.family(META)?, POSITION).map_err(|error| self.failed(&error))
    }

    fn timers(&self, from: i64, through: i64, limit: usize) -> Result<Vec<Timer>, StoreError> {
        let mut options = ReadOptions::default();
        if let Some(after) = through.checked_add(1) {
            options.set_iterate_upper_bound(ordered(after).to_vec());
        }
        let start = ordered(from);
        let mode = IteratorMode::From(&start, Direction::Forward);
        let due = self.db.iterator_cf_opt(self.family(TIMERS)?, options, mode);
        due.take(limit)
            .map(|entry| {
                let (key, _) = entry.map_err(|error| self.failed(&error))?;
                read_timer(&key).ok_or_else(|| self.malformed())
            })
            .collect()
    }

    fn write(&mut self, batch: WriteBatch) -> Result<(), StoreError> {
        let (rows, timers, meta) = (self.family(ROWS)?, self.family(TIMERS)?, self.family(META)?);
        let mut write = rocksdb::WriteBatch::default();
        for timer in &batch.timers_cleared {
            write.delete_cf(timers, timer_key(timer.due, &timer.key));
        }
        for timer in &batch.timers_set {
            write.put_cf(timers, timer_key(timer.due, &timer.key), []);
        }
        for (key, row) in &batch.rows {
            match row {
                Some(row) => write.put_cf(rows, key, row_bytes(row)),
                None => write.delete_cf(rows, key),
            }
        }
        if let Some(position) = &batch.position {
            write.put_cf(meta, POSITION, position);
        }
        self.db.write_opt(write, &unsynced()).map_err(|error| self.failed(&error))
    }

    fn begin_load(&mut self) -> Result<(), StoreError> {
        let load = Load::begin(&self.path).map_err(|error| self.unwritable(&error))?;
        if !self.is_empty()? {
            self.empty()?;
        }
        self.load = Some(load);
        Ok(())
    }

    fn load(&mut self, chunk: BTreeMap<Vec<u8>, Option<Row>>) -> Result<(), StoreError> {
        if self.load.is_none() {
            self.begin_load()?;
        }
        let Some(mut load) = self.load.take() else { return Ok(()) };
        let (of_rows, of_timers) = (family(&self.options, true), family(&self.options, false));
        let rows = Family { handle: self.family(ROWS)?, options: &of_rows };
        let timers = Family { handle: self.family(TIMERS)?, options: &of_timers };
        load.take(&self.db, &rows, &timers, &chunk).map_err(|error| self.failed(&error))?;
        self.load = Some(load);
        Ok(())
    }

    fn finish_load(&mut self, position: Vec<u8>) -> Result<(), StoreError> {
        let mut synced = WriteOptions::default();
        // Without its position the store is nothing, so the position has to be there before the mark goes.
        synced.set_sync(true);
        let put = self.db.put_cf_opt(self.family(META)?, POSITION, position, &synced);
        put.map_err(|error| self.failed(&error))?;
        self.load = None;
        Load::clear(&self.path).map_err(|error| self.unwritable(&error))
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        for (name, _) in FAMILIES {
            self.db.flush_cf(self.family(name)?).map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    fn size(&self) -> Size {
        Size {
            rows: self.estimate("rocksdb.estimate-num-keys"),
            bytes: self.estimate("rocksdb.total-sst-files-size")
                + self.estimate("rocksdb.cur-size-all-mem-tables"),
        }
    }
}

fn database() -> Result<Options, rocksdb::Error> {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_background_jobs(2);
    options.set_max_open_files(256);
    options.set_bytes_per_sync(1 << 20);
    options.set_keep_log_file_num(2);
    // Rows, timers and position go to the disk together: whatever is lost of the log, none is ahead of another.
    options.set_atomic_flush(true);
    options.set_paranoid_checks(true);
    // The log of a killed process is read into memory, and not written out before anything is answered. The binding has
    // no setter for it.
    options.get_options_from_string("avoid_flush_during_recovery=true")
}

/// Puts the logs of whoever had the store before onto the disk. The engine goes on in another one: if a power cut took
/// the end of these and not of that one, there would be a hole, and a position ahead of its rows.
fn sync_logs(path: &Path) -> io::Result<()> {
    let Ok(files) = fs::read_dir(path) else { return Ok(()) };
    for file in files {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "log") {
            File::open(file)?.sync_data()?;
        }
    }
    Ok(())
}

fn family(shared: &RocksOptions, point_reads: bool) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&shared.cache);
    table.set_block_size(8 << 10);
    if point_reads {
        table.set_ribbon_filter(10.0);
        table.set_cache_index_and_filter_blocks(true);
    }
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(shared.write_buffer_bytes);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}

fn unsynced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(false);
    options
}

pub(crate) fn row_bytes(row: &Row) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(TIMER_BYTES + row.value.len());
    bytes.extend_from_slice(&row.timer.unwrap_or(NO_TIMER).to_le_bytes());
    bytes.extend_from_slice(&row.value);
    bytes
}

fn read_row(bytes: &[u8]) -> Option<Row> {
    let (_, value) = bytes.split_first_chunk::<TIMER_BYTES>()?;
    Some(Row { value: value.to_vec(), timer: row_timer(bytes) })
}

/// The timer of a row as it is stored.
pub(crate) fn row_timer(bytes: &[u8]) -> Option<i64> {
    let due = i64::from_le_bytes(*bytes.first_chunk::<TIMER_BYTES>()?);
    (due != NO_TIMER).then_some(due)
}

/// Bytes that sort as the number does: big-endian with the sign turned over.
fn ordered(due: i64) -> [u8; TIMER_BYTES] {
    (due.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

pub(crate) fn timer_key(due: i64, key: &[u8]) -> Vec<u8> {
    [&ordered(due), key].concat()
}

fn read_timer(bytes: &[u8]) -> Option<Timer> {
    let (due, key) = bytes.split_first_chunk::<TIMER_BYTES>()?;
    let due = (u64::from_be_bytes(*due) ^ (1 << 63)).cast_signed();
    Some(Timer { due, key: key.to_vec() })
}
