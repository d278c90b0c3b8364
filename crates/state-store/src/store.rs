use std::collections::BTreeMap;

use thiserror::Error;

/// The state of one task: rows by key, timers by due time, and one position.
///
/// A [`WriteBatch`] is applied whole or not at all, so the position never speaks of rows that are not there.
pub trait StateStore: Send {
    /// The row of `key`.
    ///
    /// # Errors
    /// When the disk or its contents are damaged.
    fn get(&self, key: &[u8]) -> Result<Option<Row>, StoreError>;

    /// Rows from this key on, in the order of their keys, at most `limit`.
    ///
    /// # Errors
    /// When the disk or its contents are damaged.
    fn rows(&self, from: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Row)>, StoreError>;

    /// The position as it was last written.
    ///
    /// # Errors
    /// When the disk or its contents are damaged.
    fn position(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Timers with `from <= due <= through`, by due time and key, at most `limit`.
    ///
    /// # Errors
    /// When the disk or its contents are damaged.
    fn timers(&self, from: i64, through: i64, limit: usize) -> Result<Vec<Timer>, StoreError>;

    /// Applies the batch atomically.
    ///
    /// # Errors
    /// When the disk is full, damaged or gone. Nothing of the batch is visible then.
    fn write(&mut self, batch: WriteBatch) -> Result<(), StoreError>;

    /// Empties the store, to fill it with [`StateStore::load`]: many rows, faster than in batches. A store that
    /// is opened again before [`StateStore::finish_load`] is empty.
    ///
    /// # Errors
    /// When the disk is full, damaged or gone.
    fn begin_load(&mut self) -> Result<(), StoreError>;

    /// Takes rows and their timers; `None` removes the row of an earlier chunk. Later chunks count.
    ///
    /// # Errors
    /// When the disk is full, damaged or gone. The load has failed then.
    fn load(&mut self, chunk: BTreeMap<Vec<u8>, Option<Row>>) -> Result<(), StoreError>;

    /// Ends the load: from here on the store is that of `position`.
    ///
    /// # Errors
    /// When the disk is full, damaged or gone. The load has failed then.
    fn finish_load(&mut self, position: Vec<u8>) -> Result<(), StoreError>;

    /// Leaves nothing in memory: the store opens the faster next time.
    ///
    /// # Errors
    /// When the disk is full, damaged or gone.
    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// How much it holds; an estimate.
    fn size(&self) -> Size;
}

/// A stored value and the timer that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The encoded state.
    pub value: Vec<u8>,
    /// Due time of the key's one timer, in milliseconds; `None` while it has none.
    pub timer: Option<i64>,
}

/// A key that wants to be looked at once time has reached `due`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// Event time in milliseconds.
    pub due: i64,
    /// The row it is of.
    pub key: Vec<u8>,
}

/// Changes that belong together.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    pub(crate) rows: Vec<(Vec<u8>, Option<Row>)>,
    pub(crate) timers_set: Vec<Timer>,
    pub(crate) timers_cleared: Vec<Timer>,
    pub(crate) position: Option<Vec<u8>>,
}

impl WriteBatch {
    /// Replaces the row of `key` and moves its timer; `before` is the timer that stands for it so far.
    pub fn put(&mut self, key: Vec<u8>, row: Row, before: Option<i64>) {
        self.move_timer(&key, before, row.timer);
        self.rows.push((key, Some(row)));
    }

    /// Removes the row of `key` and its timer.
    pub fn delete(&mut self, key: Vec<u8>, before: Option<i64>) {
        self.move_timer(&key, before, None);
        self.rows.push((key, None));
    }

    /// Says what has been absorbed once this batch is applied.
    pub fn set_position(&mut self, position: Vec<u8>) {
        self.position = Some(position);
    }

    fn move_timer(&mut self, key: &[u8], before: Option<i64>, after: Option<i64>) {
        if before == after {
            return;
        }
        let timer = |due| Timer { due, key: key.to_vec() };
        self.timers_cleared.extend(before.map(timer));
        self.timers_set.extend(after.map(timer));
    }
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Rows, estimated.
    pub rows: u64,
    /// Bytes on disk and in memory buffers, estimated.
    pub bytes: u64,
}

/// Why a store could not be opened, read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The engine refused.
    #[error("state store {path}: {reason}")]
    Engine {
        /// The store's directory.
        path: String,
        /// What the engine said.
        reason: String,
    },
    /// A row is not in the form this version writes.
    #[error("state store {path}: a row is not in the form this version writes; {REBUILT}")]
    Malformed {
        /// The store's directory.
        path: String,
    },
    /// What is on the disk is not what was written there.
    #[error("state store {path} is damaged: {reason}; {REBUILT}")]
    Damaged {
        /// The store's directory.
        path: String,
        /// What the engine said.
        reason: String,
    },
    /// The disk, or a limit set on it, has no room left.
    #[error(
        "state store {path}: no space is left on its disk; make room and start again, nothing that was committed is lost"
    )]
    Full {
        /// The store's directory.
        path: String,
    },
}

const REBUILT: &str = "it is set aside and rebuilt from the changelog when it is opened again";

impl StoreError {
    /// Whether the store is to be rebuilt: it is a cache of its changelog, and not a true one any more.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Malformed { .. } | Self::Damaged { .. })
    }

    /// Whether this very process has the store open elsewhere.
    #[must_use]
    pub fn is_held_here(&self) -> bool {
        matches!(self, Self::Engine { reason, .. } if reason.contains("lock hold by current process"))
    }
}
