//! The rows of a changelog partition, counted and hashed.

use std::fmt;
use std::sync::Arc;

use state_store::{StateStore, Timer};
use xxhash_rust::xxh3::Xxh3;

use super::{ReshardProblem, ReshardSettings};
use crate::broker::Broker;
use crate::processor::{Context, Failure, Outputs, Processor, TaskTime};
use crate::restore::Restore;
use crate::settings::frame_limit;
use crate::worker::read_through;
use crate::{RuntimeError, SourceRecord, StreamTime, TRAILER_KEY, Trailer};

/// Rows read at once.
const RUN: usize = 1_000;

/// How many rows there are, and a hash that does not depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows.
    pub rows: u64,
    /// The hashes of all rows, put together by exclusive or.
    pub hash: u64,
}

impl Tally {
    /// Takes one more row in.
    pub(super) fn see(&mut self, key: &[u8], value: &[u8]) {
        let mut hash = Xxh3::new();
        hash.update(&(key.len() as u64).to_le_bytes());
        hash.update(key);
        hash.update(value);
        self.rows += 1;
        self.hash ^= hash.digest();
    }

    /// Takes in the rows of another partition.
    pub(super) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.hash ^= other.hash;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} rows, hash {:016x}", self.rows, self.hash)
    }
}

/// A store with what a worker would find in a changelog partition up to an offset; with `closing`, as if that
/// trailer stood there.
pub(super) fn filled<B: Broker>(
    (broker, reader): (&B, &mut B::Reader),
    settings: &ReshardSettings<'_>,
    (changelog, partition, end): (&str, i32, i64),
    closing: Option<&Trailer>,
) -> Result<Box<dyn StateStore>, ReshardProblem> {
    let mut restore =
        Restore::of((settings.scratch)()?, &Arc::from(changelog), frame_limit(settings.max_records))?;
    let start = broker.extent(changelog, partition)?.start;
    read_through(reader, (changelog, partition, start), end, |record| {
        restore.take(&Bytes, record).map_err(failed)
    })?;
    if let Some(trailer) = closing {
        let (key, value) = (Some(TRAILER_KEY.to_vec()), Some(trailer.encode()));
        let record = SourceRecord { partition, offset: end, key, value, ..SourceRecord::default() };
        restore.take(&Bytes, record).map_err(failed)?;
    }
    restore.settle(&Bytes).map_err(failed)?;
    Ok(restore.into_store().0)
}

/// Shows every row of a store.
pub(super) fn each_row(
    store: &dyn StateStore,
    mut see: impl FnMut(&[u8], &[u8]) -> Result<(), ReshardProblem>,
) -> Result<(), ReshardProblem> {
    let mut from = Vec::new();
    loop {
        let rows = store.rows(&from, RUN)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        // The key that comes right after it.
        from = [last.as_slice(), &[0]].concat();
        rows.iter().try_for_each(|(key, row)| see(key, &row.value))?;
    }
}

fn failed(source: Failure) -> ReshardProblem {
    RuntimeError::Processor { processor: "reshard".to_owned(), source }.into()
}

/// Takes rows as bytes, and wants no timers: whoever opens them will know.
struct Bytes;

impl Processor for Bytes {
    type State = ();

    fn decode(&self, _: &[u8]) -> Result<(), Failure> {
        Ok(())
    }

    fn encode(&self, (): &()) -> Result<Vec<u8>, Failure> {
        Ok(Vec::new())
    }

    fn timer(&self, (): &()) -> Option<i64> {
        None
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_lost_changed_or_doubled_shows_in_the_tally() {
        let tally = |rows: &[(&[u8], &[u8])]| {
            let mut tally = Tally::default();
            rows.iter().for_each(|(key, value)| tally.see(key, value));
            tally
        };
        let whole = tally(&[(b"a", b"1"), (b"b", b"2")]);
        assert_eq!(whole, tally(&[(b"b", b"2"), (b"a", b"1")]));
        for other in [
            tally(&[(b"a", b"1")]),
            tally(&[(b"a", b"1"), (b"b", b"3")]),
            tally(&[(b"a1", b""), (b"b", b"2")]),
        ] {
            assert_ne!(whole, other);
        }
        assert_ne!(whole, tally(&[(b"a", b"1"), (b"b", b"2"), (b"b", b"2")]));
    }
}
