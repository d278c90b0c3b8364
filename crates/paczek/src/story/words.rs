use std::collections::BTreeMap;

use events::{
    AbandonedCart, CancelReason, CartAction, CartLine, Event, EventKind, EventTime, Item, ReasonCode,
    Recommendation, Silence, Stage, Suppression, WouldHaveBeen,
};

use crate::demo::Product;

/// Products of a recommendation that are named.
const NAMED: usize = 3;

/// Puts what happened into words.
pub(super) struct Words<'a> {
    products: &'a BTreeMap<String, Product>,
}

impl<'a> Words<'a> {
    pub(super) fn new(products: &'a BTreeMap<String, Product>) -> Self {
        Self { products }
    }

    /// What somebody did; `None` for what is not worth telling.
    pub(super) fn did(&self, event: &Event) -> Option<String> {
        let items = || self.items(&event.items);
        Some(match event.kind {
            EventKind::ProductViewed => format!("looks at {}", items()),
            EventKind::Searched => {
                let query = event.list.as_ref().and_then(|list| list.query.as_deref())?;
                format!("searches for \"{}\"", plain(query))
            }
            EventKind::WishlistAdded => format!("puts {} onto the wish list", items()),
            EventKind::CartItemAdded => format!("puts {} into the cart", items()),
            EventKind::CartItemRemoved => format!("takes {} out of the cart", items()),
            EventKind::CheckoutStarted => "goes to the checkout".to_owned(),
            EventKind::OrderCompleted => format!("buys {}", items()),
            EventKind::OrderRefunded => format!("sends {} back", items()),
            _ => return None,
        })
    }

    /// What we recommend, and why.
    pub(super) fn shown<'e>(
        &self,
        shown: &Recommendation,
        event: &dyn Fn(&str) -> Option<&'e Event>,
    ) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
        for item in shown.items.iter().take(NAMED) {
            let why = item.reasons.first().map_or_else(String::new, |reason| {
                let causes = reason.source_event_ids.iter().filter_map(|id| event(id));
                let causes: Vec<&Item> = causes.flat_map(|event| &event.items).collect();
                self.why(reason.code, &causes)
            });
            let name = self.product(&item.product_id);
            match by_reason.iter_mut().find(|(known, _)| *known == why) {
                Some((_, names)) => names.push(name),
                None => by_reason.push((why, vec![name])),
            }
        }
        for (why, names) in by_reason {
            lines.push(format!("→ we recommend {}, because {why}", listed(&names)));
        }
        lines
    }

    /// What we say of a cart, and why.
    pub(super) fn cart(&self, decision: &AbandonedCart) -> Vec<String> {
        let lines: Vec<String> = decision.cart.lines.iter().map(|line| self.line(line)).collect();
        let place = if decision.kind == Stage::Checkout { "in the checkout" } else { "in the cart" };
        match (decision.action, decision.cancel_reason) {
            (CartAction::Cancel, Some(CancelReason::Purchased)) => {
                vec!["→ we take the reminder back, because something of that cart is bought now".to_owned()]
            }
            _ => vec![format!(
                "→ we remind her of {} {place}, because nothing has come from her since {}",
                listed(&lines),
                clock(decision.last_activity_at)
            )],
        }
    }

    /// What we do not say, and why.
    pub(super) fn silence(&self, silence: &Suppression) -> Vec<String> {
        let what = match silence.would_have_been {
            WouldHaveBeen::Recommendation { .. } => "we recommend nothing",
            WouldHaveBeen::AbandonedCart { .. } => "we do not remind her of the cart",
        };
        let about_cart = matches!(silence.would_have_been, WouldHaveBeen::AbandonedCart { .. });
        let why = match silence.reason {
            Silence::SpeakingOff => "the shop has told us to be silent",
            Silence::Backfill => "that was before the time from which on we speak",
            Silence::Stale => "that was too long ago",
            Silence::Purchased => "something of it is bought already",
            Silence::Stock => "nothing of it can be had any more",
            Silence::BelowFloor if about_cart => "it is worth too little",
            Silence::BelowFloor => "we know nothing yet that would be relevant enough",
        };
        vec![format!("→ {what}, because {why}")]
    }

    fn why(&self, code: ReasonCode, causes: &[&Item]) -> String {
        let mut names: Vec<String> = Vec::new();
        for item in causes {
            let name = self.name(&item.product_id);
            if !names.contains(&name) && names.len() < NAMED {
                names.push(name);
            }
        }
        match code {
            ReasonCode::SimilarSessions if names.is_empty() => {
                "visits like this one went on to that".to_owned()
            }
            ReasonCode::SimilarSessions => {
                format!("others who looked at {} went on to that", listed(&names))
            }
            ReasonCode::Popular => "many customers have been looking at that of late".to_owned(),
            ReasonCode::Wished => "it is on her wish list".to_owned(),
            ReasonCode::CartLeft => "it was left in the cart".to_owned(),
        }
    }

    fn items(&self, items: &[Item]) -> String {
        let named: Vec<String> =
            items.iter().map(|item| self.many(item.quantity, &item.product_id)).collect();
        if named.is_empty() { "something".to_owned() } else { listed(&named) }
    }

    fn line(&self, line: &CartLine) -> String {
        self.many(line.quantity, &line.product_id)
    }

    fn many(&self, quantity: i32, id: &str) -> String {
        if quantity > 1 { format!("{quantity} × {}", self.product(id)) } else { self.product(id) }
    }

    /// Its name and its price, as far as they are known.
    fn product(&self, id: &str) -> String {
        let known = self.products.get(id);
        match known.and_then(|known| Some((known.item.price_minor?, known.currency.as_deref()?))) {
            Some((price, currency)) => {
                format!("{} ({}.{:02} {})", self.name(id), price / 100, price % 100, plain(currency))
            }
            None => self.name(id),
        }
    }

    fn name(&self, id: &str) -> String {
        let known = self.products.get(id).map(|known| &known.item);
        let name = known.and_then(|item| item.name.as_deref()).map(plain);
        match (name, known.and_then(|item| item.brand.as_deref())) {
            (Some(name), Some(brand)) => format!("{name} by {}", plain(brand)),
            (Some(name), None) => name,
            (None, _) => plain(id),
        }
    }
}

/// Text from outside as far as it is fit for a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(60).collect()
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Hours and minutes, in UTC.
pub(super) fn clock(time: EventTime) -> String {
    shown(time, "%H:%M")
}

/// The day, in UTC.
pub(super) fn day(time: EventTime) -> String {
    shown(time, "%A, %-d %B %Y")
}

fn shown(time: EventTime, format: &str) -> String {
    let time = jiff::Timestamp::from_millisecond(time.0);
    time.map_or_else(|_| "?".to_owned(), |time| time.strftime(format).to_string())
}
