use std::collections::BinaryHeap;

use events::EventTime;

use crate::acts;
use crate::bots;
use crate::catalogue::Catalogue;
use crate::chance::{Chance, Purpose, Zipf};
use crate::names::{Ware, Who};
use crate::noise::{Line, Pending, Sort, Way};
use crate::options::Options;
use crate::people::Person;
use crate::plan::{Ending, Size, Visit};
use crate::rhythm::Rhythm;
use crate::segment;
use crate::truth::Truth;

/// The most lines an ordinary visit can have with all its noise.
const MOST_LINES: u64 = 220;
/// The most lines it can have without.
const MOST_EVENTS: u64 = MOST_LINES / 3;
/// The longest visit that only fills up what is missing at the end.
const FILLING: u64 = 25;
/// Fewer products and a person might have them all.
const FEWEST_PRODUCTS: u32 = 100;

/// What the shop is, apart from what happens in it.
pub(crate) struct Shop {
    pub(crate) options: Options,
    pub(crate) catalogue: Catalogue,
    wanted: Zipf,
    /// The products of each category, and which of them is wanted how often.
    shelves: Vec<(Vec<u32>, Zipf)>,
}

impl Shop {
    fn new(options: Options) -> Self {
        let products = options.products.max(FEWEST_PRODUCTS);
        let catalogue = Catalogue::new(options.seed, products);
        let wanted_of = |shelf: Vec<u32>| {
            let wanted = Zipf::new(u32::try_from(shelf.len()).unwrap_or(u32::MAX));
            (shelf, wanted)
        };
        let shelves = catalogue.shelves().into_iter().map(wanted_of).collect();
        Self { wanted: Zipf::new(products), shelves, catalogue, options }
    }

    /// A product to look at, more often than not of the category that the visit is about.
    pub(crate) fn product(&self, theme: u8, chance: &mut Chance) -> u32 {
        if self.options.skew && chance.permille(50) {
            return 0;
        }
        let shelf = self.shelves.get(usize::from(theme)).filter(|_| chance.permille(700));
        let of_theme = shelf.and_then(|(shelf, wanted)| shelf.get(wanted.draw(chance) as usize).copied());
        of_theme.unwrap_or_else(|| self.wanted.draw(chance))
    }

    /// A product in stock, in one of its sizes.
    pub(crate) fn ware(&self, theme: u8, chance: &mut Chance) -> Ware {
        let mut number = self.product(theme, chance);
        // Another one instead of what is out of stock; the first product never is.
        while number > 0 && self.catalogue.get(number).is_none_or(|product| product.stock == 0) {
            number -= 1;
        }
        let variants = self.catalogue.get(number).map_or(0, |product| product.variants);
        let variant = if variants == 0 { 0 } else { chance.below(u64::from(variants)) + 1 };
        Ware { product: number, variant: u8::try_from(variant).unwrap_or(0) }
    }
}

/// Makes the lines of a shop, in order of arrival, one by one.
///
/// It holds the people who come back, the visits that are going on, and the [`Truth`]; never the lines.
pub struct Generator {
    shop: Shop,
    rhythm: Rhythm,
    people: Vec<Person>,
    visiting: Zipf,
    /// Events of the visits of the person who has more than their share.
    hot_looks: u64,
    pending: BinaryHeap<Pending>,
    planned: u64,
    visits: u64,
    moved: Option<u64>,
    truth: Truth,
}

