//! States that move to topics with another number of partitions: nothing is lost, doubled or misplaced, and whoever
//! dies in the middle leaves all or nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod failing;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use state_store::{MemoryStore, StateStore, StoreError};
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock};
use stream_runtime::broker::{
    Broker, GroupSettings, LogReader as _, Membership as _, NewTopic, ProducerSettings, Read, Rebalance,
    TransactionalProducer as _,
};
use stream_runtime::{
    Clock, Copied, Frame, InputPosition, Move, Output, Place, Reshard, ReshardProblem, ReshardSettings,
    RuntimeError, SourceRecord, StartFrom, StreamTime, TRAILER_KEY, Trailer, last_trailer, moved_to,
    partition_for, state_key, store_key,
};

use failing::Failing;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Who sleeps moves the broker's clock, and lets it tell one more partition how a transaction has ended: nobody waits.
struct Hand(MemoryClock, MemoryBroker);

impl Clock for Hand {
    fn now(&self) -> i64 {
        self.0.now()
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(self.0.now().unsigned_abs())
    }

    fn sleep(&self, duration: Duration) {
        self.0.advance(duration);
        self.1.write_marker(0);
    }
}

/// A log on which a processor has kept rows, and one that keeps none and whose input stays.
struct Scene {
    clock: MemoryClock,
    broker: MemoryBroker,
    rows: Rows,
    moves: Vec<Move>,
    start_from: StartFrom,
}

impl Scene {
    /// Each frame is written to all partitions, to each the rows that belong there. The last partition ends with a
    /// transaction that has no trailer, and one before the last frame was torn.
    fn set(frames: &[Rows], partitions: i32) -> Self {
        let clock = MemoryClock::by_hand(1_000);
        let broker = MemoryBroker::new(&clock, 3);
        let moves = vec![
            one("taker", ("raw", "raw-log"), ("raw", "raw-log-g2")),
            one("keeper", ("in", "log"), ("in-g2", "log-g2")),
        ];
        let mut scene = Self { clock, broker, rows: Rows::new(), moves, start_from: StartFrom::Earliest };
        for topic in ["in", "log"] {
            scene.make(topic, partitions);
        }
        ["raw", "raw-log", "raw-log-g2"].iter().for_each(|topic| scene.make(topic, 2));
        for (number, frame) in (1..).zip(frames) {
            scene.commit(number, frame, partitions);
        }
        scene.write(vec![scene.row("log", 0, (b"torn", b"99"))]);
        for partition in 0..2 {
            scene.write(vec![record("raw", partition, None), record("raw", partition, None)]);
            scene.write(vec![scene.trailer("raw-log", ("raw", partition, 2), 7, (5, 100))]);
        }
        scene
    }

