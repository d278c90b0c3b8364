use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use state_store::{Row, StateStore, WriteBatch};

use crate::processor::{Failure, Processor};
use crate::trailer::{Frame, Trailer, store_key};
use crate::{SourceRecord, TRAILER_KEY};

/// The position of a state store: the last transaction it has absorbed, and where its changelog goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) trailer: Trailer,
    pub(crate) changelog_next: i64,
    /// The cluster and topic it speaks of.
    pub(crate) log: String,
}

impl Mark {
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// Brings a store up to the last whole frame of its changelog.
///
/// Records that no trailer follows belong to a transaction that was torn; they are left out, and the input
/// they came from is processed again.
pub(crate) struct Restore<'a, P> {
    processor: &'a P,
    store: &'a mut dyn StateStore,
    log: &'a str,
    frame: VecDeque<SourceRecord>,
    /// No frame is expected to have more records than this.
    frame_limit: usize,
    pub(crate) mark: Option<Mark>,
    pub(crate) records: u64,
}

impl<'a, P: Processor> Restore<'a, P> {
    pub(crate) fn new(
        processor: &'a P,
        store: &'a mut dyn StateStore,
        log: &'a str,
        mark: Option<Mark>,
        frame_limit: usize,
    ) -> Self {
        Self { processor, store, log, frame: VecDeque::new(), frame_limit, mark, records: 0 }
    }

    /// Takes the next record of the changelog.
    pub(crate) fn take(&mut self, record: SourceRecord) -> Result<(), Failure> {
        self.records += 1;
        if record.key.as_deref() != Some(TRAILER_KEY) {
            self.frame.push_back(record);
            return self.relieve();
        }
        let trailer = record.value.as_deref().and_then(Trailer::decode);
        let trailer = trailer.ok_or("a changelog trailer is not in a form this version reads")?;
        self.absorb(Mark { trailer, changelog_next: record.offset + 1, log: self.log.to_owned() })
    }

    fn absorb(&mut self, mark: Mark) -> Result<(), Failure> {
        if self.follows(&mark.trailer) {
            self.drop_torn(&mark.trailer);
        }
        let mut batch = self.take_rows(self.frame.len())?;
        batch.set_position(mark.encode());
        self.store.write(batch)?;
        self.mark = Some(mark);
        Ok(())
    }

    /// Whether the trailer is that of the transaction right after the last one. All trailers share a key, so
    /// compaction keeps the newest of them: behind a gap the rows of many frames stand before one trailer.
    fn follows(&self, trailer: &Trailer) -> bool {
        trailer.sequence == self.mark.as_ref().map_or(1, |mark| mark.trailer.sequence + 1)
    }

    /// Whatever precedes the frame was written by a transaction that never got its trailer.
    fn drop_torn(&mut self, trailer: &Trailer) {
        let count = usize::try_from(trailer.count).unwrap_or(usize::MAX);
        while self.frame.len() > count {
            self.frame.pop_front();
        }
        if self.frame.len() == count && frame_of(&self.frame).digest() != trailer.hash {
            tracing::warn!(
                sequence = trailer.sequence,
                "a changelog frame is not the one its trailer speaks of"
            );
        }
    }

    /// What has gathered beyond a torn frame and a whole one comes from before a gap: it can be written.
    fn relieve(&mut self) -> Result<(), Failure> {
        if self.frame.len() <= 4 * self.frame_limit {
            return Ok(());
        }
        let batch = self.take_rows(2 * self.frame_limit)?;
        Ok(self.store.write(batch)?)
    }

    /// Takes the oldest records out; of each key the newest of them counts.
    fn take_rows(&mut self, count: usize) -> Result<WriteBatch, Failure> {
        let (mut batch, mut written) = (WriteBatch::default(), BTreeSet::new());
        let records: Vec<_> = self.frame.drain(..count).collect();
        for record in records.into_iter().rev() {
            if written.insert(record.key.clone()) {
                self.put(&mut batch, record)?;
            }
        }
        Ok(batch)
    }

    fn put(&self, batch: &mut WriteBatch, record: SourceRecord) -> Result<(), Failure> {
        let Some(key) = record.key.as_deref().and_then(store_key) else { return Ok(()) };
        let before = self.store.get(key)?.and_then(|row| row.timer);
        match record.value {
            Some(value) => {
                let timer = self.processor.timer(&self.processor.decode(&value)?);
                batch.put(key.to_vec(), Row { value, timer }, before);
            }
            None => batch.delete(key.to_vec(), before),
        }
        Ok(())
    }
}

