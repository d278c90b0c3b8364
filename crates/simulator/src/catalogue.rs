use crate::chance::{Chance, Purpose};
use crate::names;

struct Kind {
    category: &'static str,
    nouns: [&'static str; 4],
    brands: [&'static str; 3],
    /// Cheapest and dearest, in cents.
    prices: (i64, i64),
    /// How many of the sizes there are; 0 for what has none.
    variants: u8,
}

const fn kind(
    category: &'static str,
    nouns: [&'static str; 4],
    brands: [&'static str; 3],
    prices: (i64, i64),
    variants: u8,
) -> Kind {
    Kind { category, nouns, brands, prices, variants }
}

const KINDS: [Kind; 10] = [
    kind(
        "Shoes",
        ["boots", "sneakers", "sandals", "loafers"],
        ["Northpath", "Alp", "Piano"],
        (3990, 14990),
        4,
    ),
    kind("Coats", ["coat", "parka", "raincoat", "jacket"], ["Nordwind", "Alp", "Vela"], (6990, 29990), 4),
    kind(
        "Shirts",
        ["shirt", "blouse", "polo shirt", "sweater"],
        ["Vela", "Linden", "Brzoza"],
        (1490, 6990),
        4,
    ),
    kind(
        "Kitchen",
        ["pan", "kettle", "bread knife", "baking tin"],
        ["Piec", "Kupfer", "Olmo"],
        (1290, 7990),
        0,
    ),
    kind(
        "Bakery",
        ["doughnuts", "rye bread", "poppy cake", "crackers"],
        ["Paczka", "Piec", "Zyto"],
        (190, 1490),
        0,
    ),
    kind(
        "Coffee",
        ["espresso", "filter coffee", "decaf", "cold brew"],
        ["Moka", "Ziarno", "Alto"],
        (590, 2490),
        0,
    ),
    kind(
        "Bicycles",
        ["pannier", "phone mount", "lamp", "helmet"],
        ["Rower", "Velo", "Spoke"],
        (1490, 8990),
        0,
    ),
    kind(
        "Toys",
        ["puzzle", "wooden train", "kite", "board game"],
        ["Klocek", "Figaro", "Mila"],
        (790, 4990),
        0,
    ),
    kind(
        "Garden",
        ["rake", "watering can", "planter", "lantern"],
        ["Ogrod", "Linden", "Terra"],
        (790, 4990),
        0,
    ),
    kind(
        "Electronics",
        ["headphones", "charger", "keyboard", "speaker"],
        ["Volta", "Echo", "Kabel"],
        (1290, 24990),
        0,
    ),
];

/// How many categories there are.
pub(crate) const CATEGORIES: u8 = KINDS.len() as u8;

const MANNERS: [&str; 8] = ["Classic", "Light", "Fine", "Small", "Large", "Old town", "Everyday", "Festive"];

/// A product of the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its id.
    pub product_id: String,
    /// Its name.
    pub name: String,
    /// Its brand.
    pub brand: &'static str,
    /// Its category.
    pub category: &'static str,
    /// Unit price, in cents of a euro.
    pub price_minor: i64,
    /// How many are in the warehouse. What is out of stock is looked at and never bought.
    pub stock: u32,
    /// How many sizes it comes in; 0 if it has none.
    pub(crate) variants: u8,
}

impl Product {
    /// The sizes it comes in.
    #[must_use]
    pub fn variants(&self) -> Vec<&'static str> {
        (1..=self.variants).filter_map(names::variant).collect()
    }
}

/// What the shop sells, the most wanted first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    products: Vec<Product>,
}

impl Catalogue {
    pub(crate) fn new(seed: u64, count: u32) -> Self {
        Self { products: (0..count.max(1)).map(|number| product(seed, number)).collect() }
    }

    /// Every product.
    #[must_use]
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Product> {
        self.products.get(number as usize)
    }

    /// The products of each category, the most wanted first.
    pub(crate) fn shelves(&self) -> Vec<Vec<u32>> {
        let of = |kind: &Kind| {
            let numbered = (0..).zip(&self.products);
            let of_kind = numbered.filter(|(_, product)| product.category == kind.category);
            of_kind.map(|(number, _)| number).collect()
        };
        KINDS.iter().map(of).collect()
    }
}

fn product(seed: u64, number: u32) -> Product {
    let mut chance = Chance::of(seed, Purpose::Catalogue, u64::from(number));
    let kind = one_of(&KINDS, &mut chance);
    let manner = one_of(&MANNERS, &mut chance);
    let noun = one_of(&kind.nouns, &mut chance);
    let brand = one_of(&kind.brands, &mut chance);
    let (cheapest, dearest) = kind.prices;
    // Most are cheap: of two prices the lower one.
    let price = chance.between(cheapest, dearest).min(chance.between(cheapest, dearest));
    let in_stock = number == 0 || chance.permille(950);
    let stock = if in_stock { chance.between(1, 500) } else { 0 };
    Product {
        product_id: names::product(number),
        name: format!("{manner} {noun}"),
        brand,
        category: kind.category,
        price_minor: price,
        stock: u32::try_from(stock).unwrap_or(0),
        variants: kind.variants,
    }
}

fn one_of<'a, T, const N: usize>(choices: &'a [T; N], chance: &mut Chance) -> &'a T {
    let place = usize::try_from(chance.below(N as u64)).unwrap_or(0);
    &choices[place.min(N - 1)]
}
