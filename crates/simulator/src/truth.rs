use std::collections::{BTreeMap, BTreeSet};

use events::{AbandonedCart, CartAction, CartView, DAY, EventTime, ProfileKey, ProfileUpdate};

use crate::names::{self, Ware, Who};
use crate::people::Basket;
use crate::plan::{Ending, IDLE};

/// A purchase of something that lay in the cart, so long after the last activity, makes a reminder pointless.
const GIVE_UP: i64 = 7 * DAY;

/// An abandoned cart: whose, which, when, and what lay in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Abandoned {
    /// Whose it is.
    pub profile: ProfileKey,
    /// The shop's id of the cart; the profile's id where the shop names none.
    pub cart_key: String,
    /// When the silence had been long enough.
    pub abandoned_at: EventTime,
    /// How many of each product and variant.
    pub content: BTreeMap<(String, Option<String>), i32>,
}

impl Abandoned {
    /// What a pipeline noticed, if it noticed an abandoned cart.
    #[must_use]
    pub fn noticed(update: &ProfileUpdate) -> Option<Self> {
        let left = update.abandonment.as_ref()?;
        Some(Self::of(&update.profile, &left.cart, left.abandoned_at))
    }

    fn of(profile: &ProfileKey, cart: &CartView, abandoned_at: EventTime) -> Self {
        let lines = cart.lines.iter();
        Self {
            profile: profile.clone(),
            cart_key: cart.cart_key.clone(),
            abandoned_at,
            content: lines
                .map(|line| ((line.product_id.clone(), line.variant_id.clone()), line.quantity))
                .collect(),
        }
    }
}

/// What a customer is reminded of, as it stands in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminder {
    /// The cart.
    pub about: Abandoned,
    /// Whether it was taken back.
    pub taken_back: bool,
}

impl Reminder {
    /// Every reminder that a pipeline decided on, each with what became of it.
    #[must_use]
    pub fn all(decisions: &[AbandonedCart]) -> Vec<Self> {
        let names = |decision: &AbandonedCart| (decision.trigger_id.clone(), decision.abandoned_at);
        let of = |action| decisions.iter().filter(move |decision| decision.action == action);
        let taken_back: BTreeSet<_> = of(CartAction::Cancel).map(names).collect();
        let reminder = |fired: &AbandonedCart| Self {
            about: Abandoned::of(&fired.profile, &fired.cart, fired.abandoned_at),
            taken_back: taken_back.contains(&names(fired)),
        };
        of(CartAction::Fire).map(reminder).collect()
    }
}

/// What is true of the lines made so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    tenant: String,
    counts: Counts,
    visits: Vec<u64>,
    // Numbers instead of names: there is one entry for every few dozen lines.
    entries: Vec<Entry>,
    wares: Vec<(Ware, u16)>,
    /// The places of each one's entries.
    of: BTreeMap<Who, Vec<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    who: Who,
    cart: Option<u32>,
    due: i64,
    wares_end: usize,
    /// Whether something of it is bought afterwards, so that a reminder is held or taken back.
    bought: bool,
}

/// How many lines there were, by what ingest must make of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All lines.
    pub lines: u64,
    /// Lines that are an event, for the first or the second time.
    pub accepted: u64,
    /// Of the accepted the ones that are there for the second time.
    pub duplicates: u64,
    /// Lines that are no event.
    pub malformed: u64,
    /// Of all lines the ones that machines caused.
    pub by_bots: u64,
}

/// Truth and a pipeline, held against each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Truly abandoned, and not noticed.
    pub missed: Vec<Abandoned>,
    /// Noticed, and not truly abandoned; or noticed once more.
    pub false_alarms: Vec<Abandoned>,
}

