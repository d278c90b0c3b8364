//! Random histories through every path of the recommender: nothing that a filter holds back gets out, and
//! where a filter is taken away, the same check notices.

use std::collections::BTreeSet;

use events::{
    Abandonment, CartAction, CartLine, CartView, Cause, EventKind, EventTime, ExclusionCode, Interest,
    ItemSeen, Placement, ProfileKey, ProfileUpdate, SECOND, SessionEntry, SessionFact, SessionView, Silence,
    Stage,
};

use crate::candidates::Sources;
use crate::decision::{Decision, Knowledge, decide, recommend};
use crate::filters::Filters;
use crate::{Catalogue, Customer, ItemModels, Listing, ModelSettings, Rules, Speech, look_up};

const PRODUCTS: u64 = 24;

/// A random number generator of a few lines (splitmix64), so that a seed is a history.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn product(&mut self) -> String {
        format!("p{}", self.below(PRODUCTS))
    }

    fn products(&mut self, limit: u64) -> Vec<String> {
        (0..self.below(limit)).map(|_| self.product()).collect()
    }
}

/// What happened to one customer, and what must not be shown to her.
struct History {
    update: ProfileUpdate,
    customer: Customer,
    catalogue: Catalogue,
    bought: BTreeSet<String>,
}

impl History {
    fn of(chance: &mut Chance, number: u64) -> Self {
        let at = |number: u64| EventTime(1_000_000 + number as i64);
        let mut history = Self {
            update: update(at(number)),
            customer: Customer::default(),
            catalogue: Catalogue::default(),
            bought: BTreeSet::new(),
        };
        // Purchases that the profile has long let go of, and that only the recommender remembers.
        for product in chance.products(5) {
            history.update.purchased = vec![seen(&product, at(1))];
            history.customer.learn(&history.update);
            history.bought.insert(product);
        }
        let purchased = chance.products(5);
        history.bought.extend(purchased.iter().cloned());
        history.update.purchased = purchased.iter().map(|product| seen(product, at(2))).collect();
        history.update.recently_viewed = viewed(chance, at(number));
        history.update.wished = chance.products(4).iter().map(|product| seen(product, at(number))).collect();
        history.update.carts = (0..chance.below(3)).map(|n| cart(n, &chance.products(4))).collect();
        for product in chance.products(8) {
            let in_stock = chance.below(2) == 0;
            history.catalogue.list(&product, Listing { in_stock, ..Listing::default() });
        }
        history
    }

    /// The reason why this must not be shown, if there is one.
    fn objection(&self, product: &str) -> Option<ExclusionCode> {
        let in_cart = |cart: &CartView| cart.lines.iter().any(|line| line.product_id == product);
        if self.bought.contains(product) {
            Some(ExclusionCode::Bought)
        } else if self.update.carts.iter().any(in_cart) {
            Some(ExclusionCode::InCart)
        } else {
            self.catalogue.out_of_stock(product).then_some(ExclusionCode::OutOfStock)
        }
    }

    fn leaks(&self, decisions: &[Decision]) -> Vec<ExclusionCode> {
        let shown = decisions.iter().filter_map(|decision| match decision {
            Decision::Recommendation(said) => Some(&said.items),
            _ => None,
        });
        shown.flatten().filter_map(|item| self.objection(&item.product_id)).collect()
    }
}

fn seen(product: &str, at: EventTime) -> ItemSeen {
    ItemSeen { product_id: product.to_owned(), at }
}

fn viewed(chance: &mut Chance, newest: EventTime) -> Vec<ItemSeen> {
    let distinct: BTreeSet<String> = chance.products(7).into_iter().collect();
    (0..).zip(distinct).map(|(back, product)| seen(&product, newest.minus(back))).collect()
}

fn cart(number: u64, products: &[String]) -> CartView {
    let distinct: BTreeSet<&String> = products.iter().collect();
    let line = |product: &&String| CartLine {
        product_id: (*product).clone(),
        variant_id: None,
        quantity: 1,
        price_minor: Some(100),
    };
    let lines: Vec<CartLine> = distinct.iter().map(line).collect();
    let total_minor = lines.len() as i64 * 100;
    CartView { cart_key: format!("cart-{number}"), lines, total_minor, currency: None }
}

fn update(at: EventTime) -> ProfileUpdate {
    let session = SessionView {
        session_id: "now".to_owned(),
        started_at: at.minus(SECOND),
        last_event_at: at,
        events: 1,
    };
    ProfileUpdate {
        profile: ProfileKey::new("bakery", "anna"),
        user_id: Some("anna".to_owned()),
        anonymous_id: None,
        cause: Cause::Event {
            event_id: format!("e{}", at.0),
            kind: EventKind::ProductViewed,
            event_time: at,
        },
        session: Some(session),
        carts: Vec::new(),
        recently_viewed: Vec::new(),
        purchased: Vec::new(),
        wished: Vec::new(),
        events: 1,
        orders: 0,
        abandonment: None,
    }
}

