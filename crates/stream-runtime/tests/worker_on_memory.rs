//! The worker on the log in memory, on threads: whoever stops or dies, each input counts once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "lineage/sums.rs"]
mod sums;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use state_store::{MemoryStore, StateStore, StoreError};
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock};
use stream_runtime::broker::{
    Broker as _, LogReader as _, NewTopic, ProducerSettings, Read, TransactionalProducer as _,
};
use stream_runtime::{
    Guards, Health, Metrics, Observer, RuntimeError, Silent, SourceRecord, Standby, StartFrom, Step,
    SystemClock, Worker, WorkerSettings, run_worker,
};

use sums::{KEYS, PARTITIONS, Sums, record_of};

const RECORDS: u64 = 20_000;

/// Dies the way a process does, with its transaction open.
struct DiesAfter(Step, AtomicUsize);

impl Observer for DiesAfter {
    fn reached(&self, _: &str, step: Step, _: usize) {
        if step == self.0 && self.1.fetch_sub(1, Ordering::Relaxed) == 1 {
            panic!("killed by the test");
        }
    }
}

fn shop() -> MemoryBroker {
    let broker = MemoryBroker::new(&MemoryClock::automatic(), 11);
    for (name, policy) in [("numbers", "delete"), ("sums", "delete"), ("changelog", "compact")] {
        let settings = BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]);
        let topic = NewTopic { name: name.to_owned(), partitions: PARTITIONS, replication: 1, settings };
        broker.create_topic(&topic).unwrap();
    }
    broker
}

fn settings(name: &str) -> WorkerSettings {
    WorkerSettings {
        processor: "sums".into(),
        input: "numbers".into(),
        changelog: "changelog".into(),
        group: "summing".into(),
        transactional_id: name.into(),
        commit_interval: Duration::from_millis(5),
        max_records: 100,
        max_bytes: 1 << 20,
        hot_states: 10,
        session_timeout: Duration::from_millis(700),
        transaction_timeout: Duration::from_secs(2),
        start_from: StartFrom::Earliest,
        accept_reset: false,
        standby: Standby::default(),
        guards: Guards::default(),
    }
}

fn work(
    broker: &MemoryBroker,
    name: &str,
    observer: &dyn Observer,
    health: &Health,
) -> Result<(), RuntimeError> {
    work_measured(broker, name, observer, health, &Metrics::default())
}

fn work_measured(
    broker: &MemoryBroker,
    name: &str,
    observer: &dyn Observer,
    health: &Health,
    metrics: &Metrics,
) -> Result<(), RuntimeError> {
    work_as(broker, &settings(name), observer, health, metrics)
}

fn work_as(
    broker: &MemoryBroker,
    settings: &WorkerSettings,
    observer: &dyn Observer,
    health: &Health,
    metrics: &Metrics,
) -> Result<(), RuntimeError> {
    // Nothing of the former owner's is left: the changelog has to bring it all.
    let open_store = |_| -> Result<Box<dyn StateStore>, StoreError> { Ok(Box::new(MemoryStore::default())) };
    run_worker(&Worker {
        broker,
        processor: &Sums,
        settings,
        clock: &SystemClock::default(),
        open_store: &open_store,
        metrics,
        observer,
        health,
    })
}

/// Writes numbers, a few in each transaction.
fn write(broker: &MemoryBroker, from: u64, to: u64) {
    let settings =
        ProducerSettings { transactional_id: "source".into(), transaction_timeout: Duration::from_secs(60) };
    let mut producer = broker.producer(&settings).unwrap();
    for first in (from..to).step_by(100) {
        producer.begin().unwrap();
        for number in first..(first + 100).min(to) {
            let key = format!("key-{}", number % KEYS).into_bytes();
            producer.send(&record_of("numbers", key, number.to_le_bytes().to_vec()), 0).unwrap();
        }
        let _ = producer.commit().unwrap();
    }
}

/// The sums said so far, by key, in order.
fn sums(broker: &MemoryBroker) -> BTreeMap<Vec<u8>, Vec<u64>> {
    let mut reader = broker.reader().unwrap();
    let starts: Vec<_> = (0..PARTITIONS).map(|partition| ("sums", partition, 0)).collect();
    reader.assign(&starts).unwrap();
    let (mut sums, mut ends) = (BTreeMap::<_, Vec<u64>>::new(), 0);
    while ends < PARTITIONS {
        match reader.poll(Duration::ZERO).unwrap() {
            Some(Read::Record(SourceRecord { key, value, .. })) => {
                let sum = u64::from_le_bytes(value.unwrap().try_into().unwrap());
                sums.entry(key.unwrap()).or_default().push(sum);
            }
            Some(Read::End { .. }) => ends += 1,
            None => {}
        }
    }
    sums
}

/// What one who adds up by hand would have said.
fn expected() -> BTreeMap<Vec<u8>, Vec<u64>> {
    let mut sums = BTreeMap::<Vec<u8>, Vec<u64>>::new();
    for number in 0..RECORDS {
        let said = sums.entry(format!("key-{}", number % KEYS).into_bytes()).or_default();
        said.push(said.last().unwrap_or(&0) + number);
    }
    sums
}

