use std::collections::BTreeMap;
use std::time::Duration;

use events::{EventTime, ProfileKey};
use profile_updater::{Profile, Rules};
use simulator::cluster::{Disks, Oracle, Violation};
use state_store::StateStore;
use stream_runtime::broker::memory::{MemoryBroker, MemoryReader};
use stream_runtime::broker::{Broker as _, LogReader as _, Read};
use stream_runtime::{Failure, SourceRecord, TRAILER_KEY, absorbed, store_key};

use super::Names;
use crate::headers;

/// Topic, key, due time and id of what a timer caused.
type Cause = (String, Vec<u8>, i64, Vec<u8>);

/// What a run has said and what it knows in the end, in the form in which two honest runs are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// By topic and key, the values that events caused, in order.
    by_event: BTreeMap<(String, Vec<u8>), Vec<Vec<u8>>>,
    /// By topic, key, due time and id, the values that timers caused.
    by_timer: BTreeMap<Cause, Vec<Vec<u8>>>,
    /// By partition and key, the profiles once all is settled, and what that still made noticed.
    profiles: BTreeMap<(i32, Vec<u8>), (Profile, usize)>,
}

impl Outcome {
    pub(super) fn of(broker: &MemoryBroker, names: &Names, rules: &Rules) -> Result<Self, Violation> {
        let mut outcome = Self::default();
        for topic in &names.outputs {
            for record in read_all(broker, topic, 0..names.partitions)? {
                outcome.add(topic, record);
            }
        }
        for partition in 0..names.partitions {
            let mut changelog = read_all(broker, &names.updater_changelog, partition..partition + 1)?;
            let is_trailer = |record: &SourceRecord| record.key.as_deref() == Some(TRAILER_KEY);
            changelog.truncate(changelog.iter().rposition(is_trailer).map_or(0, |last| last + 1));
            for (key, row) in fold(changelog) {
                let profile = settled(&key, &row, rules).map_err(|error| error.to_string())?;
                outcome.profiles.insert((partition, key), profile);
            }
        }
        Ok(outcome)
    }

    fn add(&mut self, topic: &str, record: SourceRecord) {
        if headers::is_heartbeat(&record) {
            return;
        }
        let due = headers::read_number(&record, headers::DUE);
        let id = record.header(headers::ID).unwrap_or_default().to_vec();
        let (topic, key) = (topic.to_owned(), record.key.unwrap_or_default());
        let value = record.value.unwrap_or_default();
        match due {
            Some(due) => self.by_timer.entry((topic, key, due, id)).or_default().push(value),
            None => self.by_event.entry((topic, key)).or_default().push(value),
        }
    }

    /// The first difference from how it should be; `None` if there is none.
    pub(super) fn difference(&self, expected: &Self) -> Option<Violation> {
        let by_event = || {
            difference(&self.by_event, &expected.by_event, |(topic, key)| {
                format!("{topic}, key {}", key.escape_ascii())
            })
        };
        let by_timer = || {
            difference(&self.by_timer, &expected.by_timer, |(topic, key, due, _)| {
                format!("{topic}, key {}, by the timer due at {due}", key.escape_ascii())
            })
        };
        by_event()
            .or_else(by_timer)
            .map(|said| format!("I3: {said}"))
            .or_else(|| self.profiles_differ(expected))
    }

    /// I2: the state is what an undisturbed run leaves.
    fn profiles_differ(&self, expected: &Self) -> Option<Violation> {
        let place = differing(&self.profiles, &expected.profiles)?;
        let (is, should) = (self.profiles.get(place), expected.profiles.get(place));
        let key = place.1.escape_ascii();
        Some(format!("I2: the profile of {key} differs\n  is:       {is:?}\n  expected: {should:?}"))
    }

    /// The same without what only repeats what was said before, and how many values that were.
    pub(super) fn without_repeats(mut self, expected: &Self) -> (Self, usize) {
        let mut repeats = 0;
        for (key, said) in &mut self.by_event {
            repeats += drop_repeats(said, expected.by_event.get(key).map_or(&[], Vec::as_slice));
        }
        for (key, said) in &mut self.by_timer {
            repeats += drop_repeats(said, expected.by_timer.get(key).map_or(&[], Vec::as_slice));
        }
        (self, repeats)
    }
}

/// Drops what a run said once more after going back to something that it had said before. What is left is the
/// expected sequence where nothing else was said.
fn drop_repeats(said: &mut Vec<Vec<u8>>, expected: &[Vec<u8>]) -> usize {
    let (mut kept, mut dropped) = (Vec::new(), 0);
    for value in said.drain(..) {
        if expected.get(kept.len()) != Some(&value) && kept.contains(&value) {
            dropped += 1;
        } else {
            kept.push(value);
        }
    }
    *said = kept;
    dropped
}

