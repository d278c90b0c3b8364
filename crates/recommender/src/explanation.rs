use events::{Reason, RecommendedItem};

use crate::candidates::Ground;
use crate::catalogue::Catalogue;
use crate::filters::Allowed;

/// Each product with its place, its price, and why it is shown, strongest reason first.
pub(crate) fn explain(ranked: Vec<Allowed<'_>>, catalogue: &Catalogue) -> Vec<RecommendedItem> {
    (1u32..).zip(ranked).map(|(rank, allowed)| item(rank, allowed, catalogue)).collect()
}

fn item(rank: u32, allowed: Allowed<'_>, catalogue: &Catalogue) -> RecommendedItem {
    let mut chosen = allowed.into_candidate();
    chosen.reasons.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.code.cmp(&b.code)));
    let listing = catalogue.listing(chosen.product_id);
    RecommendedItem {
        rank,
        score: chosen.score,
        price_minor: listing.and_then(|listing| listing.price_minor),
        currency: listing.and_then(|listing| listing.currency.clone()),
        product_id: chosen.product_id.to_owned(),
        reasons: chosen.reasons.iter().map(reason).collect(),
    }
}

fn reason(ground: &Ground<'_>) -> Reason {
    let source_event_ids = ground.causes.iter().map(|event| (*event).to_owned()).collect();
    Reason { code: ground.code, weight: ground.weight, source_event_ids }
}