/// Models of a random crowd, of nobody, or of a crowd of which some were forgotten.
fn models(chance: &mut Chance) -> ItemModels {
    let mut models = ItemModels::new(ModelSettings::default());
    for sequence in 0..chance.below(120) {
        let session = chance.below(20);
        let fact = if chance.below(40) == 0 {
            SessionFact::Forget { session_id: None }
        } else {
            SessionFact::Seen {
                session_id: format!("s{session}"),
                event_id: sequence.to_string(),
                interest: [Interest::Viewed, Interest::Added, Interest::Purchased][chance.below(3) as usize],
                product_ids: vec![chance.product()],
            }
        };
        let at = EventTime(sequence as i64 * SECOND);
        let profile = ProfileKey::new("bakery", &format!("v{session}"));
        models.offer(SessionEntry { profile, event_time: at, sequence, fact }, at);
    }
    models.seal(EventTime::MAX);
    models
}

/// Runs histories; with a filter taken away when one is named. What leaked, and how much was shown.
fn run(histories: u64, without: Option<ExclusionCode>) -> (Vec<ExclusionCode>, usize) {
    let (mut chance, mut leaks, mut shown) = (Chance(7), Vec::new(), 0);
    let (rules, speech) = (Rules { floor: 0.0, ..Rules::default() }, Speech::always());
    let mut learned = models(&mut chance);
    for number in 0..histories {
        if number % 100 == 0 {
            learned = models(&mut chance);
        }
        let mut history = History::of(&mut chance, number);
        let catalogue = history.catalogue.clone();
        let by = Knowledge { models: &learned, catalogue: &catalogue, rules: &rules, speech: &speech };
        let decisions = match without {
            None => decide(&mut history.customer, &history.update, &by),
            Some(_) => decide_without(&mut history, &by, without),
        };
        assert!(decisions.len() == Placement::ALL.len(), "each placement speaks or is silent for a reason");
        shown += decisions.iter().filter(|decision| matches!(decision, Decision::Recommendation(_))).count();
        leaks.extend(history.leaks(&decisions));
    }
    (leaks, shown)
}

fn decide_without(
    history: &mut History,
    by: &Knowledge<'_>,
    without: Option<ExclusionCode>,
) -> Vec<Decision> {
    history.customer.learn(&history.update);
    let mut filters = Filters::of(&history.customer, &history.update, by.catalogue);
    filters.without = without;
    let sources = Sources::of(&history.customer, &history.update, by);
    let through = |placement: &Placement| recommend(&filters, &sources, *placement);
    Placement::ALL.iter().filter_map(through).collect()
}

#[test]
fn no_history_lets_a_filtered_product_through() {
    let (leaks, shown) = run(100_000, None);
    assert!(leaks.is_empty(), "{} leaks, the first {:?}", leaks.len(), leaks[0]);
    assert!(shown > 100_000, "the histories say too little to prove anything: {shown}");
}

/// What each placement shows, by a decision and when it is looked up right after.
fn said_and_looked_up(history: &mut History, by: &Knowledge<'_>) -> Vec<(Vec<String>, Vec<String>)> {
    let decisions = decide(&mut history.customer, &history.update, by);
    let names = |items: &[events::RecommendedItem]| {
        items.iter().map(|item| format!("{} {}", item.product_id, item.score)).collect::<Vec<_>>()
    };
    let said = |placement: Placement| {
        decisions.iter().find_map(|decision| match decision {
            Decision::Recommendation(said) if said.placement == placement => Some(names(&said.items)),
            _ => None,
        })
    };
    let shown = |placement| look_up(Some(&history.customer), &history.update.profile, placement, by);
    let both =
        |placement: &Placement| (said(*placement).unwrap_or_default(), names(&shown(*placement).items));
    Placement::ALL.iter().map(both).collect()
}

#[test]
fn a_look_up_shows_what_a_decision_would() {
    let (rules, speech) = (Rules { floor: 0.0, ..Rules::default() }, Speech::always());
    let (mut chance, mut shown) = (Chance(5), 0);
    for number in 0..2_000 {
        let learned = models(&mut chance);
        let mut history = History::of(&mut chance, number);
        let catalogue = history.catalogue.clone();
        let by = Knowledge { models: &learned, catalogue: &catalogue, rules: &rules, speech: &speech };
        for (said, looked_up) in said_and_looked_up(&mut history, &by) {
            assert_eq!(said, looked_up);
            shown += said.len();
        }
    }
    assert!(shown > 2_000, "the histories say too little to prove anything: {shown}");
}

