/// Why something is said: a stable code, how much it counted, and the events behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The code.
    pub code: ReasonCode,
    /// Its part of the score.
    pub weight: f64,
    /// The customer's own events that caused it, newest first.
    pub source_event_ids: Vec<String>,
}

/// The reasons there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReasonCode {
    /// Visits that shared products with this one went on to it.
    SimilarSessions,
    /// Many customers were interested in it of late.
    Popular,
    /// The customer put it onto the wish list.
    Wished,
    /// It was left in a cart.
    CartLeft,
}
