use std::collections::BTreeMap;

use crate::{EventTime, ProfileKey};

/// One statement about what happened in a shop, in the canonical form every later stage reads.
///
/// Money is in minor units (cents) of `currency`; times are milliseconds since 1970 in UTC.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// Unique within (tenant, source): the key of duplicate removal.
    pub event_id: String,
    /// The shop.
    pub tenant: String,
    /// The declared producer, such as `clickstream` or `orders`.
    pub source: String,
    /// What happened.
    pub kind: EventKind,
    /// When it happened, corrected for the skew of the client's clock.
    pub event_time: EventTime,
    /// When the shop's own servers received it.
    pub received_at: EventTime,
    /// When it happened by the client's clock.
    pub client_time: Option<EventTime>,
    /// When the client sent it by the client's clock.
    pub sent_at: Option<EventTime>,
    /// Breaks the tie between events of one time: a counter of the producer.
    pub seq: Option<i64>,
    /// The visitor: a cookie or device id.
    pub anonymous_id: Option<String>,
    /// The customer, once known.
    pub user_id: Option<String>,
    /// The shop's own session id.
    pub session_id: Option<String>,
    /// The page view it belongs to.
    pub page_view_id: Option<String>,
    /// Further ids: `device_id`, `loyalty_no`, `email_sha256`, `phone_sha256`.
    pub extra_ids: BTreeMap<String, String>,
    /// Where it happened.
    pub channel: Channel,
    /// The products it is about.
    pub items: Vec<Item>,
    /// ISO 4217 code of every amount in the event.
    pub currency: Option<String>,
    /// What it does to a cart.
    pub cart: Option<Cart>,
    /// The order it is about.
    pub order: Option<Order>,
    /// The list or search it belongs to.
    pub list: Option<ListContext>,
    /// What of ours, or which campaign, led to it.
    pub attribution: Option<Attribution>,
    /// The consent the client had at that moment.
    pub consent: Option<Consent>,
    /// Where the visitor is, coarsely.
    pub geo: Option<Geo>,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// Such as `mobile` or `desktop`.
    pub device_class: Option<String>,
    /// Address of the page.
    pub page_url: Option<String>,
    /// Address of the page before.
    pub referrer: Option<String>,
    /// Name and version of the tracker that wrote it.
    pub tracker: Option<String>,
    /// What the producer said beyond the canonical fields; never dropped.
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    /// Whose event it is: the customer's, else the visitor's; `None` when it names neither.
    #[must_use]
    pub fn profile_key(&self) -> Option<ProfileKey> {
        let id = self.user_id.as_deref().or(self.anonymous_id.as_deref())?;
        Some(ProfileKey::new(&self.tenant, id))
    }
}

/// A record of the shop before anybody has looked into it.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// The bytes as the shop wrote them; `None` for a null value.
    pub value: Option<&'a [u8]>,
    /// The number of the line it was loaded from, when a file was.
    pub line: Option<u64>,
    /// When the record was written to Kafka.
    pub produced_at: EventTime,
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// What happened. The names are the canonical `event_type` of the wire.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub enum EventKind { $($(#[$doc])* $variant),+ }

        impl EventKind {
            /// Every kind, in the order of its code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The canonical name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The kind of that canonical name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

event_kinds! {
    /// A page was seen.
    #[default]
    PageViewed = "page_viewed",
    /// A product's page was seen.
    ProductViewed = "product_viewed",
    /// A list of products was seen.
    ProductListViewed = "product_list_viewed",
    /// A product was chosen from a list.
    ProductClicked = "product_clicked",
    /// A search was made.
    Searched = "searched",
    /// Items went into the cart.
    CartItemAdded = "cart_item_added",
    /// Items left the cart.
    CartItemRemoved = "cart_item_removed",
    /// The cart was looked at.
    CartViewed = "cart_viewed",
    /// The whole cart as the shop holds it.
    CartSnapshot = "cart_snapshot",
    /// An item went onto the wish list.
    WishlistAdded = "wishlist_added",
    /// An item left the wish list.
    WishlistRemoved = "wishlist_removed",
    /// The checkout began.
    CheckoutStarted = "checkout_started",
    /// A step of the checkout was done.
    CheckoutStep = "checkout_step",
    /// A payment was refused.
    PaymentFailed = "payment_failed",
    /// An order was placed.
    OrderCompleted = "order_completed",
    /// An order was changed.
    OrderUpdated = "order_updated",
    /// An order was cancelled.
    OrderCancelled = "order_cancelled",
    /// An order, or a part of it, was paid back.
    OrderRefunded = "order_refunded",
    /// An order left the warehouse.
    OrderShipped = "order_shipped",
    /// An order reached the customer.
    OrderDelivered = "order_delivered",
    /// A promotion was seen.
    PromotionViewed = "promotion_viewed",
    /// A promotion was clicked.
    PromotionClicked = "promotion_clicked",
    /// A coupon was applied.
    CouponApplied = "coupon_applied",
    /// A coupon was refused.
    CouponDenied = "coupon_denied",
    /// A product was reviewed.
    ProductReviewed = "product_reviewed",
    /// A product or cart was shared.
    Shared = "shared",
    /// The visitor said who they are.
    Identified = "identified",
    /// The shop's own session began.
    SessionStarted = "session_started",
}

impl EventKind {
    /// Whether the fact stands on its own: it is applied by its own time, however late it arrives.
    #[must_use]
    pub fn stands_alone(self) -> bool {
        matches!(
            self,
            Self::OrderCompleted
                | Self::OrderUpdated
                | Self::OrderCancelled
                | Self::OrderRefunded
                | Self::OrderShipped
                | Self::OrderDelivered
        )
    }
}

/// Where an event happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channel {
    /// Not said.
    #[default]
    Unknown,
    /// The web shop.
    Web,
    /// The mobile application.
    App,
    /// A till.
    Pos,
    /// The call centre.
    CallCenter,
    /// An e-mail.
    Email,
    /// A server of the shop.
    Server,
}

