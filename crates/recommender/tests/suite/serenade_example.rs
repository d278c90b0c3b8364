use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use events::SECOND;
use recommender::{ItemModels, ModelSettings, Neighbourhood};

use crate::neighbours::{Sessions, by_the_book, loaded};
use crate::seen;

/// Session, item, second.
type Clicks = Vec<(String, String, i64)>;

#[allow(clippy::disallowed_methods, reason = "the test reads its data; the crate reads none")]
fn clicks(part: &str) -> Option<Clicks> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/serenade-example").join(part);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    let click = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        let (session, item) = (fields.next().unwrap(), fields.next().unwrap());
        (session, item, fields.next().unwrap().parse::<f64>().unwrap() as i64)
    };
    Some(text.lines().skip(1).map(click).collect())
}

fn settings(neighbours: usize, window: usize) -> ModelSettings {
    let neighbourhood = Neighbourhood { newest_sessions: 500, neighbours, window, rarity: 1.0 };
    ModelSettings { neighbourhood, longest_session: 15, max_age: i64::MAX / 4, ..ModelSettings::default() }
}

fn trained(train: &Clicks, settings: ModelSettings) -> ItemModels {
    loaded(train.iter().map(|(session, item, at)| seen(session, session, item, at * SECOND)), settings)
}

/// Every prefix of every test session, with the item that came next.
fn cases(test: &Clicks) -> Vec<(Vec<&str>, &str)> {
    let mut sessions: BTreeMap<&str, Vec<(i64, &str)>> = BTreeMap::new();
    for (session, item, at) in test {
        sessions.entry(session).or_default().push((*at, item));
    }
    let mut cases = Vec::new();
    for clicks in sessions.values_mut() {
        clicks.sort_by_key(|(at, _)| *at);
        let items: Vec<&str> = clicks.iter().map(|(_, item)| *item).collect();
        cases.extend((1..items.len()).map(|end| (items[..end].to_vec(), items[end])));
    }
    cases
}

#[test]
fn accuracy_is_that_of_serenade() {
    let (Some(train), Some(test)) = (clicks("train.txt"), clicks("test.txt")) else { return };
    // Serenade's own: .6402 to .6423 and .3259 to .3266; .6638 to .6660 and .3393 to .3401.
    for (neighbours, window, hit_rate, rank) in [(50, 2, 0.6402, 0.3260), (500, 9, 0.6638, 0.3388)] {
        let models = trained(&train, settings(neighbours, window));
        let index = &models.tenant("bakery").unwrap().sessions;
        let cases = cases(&test);
        let (mut hits, mut ranks) = (0.0, 0.0);
        for (running, next) in &cases {
            let products = index.predict(running, 20, &models.settings().neighbourhood).products;
            if let Some(place) = products.iter().position(|found| found.product_id == *next) {
                hits += 1.0;
                ranks += 1.0 / (place + 1) as f64;
            }
        }
        let (hits, ranks) = (hits / cases.len() as f64, ranks / cases.len() as f64);
        println!("k {neighbours}, window {window}: HR@20 {hits:.4}, MRR@20 {ranks:.4}");
        assert_eq!(cases.len(), 931);
        assert!((hits - hit_rate).abs() < 0.004 && (ranks - rank).abs() < 0.003);
    }
}

#[test]
fn every_score_is_serenades_and_the_same_each_time() {
    let (Some(train), Some(test)) = (clicks("train.txt"), clicks("test.txt")) else { return };
    let settings = settings(500, 9);
    let models = trained(&train, settings.clone());
    assert!(models == trained(&train.iter().rev().cloned().collect(), settings.clone()));
    let index = &models.tenant("bakery").unwrap().sessions;
    let sessions = short_sessions(&train);
    let how = &settings.neighbourhood;
    for (running, _) in cases(&test).iter().step_by(200) {
        // Where none is cut off, ties have no say and all scores are equal.
        let wide = Neighbourhood { newest_sessions: usize::MAX >> 1, neighbours: usize::MAX >> 1, ..*how };
        let book: BTreeMap<String, f64> = by_the_book(&sessions, running, &wide).into_iter().collect();
        let ours = index.predict(running, usize::MAX, &wide).products;
        assert_eq!(ours.len(), book.len());
        assert!(ours.iter().all(|found| (book[found.product_id] - found.score).abs() < 1e-9));
    }
}

fn short_sessions(train: &Clicks) -> Sessions {
    let mut sessions: BTreeMap<&str, (i64, BTreeSet<String>)> = BTreeMap::new();
    for (session, item, at) in train {
        let known = sessions.entry(session).or_insert((*at, BTreeSet::new()));
        known.0 = known.0.max(*at);
        known.1.insert(item.clone());
    }
    sessions.into_values().filter(|(_, items)| items.len() <= 15).collect()
}