fn wait_for(what: &str, broker: &MemoryBroker, records: u64) {
    let records = usize::try_from(records).unwrap();
    wait_until(what, || sums(broker).values().map(Vec::len).sum::<usize>() >= records);
}

/// Stops a worker also where the test has failed: nobody would wait for its thread in vain.
struct Ends<'a>(&'a Health);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_worker_that_stops_leaves_its_share_to_the_other() {
    let (broker, one, two) = (shop(), Health::default(), Health::default());
    thread::scope(|scope| {
        let _ends = [Ends(&one), Ends(&two)];
        let stopping = scope.spawn(|| work(&broker, "one", &Silent, &one));
        let staying = scope.spawn(|| work(&broker, "two", &Silent, &two));
        write(&broker, 0, RECORDS / 2);
        wait_for("both at work", &broker, RECORDS / 4);
        one.stop();
        stopping.join().unwrap().unwrap();
        write(&broker, RECORDS / 2, RECORDS);
        wait_for("one at work", &broker, RECORDS);
        two.stop();
        staying.join().unwrap().unwrap();
    });
    assert_eq!(sums(&broker), expected());
}

#[test]
fn a_worker_that_dies_in_a_transaction_is_counted_once() {
    let (broker, one, two) = (shop(), Health::default(), Health::default());
    thread::scope(|scope| {
        let dies = DiesAfter(Step::OffsetsSent, AtomicUsize::new(20));
        let (broker, one, two) = (&broker, &one, &two);
        let _ends = [Ends(one), Ends(two)];
        let dying = scope.spawn(move || work(broker, "one", &dies, one));
        let staying = scope.spawn(move || work(broker, "two", &Silent, two));
        write(broker, 0, RECORDS);
        assert!(dying.join().is_err(), "it dies");
        wait_for("the other one takes over", broker, RECORDS);
        two.stop();
        staying.join().unwrap().unwrap();
    });
    assert_eq!(sums(&broker), expected());
    let committed: i64 = broker.group_offsets("summing", "numbers").values().sum();
    let ends: i64 = (0..PARTITIONS).map(|one| broker.extent("numbers", one).unwrap().stable_end).sum();
    assert!(committed > ends - i64::from(PARTITIONS) * 2, "the group has come to the end");
}

/// The partitions that gauges name.
fn shown(metrics: &Metrics) -> BTreeSet<String> {
    let text = metrics.text();
    let named = text.lines().filter_map(|line| line.split("partition=\"").nth(1)?.split('"').next());
    named.map(str::to_owned).collect()
}

#[test]
fn a_worker_shows_gauges_of_the_partitions_that_it_holds_and_of_no_others() {
    let (broker, one, two) = (shop(), Health::default(), Health::default());
    let (of_one, of_two) = (Metrics::default(), Metrics::default());
    let all = (0..PARTITIONS).map(|partition| partition.to_string()).collect::<BTreeSet<_>>();
    thread::scope(|scope| {
        let _ends = [Ends(&one), Ends(&two)];
        let first = scope.spawn(|| work_measured(&broker, "one", &Silent, &one, &of_one));
        wait_until("alone it holds them all", || shown(&of_one) == all);
        let second = scope.spawn(|| work_measured(&broker, "two", &Silent, &two, &of_two));
        wait_until("each holds its share", || {
            let (one, two) = (shown(&of_one), shown(&of_two));
            !one.is_empty() && !two.is_empty() && one.is_disjoint(&two) && one.union(&two).eq(&all)
        });
        one.stop();
        first.join().unwrap().unwrap();
        assert!(shown(&of_one).is_empty(), "it has stopped");
        wait_until("the other one holds them all", || shown(&of_two) == all);
        two.stop();
        second.join().unwrap().unwrap();
    });
}

/// Longer than any test takes: nothing gets by because a transaction has run out.
const NEVER: Duration = Duration::from_secs(3_600);

fn patient(name: &str, end_last_owner: bool) -> WorkerSettings {
    let guards = Guards { end_last_owner, ..Guards::default() };
    WorkerSettings { transaction_timeout: NEVER, guards, ..settings(name) }
}

/// One worker has committed and then dies in a transaction, at a step; another one is there. Whether that one gets through all
/// of the input within `patience`.
fn takes_over(end_last_owner: bool, at: Step, patience: Duration) -> bool {
    let (broker, one, two) = (shop(), Health::default(), Health::default());
    thread::scope(|scope| {
        let dies = DiesAfter(at, AtomicUsize::new(20));
        let (broker, one, two) = (&broker, &one, &two);
        let _ends = [Ends(one), Ends(two)];
        write(broker, 0, RECORDS);
        let (of_one, of_two) = (patient("one", end_last_owner), patient("two", end_last_owner));
        let dying = scope.spawn(move || work_as(broker, &of_one, &dies, one, &Metrics::default()));
        assert!(dying.join().is_err(), "it dies");
        scope.spawn(move || work_as(broker, &of_two, &Silent, two, &Metrics::default()));
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline && sums(broker) != expected() {
            thread::sleep(Duration::from_millis(50));
        }
        sums(broker) == expected()
    })
}

