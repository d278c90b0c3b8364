use std::collections::{BTreeMap, BTreeSet, VecDeque};

use events::{EventTime, Interest};
use serde::{Deserialize, Serialize};

use crate::popularity::Popularity;
use crate::postings::{Place, Postings};
use crate::rules::{ModelSettings, Neighbourhood};

/// Sessions of one tenant, by the products in them: answers what sessions like the running one went on to.
///
/// The answer is that of VMIS-kNN as Serenade computes it, but sessions come, grow and go while it is
/// asked. Among equals the newer session and then the lesser product name come first, and sums run in one
/// fixed order, so that the same sessions always give the same answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionIndex {
    products: Products,
    postings: Vec<Postings>,
    pairs: usize,
    sessions: VecDeque<Option<Session>>,
    first_number: u64,
    numbers: BTreeMap<(String, String), u64>,
    by_age: BTreeSet<Place>,
}

/// A part of a visit, to be learned.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// Whose visit.
    pub profile_id: &'a str,
    /// Which visit.
    pub session_id: &'a str,
    /// When.
    pub at: EventTime,
    /// How strong the interest in the products was.
    pub interest: Interest,
    /// The products.
    pub product_ids: &'a [String],
}

/// What sessions like the running one went on to, best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction<'a> {
    /// How many sessions it was learned from.
    pub neighbours: usize,
    /// The products, best first.
    pub products: Vec<Predicted<'a>>,
}

/// One product of a [`Prediction`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predicted<'a> {
    /// The product.
    pub product_id: &'a str,
    /// Its score: a sum over neighbours, not bounded.
    pub score: f64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    profile_id: String,
    session_id: String,
    last: EventTime,
    /// By product number.
    items: Vec<SessionItem>,
    /// Whether it is a neighbour to others: one with too many products is none.
    teaches: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SessionItem {
    product: u32,
    weight: u32,
    at: EventTime,
}

/// Product names and the numbers that stand for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Products {
    numbers: BTreeMap<String, u32>,
    by_number: Vec<Product>,
    free: Vec<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Product {
    name: String,
    /// Sessions that hold it.
    uses: u32,
}

/// One session that is like the running one.
struct Neighbour {
    place: Place,
    similarity: f64,
    /// Where the newest shared product stands in the running session, from its end, from 1.
    matched: usize,
}

