use crate::EventTime;

/// The time of an origin that has ended: nothing more is to come, so it holds no one back.
pub const END_OF_SOURCE: EventTime = EventTime::MAX;

/// How far a source has got: what makes the *absence* of an event certain.
///
/// It is written into every partition of a topic behind the events it speaks of, so whoever has read
/// it has read all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The declared source, such as `clickstream` or `orders`.
    pub source: String,
    /// One entry for each origin partition that moved, in partition order.
    pub origins: Vec<OriginTime>,
}

/// The newest event time taken from one origin partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginTime {
    /// The partition the time is of.
    pub partition: i32,
    /// Newest event time taken from it, or [`END_OF_SOURCE`] until its next event.
    pub time: EventTime,
}
