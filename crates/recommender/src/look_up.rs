use events::{EventTime, Exclusion, Placement, ProfileKey, RecommendedItem, Silence};

use crate::candidates::Sources;
use crate::customer::{Customer, blank};
use crate::decision::Knowledge;
use crate::filters::Filters;
use crate::{explanation, ranking};

/// What a customer would be shown now. It is no decision: nobody was told, so it has no id and no cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Something is known of the customer. What a stranger is shown is popular, in whatever place.
    pub known: bool,
    /// The newest event that it takes into account.
    pub as_of: Option<EventTime>,
    /// The sealed second of the item models that were asked; `None` for empty ones.
    pub model_epoch: Option<i64>,
    /// Best first.
    pub items: Vec<RecommendedItem>,
    /// Relevant products that are not shown, and why.
    pub excluded: Vec<Exclusion>,
    /// Why nothing is shown.
    pub silence: Option<Silence>,
}

/// Candidates → filters → ranking → explanation, as for a decision, by what is known of a customer and of all
/// others now. Age keeps nothing from being shown to who asks for it; a kind of speech that is off does.
#[must_use]
pub fn look_up(
    customer: Option<&Customer>,
    profile: &ProfileKey,
    placement: Placement,
    by: &Knowledge<'_>,
) -> Shown {
    let stranger = Customer::default();
    let latest = customer.and_then(|customer| customer.latest.as_ref());
    let known = customer.filter(|_| latest.is_some());
    let shown = Shown {
        known: known.is_some(),
        as_of: latest.map(|latest| latest.at),
        model_epoch: by.models.epoch(),
        items: Vec::new(),
        excluded: Vec::new(),
        silence: None,
    };
    if !by.speech.recommendations {
        return Shown { silence: Some(Silence::SpeakingOff), ..shown };
    }
    let update = latest.map_or_else(|| blank(profile), |latest| latest.update(profile));
    let placement = if known.is_some() { placement } else { Placement::ForYou };
    let customer = known.unwrap_or(&stranger);
    let filters = Filters::of(customer, &update, by.catalogue);
    let (allowed, excluded) = filters.sift(Sources::of(customer, &update, by).gather(placement));
    let ranked = ranking::rank(allowed, by.rules.floor, by.rules.places);
    let silence = ranked.is_empty().then_some(Silence::BelowFloor);
    Shown { items: explanation::explain(ranked, by.catalogue), excluded, silence, ..shown }
}
