use std::collections::BTreeMap;

use events::{Placement, ProfileUpdate, Reason, ReasonCode};

use crate::customer::Customer;
use crate::item_models::{ItemModels, TenantModels};
use crate::rules::Rules;

/// Neighbours at which half of what they say counts.
const HALF_SURE_NEIGHBOURS: f64 = 1.0;
/// Popularity of the leader at which half of popularity counts.
const HALF_SURE_POPULARITY: f64 = 5.0;
/// Products taken from each model beyond the places, so that filters leave enough.
const SPARE: usize = 600;
/// Events named as the cause of one product.
const CAUSES: usize = 3;

/// A product that might be shown, with why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) product_id: String,
    pub(crate) score: f64,
    pub(crate) reasons: Vec<Reason>,
}

/// Whatever may be relevant in that place, unfiltered and in no order.
pub(crate) fn gather(
    placement: Placement,
    customer: &Customer,
    update: &ProfileUpdate,
    models: &ItemModels,
    rules: &Rules,
) -> Vec<Candidate> {
    let running = running_session(update);
    let mut gathered = Gathered { by_product: BTreeMap::new(), current: running.last().copied() };
    let in_carts: usize = update.carts.iter().map(|cart| cart.lines.len()).sum();
    let enough = rules.places + (customer.purchases() + in_carts).min(SPARE);
    if let Some(tenant) = models.tenant(update.profile.tenant()) {
        gathered.similar(tenant, &running, customer, models, enough, rules.similar_weight);
        if placement == Placement::ForYou {
            gathered.popular(tenant, models, enough, rules.popular_weight);
        }
    }
    if placement == Placement::ForYou {
        gathered.wished(customer, update, rules.wished_weight);
    }
    gathered.into_candidates()
}

/// The products of the visit that runs, oldest first.
fn running_session(update: &ProfileUpdate) -> Vec<&str> {
    let started = update.session.as_ref().map(|session| session.started_at);
    let in_session = update.recently_viewed.iter().filter(|item| started.is_none_or(|at| item.at >= at));
    let mut running: Vec<&str> = in_session.map(|item| item.product_id.as_str()).collect();
    running.reverse();
    running
}

struct Gathered<'a> {
    by_product: BTreeMap<&'a str, Vec<Reason>>,
    current: Option<&'a str>,
}

impl<'a> Gathered<'a> {
    fn similar(
        &mut self,
        tenant: &'a TenantModels,
        running: &[&str],
        customer: &Customer,
        models: &ItemModels,
        enough: usize,
        weight: f64,
    ) {
        let how = &models.settings().neighbourhood;
        let prediction = tenant.sessions.predict(running, enough, how);
        let Some(best) = prediction.products.first().map(|best| best.score).filter(|best| *best > 0.0) else {
            return;
        };
        let neighbours = prediction.neighbours as f64;
        let sure = weight * neighbours / (neighbours + HALF_SURE_NEIGHBOURS);
        let window = running.iter().rev().take(how.window);
        let causes: Vec<String> =
            window.filter_map(|name| customer.event_about(name)).take(CAUSES).map(str::to_owned).collect();
        for found in prediction.products.iter().filter(|found| found.score > 0.0) {
            self.add(found.product_id, ReasonCode::SimilarSessions, sure * found.score / best, &causes);
        }
    }

    fn popular(&mut self, tenant: &'a TenantModels, models: &ItemModels, enough: usize, weight: f64) {
        let now = events::EventTime(models.epoch().unwrap_or_default().saturating_mul(events::SECOND));
        let leader = tenant.popularity.greatest(now);
        let sure = weight * leader / (leader + HALF_SURE_POPULARITY);
        for (product, share) in tenant.popularity.top(enough) {
            self.add(product, ReasonCode::Popular, sure * share, &[]);
        }
    }

    fn wished(&mut self, customer: &Customer, update: &'a ProfileUpdate, weight: f64) {
        for item in &update.wished {
            let cause: Vec<String> =
                customer.event_about(&item.product_id).map(str::to_owned).into_iter().collect();
            self.add(&item.product_id, ReasonCode::Wished, weight, &cause);
        }
    }

    /// The product that is being looked at is never a candidate.
    fn add(&mut self, product: &'a str, code: ReasonCode, weight: f64, causes: &[String]) {
        if Some(product) != self.current {
            let reason = Reason { code, weight, source_event_ids: causes.to_vec() };
            self.by_product.entry(product).or_default().push(reason);
        }
    }

    fn into_candidates(self) -> Vec<Candidate> {
        let candidate = |(product, reasons): (&str, Vec<Reason>)| Candidate {
            product_id: product.to_owned(),
            score: reasons.iter().map(|reason| reason.weight).sum(),
            reasons,
        };
        self.by_product.into_iter().map(candidate).collect()
    }
}