impl Generator {
    /// A generator at its first line. It has at least a hundred products and one person, whatever was asked.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let people = options.people.max(1);
        // Two of a hundred lines, in about a dozen visits a day.
        let hot_looks = options.lines / 50 / (12 * u64::from(options.days.max(1)));
        Self {
            rhythm: Rhythm::new(&options),
            people: (0..people).map(|number| Person::of_the_shop(options.seed, number)).collect(),
            visiting: Zipf::new(people),
            hot_looks: hot_looks.clamp(20, 1_000),
            pending: BinaryHeap::new(),
            planned: 0,
            visits: 0,
            moved: options.moved,
            truth: Truth::new(&options.tenant),
            shop: Shop::new(options),
        }
    }

    /// What is true of the lines given out so far and of those on their way. After the last line it is
    /// the whole truth.
    #[must_use]
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The whole truth, once the last line is out.
    #[must_use]
    pub fn into_truth(self) -> Truth {
        self.truth
    }

    /// What the shop sells.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.shop.catalogue
    }

    fn remaining(&self) -> u64 {
        self.shop.options.lines - self.planned
    }

    /// Plans one more visit, and has its lines on their way.
    fn begin_visit(&mut self) {
        let number = self.visits;
        self.visits += 1;
        let starts_at = self.rhythm.at(self.planned);
        let mut chance = Chance::of(self.shop.options.seed, Purpose::Choice, number);
        if self.remaining() < MOST_EVENTS {
            let size = Size::Looks(self.remaining().min(FILLING));
            let mut guest = Person::new(Who::Guest(number), &mut chance);
            return self.visit(&mut guest, (number, starts_at), size);
        }
        let bots = self.shop.options.bots && self.remaining() > 3 * bots::MOST;
        if bots && chance.permille(10) {
            let mut acts = Chance::of(self.shop.options.seed, Purpose::Acts, number);
            let drafts = bots::derive(&self.shop, (number, starts_at), &mut acts);
            return self.send(drafts, number, true);
        }
        let Some((place, size)) = self.somebody(starts_at, &mut chance) else {
            let mut guest = Person::new(Who::Guest(number), &mut chance);
            return self.visit(&mut guest, (number, starts_at), Size::Ordinary);
        };
        let nobody = Person::new(Who::Guest(number), &mut chance);
        let mut person = std::mem::replace(&mut self.people[place], nobody);
        self.visit(&mut person, (number, starts_at), size);
        self.people[place] = person;
    }

    /// Who of those who come back comes now, if any does.
    fn somebody(&self, now: i64, chance: &mut Chance) -> Option<(usize, Size)> {
        let is_free = |place: usize| self.people.get(place).is_some_and(|person| person.free_at <= now);
        let has_room = self.remaining() > 3 * self.hot_looks + MOST_LINES;
        if self.shop.options.skew && has_room && is_free(0) && chance.permille(250) {
            return Some((0, Size::Busy(self.hot_looks)));
        }
        if chance.permille(200) {
            return None;
        }
        let mut draws = (0..4).map(|_| self.visiting.draw(chance) as usize);
        let is_ordinary = |place: &usize| *place > 0 || !self.shop.options.skew;
        draws.find(|place| is_ordinary(place) && is_free(*place)).map(|place| (place, Size::Ordinary))
    }

    fn visit(&mut self, person: &mut Person, when: (u64, i64), size: Size) {
        let (number, seed) = (when.0, self.shop.options.seed);
        let planned =
            Visit::plan(&self.shop, person, when, size, &mut Chance::of(seed, Purpose::Plan, number));
        self.write_down(person, &planned);
        let acted = if self.is_moved(person, &planned) { planned.bought_instead() } else { planned };
        person.after(&acted);
        let drafts = acts::derive(&self.shop, &acted, &mut Chance::of(seed, Purpose::Acts, number));
        self.send(drafts, number, matches!(size, Size::Busy(_)));
    }

    /// The truth about a visit, before any of its events exists.
    fn write_down(&mut self, person: &Person, visit: &Visit) {
        self.truth.count_visit(visit.ending);
        for (due, basket) in &visit.leaves() {
            if !person.has_left(visit.cart, basket) {
                self.truth.write(visit.who, visit.cart, *due, basket);
            }
        }
        if let Some(placed) = visit.placed() {
            self.truth.write_purchase(visit.who, visit.ends_at(), &placed.bought);
        }
    }

    /// Whether this is the visit that ends otherwise than the truth says.
    fn is_moved(&mut self, person: &Person, visit: &Visit) -> bool {
        let is_due = self.moved.is_some_and(|from| visit.number >= from);
        // What lay there before may have been reminded of already, and buying it would take that back too.
        let is_new = visit.before.is_empty() && !person.has_left(visit.cart, &visit.after);
        let is_left = visit.ending == Ending::LeavesCart && is_new;
        if is_due && is_left {
            self.moved = None;
        }
        is_due && is_left
    }

    fn send(&mut self, drafts: Vec<acts::Draft>, visit: u64, is_dense: bool) {
        let mut chance = Chance::of(self.shop.options.seed, Purpose::Noise, visit);
        // Near the end exactly as many lines are to be had as are asked for.
        let is_noisy = self.remaining() >= MOST_LINES;
        let way = Way { options: &self.shop.options, is_noisy, is_dense, first: self.planned };
        let lines = way.send(drafts, &mut chance);
        self.planned += lines.len() as u64;
        self.pending.extend(lines);
    }

    fn write(&mut self, pending: &Pending) -> Line {
        let counts = self.truth.counts_mut();
        counts.lines += 1;
        counts.accepted += u64::from(pending.sort != Sort::Malformed);
        counts.duplicates += u64::from(pending.sort == Sort::Duplicate);
        counts.malformed += u64::from(pending.sort == Sort::Malformed);
        counts.by_bots += u64::from(matches!(pending.draft.who, Who::Bot(_)));
        Line {
            value: segment::write(&self.shop, pending),
            key: segment::key(&pending.draft),
            event_time: EventTime(pending.draft.at),
            arrived_at: EventTime(pending.arrives_at),
            sort: pending.sort,
        }
    }
}

impl Iterator for Generator {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        while self.planned < self.shop.options.lines {
            let begins = self.rhythm.at(self.planned);
            if self.pending.peek().is_some_and(|first| first.arrives_at < begins) {
                break;
            }
            self.begin_visit();
        }
        let first = self.pending.pop()?;
        Some(self.write(&first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_does_not_grow_with_the_number_of_lines() {
        let most_pending = |lines| {
            let mut generator = Generator::new(Options::new(1, lines));
            let mut most = 0;
            while generator.next().is_some() {
                most = most.max(generator.pending.len());
            }
            most
        };
        let (few, many) = (most_pending(90_000), most_pending(900_000));
        assert!(many < few * 2, "{few} for a tenth of the lines, {many} for all");
    }
}
