use std::collections::BTreeMap;

use events::{CartLine, CartView, Cause, EventKind, EventTime, ItemSeen, ProfileKey, ProfileUpdate, Stage};
use serde::{Deserialize, Serialize};

/// Products bought that are remembered; more drop the one bought longest ago.
const BOUGHT: usize = 4_096;
/// Products whose newest event is remembered.
const CAUSES: usize = 64;
/// Reminders that a purchase can still take back; more drop the oldest.
const FIRED: usize = 64;

/// What is remembered of a customer to decide by: what was bought, which events led where, what was said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    pub(crate) user_id: Option<String>,
    bought: BTreeMap<String, EventTime>,
    /// Oldest first.
    causes: Vec<NewestEvent>,
    pub(crate) fired: Vec<Fired>,
    pub(crate) latest: Option<Latest>,
}

/// What the newest event left to answer a look-up by. Its lists are as short as those of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Latest {
    pub(crate) at: EventTime,
    /// Products of the visit that runs, newest first.
    visited: Vec<String>,
    in_cart: Vec<String>,
    /// Newest first.
    wished: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NewestEvent {
    at: EventTime,
    product_id: String,
    event_id: String,
}

/// A reminder that was sent, with all that taking it back has to repeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fired {
    pub(crate) trigger_id: String,
    pub(crate) checkout: bool,
    pub(crate) cart_key: String,
    lines: Vec<(String, Option<String>, i32, Option<i64>)>,
    total_minor: i64,
    currency: Option<String>,
    pub(crate) fingerprint: String,
    pub(crate) last_activity_at: EventTime,
    pub(crate) abandoned_at: EventTime,
}

impl Customer {
    /// Takes in what an update says. What an event caused shows the whole profile; a timer shows none of it.
    pub(crate) fn learn(&mut self, update: &ProfileUpdate) {
        let Cause::Event { event_id, event_time, .. } = &update.cause else { return };
        self.user_id.clone_from(&update.user_id);
        self.latest = Some(Latest::of(update, *event_time));
        for item in &update.purchased {
            let at = self.bought.entry(item.product_id.clone()).or_insert(item.at);
            *at = item.at.max(*at);
        }
        while self.bought.len() > BOUGHT {
            let oldest =
                self.bought.iter().min_by_key(|(name, at)| (**at, *name)).map(|(name, _)| name.clone());
            oldest.map(|name| self.bought.remove(&name));
        }
        let lists = [&update.recently_viewed, &update.wished];
        for item in lists.into_iter().flatten().filter(|item| item.at == *event_time) {
            self.remember(&item.product_id, *event_time, event_id);
        }
    }

    fn remember(&mut self, product_id: &str, at: EventTime, event_id: &str) {
        self.causes.retain(|known| known.product_id != product_id);
        let (product_id, event_id) = (product_id.to_owned(), event_id.to_owned());
        let place = self.causes.partition_point(|known| known.at <= at);
        self.causes.insert(place, NewestEvent { at, product_id, event_id });
        if self.causes.len() > CAUSES {
            self.causes.remove(0);
        }
    }

    /// When a product was last bought.
    pub(crate) fn bought(&self, product_id: &str) -> Option<EventTime> {
        self.bought.get(product_id).copied()
    }

    /// How many products were bought.
    pub(crate) fn purchases(&self) -> usize {
        self.bought.len()
    }

    /// The newest event about a product.
    pub(crate) fn event_about(&self, product_id: &str) -> Option<&str> {
        let about = self.causes.iter().find(|known| known.product_id == product_id);
        about.map(|known| known.event_id.as_str())
    }

    /// Whether a line of the cart was bought after it was last touched, and not later than `until`.
    pub(crate) fn bought_of(&self, cart: &CartView, after: EventTime, until: EventTime) -> bool {
        let times = cart.lines.iter().filter_map(|line| self.bought(&line.product_id));
        times.into_iter().any(|at| after < at && at <= until)
    }

