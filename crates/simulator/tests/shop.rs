//! The generated shop: what its lines are, and that a pipeline notices just what the truth says.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use events::{Event, EventKind, EventTime, MINUTE, ProfileKey, Raw};
use ingest::{DEFAULT_LATENESS, Format, Frontier, Source, SourceKind, accept};
use profile_updater::{Arrival, Notice, Outcome, Profile, Rules, apply, fire};
use simulator::{Abandoned, Comparison, Ending, Generator, Line, Noise, Options, Sort, Truth};
use xxhash_rust::xxh3::Xxh3;

fn source() -> Source {
    Source::new("clickstream", "shop", Format::Segment, SourceKind::Historic)
}

fn read(line: &Line) -> Result<Event, ingest::Rejection> {
    accept(&Raw { value: Some(&line.value), line: None, produced_at: line.arrived_at }, &source())
}

fn hash(options: Options) -> u64 {
    let mut hash = Xxh3::new();
    for line in Generator::new(options) {
        hash.update(&line.value);
        hash.update(line.key.as_bytes());
        hash.update(&line.event_time.0.to_le_bytes());
        hash.update(b"\n");
    }
    hash.digest()
}

/// A pipeline of one raw partition, made of the pure crates alone.
#[derive(Default)]
struct Pipeline {
    profiles: BTreeMap<ProfileKey, Profile>,
    rules: Rules,
    noticed: Vec<Abandoned>,
    outcomes: BTreeMap<&'static str, u64>,
}

impl Pipeline {
    fn run(options: Options) -> (Self, Truth) {
        Self::run_by(Rules::default(), DEFAULT_LATENESS, options)
    }

    fn run_by(rules: Rules, lateness: i64, options: Options) -> (Self, Truth) {
        let mut pipeline = Self { rules, ..Self::default() };
        let mut generator = Generator::new(options);
        let mut frontier = Frontier::START;
        for line in generator.by_ref() {
            let Ok(event) = read(&line) else {
                pipeline.count("rejected");
                continue;
            };
            let mark = frontier.take(event.event_time, lateness);
            let settled = mark.frontier.minus(lateness + 1);
            pipeline.take(&event, Arrival { late: mark.late, settled });
        }
        let keys: Vec<ProfileKey> = pipeline.profiles.keys().cloned().collect();
        keys.iter().for_each(|key| pipeline.fire(key, EventTime::MAX));
        (pipeline, generator.into_truth())
    }

    fn take(&mut self, event: &Event, arrival: Arrival) {
        let key = whose(event);
        self.fire(&key, arrival.settled);
        let profile = self.profiles.entry(key.clone()).or_default();
        let outcome = match apply(profile, &key, event, arrival, &self.rules) {
            Outcome::Applied(_) => "applied",
            Outcome::Duplicate => "duplicate",
            Outcome::Late => "late",
            Outcome::Conflict => "conflict",
        };
        self.count(outcome);
        self.fire(&key, arrival.settled);
    }

    fn fire(&mut self, key: &ProfileKey, settled: EventTime) {
        let Some(profile) = self.profiles.get_mut(key) else { return };
        if profile.timer(&self.rules).is_some_and(|due| due <= settled) {
            let updates = fire(profile, key, settled, &self.rules);
            self.noticed.extend(updates.iter().filter_map(Abandoned::noticed));
        }
    }