fn frame_of(records: &VecDeque<SourceRecord>) -> Frame {
    let mut frame = Frame::default();
    for record in records {
        frame.add(record.key.as_deref().unwrap_or_default(), record.value.as_deref());
    }
    frame
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use state_store::{MemoryStore, Timer};

    use super::*;
    use crate::trailer::{InputPosition, state_key};
    use crate::{Context, Outputs, StreamTime, TaskTime};

    /// Keeps a byte for each key.
    struct Bytes;

    impl Processor for Bytes {
        type State = Vec<u8>;

        fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
            Ok(bytes.to_vec())
        }

        fn encode(&self, state: &Vec<u8>) -> Result<Vec<u8>, Failure> {
            Ok(state.clone())
        }

        fn timer(&self, state: &Vec<u8>) -> Option<i64> {
            state.first().map(|byte| i64::from(*byte))
        }

        fn settled(&self, _: &StreamTime) -> i64 {
            i64::MIN
        }

        fn process(&self, _: &SourceRecord, _: &mut Context<'_, Self>) -> Result<(), Failure> {
            Ok(())
        }

        fn fire(&self, _: &Timer, _: &mut Context<'_, Self>) -> Result<(), Failure> {
            Ok(())
        }

        fn heartbeat(&self, _: &[TaskTime<'_>], _: &mut Outputs) -> Result<(), Failure> {
            Ok(())
        }
    }

    type Frames = Vec<BTreeMap<u8, u8>>;

    /// The frames as a changelog; before some of them stands a torn one that wrote a 99 everywhere.
    fn changelog(frames: &Frames, torn: usize) -> Vec<SourceRecord> {
        let mut log: Vec<SourceRecord> = Vec::new();
        let push = |log: &mut Vec<SourceRecord>, key: Vec<u8>, value: Vec<u8>| {
            let offset = log.len() as i64;
            log.push(SourceRecord { offset, key: Some(key), value: Some(value), ..SourceRecord::default() });
        };
        for (number, rows) in frames.iter().enumerate() {
            if number == torn {
                (0..3).for_each(|key| push(&mut log, state_key(&[key]), vec![99]));
            }
            let mut frame = Frame::default();
            for (key, value) in rows {
                frame.add(&state_key(&[*key]), Some(&[*value]));
                push(&mut log, state_key(&[*key]), vec![*value]);
            }
            let input = InputPosition { topic: "in".into(), partition: 0, next_offset: number as i64 };
            let trailer = Trailer::new(number as u64 + 1, &frame, input, &StreamTime::default(), "test");
            push(&mut log, TRAILER_KEY.to_vec(), trailer.encode());
        }
        log
    }

    /// Of each key before `from` the newest record; what comes later is not compacted yet.
    fn compacted(log: &[SourceRecord], from: usize) -> Vec<SourceRecord> {
        let prefix = &log[..from.min(log.len())];
        let newest: BTreeMap<_, _> = prefix.iter().map(|record| (&record.key, record.offset)).collect();
        let stays = |record: &&SourceRecord| {
            record.offset >= from as i64 || newest.get(&record.key) == Some(&record.offset)
        };
        log.iter().filter(stays).cloned().collect()
    }

    fn restored(log: &[SourceRecord], frame_limit: usize) -> BTreeMap<u8, u8> {
        let mut store = MemoryStore::default();
        let mut restore = Restore::new(&Bytes, &mut store, "log", None, frame_limit);
        log.iter().for_each(|record| restore.take(record.clone()).unwrap());
        let rows = (0..8).filter_map(|key| Some((key, store.get(&[key]).unwrap()?.value[0])));
        rows.collect()
    }

    proptest! {
        #[test]
        fn a_changelog_restores_the_same_whole_compacted_and_torn(
            frames in prop::collection::vec(prop::collection::btree_map(0u8..8, 0u8..90, 0..5), 1..12),
            from in 0usize..60,
            torn in 0usize..12,
        ) {
            let last: BTreeMap<u8, u8> = frames.iter().flatten().map(|(key, value)| (*key, *value)).collect();
            prop_assert_eq!(&restored(&changelog(&frames, usize::MAX), 50), &last, "whole");
            prop_assert_eq!(&restored(&changelog(&frames, torn), 50), &last, "torn");
            let log = compacted(&changelog(&frames, usize::MAX), from);
            prop_assert_eq!(&restored(&log, 50), &last, "compacted");
            prop_assert_eq!(&restored(&log, 1), &last, "compacted, in chunks");
        }
    }
}
