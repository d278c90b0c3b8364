mod cold;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use state_store::{Row, StateStore, StoreError, WriteBatch};

use crate::processor::{Failure, Processor};
use crate::trailer::{Frame, Trailer, UnreadableTrailer, store_key};
use crate::{RuntimeError, SourceRecord, TRAILER_KEY};
use cold::Cold;

/// Bytes of rows that are sorted in memory at once.
const CHUNK: usize = 64 << 20;

/// The position of a state store: the last transaction it has absorbed, and where its changelog goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Mark {
    pub(crate) trailer: Trailer,
    pub(crate) changelog_next: i64,
    /// The cluster and topic it speaks of.
    pub(crate) log: String,
}

/// Where a changelog goes on for a store with this position; `None` if it is none.
#[must_use]
pub fn absorbed(position: &[u8]) -> Option<i64> {
    Mark::decode(position).ok().map(|mark| mark.changelog_next)
}

impl Mark {
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The position in `bytes`. One of a newer version is told from one that is damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, UnreadableTrailer> {
        let written: Written = serde_json::from_slice(bytes).map_err(|_| UnreadableTrailer::Malformed)?;
        let trailer = Trailer::from_json(written.trailer)?;
        Ok(Self { trailer, changelog_next: written.changelog_next, log: written.log })
    }
}

/// A position whose trailer may be of any version.
#[derive(Deserialize)]
struct Written {
    trailer: Value,
    changelog_next: i64,
    log: String,
}

/// A store on its way up to the last whole frame of its changelog.
///
/// Records that no trailer follows belong to a transaction that was torn; they are left out, and the input
/// they came from is processed again.
pub(crate) struct Restore {
    store: Box<dyn StateStore>,
    log: Arc<str>,
    frame: VecDeque<SourceRecord>,
    /// No frame is expected to have more records than this.
    frame_limit: usize,
    /// What is still to be loaded into a store that has absorbed nothing yet.
    cold: Option<Cold>,
    mark: Option<Mark>,
    /// Where the changelog is read on; `None` for its beginning.
    next: Option<i64>,
    records: u64,
}

impl Restore {
    /// Goes on where the store stands; one without a position, or with a spoilt one, is filled from nothing.
    pub(crate) fn of(
        store: Box<dyn StateStore>,
        log: &Arc<str>,
        frame_limit: usize,
    ) -> Result<Self, RuntimeError> {
        let mark = match store.position()?.as_deref().map(Mark::decode) {
            Some(Err(reason @ UnreadableTrailer::Version(_))) => {
                return Err(RuntimeError::OtherVersion { log: log.to_string(), reason });
            }
            Some(Ok(mark)) => Some(mark),
            Some(Err(UnreadableTrailer::Malformed)) | None => None,
        };
        let cold = mark.is_none().then(|| Cold::new(CHUNK));
        let next = mark.as_ref().map(|mark| mark.changelog_next);
        let (log, frame) = (Arc::clone(log), VecDeque::new());
        Ok(Self { store, log, frame, frame_limit, cold, mark, next, records: 0 })
    }

    /// The last transaction that has been absorbed.
    pub(crate) fn mark(&self) -> Option<&Mark> {
        self.mark.as_ref()
    }

    /// Where the changelog is read on; `None` for its beginning.
    pub(crate) fn next(&self) -> Option<i64> {
        self.next
    }

    /// How many records it was given.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Takes the next record of the changelog; one it has taken before is left alone.
    pub(crate) fn take<P: Processor>(&mut self, processor: &P, record: SourceRecord) -> Result<(), Failure> {
        if self.next.is_some_and(|next| record.offset < next) {
            return Ok(());
        }
        self.records += 1;
        self.next = Some(record.offset + 1);
        if record.key.as_deref() != Some(TRAILER_KEY) {
            self.frame.push_back(record);
            return self.relieve(processor);
        }
        let trailer = Trailer::decode(record.value.as_deref().unwrap_or_default()).map_err(|error| {
            format!("the trailer at {} of {}-{}: {error}", record.offset, record.topic, record.partition)
        })?;
        let mark = Mark { trailer, changelog_next: record.offset + 1, log: self.log.to_string() };
        self.absorb(processor, mark)
    }

