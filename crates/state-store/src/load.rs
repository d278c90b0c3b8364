//! Filling a RocksDB from nothing with files that are sorted already: no memtable, no log, no compaction.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rocksdb::{ColumnFamily, DB, IngestExternalFileOptions, Options, SstFileWriter};

use crate::Row;
use crate::rocks::{row_bytes, row_timer, timer_key};

/// The files of a load lie here until they are the store's. While the directory is there, the store holds a
/// part of something: whoever opens it begins from nothing.
const LOADING: &str = "loading";
/// Rows whose timers are looked up at once.
const LOOK_UP: usize = 1_000;

/// A load under way.
pub(crate) struct Load {
    scratch: PathBuf,
    files: u32,
}

/// A column family, and how its files are written.
pub(crate) struct Family<'a> {
    pub(crate) handle: &'a ColumnFamily,
    pub(crate) options: &'a Options,
}

impl Load {
    /// Whether the last load of the store in `path` did not come to its end.
    pub(crate) fn was_interrupted(path: &Path) -> bool {
        path.join(LOADING).exists()
    }

    /// Marks the store as one that is being loaded. What it holds may be emptied from then on.
    pub(crate) fn begin(path: &Path) -> io::Result<Self> {
        let scratch = path.join(LOADING);
        Self::clear(path)?;
        fs::create_dir_all(&scratch)?;
        // Files that survive a power cut must not be without their mark.
        File::open(path)?.sync_all()?;
        Ok(Self { scratch, files: 0 })
    }

    /// The store is whole again.
    pub(crate) fn clear(path: &Path) -> io::Result<()> {
        match fs::remove_dir_all(path.join(LOADING)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Brings a chunk in. What earlier ones held of the same keys is overridden.
    pub(crate) fn take(
        &mut self,
        db: &DB,
        rows: &Family<'_>,
        timers: &Family<'_>,
        chunk: &BTreeMap<Vec<u8>, Option<Row>>,
    ) -> Result<(), rocksdb::Error> {
        let is_first = self.files == 0;
        let mut moved = timers_set(chunk);
        if !is_first {
            for stale in timers_before(db, rows.handle, chunk)? {
                moved.entry(stale).or_insert(false);
            }
        }
        let entries = chunk.iter().map(|(key, row)| (key, row.as_ref().map(row_bytes)));
        self.ingest(db, rows, entries.filter(|(_, row)| row.is_some() || !is_first))?;
        let entries = moved.iter().map(|(key, stands)| (key, stands.then(Vec::new)));
        self.ingest(db, timers, entries)
    }

    /// Writes sorted entries into a file and hands it to the store; `None` removes.
    fn ingest<'a>(
        &mut self,
        db: &DB,
        family: &Family<'_>,
        entries: impl Iterator<Item = (&'a Vec<u8>, Option<Vec<u8>>)>,
    ) -> Result<(), rocksdb::Error> {
        self.files += 1;
        let file = self.scratch.join(format!("{}.sst", self.files));
        let mut writer = SstFileWriter::create(family.options);
        writer.open(&file)?;
        let mut is_empty = true;
        for (key, value) in entries {
            is_empty = false;
            match value {
                Some(value) => writer.put(key, value)?,
                None => writer.delete(key)?,
            }
        }
        if is_empty {
            return Ok(());
        }
        writer.finish()?;
        drop(writer);
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        db.ingest_external_file_cf_opts(family.handle, &options, vec![file])
    }
}

/// The timer rows of a chunk, in their order; all of them stand.
fn timers_set(chunk: &BTreeMap<Vec<u8>, Option<Row>>) -> BTreeMap<Vec<u8>, bool> {
    let due = chunk.iter().filter_map(|(key, row)| Some((key, row.as_ref()?.timer?)));
    due.map(|(key, due)| (timer_key(due, key), true)).collect()
}

/// The timer rows that earlier chunks have left for keys of this one.
fn timers_before(
    db: &DB,
    rows: &ColumnFamily,
    chunk: &BTreeMap<Vec<u8>, Option<Row>>,
) -> Result<Vec<Vec<u8>>, rocksdb::Error> {
    let keys: Vec<&Vec<u8>> = chunk.keys().collect();
    let mut stale = Vec::new();
    for keys in keys.chunks(LOOK_UP) {
        for (key, found) in keys.iter().zip(db.batched_multi_get_cf(rows, keys.iter().copied(), true)) {
            let due = found?.as_deref().and_then(row_timer);
            stale.extend(due.map(|due| timer_key(due, key)));
        }
    }
    Ok(stale)
}
