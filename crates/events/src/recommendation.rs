use crate::{EventKind, EventTime, ProfileKey, Reason};

/// Products to show to one customer in one place, best first.
///
/// Every item passed every filter; what was kept back stands in `excluded`.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// UUIDv5 of tenant, profile, placement, triggering event and rule version.
    pub decision_id: String,
    /// To whom.
    pub profile: ProfileKey,
    /// The customer, once known.
    pub user_id: Option<String>,
    /// Where.
    pub placement: Placement,
    /// The event that caused it.
    pub trigger_event_id: String,
    /// The kind of that event.
    pub trigger_kind: EventKind,
    /// The time of that event.
    pub decided_at: EventTime,
    /// Version of the rules it was decided by.
    pub rule_version: String,
    /// The sealed second of the item models it was made from: seconds since 1970; `None` of empty models.
    pub model_epoch: Option<i64>,
    /// What to show, best first.
    pub items: Vec<RecommendedItem>,
    /// The best of what was kept back, with the reason.
    pub excluded: Vec<Exclusion>,
    /// From then on the list is stale.
    pub valid_until: EventTime,
}

/// One product of a recommendation.
#[derive(Clone, Debug, PartialEq)]
pub struct RecommendedItem {
    /// The product.
    pub product_id: String,
    /// Its place, from 1.
    pub rank: u32,
    /// How relevant it is: from 0 to the sum of the weights of all reasons.
    pub score: f64,
    /// Its price by the catalogue, in minor units.
    pub price_minor: Option<i64>,
    /// ISO 4217 code of the price.
    pub currency: Option<String>,
    /// Why it is shown, strongest first.
    pub reasons: Vec<Reason>,
}

/// A product that was relevant and is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// The product.
    pub product_id: String,
    /// Why not.
    pub code: ExclusionCode,
}

/// Why a product is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExclusionCode {
    /// The customer bought it.
    Bought,
    /// It lies in one of the customer's carts.
    InCart,
    /// The catalogue says that there is none.
    OutOfStock,
}

/// Where a recommendation is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placement {
    /// What this customer may like.
    ForYou,
    /// What visits like this one went on to.
    SimilarUsers,
}

impl Placement {
    /// Every placement.
    pub const ALL: &'static [Self] = &[Self::ForYou, Self::SimilarUsers];

    /// Its name, as a request and an id spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ForYou => "for_you",
            Self::SimilarUsers => "similar_users",
        }
    }

    /// The placement of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|placement| placement.name() == name)
    }
}
