use events::RecommendedItem;

use crate::catalogue::Catalogue;
use crate::filters::Allowed;

/// Each product with its place, its price, and why it is shown, strongest reason first.
pub(crate) fn explain(ranked: Vec<Allowed>, catalogue: &Catalogue) -> Vec<RecommendedItem> {
    (1u32..).zip(ranked).map(|(rank, allowed)| item(rank, allowed, catalogue)).collect()
}

fn item(rank: u32, allowed: Allowed, catalogue: &Catalogue) -> RecommendedItem {
    let mut chosen = allowed.into_candidate();
    chosen.reasons.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.code.cmp(&b.code)));
    let listing = catalogue.listing(&chosen.product_id);
    RecommendedItem {
        rank,
        score: chosen.score,
        price_minor: listing.and_then(|listing| listing.price_minor),
        currency: listing.and_then(|listing| listing.currency.clone()),
        product_id: chosen.product_id,
        reasons: chosen.reasons,
    }
}
