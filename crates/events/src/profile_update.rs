use crate::{EventKind, EventTime, ProfileKey};

/// What the profile-updater tells its readers: what we know of one customer now, and why we say so.
///
/// Caused by an event, it shows the live view of the profile. Caused by a timer, it shows only what
/// the timer noticed, so that its value is a function of the facts up to its due time.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileUpdate {
    /// Whose profile it is.
    pub profile: ProfileKey,
    /// The customer, once known.
    pub user_id: Option<String>,
    /// The visitor the last event was of.
    pub anonymous_id: Option<String>,
    /// What caused it.
    pub cause: Cause,
    /// The visit the event belongs to.
    pub session: Option<SessionView>,
    /// Carts that hold a line, by cart key.
    pub carts: Vec<CartView>,
    /// Products looked at, newest first.
    pub recently_viewed: Vec<ItemSeen>,
    /// Products bought, newest first.
    pub purchased: Vec<ItemSeen>,
    /// Products put onto the wish list, newest first.
    pub wished: Vec<ItemSeen>,
    /// Events of this profile so far.
    pub events: u64,
    /// Orders of this profile so far.
    pub orders: u64,
    /// The cart that was noticed as abandoned.
    pub abandonment: Option<Abandonment>,
}

/// What made an output.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// An event was applied.
    Event {
        /// Its id.
        event_id: String,
        /// Its kind.
        kind: EventKind,
        /// Its time.
        event_time: EventTime,
    },
    /// Nothing happened for long enough.
    Timer {
        /// When the silence was long enough.
        due: EventTime,
    },
}

/// A visit: events without a pause of the session gap or more.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionView {
    /// The profile key and the time of the visit's first event.
    pub session_id: String,
    /// Its first event.
    pub started_at: EventTime,
    /// Its newest event.
    pub last_event_at: EventTime,
    /// How many events it has.
    pub events: u32,
}

/// A cart with what lies in it.
#[derive(Clone, Debug, PartialEq)]
pub struct CartView {
    /// The shop's cart id, or the profile's id while the shop names none.
    pub cart_key: String,
    /// Its lines, by product and variant.
    pub lines: Vec<CartLine>,
    /// Σ quantity × price of the lines with a known price, in minor units.
    pub total_minor: i64,
    /// ISO 4217 code of the prices.
    pub currency: Option<String>,
}

/// One product in a cart.
#[derive(Clone, Debug, PartialEq)]
pub struct CartLine {
    /// The product.
    pub product_id: String,
    /// Its variant.
    pub variant_id: Option<String>,
    /// How many.
    pub quantity: i32,
    /// Unit price when it was last put in, in minor units.
    pub price_minor: Option<i64>,
}

/// A product and the newest time something happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemSeen {
    /// The product.
    pub product_id: String,
    /// When.
    pub at: EventTime,
}

/// A cart that was left: nobody did anything for the idle time, and it still held something.
#[derive(Clone, Debug, PartialEq)]
pub struct Abandonment {
    /// The cart as it was at `abandoned_at`.
    pub cart: CartView,
    /// Hash of its lines, in hexadecimal: the same content is noticed once.
    pub fingerprint: String,
    /// How far the customer had come.
    pub stage: Stage,
    /// The last thing the customer did.
    pub last_activity_at: EventTime,
    /// When the cart counted as left: the due time of the timer.
    pub abandoned_at: EventTime,
}

/// How far a cart had come when it was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Items were put into it.
    Cart,
    /// Its checkout had begun.
    Checkout,
}
