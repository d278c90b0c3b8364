use std::error::Error;
use std::sync::Arc;

use state_store::Timer;

use crate::task::States;
use crate::{Metrics, Output, SourceRecord, StreamTime};

/// Why a processor could not go on. A bad record is no failure: it becomes a dead letter.
pub type Failure = Box<dyn Error + Send + Sync>;

/// One node of the topology: what it does with a record, and with time.
///
/// Everything it writes and changes during one cycle commits in one transaction. It must be a function of
/// the record, the state and the stream time, so that a replay of the log gives the same outputs.
pub trait Processor: Send {
    /// What is kept for one key.
    type State: Default + Send;

    /// The state from its stored bytes.
    ///
    /// # Errors
    /// When this version cannot read them.
    fn decode(&self, bytes: &[u8]) -> Result<Self::State, Failure>;

    /// The state as stored bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    fn encode(&self, state: &Self::State) -> Result<Vec<u8>, Failure>;

    /// When the state wants to be looked at next, in event time.
    fn timer(&self, state: &Self::State) -> Option<i64>;

    /// Event time through which timers fire at this stream time.
    fn settled(&self, time: &StreamTime) -> i64;

    /// Takes a record.
    ///
    /// # Errors
    /// When the task cannot go on.
    fn process(&self, record: &SourceRecord, context: &mut Context<'_, Self>) -> Result<(), Failure>
    where
        Self: Sized;

    /// Looks at the state of a timer that is due.
    ///
    /// # Errors
    /// When the task cannot go on.
    fn fire(&self, timer: &Timer, context: &mut Context<'_, Self>) -> Result<(), Failure>
    where
        Self: Sized;

    /// Tells the readers how far the tasks of this worker have got.
    ///
    /// # Errors
    /// When it cannot be written.
    fn heartbeat(&self, tasks: &[TaskTime<'_>], outputs: &mut Outputs) -> Result<(), Failure>;

    /// Whether [`Processor::idle`] ever lets time pass.
    fn passes_idle_time(&self) -> bool {
        false
    }

    /// Nothing has come from the input since `idle_since` and nothing is there to be read: time may pass by
    /// the clock. True if it did.
    fn idle(&self, partition: i32, idle_since: i64, now: i64, time: &mut StreamTime) -> bool {
        let _ = (partition, idle_since, now, time);
        false
    }
}

/// The stream time of one task.
pub struct TaskTime<'a> {
    /// The task's input partition.
    pub partition: i32,
    /// How far it has got.
    pub time: &'a StreamTime,
}

/// What a processor writes and changes while it takes one record or timer.
pub struct Context<'a, P: Processor> {
    pub(crate) states: &'a mut States<P::State>,
    pub(crate) processor: &'a P,
    pub(crate) time: &'a mut StreamTime,
    pub(crate) clock: i64,
    pub(crate) outputs: &'a mut Outputs,
    pub(crate) metrics: &'a Metrics,
}

impl<P: Processor> Context<'_, P> {
    /// The state of `key`, a new one if there is none. It is written at the end of the cycle.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn state(&mut self, key: &[u8]) -> Result<&mut P::State, Failure> {
        self.states.changing(key, self.processor)
    }

    /// The task's stream time.
    pub fn time(&mut self) -> &mut StreamTime {
        self.time
    }

    /// The one reading of this machine's clock in this transaction, in milliseconds since 1970. Two honest runs
    /// differ in it, so what depends on it says so in a header.
    #[must_use]
    pub fn clock(&self) -> i64 {
        self.clock
    }

    /// Event time through which timers fire now.
    pub fn settled(&self) -> i64 {
        self.processor.settled(self.time)
    }

    /// Writes a record.
    pub fn emit(&mut self, output: Output) {
        self.outputs.push(output);
    }

    /// Where to count.
    pub fn metrics(&self) -> &Metrics {
        self.metrics
    }
}

/// Records to be written, in order.
#[derive(Debug, Default)]
pub struct Outputs {
    records: Vec<Output>,
    bytes: usize,
}

impl Outputs {
    /// Writes one more.
    pub fn push(&mut self, output: Output) {
        self.bytes += output.bytes();
        self.records.push(output);
    }

    /// How much waits to be taken, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes a record without key into every partition of a topic.
    pub fn broadcast(&mut self, topic: &Arc<str>, partitions: i32, value: &[u8], headers: &[crate::Header]) {
        for partition in 0..partitions {
            self.push(Output {
                topic: Arc::clone(topic),
                partition,
                key: None,
                value: Some(value.to_vec()),
                headers: headers.to_vec(),
            });
        }
    }

    /// Takes what was written so far, partition by partition, each in order. A client that is handed a partition's
    /// records one after the other sends them in one request, and does not spin while a first one is under way.
    pub fn take(&mut self) -> Vec<Output> {
        self.bytes = 0;
        let mut records = std::mem::take(&mut self.records);
        records.sort_by(|one, other| (&one.topic, one.partition).cmp(&(&other.topic, other.partition)));
        records
    }
}
