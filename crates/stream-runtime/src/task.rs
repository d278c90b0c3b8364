use std::sync::Arc;

use lru::LruCache;
use state_store::{Row, StateStore, WriteBatch};

use crate::processor::{Context, Failure, Outputs, Processor, TaskTime};
use crate::restore::Mark;
use crate::trailer::{Frame, InputPosition, Trailer, state_key};
use crate::{Metrics, Output, SourceRecord, StreamTime, TRAILER_KEY};

/// Timers that fire in one cycle of one task.
pub(crate) const FIRE_LIMIT: usize = 1_000;

/// One processor on one partition: its states, its time, its position. It does no I/O but for reading its
/// store; whoever drives it carries records in and outputs out, and tells it what has been committed.
pub struct Task<P: Processor> {
    input: Arc<str>,
    partition: i32,
    changelog: Arc<str>,
    /// The cluster and topic of the changelog.
    log: String,
    /// Over how many partitions of the input keys are spread, for the trailers.
    spread: Option<i32>,
    next_offset: i64,
    time: StreamTime,
    /// The clock, as it was read for this cycle.
    clock: i64,
    sequence: u64,
    states: States<P::State>,
    /// No timer of the store is due before this: keeps a scan from walking the rows that have fired.
    timers_from: i64,
    changed: bool,
    sealed: Option<Sealed>,
}

/// What a transaction brings a task to, once it has committed.
struct Sealed {
    trailer: Trailer,
    batch: WriteBatch,
}

impl<P: Processor> Task<P> {
    /// The task on `partition` of `input` with its changelog, a topic and the name its log is known by.
    #[must_use]
    pub fn new(
        input: &Arc<str>,
        partition: i32,
        (changelog, log): (&Arc<str>, &str),
        store: Box<dyn StateStore>,
        hot_states: usize,
        start: Start,
    ) -> Self {
        let (sequence, next_offset, time) = match start {
            Start::After(trailer) => (trailer.sequence, trailer.next_offset(), trailer.time()),
            Start::Reset(trailer, offset) => (trailer.sequence, offset, trailer.time()),
            Start::At(offset) => (0, offset, StreamTime::default()),
        };
        Self {
            input: Arc::clone(input),
            partition,
            changelog: Arc::clone(changelog),
            log: log.to_owned(),
            spread: None,
            next_offset,
            time,
            clock: i64::MIN,
            sequence,
            states: States::new(store, hot_states),
            timers_from: i64::MIN,
            changed: false,
            sealed: None,
        }
    }

    /// Tells it over how many partitions of the input keys are spread, for its trailers to say so.
    #[must_use]
    pub fn spread_over(self, partitions: i32) -> Self {
        Self { spread: Some(partitions), ..self }
    }

    /// The input partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Offset of the next input record.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// How far its sources have got.
    #[must_use]
    pub fn time(&self) -> TaskTime<'_> {
        TaskTime { partition: self.partition, time: &self.time }
    }

    /// The store beneath.
    #[must_use]
    pub fn store(&self) -> &dyn StateStore {
        &*self.states.store
    }

    /// Gives the store back, as of the last transaction that has committed.
    #[must_use]
    pub fn into_store(self) -> Box<dyn StateStore> {
        self.states.store
    }

    /// Whether it has anything to commit.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// Begins a cycle with the one reading of the clock that all of it is given, in milliseconds since 1970.
    pub fn begin(&mut self, clock: i64) {
        self.clock = clock;
    }

    /// Takes one input record; one it has taken before is left alone.
    ///
    /// # Errors
    /// When the processor or the store fails.
    pub fn process(
        &mut self,
        processor: &P,
        record: &SourceRecord,
        outputs: &mut Outputs,
        metrics: &Metrics,
    ) -> Result<(), Failure> {
        if record.offset < self.next_offset {
            return Ok(());
        }
        let (states, time, clock) = (&mut self.states, &mut self.time, self.clock);
        processor.process(record, &mut Context { states, processor, time, clock, outputs, metrics })?;
        self.next_offset = record.offset + 1;
        self.changed = true;
        Ok(())
    }

    /// Fires the timers of the committed state that are due, oldest first, a bounded number of them. True
    /// if any was. Call it once in a cycle.
    ///
    /// # Errors
    /// When the processor or the store fails.
    pub fn fire_due(
        &mut self,
        processor: &P,
        outputs: &mut Outputs,
        metrics: &Metrics,
    ) -> Result<bool, Failure> {
        let settled = processor.settled(&self.time);
        let due = self.states.store.timers(self.timers_from, settled, FIRE_LIMIT)?;
        let Some(last) = due.last() else { return Ok(false) };
        self.timers_from = last.due;
        for timer in &due {
            let (states, time, clock) = (&mut self.states, &mut self.time, self.clock);
            processor.fire(timer, &mut Context { states, processor, time, clock, outputs, metrics })?;
            // The timer's row goes at the end of the cycle, also where the state has lost interest.
            self.states.changing(&timer.key, processor)?;
        }
        self.changed = true;
        Ok(true)
    }

    /// Lets time pass by the clock while the input is idle.
    pub fn idle(&mut self, processor: &P, idle_since: i64, now: i64) {
        if processor.idle(self.partition, idle_since, now, &mut self.time) {
            self.changed = true;
        }
    }

    /// Ends the cycle: the changelog records of what has changed. The trailer follows them.
    ///
    /// # Errors
    /// When a state cannot be encoded.
    pub fn seal(&mut self, processor: &P, written_by: &str) -> Result<Vec<Output>, Failure> {
        let settled = processor.settled(&self.time);
        let changes = self.states.seal(processor, settled)?;
        self.sequence += 1;
        let (mut frame, mut batch) = (Frame::default(), WriteBatch::default());
        let mut records = Vec::with_capacity(changes.len());
        for change in changes {
            let key = state_key(&change.key);
            frame.add(&key, Some(&change.row.value));
            self.timers_from = self.timers_from.min(change.row.timer.unwrap_or(i64::MAX));
            records.push(self.changelog_record(key, change.row.value.clone()));
            batch.put(change.key, change.row, change.timer_before);
        }
        let input = InputPosition {
            topic: self.input.to_string(),
            partition: self.partition,
            next_offset: self.next_offset,
        };
        let trailer = Trailer::new(self.sequence, &frame, input, &self.time, written_by);
        let trailer = match self.spread {
            Some(partitions) => trailer.spread_over(partitions),
            None => trailer,
        };
        self.sealed = Some(Sealed { trailer, batch });
        Ok(records)
    }

    /// The record that ends the transaction on this task's changelog partition; to be written once all
    /// others are acknowledged. `None` unless sealed.
    #[must_use]
    pub fn trailer(&self) -> Option<Output> {
        let sealed = self.sealed.as_ref()?;
        Some(self.changelog_record(TRAILER_KEY.to_vec(), sealed.trailer.encode()))
    }

    /// The transaction has committed; the trailer stands at `trailer_offset` of the changelog.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn committed(&mut self, trailer_offset: i64) -> Result<(), Failure> {
        if let Some(Sealed { trailer, mut batch }) = self.sealed.take() {
            let log = self.log.clone();
            batch.set_position(Mark { trailer, changelog_next: trailer_offset + 1, log }.encode());
            self.states.store.write(batch)?;
        }
        self.states.trim();
        self.changed = false;
        Ok(())
    }

    fn changelog_record(&self, key: Vec<u8>, value: Vec<u8>) -> Output {
        Output {
            topic: Arc::clone(&self.changelog),
            partition: self.partition,
            key: Some(key),
            value: Some(value),
            headers: Vec::new(),
        }
    }
}