    fn count(&mut self, outcome: &'static str) {
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    fn counted(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or(0)
    }
}

/// Whose event it is for somebody who knows whose each device is.
fn whose(event: &Event) -> ProfileKey {
    let owner = event.anonymous_id.as_deref().and_then(|id| id.strip_prefix("tablet-"));
    match owner {
        Some(number) => ProfileKey::new("shop", &format!("customer-{number}")),
        None => event.profile_key().unwrap(),
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_for_ever_and_another_seed_others() {
    assert_eq!(
        hash(Options::new(1, 20_000)),
        3_253_466_803_309_618_470,
        "whoever changes the shop writes the new hash here"
    );
    assert_ne!(hash(Options::new(1, 2_000)), hash(Options::new(2, 2_000)));
}

#[test]
fn there_are_exactly_as_many_lines_as_asked_for() {
    for lines in [0, 1, 2, 30, 73, 74, 219, 500, 5_000] {
        let mut generator = Generator::new(Options::new(3, lines));
        assert_eq!(generator.by_ref().count() as u64, lines);
        assert_eq!(generator.truth().counts().lines, lines);
    }
}

#[test]
fn ingest_accepts_every_line_but_the_malformed_and_counts_as_the_truth_does() {
    let mut generator = Generator::new(Options::new(4, 100_000));
    let (mut codes, mut ids, mut again, mut accepted) = (BTreeSet::new(), BTreeSet::new(), 0, 0);
    for line in generator.by_ref() {
        match (read(&line), line.sort) {
            (Err(rejection), Sort::Malformed) => drop(codes.insert(rejection.code)),
            (Ok(event), Sort::Fresh | Sort::Duplicate) => {
                assert_eq!(event.event_time, line.event_time);
                assert_eq!(event.profile_key(), Some(ProfileKey::new("shop", &line.key)));
                accepted += 1;
                again += u64::from(!ids.insert(event.event_id));
            }
            (answer, sort) => panic!("{sort:?}: {answer:?}: {}", String::from_utf8_lossy(&line.value)),
        }
    }
    let counts = generator.truth().counts();
    assert_eq!((counts.lines, counts.accepted, counts.duplicates), (100_000, accepted, again));
    assert_eq!(counts.malformed, 100_000 - accepted);
    assert!(counts.malformed > 100 && counts.duplicates > 500, "{counts:?}");
    assert!(codes.len() >= 8, "lines are broken in many ways: {codes:?}");
}

#[test]
fn lines_come_in_order_of_arrival_and_none_is_late_in_any_partition() {
    for partitions in [1, 3, 16] {
        let mut frontiers = vec![Frontier::START; partitions];
        let (mut last, mut out_of_order) = (EventTime::MIN, 0);
        for line in Generator::new(Options::new(5, 50_000)) {
            assert!(last <= line.arrived_at && line.event_time <= line.arrived_at);
            last = line.arrived_at;
            let partition = xxhash_rust::xxh3::xxh3_64(line.key.as_bytes()) as usize % partitions;
            let before = frontiers[partition].time();
            out_of_order += u32::from(line.event_time < before);
            assert!(!frontiers[partition].take(line.event_time, DEFAULT_LATENESS).late);
        }
        assert!(out_of_order > 1_000, "{out_of_order} lines out of order in {partitions} partitions");
    }
}

#[test]
fn a_pipeline_notices_what_the_truth_says_and_nothing_else() {
    for seed in 0..10 {
        let (pipeline, truth) = Pipeline::run(Options::new(seed, 50_000));
        let comparison = truth.compare(&pipeline.noticed);
        assert_eq!(comparison, Comparison::default(), "seed {seed}");
        assert_eq!((truth.missed(&pipeline.noticed), truth.false_alarms(&pipeline.noticed)), (0, 0));
        assert!(truth.abandoned_carts() > 300, "{}", truth.abandoned_carts());
        let counts = truth.counts();
        assert_eq!(pipeline.counted("duplicate"), counts.duplicates);
        assert_eq!(pipeline.counted("rejected"), counts.malformed);
        assert_eq!(pipeline.counted("applied"), counts.accepted - counts.duplicates);
        assert_eq!((pipeline.counted("late"), pipeline.counted("conflict")), (0, 0));
    }
}

#[test]
fn a_pipeline_of_other_rules_is_found_out() {
    let again = Rules { notice: Notice::EveryIdlePeriod, ..Rules::default() };
    let (pipeline, truth) = Pipeline::run_by(again, DEFAULT_LATENESS, Options::new(1, 20_000));
    assert_eq!(truth.missed(&pipeline.noticed), 0);
    assert!(truth.false_alarms(&pipeline.noticed) > 100, "content that was left before is noticed again");

    let impatient = Rules { idle: 30 * MINUTE - 1, ..Rules::default() };
    let (pipeline, truth) = Pipeline::run_by(impatient, DEFAULT_LATENESS, Options::new(1, 20_000));
    let alarms = pipeline.noticed.len() - truth.abandoned_carts();
    let at_the_last_moment = truth.visits()[&Ending::ReturnsAtTheLastMoment];
    assert!(alarms > 0 && alarms as u64 <= at_the_last_moment, "{alarms} and {at_the_last_moment}");
}

#[test]
fn people_who_come_for_weeks_are_judged_rightly_to_the_end() {
    let options = Options { people: 40, days: 60, ..Options::new(11, 100_000) };
    let (pipeline, truth) = Pipeline::run(options);
    assert_eq!(truth.compare(&pipeline.noticed), Comparison::default());
}

#[test]
fn a_visit_that_ends_otherwise_than_planned_is_one_missed_cart() {
    for (seed, moved) in [(1, 0), (2, 100), (3, 1_000)] {
        let options = Options { moved: Some(moved), ..Options::new(seed, 30_000) };
        let (pipeline, truth) = Pipeline::run(options);
        assert_eq!((truth.missed(&pipeline.noticed), truth.false_alarms(&pipeline.noticed)), (1, 0));
    }
}

#[test]
fn a_pipeline_that_takes_everything_in_forgets_nothing_and_warns_of_nothing_without_noise() {
    let options = Options { noise: Noise::NONE, skew: false, ..Options::new(12, 20_000) };
    let (pipeline, truth) = Pipeline::run(options);
    assert_eq!(truth.compare(&pipeline.noticed), Comparison::default());
    assert_eq!(pipeline.counted("applied"), 20_000);
}

#[test]
fn every_ending_and_every_kind_of_event_comes_up() {
    let mut generator = Generator::new(Options::new(6, 50_000));
    let kinds: BTreeSet<EventKind> =
        generator.by_ref().flat_map(|line| read(&line)).map(|event| event.kind).collect();
    let expected = [
        EventKind::PageViewed,
        EventKind::Identified,
        EventKind::Searched,
        EventKind::ProductListViewed,
        EventKind::ProductViewed,
        EventKind::WishlistAdded,
        EventKind::CartItemAdded,
        EventKind::CartItemRemoved,
        EventKind::CartViewed,
        EventKind::CheckoutStarted,
        EventKind::CheckoutStep,
        EventKind::OrderCompleted,
        EventKind::OrderRefunded,
    ];
    assert_eq!(kinds, BTreeSet::from(expected));
    let visits = generator.truth().visits();
    assert!(visits.values().all(|count| *count >= 10), "{visits:?}");
    assert_eq!(visits.len(), Ending::ALL.len());
}

#[test]
fn carts_with_and_without_an_id_of_customers_and_visitors_are_left() {
    let mut generator = Generator::new(Options::new(7, 20_000));
    generator.by_ref().for_each(drop);
    let mut sorts = BTreeSet::new();
    for left in generator.truth().abandoned() {
        let who = left.profile.id().split('-').next().unwrap_or_default().to_owned();
        sorts.insert((who, left.cart_key != left.profile.id()));
    }
    let expected =
        ["customer", "guest", "visitor"].map(|who| [(who.to_owned(), false), (who.to_owned(), true)]);
    assert_eq!(sorts, expected.into_iter().flatten().collect());
}

#[test]
fn one_person_and_one_product_have_more_than_their_share() {
    let (mut people, mut products) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    for event in Generator::new(Options::new(8, 50_000)).flat_map(|line| read(&line)) {
        *people.entry(event.profile_key().unwrap().to_string()).or_default() += 1;
        event.items.into_iter().for_each(|item| *products.entry(item.product_id).or_default() += 1);
    }
    let first_and_second = |counts: &BTreeMap<String, u64>| {
        let mut counts: Vec<u64> = counts.values().copied().collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        (counts[0], counts[1])
    };
    for (first, second) in [first_and_second(&people), first_and_second(&products)] {
        assert!(first * 2 > second * 3, "{first} and {second}");
    }
}

#[test]
fn a_second_device_is_anonymous_until_it_signs_in() {
    let options = Options { two_devices: true, ..Options::new(9, 20_000) };
    let tablets = |event: &Event| event.anonymous_id.as_deref().is_some_and(|id| id.starts_with("tablet"));
    let events: Vec<Event> = Generator::new(options).flat_map(|line| read(&line)).filter(tablets).collect();
    assert!(events.iter().any(|event| event.user_id.is_none() && event.kind == EventKind::CartItemAdded));
    assert!(events.iter().any(|event| event.user_id.is_some() && event.kind == EventKind::Identified));
    let usual = Generator::new(Options::new(9, 20_000)).flat_map(|line| read(&line)).filter(tablets);
    assert_eq!(usual.count(), 0);
}

#[test]
fn who_knows_whose_each_device_is_or_waits_for_the_orders_notices_what_is_true() {
    let devices = Options { two_devices: true, ..Options::new(9, 50_000) };
    let (pipeline, truth) = Pipeline::run(devices);
    assert_eq!(truth.compare(&pipeline.noticed), Comparison::default());

    let orders = Options { late_orders: true, ..Options::new(10, 50_000) };
    let (pipeline, truth) = Pipeline::run_by(Rules::default(), 40 * MINUTE, orders.clone());
    assert_eq!(truth.compare(&pipeline.noticed), Comparison::default());
    let (pipeline, truth) = Pipeline::run(orders);
    assert!(truth.false_alarms(&pipeline.noticed) > 10, "reminders of what was bought");
}

#[test]
fn late_orders_arrive_up_to_half_an_hour_late_and_nothing_else_does() {
    let late = |options| {
        let mut frontier = Frontier::START;
        let mut late = BTreeSet::new();
        for event in Generator::new(options).flat_map(|line| read(&line)) {
            if frontier.take(event.event_time, DEFAULT_LATENESS).late {
                late.insert(event.kind);
            }
        }
        late
    };
    let options = Options { late_orders: true, ..Options::new(10, 20_000) };
    assert_eq!(late(options), BTreeSet::from([EventKind::OrderCompleted]));
    assert_eq!(late(Options::new(10, 20_000)), BTreeSet::new());
}

#[test]
fn machines_fill_carts_that_the_truth_does_not_speak_of() {
    let options = Options { bots: true, ..Options::new(13, 30_000) };
    let (pipeline, truth) = Pipeline::run(options);
    let comparison = truth.compare(&pipeline.noticed);
    assert_eq!(comparison.missed, []);
    assert!(!comparison.false_alarms.is_empty());
    assert!(comparison.false_alarms.iter().all(|left| left.profile.id().starts_with("bot-")));
    assert!(truth.counts().by_bots > 500, "{:?}", truth.counts());
    assert_eq!(Pipeline::run(Options::new(13, 30_000)).1.counts().by_bots, 0);
}

#[test]
fn two_hundred_thousand_lines_take_about_a_second() {
    let begin = Instant::now();
    assert_eq!(Generator::new(Options::new(14, 200_000)).count(), 200_000);
    let took = begin.elapsed();
    println!("200,000 lines in {took:?}");
    assert!(took.as_secs() < 10, "{took:?}: ten times what it takes on a slow machine");
}