#[test]
fn a_stranger_is_shown_what_is_popular_and_is_told_apart() {
    let (catalogue, rules, speech) = (Catalogue::default(), Rules::default(), Speech::always());
    let learned = (0..).map(|seed| models(&mut Chance(seed))).find(|models| models.epoch() > Some(50));
    let learned = learned.unwrap();
    let by = Knowledge { models: &learned, catalogue: &catalogue, rules: &rules, speech: &speech };
    let stranger = ProfileKey::new("bakery", "nobody");
    for placement in Placement::ALL {
        let shown = look_up(None, &stranger, *placement, &by);
        assert!(!shown.known && !shown.items.is_empty() && shown.silence.is_none(), "{shown:?}");
    }
    let nowhere = look_up(None, &ProfileKey::new("no such shop", "nobody"), Placement::ForYou, &by);
    assert_eq!((nowhere.items.len(), nowhere.silence), (0, Some(Silence::BelowFloor)));
    let off = Speech { recommendations: false, ..speech };
    let off = look_up(None, &stranger, Placement::ForYou, &Knowledge { speech: &off, ..by });
    assert_eq!((off.items.len(), off.silence), (0, Some(Silence::SpeakingOff)));
}

#[test]
fn a_visit_of_ten_thousand_products_gets_an_answer() {
    let (catalogue, rules, speech) = (Catalogue::default(), Rules::default(), Speech::always());
    let learned = models(&mut Chance(1));
    let by = Knowledge { models: &learned, catalogue: &catalogue, rules: &rules, speech: &speech };
    let products: Vec<String> = (0..10_000).map(|number| format!("p{number}")).collect();
    let (mut customer, mut long) = (Customer::default(), update(T));
    long.recently_viewed = products.iter().map(|product| seen(product, T)).collect();
    long.carts = vec![cart(1, &products[..5_000])];
    assert_eq!(decide(&mut customer, &long, &by).len(), Placement::ALL.len());
    for placement in Placement::ALL {
        let shown = look_up(Some(&customer), &long.profile, *placement, &by);
        assert!(shown.items.len() <= rules.places);
    }
}

#[test]
fn each_filter_that_is_taken_away_is_missed() {
    for filter in [ExclusionCode::Bought, ExclusionCode::InCart, ExclusionCode::OutOfStock] {
        let (leaks, _) = run(2_000, Some(filter));
        assert!(!leaks.is_empty() && leaks.iter().all(|leak| *leak == filter), "{filter:?}: {leaks:?}");
    }
}

#[test]
fn only_what_passed_the_filters_is_made_into_an_item() {
    let makers = [
        include_str!("abandoned_carts.rs"),
        include_str!("candidates.rs"),
        include_str!("decision.rs"),
        include_str!("look_up.rs"),
        include_str!("ranking.rs"),
    ];
    assert!(makers.iter().all(|source| !source.contains("RecommendedItem {")));
    let explanation = include_str!("explanation.rs");
    assert_eq!(explanation.matches("    RecommendedItem {").count(), 1, "made once, and of an Allowed");
    assert_eq!(include_str!("filters.rs").matches("Allowed(candidate)").count(), 1);
}

fn left(at: EventTime, products: &[&str]) -> ProfileUpdate {
    let products: Vec<String> = products.iter().map(|product| (*product).to_owned()).collect();
    let abandonment = Abandonment {
        cart: cart(1, &products),
        fingerprint: "5d2c".to_owned(),
        stage: Stage::Cart,
        last_activity_at: at.minus(30 * 60 * SECOND),
        abandoned_at: at,
    };
    let (cause, user_id) = (Cause::Timer { due: at }, None);
    ProfileUpdate { cause, user_id, session: None, abandonment: Some(abandonment), ..update(at) }
}

fn order(at: EventTime, product: &str) -> ProfileUpdate {
    let cause =
        Cause::Event { event_id: "order".to_owned(), kind: EventKind::OrderCompleted, event_time: at };
    ProfileUpdate { cause, purchased: vec![seen(product, at)], ..update(at) }
}

const T: EventTime = EventTime(100_000_000);

fn decide_all(
    updates: &[ProfileUpdate],
    catalogue: &Catalogue,
    rules: &Rules,
    speech: &Speech,
) -> Vec<Decision> {
    let models = ItemModels::new(ModelSettings::default());
    let by = Knowledge { models: &models, catalogue, rules, speech };
    let mut customer = Customer::default();
    let decisions = updates.iter().flat_map(|update| decide(&mut customer, update, &by));
    let about_carts = |decision: &Decision| match decision {
        Decision::AbandonedCart(_) => true,
        Decision::Suppression(silence) => matches!(silence.trigger, Cause::Timer { .. }),
        Decision::Recommendation(_) => false,
    };
    decisions.filter(about_carts).collect()
}

