use std::collections::BTreeMap;

use events::{CartLine, CartOp, CartView, Event, EventKind, EventTime, Item, Stage};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::stamp::Stamp;

/// Items in changes that wait to settle; more settle the oldest change ahead of its time.
const WAITING: usize = 500;
/// Carts of one profile; one more drops the one that rested longest.
const CARTS: usize = 32;
/// Lines in all carts of one profile; further products are not taken. With ids of 128 characters a profile
/// and what is told of it stay well below the size a topic takes.
const LINES: usize = 500;
/// Contents remembered as noticed.
const NOTICED: usize = 256;

/// The carts of a profile: as they were at the settled time, and the changes since, in event-time order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Carts {
    settled_through: Option<EventTime>,
    settled: Contents,
    waiting: Vec<Change>,
    noticed: Vec<u64>,
}

type Contents = BTreeMap<String, Cart>;
type LineKey = (String, Option<String>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cart {
    lines: BTreeMap<LineKey, Line>,
    currency: Option<String>,
    checkout: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    quantity: i32,
    price_minor: Option<i64>,
    changed: Stamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    stamp: Stamp,
    cart: Option<String>,
    kind: ChangeKind,
    currency: Option<String>,
    items: Vec<ChangedItem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ChangeKind {
    Add,
    Remove,
    SetQuantity,
    Clear,
    Snapshot,
    Checkout,
    Purchase,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ChangedItem {
    line: LineKey,
    quantity: i32,
    price_minor: Option<i64>,
}

impl Carts {
    /// Whether no cart holds a line and no change waits that could put one there.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.waiting.is_empty()
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        let Some(change) = Change::of(event) else { return };
        if self.settled_through.is_some_and(|through| change.stamp.time <= through) {
            return change.apply(&mut self.settled);
        }
        let place = self.waiting.partition_point(|waiting| waiting.stamp <= change.stamp);
        self.waiting.insert(place, change);
        while self.waiting.iter().map(|change| change.items.len().max(1)).sum::<usize>() > WAITING {
            let oldest = self.waiting[0].stamp.time;
            self.settle(oldest);
        }
    }

    /// Folds the changes up to and including `through` into the settled carts.
    pub(crate) fn settle(&mut self, through: EventTime) {
        let settling = self.waiting.partition_point(|change| change.stamp.time <= through);
        for change in self.waiting.drain(..settling) {
            change.apply(&mut self.settled);
            self.settled_through = self.settled_through.max(Some(change.stamp.time));
        }
    }

    /// The keys of the settled carts that hold a line.
    pub(crate) fn settled_keys(&self) -> Vec<String> {
        self.settled.keys().cloned().collect()
    }

    /// A settled cart with its fingerprint and stage; `None` when it holds no line.
    pub(crate) fn settled_view(&self, key: &str, profile: &str) -> Option<(CartView, u64, Stage)> {
        let cart = self.settled.get(key)?;
        let stage = if cart.checkout { Stage::Checkout } else { Stage::Cart };
        Some((cart.view(key, profile), cart.fingerprint(), stage))
    }

    /// Remembers that this content of this cart was noticed; false if it was before.
    pub(crate) fn notice(&mut self, key: &str, fingerprint: u64) -> bool {
        let content = xxh3_64(format!("{key}\0{fingerprint}").as_bytes());
        if self.noticed.contains(&content) {
            return false;
        }
        if self.noticed.len() == NOTICED {
            self.noticed.remove(0);
        }
        self.noticed.push(content);
        true
    }

    /// The carts with every change that is known, whether settled or not.
    pub(crate) fn live_view(&self, profile: &str) -> Vec<CartView> {
        let view = |contents: &Contents| contents.iter().map(|(key, cart)| cart.view(key, profile)).collect();
        if self.waiting.is_empty() {
            return view(&self.settled);
        }
        let mut contents = self.settled.clone();
        self.waiting.iter().for_each(|change| change.apply(&mut contents));
        view(&contents)
    }
}

impl Cart {
    fn view(&self, key: &str, profile: &str) -> CartView {
        let lines: Vec<CartLine> = self.lines.iter().map(|(key, line)| line.view(key)).collect();
        let total_minor = lines.iter().fold(0i64, |total, line| {
            total.saturating_add(line.price_minor.unwrap_or(0).saturating_mul(i64::from(line.quantity)))
        });
        let cart_key = if key.is_empty() { profile } else { key };
        CartView { cart_key: cart_key.to_owned(), lines, total_minor, currency: self.currency.clone() }
    }

    /// Hash of what lies in the cart: products, variants and quantities, not prices.
    fn fingerprint(&self) -> u64 {
        let mut hash = Xxh3::new();
        for ((product, variant), line) in &self.lines {
            for part in [Some(product.as_str()), variant.as_deref()].into_iter().flatten() {
                hash.update(&(part.len() as u64).to_le_bytes());
                hash.update(part.as_bytes());
            }
            hash.update(&u64::MAX.to_le_bytes());
            hash.update(&line.quantity.to_le_bytes());
        }
        hash.digest()
    }
}

impl Line {
    fn view(&self, (product, variant): &LineKey) -> CartLine {
        CartLine {
            product_id: product.clone(),
            variant_id: variant.clone(),
            quantity: self.quantity,
            price_minor: self.price_minor,
        }
    }
}

impl Change {
    fn of(event: &Event) -> Option<Self> {
        let cart = event.cart.as_ref();
        let (kind, cart_id) = match event.kind {
            EventKind::OrderCompleted => {
                let named = event.order.as_ref().and_then(|order| order.cart_id.clone());
                (ChangeKind::Purchase, named)
            }
            EventKind::CheckoutStarted | EventKind::CheckoutStep => {
                (ChangeKind::Checkout, cart.and_then(|cart| cart.cart_id.clone()))
            }
            _ => (ChangeKind::from(cart?.op), cart?.cart_id.clone()),
        };
        Some(Self {
            stamp: Stamp::of(event),
            cart: cart_id,
            kind,
            currency: event.currency.clone(),
            items: event.items.iter().map(ChangedItem::from).collect(),
        })
    }

    fn apply(&self, contents: &mut Contents) {
        match self.kind {
            ChangeKind::Purchase => return self.purchase(contents),
            ChangeKind::Checkout => return self.check_out(contents),
            _ => {}
        }
        let others: usize = contents.values().map(|cart| cart.lines.len()).sum();
        let cart = contents.entry(self.cart.clone().unwrap_or_default()).or_default();
        let limit = LINES.saturating_sub(others - cart.lines.len());
        match self.kind {
            ChangeKind::Add => self.items.iter().for_each(|item| cart.add(item, self, limit)),
            ChangeKind::Remove => self.items.iter().for_each(|item| cart.remove(item, self.stamp)),
            ChangeKind::SetQuantity => self.items.iter().for_each(|item| cart.set(item, self, limit)),
            ChangeKind::Clear => cart.lines.clear(),
            ChangeKind::Snapshot => {
                cart.lines.clear();
                self.items.iter().for_each(|item| cart.set(item, self, limit));
            }
            ChangeKind::Checkout | ChangeKind::Purchase => {}
        }
        contents.retain(|_, cart| !cart.lines.is_empty());
        drop_longest_resting(contents);
    }

    /// Closes the cart it names; from every other cart it takes exactly the lines it contains. What was
    /// put into a cart after the purchase stays, however late the purchase is reported.
    fn purchase(&self, contents: &mut Contents) {
        for (key, cart) in contents.iter_mut() {
            let named = self.cart.as_ref() == Some(key);
            cart.lines.retain(|line_key, line| {
                let bought = named || self.items.iter().any(|item| item.line == *line_key);
                !bought || line.changed > self.stamp
            });
        }
        contents.retain(|_, cart| !cart.lines.is_empty());
    }

    /// A checkout that names no cart is of whatever lies in any.
    fn check_out(&self, contents: &mut Contents) {
        for (key, cart) in contents.iter_mut() {
            cart.checkout |= self.cart.as_ref().is_none_or(|named| named == key);
        }
    }
}

impl Cart {
    fn add(&mut self, item: &ChangedItem, change: &Change, limit: usize) {
        let quantity = self.lines.get(&item.line).map_or(0, |line| line.quantity);
        self.put(item, quantity.saturating_add(item.quantity), change, limit);
    }

    fn set(&mut self, item: &ChangedItem, change: &Change, limit: usize) {
        self.put(item, item.quantity, change, limit);
    }

    /// A product that is not in the cart yet goes in while the cart has fewer lines than `limit`.
    fn put(&mut self, item: &ChangedItem, quantity: i32, change: &Change, limit: usize) {
        let known = self.lines.get(&item.line);
        if quantity <= 0 {
            self.lines.remove(&item.line);
            return;
        }
        if known.is_none() && self.lines.len() >= limit {
            return;
        }
        let price_minor = item.price_minor.or_else(|| known.and_then(|line| line.price_minor));
        self.lines.insert(item.line.clone(), Line { quantity, price_minor, changed: change.stamp });
        if change.currency.is_some() {
            self.currency.clone_from(&change.currency);
        }
    }

    fn remove(&mut self, item: &ChangedItem, stamp: Stamp) {
        let Some(line) = self.lines.get_mut(&item.line) else { return };
        line.quantity = line.quantity.saturating_sub(item.quantity);
        line.changed = stamp;
        if line.quantity <= 0 {
            self.lines.remove(&item.line);
        }
    }

    fn newest_change(&self) -> Option<Stamp> {
        self.lines.values().map(|line| line.changed).max()
    }
}

fn drop_longest_resting(contents: &mut Contents) {
    if contents.len() <= CARTS {
        return;
    }
    let resting = contents.iter().min_by_key(|(_, cart)| cart.newest_change()).map(|(key, _)| key.clone());
    if let Some(key) = resting {
        contents.remove(&key);
    }
}

impl From<CartOp> for ChangeKind {
    fn from(op: CartOp) -> Self {
        match op {
            CartOp::Add => Self::Add,
            CartOp::Remove => Self::Remove,
            CartOp::SetQuantity => Self::SetQuantity,
            CartOp::Clear => Self::Clear,
            CartOp::Snapshot => Self::Snapshot,
        }
    }
}

impl From<&Item> for ChangedItem {
    fn from(item: &Item) -> Self {
        Self {
            line: (item.product_id.clone(), item.variant_id.clone()),
            quantity: item.quantity,
            price_minor: item.price_minor,
        }
    }
}
