use std::collections::BTreeMap;

use events::MINUTE;
use xxhash_rust::xxh3::xxh3_64;

use crate::catalogue::CATEGORIES;
use crate::chance::{Chance, Purpose};
use crate::names::{Ware, Who};
use crate::plan::{IDLE, Visit};

/// What lies in a cart.
pub(crate) type Basket = BTreeMap<Ware, u16>;

/// After how many abandoned carts a person leaves none any more, so that memories of contents stay small.
const MOST_NOTICED: usize = 200;

/// Carts that lie about beside the one in use.
const MOST_SET_ASIDE: usize = 3;

/// An order a person placed, which may come back.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) order: u64,
    pub(crate) bought: Basket,
}

/// Somebody of the shop, between visits.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) who: Who,
    /// The category they mostly come for.
    pub(crate) favourite: u8,
    /// Whether the shop names this person's carts; without a name the cart is the profile's own.
    pub(crate) names_carts: bool,
    /// Before this time no other visit begins: the silence after the last one is long past.
    pub(crate) free_at: i64,
    /// The number of the cart in use.
    pub(crate) cart: u32,
    pub(crate) carried: Basket,
    pub(crate) set_aside: Vec<Basket>,
    pub(crate) placed: Option<Placed>,
    /// Hashes of the contents that were left.
    noticed: Vec<u64>,
}

impl Person {
    pub(crate) fn of_the_shop(seed: u64, number: u32) -> Self {
        let mut chance = Chance::of(seed, Purpose::Person, u64::from(number));
        let who = if chance.permille(600) { Who::Customer(number) } else { Who::Visitor(number) };
        Self::new(who, &mut chance)
    }

    pub(crate) fn new(who: Who, chance: &mut Chance) -> Self {
        Self {
            who,
            favourite: u8::try_from(chance.below(u64::from(CATEGORIES))).unwrap_or(0),
            names_carts: chance.permille(600),
            free_at: i64::MIN,
            cart: 0,
            carried: Basket::new(),
            set_aside: Vec::new(),
            placed: None,
            noticed: Vec::new(),
        }
    }

    /// Whether one more cart may be left.
    pub(crate) fn may_leave(&self) -> bool {
        self.noticed.len() < MOST_NOTICED && self.carried.len() < 8
    }

    /// Whether the cart in use may lie about while another one is begun.
    pub(crate) fn may_set_aside(&self) -> bool {
        self.names_carts && !self.carried.is_empty() && self.set_aside.len() < MOST_SET_ASIDE
    }

    /// Whether this ware lies in a cart that is not in use. An order of it would change that cart too, so it
    /// is not put into another one.
    pub(crate) fn has_set_aside(&self, ware: Ware) -> bool {
        self.set_aside.iter().any(|basket| basket.contains_key(&ware))
    }

    /// Whether this content of that cart was left before.
    pub(crate) fn has_left(&self, cart: Option<u32>, basket: &Basket) -> bool {
        self.noticed.contains(&hash(cart, basket))
    }

    /// The visit is over: what it leaves behind is what the next one begins with.
    pub(crate) fn after(&mut self, visit: &Visit) {
        for (_, basket) in &visit.leaves() {
            let content = hash(visit.cart, basket);
            if !self.noticed.contains(&content) {
                self.noticed.push(content);
            }
        }
        if visit.sets_aside {
            self.set_aside.push(std::mem::take(&mut self.carried));
        }
        self.cart = visit.cart.unwrap_or(0);
        self.carried = visit.kept();
        if let Some(placed) = visit.placed() {
            self.placed = Some(placed);
            self.cart += u32::from(self.names_carts);
        } else if visit.returned.is_some() {
            self.placed = None;
        }
        self.free_at = visit.ends_at() + IDLE + 15 * MINUTE;
    }
}

fn hash(cart: Option<u32>, basket: &Basket) -> u64 {
    let mut bytes = Vec::with_capacity(8 * basket.len() + 5);
    bytes.push(u8::from(cart.is_some()));
    bytes.extend(cart.unwrap_or(0).to_le_bytes());
    for (ware, quantity) in basket {
        bytes.extend(ware.product.to_le_bytes());
        bytes.push(ware.variant);
        bytes.extend(quantity.to_le_bytes());
    }
    xxh3_64(&bytes)
}