    /// The end of the changelog has been reached: what was filled from nothing gets its position. More may follow.
    pub(crate) fn settle<P: Processor>(&mut self, processor: &P) -> Result<(), Failure> {
        if let (Some(cold), Some(mark)) = (&mut self.cold, &self.mark) {
            cold.load(processor, &mut *self.store)?;
            self.store.finish_load(mark.encode())?;
            self.cold = None;
        }
        Ok(())
    }

    /// Leaves nothing to be replayed when the store is opened again.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        self.store.flush()
    }

    /// The store, and what it has absorbed.
    pub(crate) fn into_store(self) -> (Box<dyn StateStore>, Option<Mark>) {
        (self.store, self.mark)
    }

    fn absorb<P: Processor>(&mut self, processor: &P, mark: Mark) -> Result<(), Failure> {
        if self.follows(&mark.trailer) {
            self.drop_torn(&mark.trailer);
        }
        self.put_oldest(processor, self.frame.len(), Some(&mark))?;
        self.mark = Some(mark);
        Ok(())
    }

    /// Takes what no trailer follows as if one did: only for the twin test that shows what trailers are for.
    pub(crate) fn take_torn<P: Processor>(&mut self, processor: &P) -> Result<(), Failure> {
        self.put_oldest(processor, self.frame.len(), None)
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
    fn relieve<P: Processor>(&mut self, processor: &P) -> Result<(), Failure> {
        if self.frame.len() <= 4 * self.frame_limit {
            return Ok(());
        }
        self.put_oldest(processor, 2 * self.frame_limit, None)
    }

    /// Puts the oldest records into the store; of each key the newest of them counts.
    fn put_oldest<P: Processor>(
        &mut self,
        processor: &P,
        count: usize,
        mark: Option<&Mark>,
    ) -> Result<(), Failure> {
        if let Some(cold) = &mut self.cold {
            return cold.take(processor, &mut *self.store, self.frame.drain(..count));
        }
        let mut batch = self.take_rows(processor, count)?;
        if let Some(mark) = mark {
            batch.set_position(mark.encode());
        }
        Ok(self.store.write(batch)?)
    }

    fn take_rows<P: Processor>(&mut self, processor: &P, count: usize) -> Result<WriteBatch, Failure> {
        let (mut batch, mut written) = (WriteBatch::default(), BTreeSet::new());
        let records: Vec<_> = self.frame.drain(..count).collect();
        for record in records.into_iter().rev() {
            if written.insert(record.key.clone()) {
                self.put(processor, &mut batch, record)?;
            }
        }
        Ok(batch)
    }

    fn put<P: Processor>(
        &self,
        processor: &P,
        batch: &mut WriteBatch,
        record: SourceRecord,
    ) -> Result<(), Failure> {
        let Some(key) = record.key.as_deref().and_then(store_key) else { return Ok(()) };
        let before = self.store.get(key)?.and_then(|row| row.timer);
        match record.value {
            Some(value) => batch.put(key.to_vec(), row(processor, value)?, before),
            None => batch.delete(key.to_vec(), before),
        }
        Ok(())
    }
}

