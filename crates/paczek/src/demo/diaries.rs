use std::collections::BTreeMap;

use events::{AbandonedCart, Event, EventTime, Item, Placement, Recommendation, Suppression};
use stream_runtime::SourceRecord;

use super::findings::{Kind, read};
use crate::problem::Problem;

/// Customers that a diary is kept of: the first ones.
const CUSTOMERS: usize = 600;
/// Entries of one diary; of who does more no story is told.
const ENTRIES: usize = 300;
/// Products whose names are known.
const PRODUCTS: usize = 50_000;
/// Products of a recommendation that are remembered.
const SHOWN: usize = 5;

/// Everything that some customers did, and that was said to them.
#[derive(Default)]
pub(crate) struct Diaries {
    of: BTreeMap<Vec<u8>, Diary>,
    pub(crate) products: BTreeMap<String, Product>,
}

/// A product as the shop showed it first.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub(crate) item: Item,
    pub(crate) currency: Option<String>,
}

/// What one customer did and was told, in the order in which it became known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diary {
    pub(crate) entries: Vec<Entry>,
    is_full: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Did(Box<Event>),
    Shown(Box<Recommendation>),
    Cart(Box<AbandonedCart>),
    Silence(Box<Suppression>),
}

impl Entry {
    /// When it happened, or was decided.
    pub(crate) fn at(&self) -> EventTime {
        match self {
            Self::Did(event) => event.event_time,
            Self::Shown(shown) => shown.decided_at,
            Self::Cart(decision) => decision.decided_at,
            Self::Silence(silence) => silence.decided_at(),
        }
    }
}

impl Diaries {
    /// The diaries that are whole, by customer.
    pub(crate) fn whole(&self) -> impl Iterator<Item = &Diary> {
        self.of.values().filter(|diary| !diary.is_full)
    }

    pub(super) fn take(&mut self, kind: Kind, record: &SourceRecord) -> Result<(), Problem> {
        let entry = match kind {
            Kind::Events => {
                let event = read(record, codec::decode_event)?;
                self.learn(&event);
                Entry::Did(Box::new(event))
            }
            Kind::Recommendations | Kind::AbandonedCarts | Kind::Suppressions => {
                match self.entry(kind, record)? {
                    Some(entry) => entry,
                    None => return Ok(()),
                }
            }
            Kind::ProfileUpdates | Kind::Sessions | Kind::DeadLetters => return Ok(()),
        };
        self.write(record.key.as_deref().unwrap_or_default(), entry);
        Ok(())
    }

    /// A decision, if it is about somebody who has a diary.
    fn entry(&self, kind: Kind, record: &SourceRecord) -> Result<Option<Entry>, Problem> {
        let diary = self.of.get(record.key.as_deref().unwrap_or_default());
        if diary.is_none_or(|diary| diary.is_full) {
            return Ok(None);
        }
        Ok(Some(match kind {
            Kind::AbandonedCarts => Entry::Cart(Box::new(read(record, codec::decode_abandoned_cart)?)),
            Kind::Suppressions => Entry::Silence(Box::new(read(record, codec::decode_suppression)?)),
            _ => {
                let mut shown = read(record, codec::decode_recommendation)?;
                if shown.placement != Placement::ForYou {
                    return Ok(None);
                }
                shown.items.truncate(SHOWN);
                shown.excluded.clear();
                Entry::Shown(Box::new(shown))
            }
        }))
    }

    /// Remembers how products are called.
    pub(crate) fn learn(&mut self, event: &Event) {
        for item in event.items.iter().filter(|item| item.name.is_some()) {
            if self.products.len() < PRODUCTS && !self.products.contains_key(&item.product_id) {
                let product = Product { item: item.clone(), currency: event.currency.clone() };
                self.products.insert(item.product_id.clone(), product);
            }
        }
    }

    /// Writes into the diary of `key`.
    pub(crate) fn write(&mut self, key: &[u8], entry: Entry) {
        if self.of.len() >= CUSTOMERS && !self.of.contains_key(key) {
            return;
        }
        let diary = self.of.entry(key.to_vec()).or_default();
        if diary.is_full || diary.knows(&entry) {
            return;
        }
        diary.entries.push(entry);
        if diary.entries.len() > ENTRIES {
            *diary = Diary { entries: Vec::new(), is_full: true };
        }
    }
}

impl Diary {
    /// Whether it is an event that was sent once more.
    fn knows(&self, entry: &Entry) -> bool {
        let Entry::Did(event) = entry else { return false };
        let same = |known: &Entry| matches!(known, Entry::Did(known) if known.event_id == event.event_id);
        self.entries.iter().any(same)
    }
}
