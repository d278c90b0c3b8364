use std::collections::BTreeMap;
use std::sync::Arc;

use super::Shared;
use super::groups::MemoryFence;
use super::state::State;
use super::transactions::Session;
use crate::Output;
use crate::broker::{BrokerError, Committed, ProducerSettings, TransactionalProducer};

/// Writes in transactions. It goes like a process that dies: an open transaction stays open until its time is
/// over or its id is given to somebody else.
pub struct MemoryProducer {
    shared: Arc<Shared>,
    session: Session,
    stage: Stage,
    marked: BTreeMap<usize, i64>,
}

/// See [`MemoryProducer::commit_request`].
pub struct CommitRequest {
    shared: Arc<Shared>,
    session: Session,
}

impl CommitRequest {
    /// It arrives. True if it ended a transaction.
    ///
    /// # Errors
    /// When its producer has been fenced.
    pub fn arrive(self) -> Result<bool, BrokerError> {
        self.shared.ask(|state| {
            let open = state.is_open(self.session);
            state.commit(self.session)?;
            Ok(open)
        })
    }
}

/// Where a producer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Ready,
    InTransaction,
    /// Something failed: as with the client of Apache Kafka, the transaction cannot commit any more.
    InDoubt,
}

impl MemoryProducer {
    pub(super) fn new(shared: &Arc<Shared>, settings: &ProducerSettings) -> Self {
        let session = shared.ask(|state| state.init_producer(settings));
        Self { shared: Arc::clone(shared), session, stage: Stage::Ready, marked: BTreeMap::new() }
    }

    /// A request to commit as it may linger in the network: whenever it arrives, it ends what its producer then
    /// has open. Apache Kafka's client knows no newer protocol, which would tell one transaction from the next.
    #[must_use]
    pub fn commit_request(&self) -> CommitRequest {
        CommitRequest { shared: Arc::clone(&self.shared), session: self.session }
    }

    /// Asks for something that is possible at one stage only; a failure leaves the producer in doubt.
    fn ask<T>(
        &mut self,
        at: Stage,
        ask: impl FnOnce(&mut State, Session) -> Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        if self.stage != at {
            let why = format!("transaction: not possible, the producer is {:?}", self.stage);
            self.stage = Stage::InDoubt;
            return Err(BrokerError::Doubt(why));
        }
        let answer = self.shared.ask(|state| ask(state, self.session));
        if answer.is_err() {
            self.stage = Stage::InDoubt;
        }
        answer
    }
}

impl TransactionalProducer for MemoryProducer {
    type Fence = MemoryFence;

    fn begin(&mut self) -> Result<(), BrokerError> {
        self.ask(Stage::Ready, |state, session| state.check(session))?;
        self.stage = Stage::InTransaction;
        self.marked.clear();
        Ok(())
    }

    fn send(&mut self, output: &Output, mark: usize) -> Result<(), BrokerError> {
        let offset = self.ask(Stage::InTransaction, |state, session| state.append(session, output))?;
        if mark > 0 {
            self.marked.insert(mark, offset);
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<BTreeMap<usize, i64>, BrokerError> {
        let at = if self.stage == Stage::Ready { Stage::Ready } else { Stage::InTransaction };
        self.ask(at, |state, session| state.check(session))?;
        Ok(std::mem::take(&mut self.marked))
    }

    fn send_offsets(
        &mut self,
        topic: &str,
        offsets: &BTreeMap<i32, i64>,
        fence: &MemoryFence,
    ) -> Result<(), BrokerError> {
        self.ask(Stage::InTransaction, |state, session| state.stage_offsets(session, topic, offsets, fence))
    }

    fn commit(&mut self) -> Result<Committed, BrokerError> {
        self.ask(Stage::InTransaction, State::commit)?;
        self.stage = Stage::Ready;
        Ok(Committed::Clean)
    }
}