/// A value of the changelog with the timer that follows from it.
fn row<P: Processor>(processor: &P, value: Vec<u8>) -> Result<Row, Failure> {
    let timer = processor.timer(&processor.decode(&value)?);
    Ok(Row { value, timer })
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

    /// Rows with their values, and the timers, as a store holds them.
    type Held = (BTreeMap<u8, u8>, Vec<Timer>);

    fn held(store: &dyn StateStore) -> Held {
        let rows = (0..8).filter_map(|key| Some((key, store.get(&[key]).unwrap()?.value[0])));
        (rows.collect(), store.timers(i64::MIN, i64::MAX, 100).unwrap())
    }

    /// `chunk`: the bytes that are sorted at once; `None` to write record by record.
    fn restored(log: &[SourceRecord], frame_limit: usize, chunk: Option<usize>) -> Held {
        let mut restore = Restore::of(Box::new(MemoryStore::default()), &"log".into(), frame_limit).unwrap();
        restore.cold = chunk.map(Cold::new);
        log.iter().for_each(|record| restore.take(&Bytes, record.clone()).unwrap());
        restore.settle(&Bytes).unwrap();
        let (store, mark) = restore.into_store();
        assert_eq!(store.position().unwrap(), mark.map(|mark| mark.encode()));
        held(&*store)
    }

    fn expected(frames: &Frames) -> Held {
        let rows: BTreeMap<u8, u8> = frames.iter().flatten().map(|(key, value)| (*key, *value)).collect();
        let timers = rows.iter().map(|(key, value)| Timer { due: i64::from(*value), key: vec![*key] });
        let timers: BTreeSet<Timer> = timers.collect();
        (rows, timers.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_changelog_restores_the_same_whole_compacted_and_torn_sorted_or_record_by_record(
            frames in prop::collection::vec(prop::collection::btree_map(0u8..8, 0u8..90, 0..5), 1..12),
            from in 0usize..60,
            torn in 0usize..12,
            chunk in prop_oneof![Just(None), Just(Some(CHUNK)), (1usize..40).prop_map(Some)],
        ) {
            let last = expected(&frames);
            prop_assert_eq!(&restored(&changelog(&frames, usize::MAX), 50, chunk), &last, "whole");
            prop_assert_eq!(&restored(&changelog(&frames, torn), 50, chunk), &last, "torn");
            let twice: Vec<_> = changelog(&frames, torn).into_iter().flat_map(|one| [one.clone(), one]).collect();
            prop_assert_eq!(&restored(&twice, 50, chunk), &last, "each record twice");
            let log = compacted(&changelog(&frames, usize::MAX), from);
            prop_assert_eq!(&restored(&log, 50, chunk), &last, "compacted");
            prop_assert_eq!(&restored(&log, 1, chunk), &last, "compacted, in chunks");
        }

        #[test]
        fn records_behind_the_last_trailer_are_left_out(
            frames in prop::collection::vec(prop::collection::btree_map(0u8..8, 0u8..90, 0..5), 1..6),
            chunk in prop_oneof![Just(None), Just(Some(1))],
        ) {
            let mut log = changelog(&frames, usize::MAX);
            let (offset, key) = (log.len() as i64, Some(state_key(&[0])));
            log.push(SourceRecord { offset, key, value: Some(vec![99]), ..SourceRecord::default() });
            prop_assert_eq!(restored(&log, 50, chunk), expected(&frames));
        }
    }

    #[test]
    fn a_position_has_the_bytes_of_its_version() {
        let trailer = include_str!("../tests/golden/trailer.v2.json");
        let trailer = Trailer::decode(trailer.as_bytes()).unwrap();
        let mark = Mark { trailer, changelog_next: 99, log: "cluster/profile-updater-changelog".into() };
        let golden = include_str!("../tests/golden/position.json");
        assert_eq!(Mark::decode(golden.as_bytes()).as_ref(), Ok(&mark));
        assert_eq!(absorbed(golden.as_bytes()), Some(99));
        assert_eq!(String::from_utf8(mark.encode()).unwrap(), golden, "the form of a position has changed");
    }

    #[test]
    fn a_store_that_is_up_to_date_takes_what_follows() {
        let frames: Frames = vec![BTreeMap::from([(1, 10), (2, 20)]), BTreeMap::from([(1, 11)])];
        let log = changelog(&frames, usize::MAX);
        let mut restore = Restore::of(Box::new(MemoryStore::default()), &"log".into(), 50).unwrap();
        log[..3].iter().for_each(|record| restore.take(&Bytes, record.clone()).unwrap());
        restore.settle(&Bytes).unwrap();
        let (store, _) = restore.into_store();
        let mut restore = Restore::of(store, &"log".into(), 50).unwrap();
        assert!(restore.cold.is_none(), "it has a position");
        log[3..].iter().for_each(|record| restore.take(&Bytes, record.clone()).unwrap());
        assert_eq!(held(&*restore.into_store().0), expected(&frames));
    }
}