    fn make(&self, name: &str, partitions: i32) {
        let policy = if name.contains("log") { "compact" } else { "delete" };
        let settings = BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]);
        let topic = NewTopic { name: name.to_owned(), partitions, replication: 1, settings };
        self.broker.create_topic(&topic).unwrap();
    }

    fn commit(&mut self, number: u64, frame: &Rows, partitions: i32) {
        for partition in 0..partitions {
            let here = frame.iter().filter(|(key, _)| partition_for(key, partitions) == partition);
            let (mut records, mut hashed) = (Vec::new(), Frame::default());
            for (key, value) in here {
                hashed.add(&state_key(key), Some(value));
                records.push(self.row("log", partition, (key, value)));
            }
            let input = InputPosition { topic: "in".into(), partition, next_offset: 0 };
            let mut time = StreamTime::default();
            time.hear("clicks", 0, 10 + i64::from(partition));
            time.hear("clicks/told", 0, 20 + i64::from(partition));
            let trailer = Trailer::new(number, &hashed, input, &time, "keeper-0").spread_over(partitions);
            if number == 2 {
                self.write(vec![self.row("log", partition, (b"torn too", b"98"))]);
            }
            let key = Some(TRAILER_KEY.to_vec());
            records.push(Output { value: Some(trailer.encode()), ..record("log", partition, key) });
            self.write(records);
        }
        self.rows.extend(frame.clone());
    }

    fn row(&self, topic: &str, partition: i32, (key, value): (&[u8], &[u8])) -> Output {
        Output { value: Some(value.to_vec()), ..record(topic, partition, Some(state_key(key))) }
    }

    fn trailer(&self, log: &str, at: (&str, i32, i64), sequence: u64, times: (i64, i64)) -> Output {
        let input = InputPosition { topic: at.0.into(), partition: at.1, next_offset: at.2 };
        let mut time = StreamTime::default();
        time.hear("clicks", at.1, times.0);
        time.hear("clicks/frontier", at.1, times.1);
        let trailer = Trailer::new(sequence, &Frame::default(), input, &time, "taker-0").spread_over(2);
        let key = Some(TRAILER_KEY.to_vec());
        Output { value: Some(trailer.encode()), ..record(log, at.1, key) }
    }

    fn write(&self, outputs: Vec<Output>) {
        let mut producer = self.producer("scene");
        producer.begin().unwrap();
        outputs.iter().for_each(|output| producer.send(output, 0).unwrap());
        let _ = producer.commit().unwrap();
    }

    fn producer(&self, name: &str) -> <MemoryBroker as Broker>::Producer {
        let (transactional_id, transaction_timeout) = (name.to_owned(), Duration::from_secs(60));
        self.broker.producer(&ProducerSettings { transactional_id, transaction_timeout }).unwrap()
    }

    fn make_new(&self, partitions: i32) {
        ["in-g2", "log-g2"].iter().for_each(|topic| self.make(topic, partitions));
    }

    fn records(&self, topic: &str, partition: i32) -> Vec<SourceRecord> {
        let mut reader = self.broker.reader().unwrap();
        reader.assign(&[(topic, partition, 0)]).unwrap();
        let mut records = Vec::new();
        while let Some(Read::Record(record)) = reader.poll(Duration::ZERO).unwrap() {
            records.push(record);
        }
        records
    }

    fn reshard(&self) -> Result<Vec<Copied>, ReshardProblem> {
        self.reshard_while(&self.broker, || {})
    }

    /// Something happens between the copies and the transaction that makes them count.
    fn reshard_while<B: Broker>(
        &self,
        broker: &B,
        meanwhile: impl FnOnce(),
    ) -> Result<Vec<Copied>, ReshardProblem> {
        let clock = self.hand();
        let settings = self.settings(&clock);
        let mut reshard = Reshard::survey(broker, &self.moves, &settings)?;
        let copied = reshard.copy(&mut |_| {})?;
        meanwhile();
        reshard.commit(&[])?;
        Ok(copied)
    }

    /// Copies everything, and dies.
    fn copy(&self) {
        let clock = self.hand();
        let settings = self.settings(&clock);
        Reshard::survey(&self.broker, &self.moves, &settings).unwrap().copy(&mut |_| {}).unwrap();
    }

    fn hand(&self) -> Hand {
        Hand(self.clock.clone(), self.broker.clone())
    }

    fn settings<'a>(&self, clock: &'a Hand) -> ReshardSettings<'a> {
        ReshardSettings {
            transactional_id: "reshard".into(),
            transaction_timeout: Duration::from_secs(60),
            session_timeout: Duration::from_secs(6),
            start_from: self.start_from,
            max_records: 100,
            scratch: &scratch,
            clock,
        }
    }

    /// Holds what has come to the new changelog against what was kept, and where it stands against the rule.
    fn check(&self, partitions: i32) {
        let mut rows = Rows::new();
        for partition in 0..partitions {
            let records = self.records("log-g2", partition);
            let (last, copied) = records.split_last().unwrap();
            let trailer = Trailer::decode(last.value.as_deref().unwrap()).unwrap();
            assert_eq!((trailer.next_offset(), trailer.input()), (0, Some("in-g2")));
            assert_eq!((trailer.partitions, trailer.count), (Some(partitions), 0));
            assert!(trailer.sequence >= 2, "a first trailer would take the rows before it for torn ones");
            for record in copied {
                let key = store_key(record.key.as_deref().unwrap()).unwrap().to_vec();
                assert_eq!(partition_for(&key, partitions), partition, "{key:?}");
                match record.value.clone() {
                    Some(value) => rows.insert(key, value),
                    None => rows.remove(&key),
                };
            }
        }
        assert_eq!(rows, self.rows);
        let mut reader = self.broker.reader().unwrap();
        for (number, next) in [(0, 2), (1, 2)] {
            let kept = last_trailer(&self.broker, &mut reader, "raw-log-g2", number).unwrap().unwrap();
            assert_eq!((kept.next_offset(), kept.input(), kept.sequence), (next, Some("raw"), 8));
            assert_eq!(kept.time().origin("clicks/frontier", number), Some(100));
        }
        for (log, partition) in [("log", 0), ("raw-log", 0), ("raw-log", 1)] {
            let ended = last_trailer(&self.broker, &mut reader, log, partition).unwrap().unwrap();
            assert_eq!(ended.moved_to, Some(format!("{log}-g2")));
        }
    }
}

