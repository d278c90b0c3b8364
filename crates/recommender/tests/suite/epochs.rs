use std::collections::BTreeMap;

use events::{EventTime, Interest, ProfileKey, SECOND, SessionEntry, SessionFact};
use proptest::prelude::*;
use recommender::{ItemModels, ModelSettings, Offered};

type Line = (u8, u8, u8, i64, i64);
/// An entry, and the newest event time that its raw partition had shown before it.
type Framed = (SessionEntry, EventTime);

/// The entries of each partition in the order of its log, with the frontier that their partition had shown.
fn partitions(lines: &[Line], count: usize) -> Vec<Vec<Framed>> {
    let mut partitions = vec![Vec::new(); count];
    let mut frontiers: BTreeMap<usize, EventTime> = BTreeMap::new();
    for (number, (person, product, kind, time, late)) in lines.iter().enumerate() {
        let raw = usize::from(*person) % 3;
        let at = EventTime(time - late);
        let frontier = frontiers.entry(raw).or_insert(EventTime(time - late));
        let fact = match kind {
            0 => SessionFact::Forget { session_id: (*product > 3).then(|| format!("s{person}{product}")) },
            _ => SessionFact::Seen {
                session_id: format!("s{person}{}", product % 2),
                event_id: number.to_string(),
                interest: [Interest::Viewed, Interest::Added, Interest::Purchased][usize::from(*kind) % 3],
                product_ids: vec![format!("p{product}")],
            },
        };
        let profile = ProfileKey::new(["bakery", "oven"][usize::from(*person) % 2], &format!("a{person}"));
        let entry = SessionEntry { profile, event_time: at, sequence: number as u64, fact };
        partitions[usize::from(*person) % count].push((entry, *frontier));
        *frontier = at.max(*frontier);
    }
    partitions
}

/// Reads partitions in the order `steps` tell, sealing as stream time moves: the models at each epoch.
fn read(partitions: &[Vec<Framed>], steps: &[u8]) -> BTreeMap<i64, ItemModels> {
    let settings = ModelSettings { max_age: 200 * SECOND, max_sessions: 6, ..ModelSettings::default() };
    let mut models = ItemModels::new(settings);
    let mut read = vec![0; partitions.len()];
    let mut at_epoch = BTreeMap::new();
    let mut steps = steps.iter().cycle();
    while read.iter().zip(partitions).any(|(read, all)| *read < all.len()) {
        let open: Vec<usize> = (0..read.len()).filter(|p| read[*p] < partitions[*p].len()).collect();
        let partition = open[usize::from(*steps.next().unwrap()) % open.len()];
        let (entry, frontier) = partitions[partition][read[partition]].clone();
        assert_eq!(models.offer(entry, frontier), Offered::Waits);
        read[partition] += 1;
        // A partition promises the frontier of its next entry: nothing behind it has an earlier one. The
        // frontier is of a raw partition, so the promise is the least over all that still come.
        let promise = |p: usize| partitions[p][read[p]..].iter().map(|(_, frontier)| *frontier).min();
        let stream_time = (0..read.len()).filter_map(promise).min().unwrap_or(EventTime::MAX);
        if models.seal(stream_time) {
            at_epoch.insert(models.epoch().unwrap(), learned(&models));
        }
    }
    models.seal(EventTime::MAX);
    at_epoch.insert(models.epoch().unwrap(), learned(&models));
    at_epoch
}

/// The models without what waits, which is no part of an epoch.
fn learned(models: &ItemModels) -> ItemModels {
    models.without_waiting()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn online_is_batch(
        lines in prop::collection::vec((0..7u8, 0..6u8, 0..9u8, 0..4_000i64, 0..50_000i64), 1..60),
        steps in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let mut time = 0;
        let lines: Vec<Line> = lines.into_iter().map(|(person, product, kind, step, late)| {
            time += step;
            (person, product, kind, time, late)
        }).collect();
        let batch = read(&partitions(&lines, 1), &[0]);
        for count in [1, 2, 5] {
            for (epoch, models) in read(&partitions(&lines, count), &steps) {
                // Where batch did not stop at that epoch, it passed through it: ask it to stop there.
                let upto = upto(&lines, epoch);
                prop_assert_eq!(&models, &upto);
            }
        }
        let last = batch.keys().last().copied().unwrap();
        prop_assert_eq!(&batch[&last], &upto(&lines, last));
    }
}

/// The models of all entries up to an epoch, learned in one go.
fn upto(lines: &[Line], epoch: i64) -> ItemModels {
    let settings = ModelSettings { max_age: 200 * SECOND, max_sessions: 6, ..ModelSettings::default() };
    let mut models = ItemModels::new(settings);
    for (entry, frontier) in partitions(lines, 1).remove(0) {
        let belongs = entry.event_time.max(frontier.minus(30 * SECOND)).0.div_euclid(SECOND);
        if belongs <= epoch {
            models.offer(entry, frontier);
        }
    }
    models.seal(EventTime::MAX);
    learned(&models)
}

#[test]
fn an_entry_behind_the_seal_is_refused() {
    let mut models = ItemModels::new(ModelSettings::default());
    let at = |time| EventTime(time);
    models.offer(crate::seen("anna", "a", "bun", 100 * SECOND), at(100 * SECOND));
    assert!(!models.seal(EventTime(131 * SECOND - 1)), "the second 100 ends at 101, and 30 more pass");
    assert!(models.seal(EventTime(131 * SECOND)));
    assert_eq!((models.epoch(), models.waiting()), (Some(100), 0));
    let behind = crate::seen("anna", "a", "tart", 100 * SECOND + 999);
    assert_eq!(models.offer(behind, at(100 * SECOND + 999)), Offered::AfterSeal);
    let late = crate::seen("anna", "a", "tart", 1);
    assert_eq!(
        models.offer(late, at(131 * SECOND)),
        Offered::Waits,
        "an old entry belongs to its frontier less 30 seconds"
    );
}
