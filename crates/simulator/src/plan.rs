use events::MINUTE;

use crate::catalogue::CATEGORIES;
use crate::chance::Chance;
use crate::generator::Shop;
use crate::names::{Ware, Who};
use crate::people::{Basket, Person, Placed};

/// After so long a silence a cart counts as abandoned.
pub(crate) const IDLE: i64 = 30 * MINUTE;

macro_rules! endings {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// How a visit is meant to end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Ending { $($(#[$doc])* $variant),+ }

        impl Ending {
            /// Every ending.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// In a few words for a person.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

endings! {
    /// The cart, if there is one, stays untouched.
    OnlyLooks = "only looks",
    /// The cart changes and is in the end what it was when it was left before: that is not noticed twice.
    SameContentAgain = "leaves the same content again",
    /// All that lies in the cart.
    Buys = "buys",
    /// Some of what lies in the cart; the rest is left.
    BuysPart = "buys a part and leaves the rest",
    /// A pause of less than half an hour, then all that lies in the cart is bought.
    ReturnsAndBuys = "returns in time and buys",
    /// The same, a millisecond before the cart would count as abandoned.
    ReturnsAtTheLastMoment = "returns at the last moment and buys",
    /// The same, a millisecond after: the cart was abandoned, and is bought nevertheless.
    ReturnsAMomentTooLate = "returns a moment too late and buys",
    /// With something new in it.
    LeavesCart = "leaves the cart",
    /// The same, after the checkout began.
    LeavesCheckout = "leaves the checkout",
    /// Everything is taken out of the cart.
    Empties = "empties the cart",
}

impl Ending {
    /// Whether the person goes away and comes back within the visit.
    pub(crate) fn has_pause(self) -> bool {
        matches!(self, Self::ReturnsAndBuys | Self::ReturnsAtTheLastMoment | Self::ReturnsAMomentTooLate)
    }

    pub(crate) fn has_order(self) -> bool {
        matches!(self, Self::Buys | Self::BuysPart) || self.has_pause()
    }
}

/// How much happens in a visit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    /// A few dozen events at most.
    Ordinary,
    /// At least so many events.
    Busy(u64),
    /// Exactly so many events, all of them looks.
    Looks(u64),
}

/// A visit as it is meant, before any of its events exists.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) number: u64,
    pub(crate) who: Who,
    /// The number of the cart in use; `None` where the shop names none.
    pub(crate) cart: Option<u32>,
    /// Whether the cart of the visits before is left lying for a new one.
    pub(crate) sets_aside: bool,
    /// The category it is mostly about.
    pub(crate) theme: u8,
    pub(crate) ending: Ending,
    /// The cart in use, at the start.
    pub(crate) before: Basket,
    /// The same when the person goes away, but for what is then bought or taken out.
    pub(crate) after: Basket,
    /// What is ordered.
    pub(crate) bought: Basket,
    /// An earlier order that goes back.
    pub(crate) returned: Option<Placed>,
    pub(crate) size: Size,
    /// Whether it begins on another device, before signing in.
    pub(crate) other_device: bool,
    pub(crate) starts_at: i64,
    /// The last event, or the last one before the pause.
    pub(crate) left_at: i64,
    /// The first and the last event after the pause.
    pub(crate) back: Option<(i64, i64)>,
}

impl Visit {
    pub(crate) fn plan(
        shop: &Shop,
        person: &Person,
        (number, starts_at): (u64, i64),
        size: Size,
        chance: &mut Chance,
    ) -> Self {
        let (ending, sets_aside) = intention(person, size, chance);
        let before = if sets_aside { Basket::new() } else { person.carried.clone() };
        let theme = theme(person, chance);
        let wanted =
            Wanted { shop, person, theme, sets_aside, least: 1 + usize::from(ending == Ending::BuysPart) };
        let after = wanted.after(&before, ending, chance);
        let left_at = starts_at + duration(size, chance);
        let returned = person.placed.clone().filter(|_| ending != Ending::OnlyLooks && chance.permille(150));
        let is_customer = matches!(person.who, Who::Customer(_));
        let other_device = shop.options.two_devices && is_customer && person.names_carts;
        Self {
            number,
            who: person.who,
            cart: person.names_carts.then_some(person.cart + u32::from(sets_aside)),
            sets_aside,
            theme,
            ending,
            bought: bought(&after, ending, chance),
            before,
            after,
            returned,
            size,
            other_device: other_device && chance.permille(300),
            starts_at,
            left_at,
            back: back(ending, left_at, chance),
        }
    }

    /// The same visit with all of its cart bought in the end.
    pub(crate) fn bought_instead(&self) -> Self {
        let bought = self.after.clone();
        Self { ending: Ending::Buys, bought, back: None, ..self.clone() }
    }

    pub(crate) fn ends_at(&self) -> i64 {
        self.back.map_or(self.left_at, |(_, end)| end)
    }

    /// What lies in the cart when all is over.
    pub(crate) fn kept(&self) -> Basket {
        let mut kept = self.after.clone();
        match self.ending {
            Ending::Empties => kept.clear(),
            _ => kept.retain(|ware, _| !self.bought.contains_key(ware)),
        }
        kept
    }

