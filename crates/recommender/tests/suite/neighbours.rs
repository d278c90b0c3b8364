use std::collections::{BTreeMap, BTreeSet};

use events::{EventTime, SECOND, SessionEntry, SessionFact};
use proptest::prelude::*;
use recommender::{ItemModels, ModelSettings, Neighbourhood, SessionIndex};

use crate::seen;

/// Sessions with the time of their last event, as Serenade is given them.
pub(crate) type Sessions = Vec<(i64, BTreeSet<String>)>;

/// Serenade's prediction, step by step as its code makes it, with the tie between equally new sessions
/// broken by their number and between equal scores by name.
pub(crate) fn by_the_book(sessions: &Sessions, running: &[&str], how: &Neighbourhood) -> Vec<(String, f64)> {
    let window = &running[running.len().saturating_sub(how.window)..];
    let distinct = window.iter().collect::<BTreeSet<_>>().len() as f64;
    let mut similarity: BTreeMap<usize, f64> = BTreeMap::new();
    let mut done = BTreeSet::new();
    for (back, item) in window.iter().rev().enumerate().filter(|(_, item)| done.insert(**item)) {
        for (number, _) in sessions.iter().enumerate().filter(|(_, (_, items))| items.contains(*item)) {
            *similarity.entry(number).or_default() += (window.len() - back) as f64 / distinct;
        }
    }
    let mut newest: Vec<(usize, f64)> = similarity.into_iter().collect();
    newest.sort_by_key(|(number, _)| std::cmp::Reverse((sessions[*number].0, *number)));
    newest.truncate(how.newest_sessions);
    newest.sort_by(|a, b| b.1.total_cmp(&a.1));
    newest.truncate(how.neighbours);
    score(sessions, window, &newest, how.rarity)
}

fn score(sessions: &Sessions, window: &[&str], near: &[(usize, f64)], rarity: f64) -> Vec<(String, f64)> {
    let pairs: usize = sessions.iter().map(|(_, items)| items.len()).sum();
    let with = |item: &String| sessions.iter().filter(|(_, items)| items.contains(item)).count();
    let mut scores: BTreeMap<String, f64> = BTreeMap::new();
    for (number, similarity) in near {
        let items = &sessions[*number].1;
        let matched = window.iter().rev().position(|item| items.contains(*item)).unwrap() + 1;
        let weight = if matched < 100 { 1.0 - 0.1 * matched as f64 } else { 0.0 };
        for item in items {
            let rare = (pairs as f64 / with(item) as f64).ln() * rarity;
            *scores.entry(item.clone()).or_default() +=
                if rare > 0.0 { weight * rare * similarity } else { weight * similarity };
        }
    }
    scores.remove(*window.last().unwrap());
    let mut scores: Vec<(String, f64)> = scores.into_iter().collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    scores
}

pub(crate) fn loaded(entries: impl IntoIterator<Item = SessionEntry>, settings: ModelSettings) -> ItemModels {
    let mut models = ItemModels::new(settings);
    entries.into_iter().for_each(|entry| {
        let frontier = entry.event_time;
        models.offer(entry, frontier);
    });
    models.seal(EventTime::MAX);
    models
}

fn predicted(index: &SessionIndex, running: &[&str], how: &Neighbourhood) -> Vec<(String, f64)> {
    let prediction = index.predict(running, usize::MAX, how);
    prediction.products.iter().map(|found| (found.product_id.to_owned(), found.score)).collect()
}

#[test]
fn a_small_shop_is_answered_as_on_paper() {
    let log = [("s1", "bun", 1), ("s1", "tart", 2), ("s2", "tart", 3), ("s2", "pie", 4), ("s3", "roll", 5)];
    let entries = log.map(|(session, product, at)| seen(session, session, product, at * SECOND));
    let how = Neighbourhood { newest_sessions: 10, neighbours: 10, window: 2, rarity: 1.0 };
    let models = loaded(entries, ModelSettings { neighbourhood: how, ..ModelSettings::default() });
    let index = &models.tenant("bakery").unwrap().sessions;

    // The window is bun, tart: tart counts 2/2, bun 1/2. s1 shares both: 1.5; s2 shares tart: 1.
    // The newest shared product is tart, the last: weight 0.9. Five pairs; bun and pie in one each: ln 5.
    let answer = predicted(index, &["bun", "tart"], &how);
    let rare = 5f64.ln();
    assert_eq!(answer[0].0, "bun");
    assert!((answer[0].1 - 0.9 * 1.5 * rare).abs() < 1e-12);
    assert_eq!(answer[1].0, "pie");
    assert!((answer[1].1 - 0.9 * rare).abs() < 1e-12);
    assert_eq!(answer.len(), 2, "tart is what is being looked at; roll is in no neighbour");

    assert_eq!(predicted(index, &["unheard of"], &how), []);
    assert_eq!(predicted(index, &[], &how), []);
    assert_eq!(index.predict(&["bun", "tart"], 1, &how).products.len(), 1);
    assert_eq!(index.predict(&["bun", "tart"], 0, &how).products.len(), 0);
}