#[test]
fn whoever_takes_over_ends_what_the_dead_owner_left_open() {
    assert!(takes_over(true, Step::OffsetsSent, Duration::from_secs(60)));
}

/// Who takes over could go on. Who reads the outputs could not.
#[test]
fn whoever_takes_over_ends_what_the_dead_owner_left_open_also_where_it_waits_for_nothing() {
    assert!(takes_over(true, Step::OutputsSent, Duration::from_secs(60)));
}

#[test]
fn without_ending_it_the_transaction_of_the_dead_owner_is_waited_out() {
    for step in [Step::OffsetsSent, Step::OutputsSent] {
        assert!(
            !takes_over(false, step, Duration::from_secs(4)),
            "nothing else may let it through: {step:?}"
        );
    }
}

/// Stands still once, with its transaction open and its offsets in it, until it is told to go on.
struct StandsStill {
    steps: AtomicUsize,
    go_on: Health,
}

impl Observer for StandsStill {
    fn reached(&self, _: &str, step: Step, _: usize) {
        if step == Step::OffsetsSent && self.steps.fetch_sub(1, Ordering::Relaxed) == 1 {
            while !self.go_on.is_stopping() {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

#[test]
fn an_owner_that_was_taken_for_dead_is_fenced_and_begins_anew() {
    let (broker, one, two) = (shop(), Health::default(), Health::default());
    let still = StandsStill { steps: AtomicUsize::new(20), go_on: Health::default() };
    let metrics = Metrics::default();
    thread::scope(|scope| {
        let (broker, one, two, still, metrics) = (&broker, &one, &two, &still, &metrics);
        let _ends = [Ends(one), Ends(two), Ends(&still.go_on)];
        let (of_one, of_two) = (patient("one", true), patient("two", true));
        write(broker, 0, RECORDS / 2);
        let first = scope.spawn(move || work_as(broker, &of_one, still, one, metrics));
        wait_until("it stands still", || still.steps.load(Ordering::Relaxed) == 0);
        let second = scope.spawn(move || work_as(broker, &of_two, &Silent, two, &Metrics::default()));
        wait_for("the other one takes over", broker, RECORDS / 2);
        still.go_on.stop();
        wait_until("it notices", || metrics.text().contains("paczek_recoveries_total{processor=\"sums\"}"));
        write(broker, RECORDS / 2, RECORDS);
        wait_for("both at work", broker, RECORDS);
        let held = |broker: &MemoryBroker| broker.members("summing", "numbers").unwrap();
        wait_until("it has its share again", || held(broker).get("one").is_some_and(|one| one.len() == 2));
        [one, two].into_iter().for_each(Health::stop);
        first.join().unwrap().unwrap();
        second.join().unwrap().unwrap();
    });
    assert_eq!(sums(&broker), expected());
}

#[test]
fn whoever_is_held_writes_nothing_keeps_its_share_and_goes_on_when_let_go() {
    let (broker, one, two) = (shop(), Health::default(), Health::default());
    thread::scope(|scope| {
        let (broker, one, two) = (&broker, &one, &two);
        let _ends = [Ends(one), Ends(two)];
        let session_timeout = Duration::from_secs(3);
        let of_one = WorkerSettings { session_timeout, ..settings("one") };
        let of_two = WorkerSettings { session_timeout, ..settings("two") };
        write(broker, 0, RECORDS / 2);
        one.hold(true);
        let share = |name| broker.members("summing", "numbers").unwrap().get(name).map(BTreeSet::len);
        let first = scope.spawn(move || work_as(broker, &of_one, &Silent, one, &Metrics::default()));
        wait_until("it has all", || share("one") == Some(4));
        let second = scope.spawn(move || work_as(broker, &of_two, &Silent, two, &Metrics::default()));
        wait_until("shared out", || share("one") == Some(2) && share("two") == Some(2));
        wait_until("two is through", || two.is_ready() && taken(broker).len() == 2);
        assert!(!one.is_ready());
        // Longer than a session.
        thread::sleep(session_timeout + Duration::from_secs(1));
        assert_eq!((taken(broker).len(), share("one")), (2, Some(2)));
        one.hold(false);
        wait_for("both at work", broker, RECORDS / 2);
        wait_until("ready", || one.is_ready());
        one.hold(true);
        wait_until("held", || !one.is_ready());
        write(broker, RECORDS / 2, RECORDS);
        one.hold(false);
        wait_for("both at work again", broker, RECORDS);
        [one, two].into_iter().for_each(Health::stop);
        first.join().unwrap().unwrap();
        second.join().unwrap().unwrap();
    });
    assert_eq!(sums(&broker), expected());
}

/// The partitions of which something has been committed.
fn taken(broker: &MemoryBroker) -> BTreeMap<i32, i64> {
    broker.group_offsets("summing", "numbers")
}