impl SessionIndex {
    /// Sessions that are known.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.by_age.len()
    }

    /// When the session that rested longest had its last event.
    #[must_use]
    pub fn oldest(&self) -> Option<EventTime> {
        self.by_age.first().map(|(last, _)| *last)
    }

    /// The products that sessions like `running` (oldest first) went on to, at most `how_many`.
    #[must_use]
    pub fn predict(&self, running: &[&str], how_many: usize, how: &Neighbourhood) -> Prediction<'_> {
        let window = &running[running.len().saturating_sub(how.window)..];
        let neighbours = self.neighbours(window, how);
        let current = window.last().and_then(|name| self.products.numbers.get(*name));
        let scores = self.scores(&neighbours, how.rarity);
        let found = scores.into_iter().filter(|(product, _)| Some(product) != current);
        let mut products: Vec<Predicted<'_>> = found
            .map(|(product, score)| Predicted { product_id: self.products.name(product), score })
            .collect();
        let better = |a: &Predicted<'_>, b: &Predicted<'_>| {
            b.score.total_cmp(&a.score).then_with(|| a.product_id.cmp(b.product_id))
        };
        if products.len() > how_many && how_many > 0 {
            products.select_nth_unstable_by(how_many - 1, better);
        }
        products.truncate(how_many);
        products.sort_unstable_by(better);
        Prediction { neighbours: neighbours.len(), products }
    }

    /// The most similar of the newest sessions that share a product, in a fixed order.
    fn neighbours(&self, window: &[&str], how: &Neighbourhood) -> Vec<Neighbour> {
        let mut found = self.newest_sharing(window, how.newest_sessions);
        if found.len() > how.neighbours {
            found.sort_unstable_by(|a, b| {
                b.similarity.total_cmp(&a.similarity).then_with(|| b.place.cmp(&a.place))
            });
            found.truncate(how.neighbours);
        }
        found
    }

    /// Walks the lists of the window's products side by side, newest session first.
    fn newest_sharing(&self, window: &[&str], most: usize) -> Vec<Neighbour> {
        let distinct = window.iter().collect::<BTreeSet<_>>().len() as f64;
        let mut seen = BTreeSet::new();
        let newest_first = window.iter().rev().enumerate().filter(|(_, name)| seen.insert(**name));
        let mut lists: Vec<_> = newest_first
            .filter_map(|(back, name)| {
                let mut places =
                    self.postings.get(*self.products.numbers.get(*name)? as usize)?.newest_first();
                let head = places.next();
                Some((head, places, back + 1, (window.len() - back) as f64 / distinct))
            })
            .collect();
        let mut found = Vec::with_capacity(most.min(1_024));
        while found.len() < most {
            let Some(place) = lists.iter().filter_map(|(head, ..)| *head).max() else { break };
            let mut neighbour = Neighbour { place, similarity: 0.0, matched: usize::MAX };
            for (head, places, back, weight) in lists.iter_mut().filter(|(head, ..)| *head == Some(place)) {
                neighbour.similarity += *weight;
                neighbour.matched = neighbour.matched.min(*back);
                *head = places.next();
            }
            found.push(neighbour);
        }
        found
    }

    /// Each product of the neighbours with the sum of what they give it.
    fn scores(&self, neighbours: &[Neighbour], rarity: f64) -> Vec<(u32, f64)> {
        let sessions = || neighbours.iter().filter_map(|n| Some((n, self.session(n.place.1)?)));
        let mut scores = Scores::for_sums(sessions().map(|(_, session)| session.items.len()).sum());
        for (neighbour, session) in sessions() {
            let weight = match_weight(neighbour.matched);
            for item in &session.items {
                let score = scores.of(item.product, |product| self.rarity(product) * rarity);
                score.sum += match score.rarity {
                    rare if rare > 0.0 => weight * rare * neighbour.similarity,
                    _ => weight * neighbour.similarity,
                };
            }
        }
        scores.into_sums()
    }

    fn rarity(&self, product: u32) -> f64 {
        let with = self.postings.get(product as usize).map_or(1, |postings| postings.len().max(1));
        (self.pairs as f64 / with as f64).ln()
    }

    fn session(&self, number: u64) -> Option<&Session> {
        self.sessions.get(self.slot(number)?)?.as_ref()
    }

    fn slot(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first_number)?).ok()
    }

    /// Learns a part of a visit.
    pub(crate) fn learn(&mut self, visit: &Visit<'_>, settings: &ModelSettings, popularity: &mut Popularity) {
        let (number, mut session) = self.take_out(visit);
        session.last = session.last.max(visit.at);
        for name in visit.product_ids {
            let known = self.products.numbers.get(name).and_then(|product| session.place_of(*product).ok());
            match known {
                Some(at) => session.strengthen(at, name, visit, popularity),
                None if session.crowded(settings) => {}
                None => {
                    let product = self.products.take(name);
                    session.insert(product, name, visit, popularity);
                }
            }
        }
        session.teaches = !session.crowded(settings);
        self.put_in(number, session);
    }

    /// Forgets the visits whose last event is older than `oldest`, and then the oldest above `most`.
    pub(crate) fn expire(&mut self, oldest: EventTime, most: usize, popularity: &mut Popularity) {
        while let Some(&(last, number)) = self.by_age.first() {
            if last >= oldest && self.by_age.len() <= most {
                break;
            }
            self.drop_session(number, popularity);
        }
    }

    /// Forgets the visits of a profile, or only the one that is named.
    pub(crate) fn forget(&mut self, profile_id: &str, session_id: Option<&str>, popularity: &mut Popularity) {
        let from = (profile_id.to_owned(), String::new());
        let of_profile = self.numbers.range(from..).take_while(|((profile, _), _)| profile == profile_id);
        let named = of_profile.filter(|((_, session), _)| session_id.is_none_or(|named| named == session));
        for number in named.map(|(_, number)| *number).collect::<Vec<_>>() {
            self.drop_session(number, popularity);
        }
    }

    /// The session of a visit, old or new, out of every list.
    fn take_out(&mut self, visit: &Visit<'_>) -> (u64, Session) {
        let key = (visit.profile_id.to_owned(), visit.session_id.to_owned());
        let known = self.numbers.get(&key).copied();
        if let Some((number, session)) = known.and_then(|number| Some((number, self.unlist(number)?))) {
            return (number, session);
        }
        let number = self.first_number + self.sessions.len() as u64;
        self.sessions.push_back(None);
        self.numbers.insert(key.clone(), number);
        let (profile_id, session_id) = key;
        (number, Session { profile_id, session_id, last: visit.at, items: Vec::new(), teaches: true })
    }

    fn put_in(&mut self, number: u64, session: Session) {
        let place = (session.last, number);
        self.by_age.insert(place);
        if session.teaches {
            self.pairs += session.items.len();
            for item in &session.items {
                let product = item.product as usize;
                if self.postings.len() <= product {
                    self.postings.resize_with(product + 1, Postings::default);
                }
                self.postings[product].insert(place);
            }
        }
        if let Some(slot) = self.slot(number).and_then(|slot| self.sessions.get_mut(slot)) {
            *slot = Some(session);
        }
    }

    fn unlist(&mut self, number: u64) -> Option<Session> {
        let slot = self.slot(number)?;
        let session = self.sessions.get_mut(slot)?.take()?;
        let place = (session.last, number);
        self.by_age.remove(&place);
        if session.teaches {
            self.pairs = self.pairs.saturating_sub(session.items.len());
            for item in &session.items {
                self.postings.get_mut(item.product as usize).map(|postings| postings.remove(place));
            }
        }
        Some(session)
    }

    fn drop_session(&mut self, number: u64, popularity: &mut Popularity) {
        let Some(session) = self.unlist(number) else { return };
        for item in &session.items {
            popularity.remove(self.products.name(item.product), item.at, item.weight);
            self.products.give_back(item.product);
        }
        self.numbers.remove(&(session.profile_id, session.session_id));
        while let Some(None) = self.sessions.front() {
            self.sessions.pop_front();
            self.first_number += 1;
        }
    }
}

