use std::collections::BTreeSet;

use events::{Exclusion, ExclusionCode, ProfileUpdate};

use crate::candidates::Candidate;
use crate::catalogue::Catalogue;
use crate::customer::Customer;

/// Exclusions that a recommendation names.
const NAMED: usize = 20;

/// A candidate that passed every filter. Nothing else can be ranked, explained and shown, and nothing but
/// [`Filters::sift`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Allowed<'a>(Candidate<'a>);

impl<'a> Allowed<'a> {
    pub(crate) fn candidate(&self) -> &Candidate<'a> {
        &self.0
    }

    pub(crate) fn into_candidate(self) -> Candidate<'a> {
        self.0
    }
}

/// What a customer is never shown.
pub(crate) struct Filters<'a> {
    customer: &'a Customer,
    in_cart: BTreeSet<&'a str>,
    catalogue: &'a Catalogue,
    #[cfg(test)]
    pub(crate) without: Option<ExclusionCode>,
}

impl<'a> Filters<'a> {
    pub(crate) fn of(customer: &'a Customer, update: &'a ProfileUpdate, catalogue: &'a Catalogue) -> Self {
        let lines = update.carts.iter().flat_map(|cart| &cart.lines);
        Self {
            customer,
            in_cart: lines.map(|line| line.product_id.as_str()).collect(),
            catalogue,
            #[cfg(test)]
            without: None,
        }
    }

    /// Parts what may be shown from what may not; of the latter the best are named.
    pub(crate) fn sift<'c>(&self, candidates: Vec<Candidate<'c>>) -> (Vec<Allowed<'c>>, Vec<Exclusion>) {
        let (mut allowed, mut excluded) = (Vec::new(), Vec::new());
        for candidate in candidates {
            match self.objection(candidate.product_id) {
                None => allowed.push(Allowed(candidate)),
                Some(code) => excluded.push((candidate.score, candidate.product_id, code)),
            }
        }
        excluded.sort_by(|a: &(f64, &str, _), b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        excluded.truncate(NAMED);
        let name =
            |(_, product_id, code): (f64, &str, _)| Exclusion { product_id: product_id.to_owned(), code };
        (allowed, excluded.into_iter().map(name).collect())
    }

    fn objection(&self, product_id: &str) -> Option<ExclusionCode> {
        let objections = [
            (ExclusionCode::Bought, self.customer.bought(product_id).is_some()),
            (ExclusionCode::InCart, self.in_cart.contains(product_id)),
            (ExclusionCode::OutOfStock, self.catalogue.out_of_stock(product_id)),
        ];
        objections
            .into_iter()
            .filter(|(code, _)| self.applies(*code))
            .find_map(|(code, yes)| yes.then_some(code))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "a test takes one filter away to show that it would be missed")]
    fn applies(&self, _code: ExclusionCode) -> bool {
        true
    }

    #[cfg(test)]
    fn applies(&self, code: ExclusionCode) -> bool {
        self.without != Some(code)
    }
}
