use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use state_store::{MemoryStore, Row, Size, StateStore, StoreError, Timer, WriteBatch};

/// The disks of all workers, each with a store for each partition.
pub trait Disks {
    /// Opens a store.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self, post: &str, partition: i32) -> Result<Box<dyn StateStore>, StoreError>;

    /// The partitions that the disk has a store for.
    fn stores(&self, post: &str) -> Vec<i32>;

    /// The power is cut: of what had not been flushed some first writes are kept, in thousandths.
    fn lose_unflushed(&self, post: &str, kept: u32);

    /// The directory is gone.
    fn lose(&self, post: &str);

    /// What is written so far survives a power cut.
    fn flush(&self, post: &str);

    /// The next write fails; before or after it has been done.
    fn break_next_write(&self, post: &str, done: bool);

    /// Whether a write of it has failed since this was last asked.
    fn has_broken(&self, post: &str) -> bool;
}

/// Disks in memory. A write is applied whole. What a worker has written survives its end, as what it handed to
/// the operating system does; a power cut loses the last writes that were not flushed, and never one in the
/// middle, for a log is read up to its first damage.
#[derive(Default)]
pub struct MemoryDisks {
    stores: RefCell<Stores>,
    broken: Arc<Mutex<Broken>>,
}

/// By worker and partition.
type Stores = BTreeMap<(String, i32), Arc<Mutex<Disk>>>;

/// Whose next write fails, and whose has.
#[derive(Default)]
struct Broken {
    next: BTreeMap<String, bool>,
    has: BTreeSet<String>,
}

#[derive(Default)]
struct Disk {
    flushed: MemoryStore,
    unflushed: Vec<WriteBatch>,
    current: MemoryStore,
}

struct DiskStore {
    post: String,
    disk: Arc<Mutex<Disk>>,
    broken: Arc<Mutex<Broken>>,
}

impl MemoryDisks {
    fn each(&self, post: &str, act: impl Fn(&mut Disk)) {
        for ((of, _), disk) in &*self.stores.borrow() {
            if of == post {
                act(&mut lock(disk));
            }
        }
    }
}

impl Disks for MemoryDisks {
    fn open(&self, post: &str, partition: i32) -> Result<Box<dyn StateStore>, StoreError> {
        let mut stores = self.stores.borrow_mut();
        let disk = stores.entry((post.to_owned(), partition)).or_default();
        Ok(Box::new(DiskStore {
            post: post.to_owned(),
            disk: Arc::clone(disk),
            broken: Arc::clone(&self.broken),
        }))
    }

    fn stores(&self, post: &str) -> Vec<i32> {
        self.stores.borrow().keys().filter(|(of, _)| of == post).map(|(_, partition)| *partition).collect()
    }

    fn lose_unflushed(&self, post: &str, kept: u32) {
        self.each(post, |disk| {
            let kept = disk.unflushed.len() * kept as usize / 1_000;
            disk.unflushed.truncate(kept);
            disk.current = disk.flushed.clone();
            for batch in &disk.unflushed {
                // A store in memory takes any batch.
                let _ = disk.current.write(batch.clone());
            }
        });
    }

    fn lose(&self, post: &str) {
        self.each(post, |disk| *disk = Disk::default());
    }

    fn flush(&self, post: &str) {
        self.each(post, |disk| {
            disk.flushed = disk.current.clone();
            disk.unflushed.clear();
        });
    }

    fn break_next_write(&self, post: &str, done: bool) {
        lock(&self.broken).next.insert(post.to_owned(), done);
    }

    fn has_broken(&self, post: &str) -> bool {
        lock(&self.broken).has.remove(post)
    }
}

impl DiskStore {
    fn broken(&self) -> StoreError {
        lock(&self.broken).has.insert(self.post.clone());
        let reason = "the disk failed, so the schedule says".to_owned();
        StoreError::Engine { path: self.post.clone(), reason }
    }
}

impl StateStore for DiskStore {
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError> {
        lock(&self.disk).current.get(key)
    }

    fn position(&self) -> Result<Option<Vec<u8>>, StoreError> {
        lock(&self.disk).current.position()
    }

    fn rows(&self, from: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        lock(&self.disk).current.rows(from, limit)
    }

    fn timers(&self, from: i64, through: i64, limit: usize) -> Result<Vec<Timer>, StoreError> {
        lock(&self.disk).current.timers(from, through, limit)
    }

    fn write(&mut self, batch: WriteBatch) -> Result<(), StoreError> {
        let breaks = lock(&self.broken).next.remove(&self.post);
        if breaks == Some(false) {
            return Err(self.broken());
        }
        let mut disk = lock(&self.disk);
        disk.unflushed.push(batch.clone());
        disk.current.write(batch)?;
        drop(disk);
        if breaks == Some(true) { Err(self.broken()) } else { Ok(()) }
    }

    /// What is loaded goes to the disk in whole files, so a power cut takes nothing of what has been finished.
    fn begin_load(&mut self) -> Result<(), StoreError> {
        let mut disk = lock(&self.disk);
        disk.unflushed.clear();
        disk.current.begin_load()?;
        disk.flushed = disk.current.clone();
        Ok(())
    }

    fn load(&mut self, chunk: BTreeMap<Vec<u8>, Option<Row>>) -> Result<(), StoreError> {
        lock(&self.disk).current.load(chunk)
    }

    fn finish_load(&mut self, position: Vec<u8>) -> Result<(), StoreError> {
        let mut disk = lock(&self.disk);
        disk.current.finish_load(position)?;
        disk.flushed = disk.current.clone();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let mut disk = lock(&self.disk);
        disk.flushed = disk.current.clone();
        disk.unflushed.clear();
        Ok(())
    }

    fn size(&self) -> Size {
        lock(&self.disk).current.size()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
