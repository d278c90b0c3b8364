use crate::filters::Allowed;

/// The best products above the floor, best first; equals by name.
pub(crate) fn rank(mut allowed: Vec<Allowed<'_>>, floor: f64, places: usize) -> Vec<Allowed<'_>> {
    allowed.retain(|item| item.candidate().score >= floor);
    allowed.sort_by(|a, b| {
        let (a, b) = (a.candidate(), b.candidate());
        b.score.total_cmp(&a.score).then_with(|| a.product_id.cmp(b.product_id))
    });
    allowed.truncate(places);
    allowed
}
