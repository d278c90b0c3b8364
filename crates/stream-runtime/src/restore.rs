use std::collections::VecDeque;

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
    frame: VecDeque<SourceRecord>,
    pub(crate) mark: Option<Mark>,
    pub(crate) records: u64,
}

impl<'a, P: Processor> Restore<'a, P> {
    pub(crate) fn new(processor: &'a P, store: &'a mut dyn StateStore, mark: Option<Mark>) -> Self {
        Self { processor, store, frame: VecDeque::new(), mark, records: 0 }
    }

    /// Takes the next record of the changelog.
    pub(crate) fn take(&mut self, record: SourceRecord) -> Result<(), Failure> {
        self.records += 1;
        if record.key.as_deref() != Some(TRAILER_KEY) {
            self.frame.push_back(record);
            return Ok(());
        }
        let trailer = record.value.as_deref().and_then(Trailer::decode);
        let trailer = trailer.ok_or("a changelog trailer is not in a form this version reads")?;
        self.absorb(Mark { trailer, changelog_next: record.offset + 1 })
    }

    fn absorb(&mut self, mark: Mark) -> Result<(), Failure> {
        // Whatever precedes the frame was written by a transaction that never got its trailer.
        let count = usize::try_from(mark.trailer.count).unwrap_or(usize::MAX);
        while self.frame.len() > count {
            self.frame.pop_front();
        }
        if self.frame.len() == count && frame_of(&self.frame).digest() != mark.trailer.hash {
            tracing::warn!(
                sequence = mark.trailer.sequence,
                "changelog frame was compacted behind a torn one"
            );
        }
        let mut batch = WriteBatch::default();
        for record in std::mem::take(&mut self.frame) {
            self.put(&mut batch, record)?;
        }
        batch.set_position(mark.encode());
        self.store.write(batch)?;
        self.mark = Some(mark);
        Ok(())
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
