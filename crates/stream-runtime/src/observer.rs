/// A step in the life of one transaction, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A record or timer has been taken; its outputs wait for the end of the cycle.
    Processing,
    /// The outputs are on their way; the changelog knows nothing of them yet.
    OutputsSent,
    /// The changelog records are on their way.
    Sealed,
    /// Outputs and changelog are acknowledged.
    Drained,
    /// The trailers are acknowledged.
    TrailersWritten,
    /// The offsets are in the transaction.
    OffsetsSent,
    /// The transaction has committed; the state stores do not know it yet.
    Committed,
    /// The state stores have it.
    Applied,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Processing,
        Self::OutputsSent,
        Self::Sealed,
        Self::Drained,
        Self::TrailersWritten,
        Self::OffsetsSent,
        Self::Committed,
        Self::Applied,
    ];
}

/// Sees what a worker does. Tests stop it at a step; others look on.
pub trait Observer: Send + Sync {
    /// The worker of `processor` has done this step of a transaction that has taken `records` so far.
    fn reached(&self, processor: &str, step: Step, records: usize) {
        let _ = (processor, step, records);
    }

    /// A task is open; so many records of its changelog were read for it, beginning at the offset `from`.
    fn restored(&self, processor: &str, partition: i32, from: i64, records: u64) {
        let _ = (processor, partition, from, records);
    }

    /// A copy of a partition that is not owned is kept from here on.
    fn copied(&self, processor: &str, partition: i32) {
        let _ = (processor, partition);
    }
}

/// Looks on in silence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