fn difference<K: Ord>(
    said: &BTreeMap<K, Vec<Vec<u8>>>,
    expected: &BTreeMap<K, Vec<Vec<u8>>>,
    name: impl Fn(&K) -> String,
) -> Option<Violation> {
    let none = Vec::new();
    for (key, values) in expected {
        let said = said.get(key).unwrap_or(&none);
        if said != values {
            let at = said.iter().zip(values).take_while(|(one, other)| one == other).count();
            let show = |values: &[Vec<u8>]| {
                values.get(at).map_or_else(String::new, |one| one.escape_ascii().to_string())
            };
            return Some(format!(
                "{}: {} values instead of {}, the first that differs is number {}\n  said:     {}\n  expected: {}",
                name(key),
                said.len(),
                values.len(),
                at + 1,
                show(said),
                show(values),
            ));
        }
    }
    let unexpected = said.iter().find(|(key, _)| !expected.contains_key(key));
    unexpected.map(|(key, values)| format!("{}: {} values that should not be", name(key), values.len()))
}

/// Looks at every commit and every directory of a run.
pub(super) struct Invariants<'a> {
    names: &'a Names,
    /// By group and partition.
    offsets: BTreeMap<(usize, i32), i64>,
    reader: Option<MemoryReader>,
    /// By raw partition, the offsets of what has to come out again.
    owed: BTreeMap<i32, Vec<i64>>,
    came_out: usize,
    /// Torn transactions show parts of what they wrote.
    torn: bool,
}

impl<'a> Invariants<'a> {
    pub(super) fn new(names: &'a Names, torn: bool) -> Self {
        let (offsets, owed) = (BTreeMap::new(), BTreeMap::new());
        Self { names, offsets, reader: None, owed, came_out: 0, torn }
    }

