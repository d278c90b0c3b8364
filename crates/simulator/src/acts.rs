use crate::chance::Chance;
use crate::generator::Shop;
use crate::names::{Ware, Who};
use crate::people::{Basket, Placed};
use crate::plan::{Ending, Size, Visit};

/// One thing a person does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Page,
    SignIn,
    Search(u32),
    List(u32),
    View(u32),
    Wish(u32),
    Add(Ware, u16),
    Remove(Ware, u16),
    ViewCart,
    StartCheckout(Basket),
    CheckoutStep,
    Order { placed: Placed, names_cart: bool },
    Return(Placed),
}

/// An event before it is written.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) visit: u64,
    /// Its place in the visit.
    pub(crate) place: u32,
    pub(crate) who: Who,
    pub(crate) other_device: bool,
    /// Whether the shop knows by now who it is.
    pub(crate) signed_in: bool,
    pub(crate) cart: Option<u32>,
    pub(crate) at: i64,
    pub(crate) act: Act,
}

/// The events that lead to the ending the visit is meant to have.
pub(crate) fn derive(shop: &Shop, visit: &Visit, chance: &mut Chance) -> Vec<Draft> {
    let mut first = scene(shop, visit, chance);
    let mut second = vec![Act::Page, Act::ViewCart];
    close(visit, if visit.back.is_some() { &mut second } else { &mut first }, chance);
    let sign_in = visit.other_device.then_some(first.len() / 2);
    if let Some(place) = sign_in {
        first.insert(place, Act::SignIn);
    }
    let mut timed = spread(first, (visit.starts_at, visit.left_at), chance);
    if let Some(span) = visit.back {
        timed.extend(spread(second, span, chance));
    }
    let draft = |(place, (at, act)): (u32, (i64, Act))| Draft {
        visit: visit.number,
        place,
        who: visit.who,
        other_device: visit.other_device,
        signed_in: sign_in.is_none_or(|sign_in| place as usize >= sign_in),
        cart: visit.cart,
        at,
        act,
    };
    (0..).zip(timed).map(draft).collect()
}

/// From the first page to the moment before the ending.
fn scene(shop: &Shop, visit: &Visit, chance: &mut Chance) -> Vec<Act> {
    let looks = match visit.size {
        Size::Looks(count) => return one_page_and(shop, visit.theme, count.saturating_sub(1), chance),
        Size::Busy(count) => count,
        Size::Ordinary => chance.below(14) + 2,
    };
    let mut changes = changes(shop, visit, chance);
    changes.reverse();
    let mut acts = vec![Act::Page];
    if matches!(visit.who, Who::Customer(_)) && !visit.other_device && chance.permille(200) {
        acts.push(Act::SignIn);
    }
    acts.extend(visit.returned.clone().map(Act::Return));
    let mut looks_left = looks;
    while looks_left + changes.len() as u64 > 0 {
        if chance.below(looks_left + changes.len() as u64) < looks_left {
            looks_left -= 1;
            acts.push(look(shop, visit.theme, chance));
        } else {
            acts.extend(changes.pop());
        }
    }
    acts
}

fn one_page_and(shop: &Shop, theme: u8, looks: u64, chance: &mut Chance) -> Vec<Act> {
    let mut acts = vec![Act::Page];
    acts.extend((0..looks).map(|_| look(shop, theme, chance)));
    acts
}

fn look(shop: &Shop, theme: u8, chance: &mut Chance) -> Act {
    let product = shop.product(theme, chance);
    match chance.below(100) {
        0..10 => Act::Search(product),
        10..22 => Act::List(product),
        22..28 => Act::Page,
        28..30 => Act::Wish(product),
        _ => Act::View(product),
    }
}

/// What turns the cart from what it was into what it is meant to be, and a product or two that go in and out.
fn changes(shop: &Shop, visit: &Visit, chance: &mut Chance) -> Vec<Act> {
    let mut acts = Vec::new();
    if visit.ending == Ending::SameContentAgain
        && let Some((ware, quantity)) = visit.before.first_key_value()
    {
        acts.extend([Act::Remove(*ware, *quantity), Act::View(ware.product), Act::Add(*ware, *quantity)]);
    }
    for (ware, quantity) in &visit.before {
        let target = visit.after.get(ware).copied().unwrap_or(0);
        if target < *quantity {
            acts.push(Act::Remove(*ware, quantity - target));
        }
    }
    for (ware, quantity) in &visit.after {
        let known = visit.before.get(ware).copied().unwrap_or(0);
        if known < *quantity {
            acts.extend([Act::View(ware.product), Act::Add(*ware, quantity - known)]);
        }
    }
    let tried = shop.ware(visit.theme, chance);
    let lies_there = visit.before.contains_key(&tried) || visit.after.contains_key(&tried);
    if visit.ending != Ending::OnlyLooks && !lies_there && chance.permille(250) {
        acts.extend([Act::Add(tried, 1), Act::Remove(tried, 1)]);
    }
    acts
}

fn close(visit: &Visit, acts: &mut Vec<Act>, chance: &mut Chance) {
    match visit.ending {
        Ending::OnlyLooks | Ending::SameContentAgain => {}
        Ending::LeavesCart => acts.extend(chance.permille(500).then_some(Act::ViewCart)),
        Ending::Empties => acts.extend(visit.after.iter().map(|(ware, count)| Act::Remove(*ware, *count))),
        Ending::LeavesCheckout => {
            acts.push(Act::StartCheckout(visit.after.clone()));
            acts.extend(chance.permille(400).then_some(Act::CheckoutStep));
        }
        _ => {
            acts.extend([Act::StartCheckout(visit.bought.clone()), Act::CheckoutStep]);
            // An order that names no cart takes what it contains, and here that is all of it.
            let names_cart = visit.cart.is_some() && chance.permille(700);
            acts.extend(visit.placed().map(|placed| Act::Order { placed, names_cart }));
        }
    }
}

/// Gives each act its time: the first at the start, the last at the end, the others evenly between, moved by
/// a third of the distance at most. So no two share a time, and their order is that of the acts.
fn spread(acts: Vec<Act>, (from, to): (i64, i64), chance: &mut Chance) -> Vec<(i64, Act)> {
    let last = i64::try_from(acts.len()).unwrap_or(1) - 1;
    let step = (to - from) / last.max(1);
    let time = |place: i64| match place {
        _ if place == last => to,
        0 => from,
        _ => from + place * step + chance.between(-step / 3, step / 3),
    };
    (0..).map(time).zip(acts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Purpose;

    #[test]
    fn times_keep_the_order_of_the_acts_and_both_ends() {
        let mut chance = Chance::of(1, Purpose::Acts, 0);
        for count in 2..80 {
            let times: Vec<i64> = spread(vec![Act::Page; count], (1_000, 301_000), &mut chance)
                .into_iter()
                .map(|(at, _)| at)
                .collect();
            assert_eq!((times.len(), times[0], times[count - 1]), (count, 1_000, 301_000));
            assert!(times.is_sorted_by(|one, next| one < next));
        }
        assert_eq!(spread(vec![Act::Page], (1, 9), &mut chance)[0].0, 9);
    }
}