/// A product as an event shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// The product.
    pub product_id: String,
    /// Its variant: size, colour.
    pub variant_id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its brand.
    pub brand: Option<String>,
    /// Its categories, root to leaf.
    pub categories: Vec<String>,
    /// Unit price shown or paid, in minor units.
    pub price_minor: Option<i64>,
    /// Unit price before any reduction, in minor units.
    pub list_price_minor: Option<i64>,
    /// How many.
    pub quantity: i32,
    /// Place in a list.
    pub position: Option<i32>,
    /// Coupon on this item.
    pub coupon: Option<String>,
    /// Address of the product's page.
    pub url: Option<String>,
    /// Address of the product's picture.
    pub image_url: Option<String>,
}

/// What an event does to a cart.
#[derive(Clone, Debug, PartialEq)]
pub struct Cart {
    /// The shop's cart; without one the cart is the profile's own.
    pub cart_id: Option<String>,
    /// The change.
    pub op: CartOp,
    /// Value of the whole cart after the change, in minor units.
    pub total_minor: Option<i64>,
    /// The checkout it went into.
    pub checkout_id: Option<String>,
    /// Where the customer finds the cart again.
    pub cart_url: Option<String>,
}

/// How a cart changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CartOp {
    /// Quantities go up.
    Add,
    /// Quantities go down.
    Remove,
    /// Quantities become those of the items.
    SetQuantity,
    /// Every line goes.
    Clear,
    /// The items are the whole cart.
    Snapshot,
}

/// The order an event is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Order {
    /// The order.
    pub order_id: String,
    /// The cart it came from.
    pub cart_id: Option<String>,
    /// The checkout it came from.
    pub checkout_id: Option<String>,
    /// Such as `completed`.
    pub status: String,
    /// What was paid, in minor units.
    pub total_minor: Option<i64>,
    /// Of it shipping, in minor units.
    pub shipping_minor: Option<i64>,
    /// Of it tax, in minor units.
    pub tax_minor: Option<i64>,
    /// What was taken off, in minor units.
    pub discount_minor: Option<i64>,
    /// Coupons used.
    pub coupons: Vec<String>,
}

/// The list or search an event belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListContext {
    /// The list.
    pub list_id: Option<String>,
    /// What was searched for.
    pub query: Option<String>,
    /// The filters set.
    pub filters: BTreeMap<String, String>,
    /// The order chosen.
    pub sort: Option<String>,
}

/// What led to an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attribution {
    /// Our decision.
    pub decision_id: Option<String>,
    /// The campaign's parameters.
    pub campaign: BTreeMap<String, String>,
    /// Experiment to variant.
    pub experiments: BTreeMap<String, String>,
}

/// The consent a client had when it wrote an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Consent {
    /// Version of the text agreed to.
    pub version: String,
    /// Purpose to granted.
    pub purposes: BTreeMap<String, bool>,
    /// The TCF string.
    pub tcf: Option<String>,
}

/// Where a visitor is, coarsely.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Geo {
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// City.
    pub city: Option<String>,
    /// Coarse cell, never raw coordinates.
    pub cell: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.name()), Some(*kind));
        }
        assert_eq!(EventKind::parse("Product Viewed"), None);
    }

    #[test]
    fn the_customer_comes_before_the_visitor() {
        let mut event = Event { tenant: "shop".into(), ..Event::default() };
        assert_eq!(event.profile_key(), None);
        event.anonymous_id = Some("cookie".into());
        assert_eq!(event.profile_key(), Some(ProfileKey::new("shop", "cookie")));
        event.user_id = Some("anna".into());
        assert_eq!(event.profile_key(), Some(ProfileKey::new("shop", "anna")));
    }
}