#[test]
fn a_session_of_ten_thousand_products_is_answered() {
    let entries = (0..10_000).map(|n| seen("anna", "long", &format!("p{n}"), n));
    let models = loaded(entries.chain([seen("ola", "short", "p1", 20_000)]), ModelSettings::default());
    let index = &models.tenant("bakery").unwrap().sessions;
    let running: Vec<String> = (0..10_000).map(|n| format!("p{n}")).collect();
    let running: Vec<&str> = running.iter().map(String::as_str).collect();
    let how = Neighbourhood { window: 10_000, ..Neighbourhood::default() };
    assert_eq!(index.predict(&running, 20, &how).neighbours, 1, "the long session teaches nothing");
    assert_eq!(models.tenant("bakery").unwrap().popularity.top(100).len(), 51, "and is bounded");
}

#[test]
fn a_forgotten_person_leaves_no_trace_and_an_old_session_expires() {
    let kept = [seen("ola", "o", "bun", 1), seen("ola", "o", "tart", 2_000), seen("ola", "o", "pie", 9_000)];
    let forgotten = [seen("anna", "a", "bun", 1), seen("anna", "a", "secret", 3_000)];
    let forget =
        SessionEntry { fact: SessionFact::Forget { session_id: None }, ..seen("anna", "", "", 8_000) };
    let with = loaded(kept.iter().chain(&forgotten).cloned().chain([forget]), ModelSettings::default());
    let without = loaded(kept.iter().cloned(), ModelSettings::default());
    let (with, without) = (with.tenant("bakery").unwrap(), without.tenant("bakery").unwrap());
    assert_eq!(with.popularity, without.popularity);
    let how = Neighbourhood::default();
    for product in ["bun", "tart", "pie", "secret"] {
        let answer = predicted(&with.sessions, &[product], &how);
        assert_eq!(answer, predicted(&without.sessions, &[product], &how));
        assert!(answer.iter().all(|(name, _)| name != "secret"));
    }
    let settings = ModelSettings { max_age: 5 * SECOND, ..ModelSettings::default() };
    let aged = loaded([seen("ola", "o", "bun", 1), seen("ewa", "e", "tart", 9_000)], settings);
    assert_eq!(aged.tenant("bakery").unwrap().sessions.sessions(), 1);
    assert_eq!(aged.tenant("bakery").unwrap().popularity.top(9), [("tart", 1.0)]);
}

#[test]
fn a_limit_on_sessions_shortens_the_age_and_says_so() {
    let settings = ModelSettings { max_sessions: 10, ..ModelSettings::default() };
    let models = loaded((0..100).map(|n| seen("p", &format!("s{n}"), "bun", n * SECOND)), settings);
    let tenant = models.tenant("bakery").unwrap();
    assert_eq!((tenant.sessions.sessions(), tenant.shortened_to), (10, Some(EventTime(90 * SECOND))));
}

proptest! {
    /// Built visit by visit, out of order and with repeats, it answers as from a batch.
    #[test]
    fn it_answers_as_serenade_does(
        log in prop::collection::vec((0..12u8, 0..8u8, 0..60i64), 1..80),
        running in prop::collection::vec(0..9u8, 1..14),
        (newest_sessions, neighbours, window) in (1..12usize, 1..12usize, 1..13usize),
        (rarity, longest) in (prop::sample::select(vec![0.0, 1.0, 2.0]), 2..6usize),
    ) {
        let how = Neighbourhood { newest_sessions, neighbours, window, rarity };
        let settings = ModelSettings { neighbourhood: how, longest_session: longest, ..ModelSettings::default() };
        let name = |n: u8| format!("p{n}");
        let entries = log.iter().map(|(s, p, at)| seen("x", &format!("s{s:02}"), &name(*p), at * SECOND));
        let models = loaded(entries, settings);

        // A session's number is its place in the log, which is read by time and then by session.
        let mut in_order: Vec<_> = log.iter().map(|(s, p, at)| (*at, *s, *p)).collect();
        in_order.sort_unstable();
        let mut numbered: Vec<u8> = Vec::new();
        let mut sessions = Sessions::new();
        for (at, s, p) in in_order {
            let number = numbered.iter().position(|known| *known == s).unwrap_or_else(|| {
                numbered.push(s);
                sessions.push((at, BTreeSet::new()));
                numbered.len() - 1
            });
            sessions[number].0 = at;
            sessions[number].1.insert(name(p));
        }
        let short: Sessions = sessions.into_iter().filter(|(_, items)| items.len() <= longest).collect();
        let running: Vec<String> = running.into_iter().map(name).collect();
        let running: Vec<&str> = running.iter().map(String::as_str).collect();
        let book = by_the_book(&short, &running, &how);
        let ours: BTreeMap<String, f64> =
            predicted(&models.tenant("bakery").unwrap().sessions, &running, &how).into_iter().collect();
        prop_assert_eq!(ours.len(), book.len());
        for (product, score) in book {
            prop_assert!((ours[&product] - score).abs() < 1e-9, "{}: {} and {}", product, ours[&product], score);
        }
    }
}