fn one(processor: &str, from: (&str, &str), to: (&str, &str)) -> Move {
    let place = |(input, changelog): (&str, &str)| Place { input: input.into(), changelog: changelog.into() };
    let group = format!("group-{processor}");
    Move { processor: processor.into(), group, from: place(from), to: place(to) }
}

fn record(topic: &str, partition: i32, key: Option<Vec<u8>>) -> Output {
    Output { topic: topic.into(), partition, key, value: None, headers: Vec::new() }
}

fn scratch() -> Result<Box<dyn StateStore>, StoreError> {
    Ok(Box::new(MemoryStore::default()))
}

fn a_few_frames() -> Vec<Rows> {
    let row = |number: u8| (format!("key-{}", number % 17).into_bytes(), vec![number]);
    vec![(0..12).map(row).collect(), (20..30).map(row).collect(), Rows::new(), (33..36).map(row).collect()]
}

fn rows() -> impl Strategy<Value = Vec<Rows>> {
    let row = (prop::collection::vec(any::<u8>(), 1..4), prop::collection::vec(any::<u8>(), 0..3));
    prop::collection::vec(prop::collection::btree_map(row.0, row.1, 0..12), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_row_comes_to_the_partition_of_its_key_and_none_is_lost_or_doubled(
        frames in rows(), before in 1i32..7, after in 1i32..10,
    ) {
        let scene = Scene::set(&frames, before);
        scene.make_new(after);
        let copied = scene.reshard().unwrap();
        let keeper = &copied[1];
        prop_assert_eq!((keeper.rows.rows, keeper.before, keeper.after), (scene.rows.len() as u64, before, after));
        scene.check(after);
    }
}

#[test]
fn the_time_of_new_partitions_is_the_least_of_the_old_ones_and_a_promise_the_greatest() {
    let scene = Scene::set(&a_few_frames(), 4);
    scene.make_new(6);
    scene.reshard().unwrap();
    let mut reader = scene.broker.reader().unwrap();
    let time = last_trailer(&scene.broker, &mut reader, "log-g2", 5).unwrap().unwrap().time();
    assert_eq!((time.origin("clicks", 0), time.origin("clicks/told", 0)), (Some(10), Some(23)));
}

/// It dies before and after each call; then nothing has moved or everything has, and the next try ends it.
#[test]
fn a_death_at_any_call_leaves_all_or_nothing_and_the_next_try_ends_it() {
    let mut outcomes = BTreeMap::<bool, u32>::new();
    for call in 0.. {
        let (mut scene, last) = (Scene::set(&a_few_frames(), 4), call % 2 == 1);
        scene.make_new(6);
        let failing = Failing::at(&scene.broker, call / 2, last);
        let died = scene.reshard_while(&failing, || {}).is_err();
        if !failing.has_failed() {
            assert!(!died && call > 100, "{call}");
            break;
        }
        let moved = moved_to(&scene.broker, "log").unwrap().is_some();
        assert_eq!(moved, moved_to(&scene.broker, "raw-log").unwrap().is_some(), "call {call}");
        *outcomes.entry(moved).or_default() += 1;
        if !moved {
            // The processor goes on meanwhile, as nothing has happened.
            let frame = Rows::from([(b"key-3".to_vec(), b"newer".to_vec()), (b"key-x".to_vec(), Vec::new())]);
            scene.commit(5, &frame, 4);
            scene.reshard().unwrap();
        }
        scene.check(6);
    }
    assert!(outcomes[&false] > 100 && outcomes[&true] > 0, "{outcomes:?}");
}

#[test]
fn what_an_earlier_try_has_left_is_cleared_away() {
    let scene = Scene::set(&a_few_frames(), 4);
    scene.make_new(6);
    let stale = scene.row("log-g2", partition_for(b"stale", 6), (b"stale", b"1"));
    scene.write(vec![stale]);
    scene.reshard().unwrap();
    scene.check(6);
}

#[test]
fn however_many_tries_have_died_the_next_reads_no_more_than_they_copied() {
    let scene = Scene::set(&a_few_frames(), 4);
    scene.make_new(6);
    let length =
        || (0..6).map(|partition| scene.broker.extent("log-g2", partition).unwrap().end).sum::<i64>();
    scene.copy();
    let once = length();
    (0..10).for_each(|_| scene.copy());
    assert!(length() <= 11 * 2 * once, "{once} offsets once, {} after eleven tries", length());
    scene.reshard().unwrap();
    scene.check(6);
}

#[test]
fn the_ends_of_transactions_that_are_told_late_are_waited_for() {
    let scene = Scene::set(&a_few_frames(), 4);
    scene.make_new(6);
    scene.broker.hold_markers(true);
    scene.reshard().unwrap();
    scene.broker.hold_markers(false);
    scene.check(6);
}

#[test]
fn a_second_run_is_told_that_it_has_moved() {
    let scene = Scene::set(&a_few_frames(), 4);
    scene.make_new(6);
    scene.reshard().unwrap();
    let again = scene.reshard();
    assert!(matches!(again, Err(ReshardProblem::Runtime(RuntimeError::Moved { .. }))), "{again:?}");
    assert_eq!(moved_to(&scene.broker, "log").unwrap(), Some("log-g2".to_owned()));
}

#[test]
fn what_is_not_at_rest_is_refused() {
    let scene = Scene::set(&a_few_frames(), 4);
    let row = Output { value: Some(Vec::new()), ..record("in", 3, Some(b"k".to_vec())) };
    scene.write(vec![row]);
    scene.make_new(6);
    let refused = scene.reshard();
    assert!(matches!(&refused, Err(ReshardProblem::NotDrained { partition: 3, .. })), "{refused:?}");

    let scene = Scene::set(&a_few_frames(), 4);
    scene.make_new(6);
    let mut producer = scene.producer("a worker");
    producer.begin().unwrap();
    producer.send(&scene.row("log", 1, (b"key-1", b"")), 0).unwrap();
    let refused = scene.reshard();
    assert!(matches!(&refused, Err(ReshardProblem::Open { partition: 1, .. })), "{refused:?}");
}

#[test]
fn new_topics_that_do_not_fit_are_refused() {
    let scene = Scene::set(&a_few_frames(), 4);
    scene.make("in-g2", 6);
    scene.make("log-g2", 5);
    let refused = scene.reshard();
    assert!(matches!(&refused, Err(ReshardProblem::Uneven { found: 5, expected: 6, .. })), "{refused:?}");

    let scene = Scene::set(&a_few_frames(), 4);
    scene.make_new(6);
    let row = Output { value: Some(Vec::new()), ..record("in-g2", 3, Some(b"k".to_vec())) };
    scene.write(vec![row]);
    let refused = scene.reshard();
    assert!(matches!(&refused, Err(ReshardProblem::InUse { .. })), "{refused:?}");
}

#[test]
fn who_has_joined_or_worked_meanwhile_is_not_passed_over() {
    let scene = Scene::set(&a_few_frames(), 4);
    scene.make_new(6);
    let mut member = None;
    let refused = scene.reshard_while(&scene.broker, || member = Some(join(&scene.broker)));
    assert!(matches!(&refused, Err(ReshardProblem::Busy { .. })), "{refused:?}");
    drop(member);

    let scene = Scene::set(&a_few_frames(), 4);
    scene.make_new(6);
    let late = Output { value: Some(Vec::new()), ..record("raw-log", 1, Some(b"k".to_vec())) };
    let refused = scene.reshard_while(&scene.broker, || scene.write(vec![late]));
    assert!(matches!(&refused, Err(ReshardProblem::Busy { .. })), "{refused:?}");
    assert_eq!(moved_to(&scene.broker, "log").unwrap(), None);
    scene.reshard().unwrap();
    scene.check(6);
}

/// A scene with a source that nobody has taken from.
fn with_a_new_source() -> Scene {
    let mut scene = Scene::set(&a_few_frames(), 4);
    scene.make_new(6);
    ["new", "new-log", "new-log-g2"].iter().for_each(|topic| scene.make(topic, 1));
    scene.moves.push(one("newcomer", ("new", "new-log"), ("new", "new-log-g2")));
    scene
}

#[test]
fn a_source_that_nobody_has_taken_from_yet_may_grow_meanwhile() {
    let mut scene = with_a_new_source();
    scene.start_from = StartFrom::Latest;
    let click = || scene.write(vec![Output { value: Some(Vec::new()), ..record("new", 0, None) }]);
    click();
    let before = scene.broker.extent("new", 0).unwrap().end;
    scene.reshard_while(&scene.broker, click).unwrap();
    scene.check(6);
    let mut reader = scene.broker.reader().unwrap();
    let begins = last_trailer(&scene.broker, &mut reader, "new-log-g2", 0).unwrap().unwrap();
    assert_eq!(begins.next_offset(), before, "what came meanwhile is taken");
}

#[test]
fn a_source_that_loses_its_beginning_meanwhile_is_not_left_to_begin_there() {
    let scene = with_a_new_source();
    scene.write(vec![record("new", 0, None), record("new", 0, None)]);
    let refused = scene.reshard_while(&scene.broker, || scene.broker.delete_records("new", 0, 1));
    let lost = |error: &ReshardProblem| {
        matches!(error, ReshardProblem::Runtime(RuntimeError::InputLost { start: 1, .. }))
    };
    assert!(refused.as_ref().is_err_and(lost), "{refused:?}");
    scene.reshard().unwrap();
    scene.check(6);
}

#[test]
fn an_input_that_was_made_anew_is_refused() {
    let scene = Scene::set(&a_few_frames(), 4);
    scene.make_new(6);
    scene.broker.delete_topic("raw");
    scene.make("raw", 2);
    let refused = scene.reshard();
    let lost = |error: &ReshardProblem| {
        matches!(error, ReshardProblem::Runtime(RuntimeError::InputLost { next: 2, .. }))
    };
    assert!(refused.as_ref().is_err_and(lost), "{refused:?}");
}

#[test]
fn a_group_that_is_ahead_of_its_changelog_is_refused() {
    let scene = Scene::set(&a_few_frames(), 4);
    scene.make_new(6);
    let mut member = join(&scene.broker);
    let mut producer = scene.producer("somebody");
    producer.begin().unwrap();
    producer.send_offsets("in", &BTreeMap::from([(3, 7)]), &member.fence().unwrap()).unwrap();
    let _ = producer.commit().unwrap();
    member.leave();
    let refused = scene.reshard();
    let ahead = |error: &ReshardProblem| {
        matches!(
            error,
            ReshardProblem::Runtime(RuntimeError::GroupAhead { partition: 3, group: 7, trailer: 0, .. })
        )
    };
    assert!(refused.as_ref().is_err_and(ahead), "{refused:?}");
    assert_eq!(moved_to(&scene.broker, "log").unwrap(), None);
}

/// A member of the keeper's group that holds its partitions.
fn join(broker: &MemoryBroker) -> <MemoryBroker as Broker>::Membership {
    let mut member = broker
        .join(&GroupSettings {
            group: "group-keeper".into(),
            topic: "in".into(),
            member: "somebody".into(),
            session_timeout: Duration::from_secs(60),
        })
        .unwrap();
    loop {
        if let Some(rebalance @ Rebalance::Assigned(_)) = member.poll().unwrap() {
            member.acknowledge(&rebalance).unwrap();
            return member;
        }
    }
}
