//! The words every room of Pączek shares: who did what, when, and what we came to know of it.
//!
//! Knows: tenants and profiles, event time, money in minor units, the canonical [`Event`], the
//! [`ProfileUpdate`], the [`SessionEntry`] models learn from, the decisions [`Recommendation`],
//! [`AbandonedCart`] and [`Suppression`], the [`SpeechControl`] that switches them off, ids derived from causes, and
//! the [`Heartbeat`] that carries time.
//! Must not know: Kafka, RocksDB, Avro or JSON, tokio, a clock.

mod abandoned_cart;
mod dead_letter;
mod derived_id;
mod event;
mod heartbeat;
mod identity;
mod profile_update;
mod reason;
mod recommendation;
mod session_entry;
mod speech_control;
mod suppression;
mod time;

pub use abandoned_cart::{AbandonedCart, CancelReason, CartAction};
pub use dead_letter::DeadLetter;
pub use derived_id::deterministic_id;
pub use event::{
    Attribution, Cart, CartOp, Channel, Consent, Event, EventKind, Geo, Item, ListContext, Order, Raw,
};
pub use heartbeat::{END_OF_SOURCE, Heartbeat, OriginTime};
pub use identity::ProfileKey;
pub use profile_update::{
    Abandonment, CartLine, CartView, Cause, ItemSeen, ProfileUpdate, SessionView, Stage,
};
pub use reason::{Reason, ReasonCode};
pub use recommendation::{Exclusion, ExclusionCode, Placement, Recommendation, RecommendedItem};
pub use session_entry::{Interest, SessionEntry, SessionFact};
pub use speech_control::{SpeechControl, SpeechKind};
pub use suppression::{Silence, Suppression, WouldHaveBeen};
pub use time::{DAY, EventTime, HOUR, MINUTE, SECOND};