    /// The order placed.
    pub(crate) fn placed(&self) -> Option<Placed> {
        let bought = self.bought.clone();
        self.ending.has_order().then_some(Placed { order: self.number, bought })
    }

    /// Each silence that is long enough, by its end, with what lies in the cart throughout it.
    pub(crate) fn leaves(&self) -> Vec<(i64, Basket)> {
        let too_late =
            (self.ending == Ending::ReturnsAMomentTooLate).then(|| (self.left_at, self.after.clone()));
        let last = (self.ends_at(), self.kept());
        let silences = too_late.into_iter().chain([last]).filter(|(_, basket)| !basket.is_empty());
        silences.map(|(last, basket)| (last + IDLE, basket)).collect()
    }
}

/// How it will end, and whether the cart of the visits before is left lying for a new one.
fn intention(person: &Person, size: Size, chance: &mut Chance) -> (Ending, bool) {
    if matches!(size, Size::Looks(_)) {
        return (Ending::OnlyLooks, false);
    }
    let nothing = Basket::new();
    let sets_aside = person.may_set_aside() && chance.permille(250);
    let ending = choose(person, if sets_aside { &nothing } else { &person.carried }, chance);
    // A visit that only looks begins no cart.
    (ending, sets_aside && ending != Ending::OnlyLooks)
}

fn choose(person: &Person, before: &Basket, chance: &mut Chance) -> Ending {
    let leaving = u32::from(person.may_leave());
    let again = u32::from(!before.is_empty());
    let part = u32::from(!person.names_carts) * leaving;
    let weights = [
        (Ending::OnlyLooks, 40),
        (Ending::SameContentAgain, 8 * again),
        (Ending::Buys, 14),
        (Ending::BuysPart, 6 * part),
        (Ending::ReturnsAndBuys, 4),
        (Ending::ReturnsAtTheLastMoment, 2),
        (Ending::ReturnsAMomentTooLate, 3 * leaving),
        (Ending::LeavesCart, 18 * leaving),
        (Ending::LeavesCheckout, 9 * leaving),
        (Ending::Empties, 5),
    ];
    chance.weighted(&weights, Ending::OnlyLooks)
}

/// What a person may put into the cart.
struct Wanted<'a> {
    shop: &'a Shop,
    person: &'a Person,
    theme: u8,
    sets_aside: bool,
    least: usize,
}

impl Wanted<'_> {
    fn after(&self, before: &Basket, ending: Ending, chance: &mut Chance) -> Basket {
        let mut after = before.clone();
        if matches!(ending, Ending::OnlyLooks | Ending::SameContentAgain) {
            return after;
        }
        if after.len() > 1 && chance.permille(200) {
            after.pop_first();
        }
        let mut to_add = chance.between(1, 3);
        while to_add > 0 || after.len() < self.least {
            let ware = self.shop.ware(self.theme, chance);
            if self.lies_elsewhere(ware) {
                continue;
            }
            *after.entry(ware).or_default() += if chance.permille(150) { 2 } else { 1 };
            to_add -= 1;
        }
        after
    }

    fn lies_elsewhere(&self, ware: Ware) -> bool {
        self.person.has_set_aside(ware) || (self.sets_aside && self.person.carried.contains_key(&ware))
    }
}

fn theme(person: &Person, chance: &mut Chance) -> u8 {
    let any = u8::try_from(chance.below(u64::from(CATEGORIES))).unwrap_or(0);
    if chance.permille(600) { person.favourite } else { any }
}

fn bought(after: &Basket, ending: Ending, chance: &mut Chance) -> Basket {
    let mut bought = Basket::new();
    if ending.has_order() {
        bought.clone_from(after);
    }
    if ending == Ending::BuysPart {
        let rest = chance.below(bought.len() as u64);
        let rest = bought.keys().nth(usize::try_from(rest).unwrap_or(0)).copied();
        bought.retain(|ware, _| Some(*ware) != rest);
    }
    bought
}

/// From the first event to the last one before a pause. Events spread over it evenly enough that no two of
/// them are 30 minutes apart.
fn duration(size: Size, chance: &mut Chance) -> i64 {
    let busy = match size {
        Size::Busy(looks) => i64::try_from(looks).unwrap_or(0) * 2_000,
        Size::Ordinary | Size::Looks(_) => 0,
    };
    busy + chance.between(4 * MINUTE, 16 * MINUTE)
}

fn back(ending: Ending, left_at: i64, chance: &mut Chance) -> Option<(i64, i64)> {
    let pause = match ending {
        Ending::ReturnsAndBuys => chance.between(8 * MINUTE, 24 * MINUTE),
        Ending::ReturnsAtTheLastMoment => IDLE - 1,
        Ending::ReturnsAMomentTooLate => IDLE + 1,
        _ => return None,
    };
    let from = left_at + pause;
    Some((from, from + chance.between(MINUTE, 8 * MINUTE)))
}
