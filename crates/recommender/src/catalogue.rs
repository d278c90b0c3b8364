use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a shop says of its products. A product that it does not name is taken to be there, without a price.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    products: BTreeMap<String, Listing>,
}

/// What a shop says of one product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Whether it can be had.
    pub in_stock: bool,
    /// Its price, in minor units.
    pub price_minor: Option<i64>,
    /// ISO 4217 code of the price.
    pub currency: Option<String>,
}

impl Catalogue {
    /// Replaces what is said of a product.
    pub fn list(&mut self, product_id: &str, listing: Listing) {
        self.products.insert(product_id.to_owned(), listing);
    }

    /// What is said of a product.
    #[must_use]
    pub fn listing(&self, product_id: &str) -> Option<&Listing> {
        self.products.get(product_id)
    }

    /// Whether the shop says that there is none.
    #[must_use]
    pub fn out_of_stock(&self, product_id: &str) -> bool {
        self.listing(product_id).is_some_and(|listing| !listing.in_stock)
    }
}
