use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::broker::Extent;
use crate::{Header, Output, SourceRecord};

/// A log of fewer records than this is never compacted by itself.
const SMALL: usize = 4_096;

/// One partition: its records in order. What ends a transaction takes an offset too, as on Apache Kafka, so
/// offsets have gaps; aborted records leave theirs behind.
#[derive(Default)]
pub(super) struct Log {
    entries: Vec<Entry>,
    /// Nothing before it is kept.
    start: i64,
    end: i64,
    /// The first offset of each open transaction.
    open: BTreeMap<u64, i64>,
    /// What the last compaction left.
    clean: usize,
}

struct Entry {
    offset: i64,
    transaction: u64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<Header>,
}

impl Log {
    /// Writes a record of an open transaction; its offset.
    pub(super) fn append(&mut self, transaction: u64, timestamp: i64, output: &Output) -> i64 {
        let offset = self.end;
        self.end += 1;
        self.open.entry(transaction).or_insert(offset);
        self.entries.push(Entry {
            offset,
            transaction,
            timestamp,
            key: output.key.clone(),
            value: output.value.clone(),
            headers: output.headers.clone(),
        });
        offset
    }

    /// Whether the open transaction has written here.
    pub(super) fn holds(&self, transaction: u64) -> bool {
        self.open.contains_key(&transaction)
    }

    /// Ends a transaction: its records come to stay, or go.
    pub(super) fn finish(&mut self, transaction: u64, committed: bool) {
        let Some(first) = self.open.remove(&transaction) else { return };
        if !committed {
            let tail = self.entries.split_off(self.index(first));
            self.entries.extend(tail.into_iter().filter(|entry| entry.transaction != transaction));
        }
        // The marker.
        self.end += 1;
    }

    pub(super) fn extent(&self) -> Extent {
        Extent { start: self.start, stable_end: self.stable_end(), end: self.end }
    }

    /// Where the oldest open transaction begins; the end where none is open.
    pub(super) fn stable_end(&self) -> i64 {
        self.open.values().min().copied().unwrap_or(self.end)
    }

    /// At most `limit` committed records from an offset on.
    pub(super) fn read<'a>(
        &'a self,
        topic: &'a Arc<str>,
        partition: i32,
        from: i64,
        limit: usize,
    ) -> impl Iterator<Item = SourceRecord> + 'a {
        let stable_end = self.stable_end();
        let there = self.entries[self.index(from)..].iter();
        there.take_while(move |entry| entry.offset < stable_end).take(limit).map(move |entry| SourceRecord {
            topic: Arc::clone(topic),
            partition,
            offset: entry.offset,
            timestamp: entry.timestamp,
            key: entry.key.clone(),
            value: entry.value.clone(),
            headers: entry.headers.clone(),
        })
    }

    /// The first committed record written at `time` or later.
    pub(super) fn offset_at(&self, time: i64) -> Option<i64> {
        let stable_end = self.stable_end();
        let committed = self.entries.iter().take_while(|entry| entry.offset < stable_end);
        committed.filter(|entry| entry.timestamp >= time).map(|entry| entry.offset).next()
    }

    /// Lets go of what is committed before an offset.
    pub(super) fn delete_before(&mut self, offset: i64) {
        self.start = self.start.max(offset.min(self.stable_end()));
        self.entries.drain(..self.index(self.start));
        self.clean = self.clean.min(self.entries.len());
    }

    /// Compacts once about half of what is there can have been overwritten.
    pub(super) fn compact_if_dirty(&mut self) {
        if self.entries.len() > SMALL + 2 * self.clean {
            self.compact();
        }
    }

    /// Of what is committed, keeps the newest record of each key, at its offset.
    pub(super) fn compact(&mut self) {
        let tail = self.entries.split_off(self.index(self.stable_end()));
        let mut known = BTreeSet::new();
        let mut newest: Vec<bool> =
            self.entries.iter().rev().map(|entry| known.insert(entry.key.as_deref())).collect();
        self.entries.retain(|_| newest.pop().unwrap_or(true));
        self.clean = self.entries.len();
        self.entries.extend(tail);
    }

    /// Where the first record at `offset` or behind it stands.
    fn index(&self, offset: i64) -> usize {
        self.entries.partition_point(|entry| entry.offset < offset)
    }
}