/// Where a task begins.
#[derive(Clone, Debug)]
pub enum Start {
    /// After the transaction of this trailer.
    After(Trailer),
    /// With the state of this trailer, at another offset: what lies between is skipped.
    Reset(Trailer, i64),
    /// At this offset, without state.
    At(i64),
}

/// The decoded states in use, over the store of the committed ones.
pub(crate) struct States<S> {
    store: Box<dyn StateStore>,
    hot: LruCache<Vec<u8>, Hot<S>>,
    limit: usize,
    changing: Vec<Vec<u8>>,
}

struct Hot<S> {
    state: S,
    /// The timer that stands for it in the store.
    timer: Option<i64>,
    changing: bool,
}

struct Change {
    key: Vec<u8>,
    row: Row,
    timer_before: Option<i64>,
}

impl<S: Default> States<S> {
    fn new(store: Box<dyn StateStore>, limit: usize) -> Self {
        Self { store, hot: LruCache::unbounded(), limit: limit.max(1), changing: Vec::new() }
    }

    /// The state of `key`, noted as changing in this cycle.
    pub(crate) fn changing<P>(&mut self, key: &[u8], processor: &P) -> Result<&mut S, Failure>
    where
        P: Processor<State = S>,
    {
        if !self.hot.contains(key) {
            let hot = self.load(key, processor)?;
            self.hot.put(key.to_vec(), hot);
        }
        let Some(hot) = self.hot.get_mut(key) else {
            return Err("a state vanished from memory".into());
        };
        if !hot.changing {
            hot.changing = true;
            self.changing.push(key.to_vec());
        }
        Ok(&mut hot.state)
    }

    fn load<P: Processor<State = S>>(&self, key: &[u8], processor: &P) -> Result<Hot<S>, Failure> {
        Ok(match self.store.get(key)? {
            Some(row) => Hot { state: processor.decode(&row.value)?, timer: row.timer, changing: false },
            None => Hot { state: S::default(), timer: None, changing: false },
        })
    }

    /// The rows of all that has changed, in the order it first did.
    fn seal<P>(&mut self, processor: &P, settled: i64) -> Result<Vec<Change>, Failure>
    where
        P: Processor<State = S>,
    {
        let mut changes = Vec::with_capacity(self.changing.len());
        for key in self.changing.drain(..) {
            let Some(hot) = self.hot.peek_mut(&key) else { continue };
            hot.changing = false;
            let timer_before = hot.timer;
            hot.timer = next_timer(timer_before, processor.timer(&hot.state), settled);
            let row = Row { value: processor.encode(&hot.state)?, timer: hot.timer };
            changes.push(Change { key, row, timer_before });
        }
        Ok(changes)
    }

    /// Lets go of the states that rested longest.
    fn trim(&mut self) {
        while self.hot.len() > self.limit {
            self.hot.pop_lru();
        }
    }
}

/// A timer in the store may be early, never late: it moves only once it has come due or the state wants to
/// be looked at before it, so an active customer does not move a row with every event.
fn next_timer(stands: Option<i64>, wanted: Option<i64>, settled: i64) -> Option<i64> {
    let wanted = wanted?;
    match stands {
        Some(early) if early <= wanted && early > settled => Some(early),
        _ => Some(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_moves_only_when_it_has_come_due_or_is_too_late() {
        assert_eq!(next_timer(None, Some(50), 10), Some(50));
        assert_eq!(next_timer(Some(40), Some(50), 10), Some(40), "early is good enough");
        assert_eq!(next_timer(Some(60), Some(50), 10), Some(50), "late is not");
        assert_eq!(next_timer(Some(10), Some(50), 10), Some(50), "it has fired");
        assert_eq!(next_timer(Some(40), None, 10), None);
    }
}