/// The one silence that comes of a cart left at `T`.
fn silence(updates: &[ProfileUpdate], catalogue: &Catalogue, rules: &Rules, speech: &Speech) -> Silence {
    match decide_all(updates, catalogue, rules, speech).as_slice() {
        [Decision::Suppression(silence)] => silence.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cart_is_spoken_about_and_a_purchase_takes_it_back() {
    let (catalogue, rules, speech) = (Catalogue::default(), Rules::default(), Speech::always());
    let known = update(T.minus(3_600 * SECOND));
    let bought = order(T.plus(SECOND), "bun");
    let said =
        decide_all(&[known, left(T, &["bun", "tart"]), bought.clone(), bought], &catalogue, &rules, &speech);
    let [Decision::AbandonedCart(fire), Decision::AbandonedCart(cancel)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!((fire.action, fire.user_id.as_deref()), (CartAction::Fire, Some("anna")));
    assert_eq!((fire.decided_at, fire.fire_at, fire.step), (T, T, 1));
    assert_eq!((cancel.action, &cancel.trigger_id), (CartAction::Cancel, &fire.trigger_id));
    assert_ne!(cancel.decision_id, fire.decision_id);
    assert_eq!(cancel.reasons[0].source_event_ids, ["order"]);
    assert_eq!(cancel.cart, fire.cart);
}

#[test]
fn a_purchase_counts_the_same_whether_known_before_or_after() {
    let (catalogue, rules, speech) = (Catalogue::default(), Rules::default(), Speech::always());
    let day = 24 * 3_600 * SECOND;
    for (bought_at, counts) in
        [(T.minus(10), true), (T.plus(day), true), (T.plus(8 * day), false), (T.minus(day), false)]
    {
        let (cart, bought) = (left(T, &["bun"]), order(bought_at, "bun"));
        let before = decide_all(&[bought.clone(), cart.clone()], &catalogue, &rules, &speech);
        let after = decide_all(&[cart, bought], &catalogue, &rules, &speech);
        assert_eq!(matches!(before.as_slice(), [Decision::Suppression(_)]), counts);
        assert_eq!(after.len() == 2, counts, "a FIRE and its CANCEL");
    }
}

#[test]
fn every_silence_about_a_cart_has_its_reason() {
    let (catalogue, rules, speech) = (Catalogue::default(), Rules::default(), Speech::always());
    let cart = || left(T, &["bun", "tart"]);
    let asked = |updates: &[ProfileUpdate]| silence(updates, &catalogue, &rules, &speech);
    assert_eq!(asked(&[order(T.minus(1), "tart"), cart()]), Silence::Purchased);
    let mut sold_out = Catalogue::default();
    for product in ["bun", "tart"] {
        sold_out.list(product, Listing::default());
    }
    assert_eq!(silence(&[cart()], &sold_out, &rules, &speech), Silence::Stock);
    let dear = Rules { cart_floor_minor: 201, ..Rules::default() };
    assert_eq!(silence(&[cart()], &catalogue, &dear, &speech), Silence::BelowFloor);
    for (gate, reason) in [
        (Speech { abandoned_carts: false, ..speech }, Silence::SpeakingOff),
        (Speech { speak_after: Some(T.plus(1)), ..speech }, Silence::Backfill),
        (Speech { max_decision_age: Some(SECOND), now: T.plus(2 * SECOND), ..speech }, Silence::Stale),
    ] {
        let updates = [order(T.minus(1), "tart"), cart()];
        assert_eq!(silence(&updates, &catalogue, &rules, &gate), reason, "and it comes before the purchase");
    }
}

#[test]
fn the_same_history_gives_the_same_decisions_and_no_id_twice() {
    let run = || {
        let (mut chance, speech, rules) = (Chance(3), Speech::always(), Rules::default());
        let models = models(&mut chance);
        let mut decisions = Vec::new();
        for number in 0..200 {
            let mut history = History::of(&mut chance, number);
            let catalogue = history.catalogue.clone();
            let by = Knowledge { models: &models, catalogue: &catalogue, rules: &rules, speech: &speech };
            decisions.extend(decide(&mut history.customer, &history.update, &by));
        }
        decisions
    };
    let decisions = run();
    assert_eq!(decisions, run());
    let ids: BTreeSet<&String> = decisions
        .iter()
        .map(|decision| match decision {
            Decision::Recommendation(said) => &said.decision_id,
            Decision::AbandonedCart(said) => &said.decision_id,
            Decision::Suppression(silence) => &silence.decision_id,
        })
        .collect();
    assert_eq!(ids.len(), decisions.len());
}