    pub(crate) fn remember_fired(&mut self, fired: Fired) {
        self.fired.push(fired);
        if self.fired.len() > FIRED {
            self.fired.remove(0);
        }
    }
}

impl Latest {
    fn of(update: &ProfileUpdate, at: EventTime) -> Self {
        let started = update.session.as_ref().map(|session| session.started_at);
        let of_visit = |item: &&ItemSeen| started.is_none_or(|started| item.at >= started);
        let name = |item: &ItemSeen| item.product_id.clone();
        let lines = update.carts.iter().flat_map(|cart| &cart.lines);
        Self {
            at,
            visited: update.recently_viewed.iter().filter(of_visit).map(name).collect(),
            in_cart: lines.map(|line| line.product_id.clone()).collect(),
            wished: update.wished.iter().map(name).collect(),
        }
    }

    /// An update that shows as much of the profile as a look-up needs.
    pub(crate) fn update(&self, profile: &ProfileKey) -> ProfileUpdate {
        let seen = |name: &String| ItemSeen { product_id: name.clone(), at: self.at };
        let line = |name: &String| CartLine {
            product_id: name.clone(),
            variant_id: None,
            quantity: 1,
            price_minor: None,
        };
        let cart = CartView {
            cart_key: String::new(),
            lines: self.in_cart.iter().map(line).collect(),
            total_minor: 0,
            currency: None,
        };
        ProfileUpdate {
            carts: vec![cart],
            recently_viewed: self.visited.iter().map(seen).collect(),
            wished: self.wished.iter().map(seen).collect(),
            ..blank(profile)
        }
    }
}

/// An update about somebody of whom nothing is known.
pub(crate) fn blank(profile: &ProfileKey) -> ProfileUpdate {
    ProfileUpdate {
        profile: profile.clone(),
        user_id: None,
        anonymous_id: None,
        cause: Cause::Timer { due: EventTime::MIN },
        session: None,
        carts: Vec::new(),
        recently_viewed: Vec::new(),
        purchased: Vec::new(),
        wished: Vec::new(),
        events: 0,
        orders: 0,
        abandonment: None,
    }
}

impl Fired {
    pub(crate) fn of(trigger_id: &str, left: &events::Abandonment) -> Self {
        let line = |line: &CartLine| {
            (line.product_id.clone(), line.variant_id.clone(), line.quantity, line.price_minor)
        };
        Self {
            trigger_id: trigger_id.to_owned(),
            checkout: left.stage == Stage::Checkout,
            cart_key: left.cart.cart_key.clone(),
            lines: left.cart.lines.iter().map(line).collect(),
            total_minor: left.cart.total_minor,
            currency: left.cart.currency.clone(),
            fingerprint: left.fingerprint.clone(),
            last_activity_at: left.last_activity_at,
            abandoned_at: left.abandoned_at,
        }
    }

    /// The abandonment it was sent for.
    pub(crate) fn abandonment(&self) -> events::Abandonment {
        let line =
            |(product_id, variant_id, quantity, price_minor): &(String, Option<String>, i32, Option<i64>)| {
                CartLine {
                    product_id: product_id.clone(),
                    variant_id: variant_id.clone(),
                    quantity: *quantity,
                    price_minor: *price_minor,
                }
            };
        let cart = CartView {
            cart_key: self.cart_key.clone(),
            lines: self.lines.iter().map(line).collect(),
            total_minor: self.total_minor,
            currency: self.currency.clone(),
        };
        events::Abandonment {
            cart,
            fingerprint: self.fingerprint.clone(),
            stage: if self.checkout { Stage::Checkout } else { Stage::Cart },
            last_activity_at: self.last_activity_at,
            abandoned_at: self.abandoned_at,
        }
    }
}

/// Whether an event of that kind changes what the customer may want next.
pub(crate) fn asks_for_recommendation(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ProductViewed
            | EventKind::CartItemAdded
            | EventKind::CartItemRemoved
            | EventKind::CartSnapshot
            | EventKind::WishlistAdded
            | EventKind::OrderCompleted
    )
}