impl Truth {
    pub(crate) fn new(tenant: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            counts: Counts::default(),
            visits: vec![0; Ending::ALL.len()],
            entries: Vec::new(),
            wares: Vec::new(),
            of: BTreeMap::new(),
        }
    }

    pub(crate) fn write(&mut self, who: Who, cart: Option<u32>, due: i64, basket: &Basket) {
        self.wares.extend(basket.iter().map(|(ware, quantity)| (*ware, *quantity)));
        self.of.entry(who).or_default().push(self.entries.len());
        self.entries.push(Entry { who, cart, due, wares_end: self.wares.len(), bought: false });
    }

    /// Notes a purchase: whose carts hold something of it are not to be reminded of it.
    pub(crate) fn write_purchase(&mut self, who: Who, at: i64, bought: &Basket) {
        for place in self.of.get(&who).into_iter().flatten().copied() {
            let products: BTreeSet<u32> = self.wares_of(place).iter().map(|(ware, _)| ware.product).collect();
            let Some(entry) = self.entries.get_mut(place) else { continue };
            let left_at = entry.due - IDLE;
            let in_time = left_at < at && at <= left_at + GIVE_UP;
            entry.bought |= in_time && bought.keys().any(|ware| products.contains(&ware.product));
        }
    }

    fn wares_of(&self, place: usize) -> &[(Ware, u16)] {
        let end = |place: usize| self.entries.get(place).map_or(0, |entry| entry.wares_end);
        let start = place.checked_sub(1).map_or(0, end);
        self.wares.get(start..end(place)).unwrap_or_default()
    }

    pub(crate) fn count_visit(&mut self, ending: Ending) {
        if let Some(count) = self.visits.get_mut(ending as usize) {
            *count += 1;
        }
    }

    pub(crate) fn counts_mut(&mut self) -> &mut Counts {
        &mut self.counts
    }

    /// How many lines of which sort were given out.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many visits were meant to end in each way.
    #[must_use]
    pub fn visits(&self) -> BTreeMap<Ending, u64> {
        Ending::ALL.iter().copied().zip(self.visits.iter().copied()).collect()
    }

    /// How many carts were truly abandoned.
    #[must_use]
    pub fn abandoned_carts(&self) -> usize {
        self.entries.len()
    }

    /// Of the carts that were truly abandoned, how many had something of them bought within a week. What was
    /// said of those is taken back, or never said.
    #[must_use]
    pub fn bought_after_all(&self) -> usize {
        self.entries.iter().filter(|entry| entry.bought).count()
    }

    /// Each cart that was truly abandoned, in the order of the visits.
    pub fn abandoned(&self) -> impl Iterator<Item = Abandoned> + '_ {
        self.outcomes().map(|(left, _)| left)
    }

    /// Each cart that was truly abandoned, and whether something of it was bought within a week.
    pub fn outcomes(&self) -> impl Iterator<Item = (Abandoned, bool)> + '_ {
        let name =
            |ware: Ware| (names::product(ware.product), names::variant(ware.variant).map(str::to_owned));
        self.entries.iter().enumerate().map(move |(place, entry)| {
            let wares = self.wares_of(place).iter();
            let id = entry.who.profile_id();
            let left = Abandoned {
                profile: ProfileKey::new(&self.tenant, &id),
                cart_key: entry.cart.map_or(id, |cart| entry.who.cart_id(cart)),
                abandoned_at: EventTime(entry.due),
                content: wares.map(|(ware, count)| (name(*ware), i32::from(*count))).collect(),
            };
            (left, entry.bought)
        })
    }

    /// What a pipeline missed, and what it noticed without reason. Each of both counts once for each time.
    #[must_use]
    pub fn compare(&self, noticed: &[Abandoned]) -> Comparison {
        let mut unexplained = BTreeMap::<&Abandoned, usize>::new();
        noticed.iter().for_each(|left| *unexplained.entry(left).or_default() += 1);
        let mut missed = Vec::new();
        for left in self.abandoned() {
            match unexplained.get_mut(&left) {
                Some(count) if *count > 0 => *count -= 1,
                _ => missed.push(left),
            }
        }
        let again =
            unexplained.into_iter().flat_map(|(left, count)| std::iter::repeat_n(left.clone(), count));
        Comparison { missed, false_alarms: again.collect() }
    }

    /// What a pipeline said, held against what it should have: a reminder stands for each cart that was truly
    /// abandoned, but for one of which something was bought afterwards, and there is no other.
    #[must_use]
    pub fn judge(&self, reminders: &[Reminder]) -> Comparison {
        let mut unexplained = BTreeMap::<&Abandoned, Vec<bool>>::new();
        for reminder in reminders {
            unexplained.entry(&reminder.about).or_default().push(reminder.taken_back);
        }
        let mut comparison = Comparison::default();
        for (left, bought) in self.outcomes() {
            match (unexplained.get_mut(&left).and_then(Vec::pop), bought) {
                (Some(taken_back), _) if taken_back == bought => {}
                (None, true) => {}
                (None | Some(true), false) => comparison.missed.push(left),
                (Some(_), _) => comparison.false_alarms.push(left),
            }
        }
        for (left, again) in unexplained {
            comparison.false_alarms.extend(again.iter().map(|_| left.clone()));
        }
        comparison
    }

    /// How many carts that were truly abandoned a pipeline did not notice.
    #[must_use]
    pub fn missed(&self, noticed: &[Abandoned]) -> usize {
        self.compare(noticed).missed.len()
    }

    /// How many carts a pipeline noticed that were not truly abandoned, or had been noticed already.
    #[must_use]
    pub fn false_alarms(&self, noticed: &[Abandoned]) -> usize {
        self.compare(noticed).false_alarms.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth() -> Truth {
        let mut truth = Truth::new("shop");
        let ware = |product, variant| Ware { product, variant };
        truth.write(Who::Customer(7), Some(2), 1_000, &Basket::from([(ware(1, 0), 2), (ware(3, 2), 1)]));
        truth.write(Who::Visitor(8), None, 2_000, &Basket::from([(ware(1, 0), 1)]));
        truth
    }

    #[test]
    fn an_entry_reads_back_with_its_names() {
        let abandoned: Vec<Abandoned> = truth().abandoned().collect();
        let content = [(("p-00001".to_owned(), None), 2), (("p-00003".to_owned(), Some("M".to_owned())), 1)];
        let expected = Abandoned {
            profile: ProfileKey::new("shop", "customer-000007"),
            cart_key: "cart-customer-000007-2".into(),
            abandoned_at: EventTime(1_000),
            content: content.into(),
        };
        assert_eq!(abandoned[0], expected);
        assert_eq!(abandoned[1].cart_key, "visitor-000008");
        assert_eq!(abandoned[1].content.len(), 1);
    }

    #[test]
    fn what_is_missing_wrong_or_said_twice_is_counted() {
        let truth = truth();
        let all: Vec<Abandoned> = truth.abandoned().collect();
        assert_eq!(truth.compare(&all), Comparison::default());
        assert_eq!((truth.missed(&all[..1]), truth.false_alarms(&all[..1])), (1, 0));
        let twice = [&all[..], &all[..1]].concat();
        assert_eq!((truth.missed(&twice), truth.false_alarms(&twice)), (0, 1));
        let mut other = all.clone();
        other[0].abandoned_at = EventTime(1_001);
        assert_eq!((truth.missed(&other), truth.false_alarms(&other)), (1, 1));
        assert_eq!((truth.missed(&[]), truth.false_alarms(&[])), (2, 0));
    }

    #[test]
    fn a_reminder_stands_unless_something_of_the_cart_was_bought() {
        let bought = |at| {
            let mut truth = truth();
            let basket = Basket::from([(Ware { product: 3, variant: 1 }, 1)]);
            truth.write_purchase(Who::Customer(7), 1_000 - IDLE + at, &basket);
            truth
        };
        let judged = |truth: &Truth, taken_back: &[bool]| {
            let mut reminders: Vec<Reminder> =
                truth.abandoned().map(|about| Reminder { about, taken_back: false }).collect();
            let first = reminders.remove(0);
            let of_first = taken_back.iter().map(|back| Reminder { taken_back: *back, ..first.clone() });
            reminders.extend(of_first);
            let comparison = truth.judge(&reminders);
            (comparison.missed.len(), comparison.false_alarms.len())
        };
        for at in [0, GIVE_UP + 1] {
            let truth = bought(at);
            assert_eq!(truth.bought_after_all(), 0);
            assert_eq!(
                [&[false][..], &[true], &[]].map(|said| judged(&truth, said)),
                [(0, 0), (1, 0), (1, 0)]
            );
            assert_eq!(judged(&truth, &[false, false]), (0, 1), "said twice");
        }
        for at in [1, GIVE_UP] {
            let truth = bought(at);
            assert_eq!(truth.bought_after_all(), 1);
            assert_eq!(
                [&[false][..], &[true], &[]].map(|said| judged(&truth, said)),
                [(0, 1), (0, 0), (0, 0)]
            );
        }
    }
}
