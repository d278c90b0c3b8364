use crate::acts::{Act, Draft};
use crate::catalogue::CATEGORIES;
use crate::chance::Chance;
use crate::generator::Shop;
use crate::names::Who;

/// The most events of one machine.
pub(crate) const MOST: u64 = 180;

/// A machine walks through the catalogue, some times a second, and fills a cart that it never buys. No truth
/// is planned for it: nobody is to be reminded of that cart.
pub(crate) fn derive(shop: &Shop, (number, starts_at): (u64, i64), chance: &mut Chance) -> Vec<Draft> {
    let count = u32::try_from(chance.below(MOST - 79) + 80).unwrap_or(80);
    let theme = u8::try_from(chance.below(u64::from(CATEGORIES))).unwrap_or(0);
    let mut at = starts_at;
    let mut draft = |place| {
        at += chance.between(200, 900);
        let product = shop.product(theme, chance);
        let act = match chance.permille(100) {
            true => Act::Add(shop.ware(theme, chance), 1),
            false => Act::View(product),
        };
        let who = Who::Bot(number);
        Draft { visit: number, place, who, other_device: false, signed_in: true, cart: None, at, act }
    };
    (0..count).map(&mut draft).collect()
}