impl Session {
    fn crowded(&self, settings: &ModelSettings) -> bool {
        self.items.len() > settings.longest_session
    }

    fn place_of(&self, product: u32) -> Result<usize, usize> {
        self.items.binary_search_by_key(&product, |item| item.product)
    }

    fn insert(&mut self, product: u32, name: &str, visit: &Visit<'_>, popularity: &mut Popularity) {
        let Err(place) = self.place_of(product) else { return };
        let item = SessionItem { product, weight: weight_of(visit.interest), at: visit.at };
        popularity.add(name, item.at, item.weight);
        self.items.insert(place, item);
    }

    /// A product counts once in a visit: at its newest time, with its strongest interest.
    fn strengthen(&mut self, place: usize, name: &str, visit: &Visit<'_>, popularity: &mut Popularity) {
        let item = &mut self.items[place];
        popularity.remove(name, item.at, item.weight);
        item.at = item.at.max(visit.at);
        item.weight = item.weight.max(weight_of(visit.interest));
        popularity.add(name, item.at, item.weight);
    }
}

impl Products {
    fn name(&self, product: u32) -> &str {
        self.by_number.get(product as usize).map_or("", |product| product.name.as_str())
    }

    /// The number of a product, used once more.
    fn take(&mut self, name: &str) -> u32 {
        let known = self.numbers.get(name).copied();
        let number = known.or_else(|| self.free.pop()).unwrap_or(self.by_number.len() as u32);
        if self.by_number.len() <= number as usize {
            self.by_number.resize_with(number as usize + 1, Product::default);
        }
        let product = &mut self.by_number[number as usize];
        product.uses += 1;
        if known.is_none() {
            name.clone_into(&mut product.name);
            self.numbers.insert(name.to_owned(), number);
        }
        number
    }

    /// Used once less; a number that nobody uses stands for another product next.
    fn give_back(&mut self, number: u32) {
        let Some(product) = self.by_number.get_mut(number as usize) else { return };
        product.uses = product.uses.saturating_sub(1);
        if product.uses == 0 {
            self.numbers.remove(&std::mem::take(&mut product.name));
            self.free.push(number);
        }
    }
}

fn weight_of(interest: Interest) -> u32 {
    match interest {
        Interest::Viewed => 1,
        Interest::Added => 3,
        Interest::Purchased => 5,
    }
}

/// What a neighbour counts by where the newest shared product stands in the running session. Below zero
/// from the eleventh place on, as in the model it answers like; a window of up to 10 never gets there.
fn match_weight(matched: usize) -> f64 {
    if matched < 100 { 1.0 - 0.1 * matched as f64 } else { 0.0 }
}

/// Sums by product number: a table with open addressing, because the products of a prediction are few
/// and those of a shop many. The sums of a product are added in the order of the calls.
struct Scores {
    slots: Vec<Option<Score>>,
}

#[derive(Clone)]
struct Score {
    product: u32,
    rarity: f64,
    sum: f64,
}

impl Scores {
    fn for_sums(most: usize) -> Self {
        Self { slots: vec![None; (most * 2).next_power_of_two()] }
    }

    /// The score of a product; how rare it is is asked once.
    fn of(&mut self, product: u32, rarity: impl Fn(u32) -> f64) -> &mut Score {
        let mask = self.slots.len() - 1;
        let mut at = (product as usize).wrapping_mul(0x9e37_79b1) & mask;
        while self.slots[at].as_ref().is_some_and(|score| score.product != product) {
            at = (at + 1) & mask;
        }
        self.slots[at].get_or_insert_with(|| Score { product, rarity: rarity(product), sum: 0.0 })
    }

    fn into_sums(self) -> Vec<(u32, f64)> {
        self.slots.into_iter().flatten().map(|score| (score.product, score.sum)).collect()
    }
}
