use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::chance::Chance;
use super::state::State;
use crate::broker::{BrokerError, LogReader, Read};

/// Records of one partition that are handed out before another one's turn comes, at most.
const RUN: usize = 64;

/// Reads partitions it is told to, outside any group. Which partition it turns to next, and for how many
/// records, is drawn from the broker's seed; the order within a partition is that of the log.
pub struct MemoryReader {
    shared: Arc<Shared>,
    places: Vec<Place>,
    /// What has been read and not yet handed out.
    ready: VecDeque<Read>,
    chance: Chance,
}

/// How far a partition has been read.
struct Place {
    topic: Arc<str>,
    partition: i32,
    next: i64,
    /// The position for which the end was told.
    told: Option<i64>,
}

impl MemoryReader {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let number = shared.ask(State::number);
        let chance = Chance::new(shared.seed, number);
        Self { shared: Arc::clone(shared), places: Vec::new(), ready: VecDeque::new(), chance }
    }
}

impl LogReader for MemoryReader {
    fn assign(&mut self, positions: &[(&str, i32, i64)]) -> Result<(), BrokerError> {
        let place = |(topic, partition, next): &(&str, i32, i64)| Place {
            topic: Arc::from(*topic),
            partition: *partition,
            next: *next,
            told: None,
        };
        self.places = positions.iter().map(place).collect();
        self.ready.clear();
        Ok(())
    }

    fn poll(&mut self, timeout: Duration) -> Result<Option<Read>, BrokerError> {
        if self.ready.is_empty() {
            let Self { shared, places, ready, chance } = self;
            shared.wait_for(timeout, |state| {
                fill(state, places, ready, chance)?;
                Ok(!ready.is_empty())
            })?;
        }
        Ok(self.ready.pop_front())
    }
}

/// Reads on in one of the partitions that have something to tell.
fn fill(
    state: &mut State,
    places: &mut [Place],
    ready: &mut VecDeque<Read>,
    chance: &mut Chance,
) -> Result<(), BrokerError> {
    let first = chance.below(places.len());
    for turn in 0..places.len() {
        let at = (first + turn) % places.len();
        places[at].read(state, ready, chance)?;
        if !ready.is_empty() {
            break;
        }
    }
    Ok(())
}

impl Place {
    fn read(
        &mut self,
        state: &mut State,
        ready: &mut VecDeque<Read>,
        chance: &mut Chance,
    ) -> Result<(), BrokerError> {
        let log = state.log(&self.topic, self.partition)?;
        let extent = log.extent();
        if self.next < extent.start || self.next > extent.end {
            return Err(BrokerError::Refused(format!(
                "a position lies outside what the topic holds: {} of {}-{}",
                self.next, self.topic, self.partition
            )));
        }
        let run = 1 + chance.below(RUN);
        ready.extend(log.read(&self.topic, self.partition, self.next, run).map(Read::Record));
        if let Some(Read::Record(last)) = ready.back() {
            self.next = last.offset + 1;
            return Ok(());
        }
        // Behind the last record stand only markers and what was aborted.
        self.next = self.next.max(extent.stable_end);
        if self.told != Some(self.next) {
            self.told = Some(self.next);
            ready.push_back(Read::End { partition: self.partition });
        }
        Ok(())
    }
}
