use std::cell::RefCell;
use std::collections::BTreeSet;

use simulator::cluster::Disks;
use state_store::{RocksOptions, RocksStore, StateStore, StoreError};
use tempfile::TempDir;

use crate::problem::Problem;

/// Memory for RocksDB's cache, and for the write buffers of each store, in bytes.
const MEMORY: usize = 4 << 20;

/// Real stores in a directory that goes with the run. They are killed and lost; their power is not cut.
pub(super) struct RocksDisks {
    directory: TempDir,
    options: RocksOptions,
    stores: RefCell<BTreeSet<(String, i32)>>,
}

impl RocksDisks {
    pub(super) fn new() -> Result<Self, Problem> {
        let failed = |error| Problem::Failed(format!("no temporary directory: {error}"));
        Ok(Self {
            directory: TempDir::new().map_err(failed)?,
            options: RocksOptions::new(MEMORY, MEMORY),
            stores: RefCell::default(),
        })
    }
}

impl Disks for RocksDisks {
    fn open(&self, post: &str, partition: i32) -> Result<Box<dyn StateStore>, StoreError> {
        self.stores.borrow_mut().insert((post.to_owned(), partition));
        let path = self.directory.path().join(post);
        // What cannot be made is told of by the store.
        let _ = std::fs::create_dir_all(&path);
        Ok(Box::new(RocksStore::open(&path.join(partition.to_string()), &self.options)?))
    }

    fn stores(&self, post: &str) -> Vec<i32> {
        self.stores.borrow().iter().filter(|(of, _)| of == post).map(|(_, partition)| *partition).collect()
    }

    fn lose_unflushed(&self, _: &str, _: u32) {}

    fn lose(&self, post: &str) {
        // It is gone already where there was none.
        let _ = std::fs::remove_dir_all(self.directory.path().join(post));
    }

    fn flush(&self, _: &str) {}

    fn break_next_write(&self, _: &str, _: bool) {}

    fn has_broken(&self, _: &str) -> bool {
        false
    }
}
