use crate::{EventTime, ProfileKey};

/// One line of the log that item models learn from: what a visit was interested in, or whom to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEntry {
    /// Whose visit it is.
    pub profile: ProfileKey,
    /// When it happened.
    pub event_time: EventTime,
    /// Number of the event in its profile: breaks ties inside a visit.
    pub sequence: u64,
    /// What is learned.
    pub fact: SessionFact,
}

/// What a [`SessionEntry`] teaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionFact {
    /// Products had somebody's attention.
    Seen {
        /// The visit.
        session_id: String,
        /// The event that shows it.
        event_id: String,
        /// How strong the attention was.
        interest: Interest,
        /// The products.
        product_ids: Vec<String>,
    },
    /// Everything learned from the profile so far goes.
    Forget {
        /// Only this visit, when it is named.
        session_id: Option<String>,
    },
}

/// How strong an interest in a product was, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interest {
    /// It was looked at.
    Viewed,
    /// It went into a cart.
    Added,
    /// It was bought.
    Purchased,
}