    /// I7: committed offsets never go back.
    fn offsets_only_grow(&mut self, broker: &MemoryBroker) -> Result<(), Violation> {
        for (number, (group, topic)) in self.names.groups.iter().enumerate() {
            for (partition, offset) in broker.group_offsets(group, topic) {
                let known = self.offsets.insert((number, partition), offset);
                if known.is_some_and(|known| known > offset) {
                    return Err(format!(
                        "I7: the offset of {group} in {topic}-{partition} went back from {known:?} to {offset}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// I1: what was read has come out, as an event or as a dead letter, no more and no less.
    fn nothing_is_lost_on_the_way(&mut self, broker: &MemoryBroker) -> Result<(), Violation> {
        if !self.all_is_visible(broker)? {
            return Ok(());
        }
        self.read_on(broker)?;
        let taken = |(partition, offsets): (&i32, &Vec<i64>)| {
            let next = self.offsets.get(&(0, *partition)).copied().unwrap_or(0);
            offsets.partition_point(|offset| *offset < next)
        };
        let owed: usize = self.owed.iter().map(taken).sum();
        if owed != self.came_out {
            return Err(format!("I1: {owed} raw records were taken and {} came out", self.came_out));
        }
        Ok(())
    }

    /// Where a transaction is open, what others have committed behind it cannot be read yet.
    fn all_is_visible(&self, broker: &MemoryBroker) -> Result<bool, Violation> {
        for topic in [&self.names.events, &self.names.dead_letters] {
            for partition in 0..self.names.partitions {
                let extent = broker.extent(topic, partition).map_err(|error| error.to_string())?;
                if extent.stable_end < extent.end {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn read_on(&mut self, broker: &MemoryBroker) -> Result<(), Violation> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(self.names.reader(broker)?),
        };
        while let Some(read) = reader.poll(Duration::ZERO).map_err(|error| error.to_string())? {
            let Read::Record(record) = read else { continue };
            if *record.topic == *self.names.raw {
                let owed = self.owed.entry(record.partition).or_default();
                owed.extend(record.value.is_some().then_some(record.offset));
            } else {
                let is_event = *record.topic == *self.names.events && !headers::is_heartbeat(&record);
                let is_raw = record.header(headers::ORIGIN_TOPIC) == Some(self.names.raw.as_bytes());
                self.came_out += usize::from(is_event || is_raw);
            }
        }
        Ok(())
    }
}

impl Oracle for Invariants<'_> {
    fn committed(&mut self, broker: &MemoryBroker) -> Result<(), Violation> {
        if broker.held_markers() > 0 {
            return Ok(());
        }
        self.offsets_only_grow(broker)?;
        if self.torn { Ok(()) } else { self.nothing_is_lost_on_the_way(broker) }
    }

    /// I6: a store is the fold of its changelog up to its position.
    fn down(&mut self, broker: &MemoryBroker, disks: &dyn Disks, post: &str) -> Result<(), Violation> {
        if broker.held_markers() > 0 || self.torn {
            return Ok(());
        }
        let changelog = self.names.changelog_of(post);
        for partition in disks.stores(post) {
            let store = disks.open(post, partition).map_err(|error| error.to_string())?;
            check_store(&*store, broker, changelog, partition)
                .map_err(|error| format!("I6: {post}: {error}"))?;
        }
        Ok(())
    }
}

/// Whether a store is its changelog up to its position.
fn check_store(
    store: &dyn StateStore,
    broker: &MemoryBroker,
    changelog: &str,
    partition: i32,
) -> Result<(), Failure> {
    let Some(end) = store.position()?.as_deref().and_then(absorbed) else { return Ok(()) };
    let extent = broker.extent(changelog, partition)?;
    if end > extent.end {
        let known = extent.end;
        return Err(format!("{end} of {changelog}-{partition} is absorbed, which ends at {known}").into());
    }
    if extent.stable_end < end {
        return Ok(());
    }
    let records = read_all(broker, changelog, partition..partition + 1)?.into_iter();
    let (taken, newer): (Vec<_>, Vec<_>) = records.partition(|record| record.offset < end);
    let (taken, newer) = (fold(taken), fold(newer));
    // What there is a newer record of may have been compacted away.
    let rows = store.rows(&[], usize::MAX)?.into_iter();
    let rows = rows.filter(|(key, _)| taken.contains_key(key) || !newer.contains_key(key));
    let rows: BTreeMap<_, _> = rows.map(|(key, row)| (key, row.value)).collect();
    differing(&rows, &taken).map_or(Ok(()), |key| {
        let key = key.escape_ascii();
        Err(format!("the store of {changelog}-{partition} at {end} differs in {key}").into())
    })
}

/// A profile as it is once all is settled, and how many carts are noticed by that: how much waits is up to when it
/// was last looked at, and none should be left over once all timers have fired.
fn settled(key: &[u8], row: &[u8], rules: &Rules) -> Result<(Profile, usize), Failure> {
    let key = std::str::from_utf8(key).ok().and_then(ProfileKey::parse).ok_or("a state of no profile")?;
    let mut profile = codec::stored::decode_profile(row)?;
    let noticed = profile_updater::fire(&mut profile, &key, EventTime::MAX, rules);
    Ok((profile, noticed.len()))
}

/// The first key of which two maps know different things.
fn differing<'a, K: Ord, V: PartialEq>(one: &'a BTreeMap<K, V>, other: &'a BTreeMap<K, V>) -> Option<&'a K> {
    one.keys().chain(other.keys()).find(|key| one.get(*key) != other.get(*key))
}

/// What the records leave each key with.
fn fold(records: Vec<SourceRecord>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut rows = BTreeMap::new();
    for record in records {
        match (record.key.as_deref().and_then(store_key), record.value) {
            (Some(key), Some(value)) => drop(rows.insert(key.to_vec(), value)),
            (Some(key), None) => drop(rows.remove(key)),
            (None, _) => {}
        }
    }
    rows
}

/// Everything that is committed in these partitions of a topic.
pub(super) fn read_all(
    broker: &MemoryBroker,
    topic: &str,
    partitions: std::ops::Range<i32>,
) -> Result<Vec<SourceRecord>, Violation> {
    let mut reader = broker.reader().map_err(|error| error.to_string())?;
    let mut places = Vec::new();
    for partition in partitions {
        let extent = broker.extent(topic, partition).map_err(|error| error.to_string())?;
        places.push((topic, partition, extent.start));
    }
    reader.assign(&places).map_err(|error| error.to_string())?;
    let mut records = Vec::new();
    while let Some(read) = reader.poll(Duration::ZERO).map_err(|error| error.to_string())? {
        if let Read::Record(record) = read {
            records.push(record);
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_that_is_another_or_not_there_is_a_difference() {
        let with = |profiles: &[(&str, usize)]| {
            let place = |key: &str| (0, key.as_bytes().to_vec());
            let profiles = profiles.iter().map(|(key, noticed)| (place(key), (Profile::default(), *noticed)));
            Outcome { profiles: profiles.collect(), ..Outcome::default() }
        };
        let expected = with(&[("shop|anna", 0)]);
        assert_eq!(expected.difference(&expected.clone()), None);
        for other in [with(&[]), with(&[("shop|anna", 1)]), with(&[("shop|anna", 0), ("shop|jan", 0)])] {
            let told = other.difference(&expected).unwrap_or_default();
            assert!(told.starts_with("I2: the profile of shop|"), "{told}");
        }
    }
}
