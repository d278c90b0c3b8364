use std::collections::BTreeMap;

use events::{EventTime, ProfileKey, ProfileUpdate};

use crate::names::{self, Ware, Who};
use crate::people::Basket;
use crate::plan::Ending;

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
        let lines = left.cart.lines.iter();
        Some(Self {
            profile: update.profile.clone(),
            cart_key: left.cart.cart_key.clone(),
            abandoned_at: left.abandoned_at,
            content: lines
                .map(|line| ((line.product_id.clone(), line.variant_id.clone()), line.quantity))
                .collect(),
        })
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    who: Who,
    cart: Option<u32>,
    due: i64,
    wares_end: usize,
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
        }
    }

    pub(crate) fn write(&mut self, who: Who, cart: Option<u32>, due: i64, basket: &Basket) {
        self.wares.extend(basket.iter().map(|(ware, quantity)| (*ware, *quantity)));
        self.entries.push(Entry { who, cart, due, wares_end: self.wares.len() });
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

    /// Each cart that was truly abandoned, in the order of the visits.
    pub fn abandoned(&self) -> impl Iterator<Item = Abandoned> + '_ {
        let starts = std::iter::once(0).chain(self.entries.iter().map(|entry| entry.wares_end));
        self.entries.iter().zip(starts).map(|(entry, start)| {
            let wares = self.wares.get(start..entry.wares_end).unwrap_or_default();
            let name =
                |ware: Ware| (names::product(ware.product), names::variant(ware.variant).map(str::to_owned));
            let id = entry.who.profile_id();
            Abandoned {
                profile: ProfileKey::new(&self.tenant, &id),
                cart_key: entry.cart.map_or(id, |cart| entry.who.cart_id(cart)),
                abandoned_at: EventTime(entry.due),
                content: wares.iter().map(|(ware, count)| (name(*ware), i32::from(*count))).collect(),
            }
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
}
