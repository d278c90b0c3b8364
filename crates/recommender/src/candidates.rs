use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use events::{EventTime, Placement, ProfileUpdate, ReasonCode, SECOND};

use crate::customer::Customer;
use crate::decision::Knowledge;
use crate::item_models::TenantModels;

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
pub(crate) struct Candidate<'a> {
    pub(crate) product_id: &'a str,
    pub(crate) score: f64,
    pub(crate) reasons: Vec<Ground<'a>>,
}

/// Why a product might be shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ground<'a> {
    pub(crate) code: ReasonCode,
    pub(crate) weight: f64,
    /// The events that led to it.
    pub(crate) causes: Rc<[&'a str]>,
}

/// Where candidates for one customer come from. What every placement asks for is found once.
pub(crate) struct Sources<'a> {
    customer: &'a Customer,
    pub(crate) update: &'a ProfileUpdate,
    pub(crate) by: Knowledge<'a>,
    /// The products of the visit that runs, oldest first.
    running: Vec<&'a str>,
    similar: OnceCell<Vec<(&'a str, Ground<'a>)>>,
}

impl<'a> Sources<'a> {
    pub(crate) fn of(customer: &'a Customer, update: &'a ProfileUpdate, by: &Knowledge<'a>) -> Self {
        Self { customer, update, by: *by, running: running_session(update), similar: OnceCell::new() }
    }

    /// Whatever may be relevant in that place, unfiltered and in no order.
    pub(crate) fn gather(&self, placement: Placement) -> Vec<Candidate<'a>> {
        let mut gathered = Gathered { by_product: BTreeMap::new(), current: self.running.last().copied() };
        for (product, ground) in self.similar() {
            gathered.add(product, ground.clone());
        }
        if placement == Placement::ForYou {
            self.popular(&mut gathered);
            self.wished(&mut gathered);
        }
        gathered.into_candidates()
    }

    /// What sessions like the running one went on to.
    fn similar(&self) -> &[(&'a str, Ground<'a>)] {
        self.similar.get_or_init(|| {
            let Some(tenant) = self.tenant() else { return Vec::new() };
            let how = &self.by.models.settings().neighbourhood;
            let prediction = tenant.sessions.predict(&self.running, self.enough(), how);
            let best = prediction.products.first().map_or(0.0, |best| best.score);
            let neighbours = prediction.neighbours as f64;
            let sure = self.by.rules.similar_weight * neighbours / (neighbours + HALF_SURE_NEIGHBOURS);
            let window = self.running.iter().rev().take(how.window);
            let causes: Rc<[&'a str]> =
                window.filter_map(|name| self.customer.event_about(name)).take(CAUSES).collect();
            let found = prediction.products.into_iter().filter(|found| found.score > 0.0);
            let ground = |score| Ground {
                code: ReasonCode::SimilarSessions,
                weight: sure * score / best,
                causes: Rc::clone(&causes),
            };
            found.map(|found| (found.product_id, ground(found.score))).collect()
        })
    }

    fn popular(&self, gathered: &mut Gathered<'a>) {
        let Some(tenant) = self.tenant() else { return };
        let now = EventTime(self.by.models.epoch().unwrap_or_default().saturating_mul(SECOND));
        let leader = tenant.popularity.greatest(now);
        let sure = self.by.rules.popular_weight * leader / (leader + HALF_SURE_POPULARITY);
        let causes: Rc<[&str]> = Rc::from([]);
        for (product, share) in tenant.popularity.top(self.enough()) {
            let causes = Rc::clone(&causes);
            gathered.add(product, Ground { code: ReasonCode::Popular, weight: sure * share, causes });
        }
    }

    fn wished(&self, gathered: &mut Gathered<'a>) {
        for item in &self.update.wished {
            let causes = self.customer.event_about(&item.product_id).into_iter().collect();
            let weight = self.by.rules.wished_weight;
            gathered.add(&item.product_id, Ground { code: ReasonCode::Wished, weight, causes });
        }
    }

    fn tenant(&self) -> Option<&'a TenantModels> {
        self.by.models.tenant(self.update.profile.tenant())
    }

    /// So many products of each model that filters leave enough.
    fn enough(&self) -> usize {
        let in_carts: usize = self.update.carts.iter().map(|cart| cart.lines.len()).sum();
        self.by.rules.places + (self.customer.purchases() + in_carts).min(SPARE)
    }
}

fn running_session(update: &ProfileUpdate) -> Vec<&str> {
    let started = update.session.as_ref().map(|session| session.started_at);
    let in_session = update.recently_viewed.iter().filter(|item| started.is_none_or(|at| item.at >= at));
    let mut running: Vec<&str> = in_session.map(|item| item.product_id.as_str()).collect();
    running.reverse();
    running
}

struct Gathered<'a> {
    by_product: BTreeMap<&'a str, Vec<Ground<'a>>>,
    current: Option<&'a str>,
}

impl<'a> Gathered<'a> {
    /// The product that is being looked at is never a candidate.
    fn add(&mut self, product: &'a str, ground: Ground<'a>) {
        if Some(product) != self.current {
            self.by_product.entry(product).or_default().push(ground);
        }
    }

    fn into_candidates(self) -> Vec<Candidate<'a>> {
        let candidate = |(product_id, reasons): (&'a str, Vec<Ground<'a>>)| Candidate {
            product_id,
            score: reasons.iter().map(|ground| ground.weight).sum(),
            reasons,
        };
        self.by_product.into_iter().map(candidate).collect()
    }
}
