//! Who keeps a copy of what: rendezvous hashing, so that everybody comes to the same answer alone, and one who
//! comes or goes moves no copies but its own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::Xxh3;

/// The members of a group and what each holds.
pub(super) type Members = BTreeMap<String, BTreeSet<i32>>;

/// Workers of one instance differ in what stands behind the last hyphen. They share a directory, and die together.
pub(super) fn instance_of(member: &str) -> &str {
    member.rsplit_once('-').map_or(member, |(instance, _)| instance)
}

/// Whether this member is to keep a copy of a partition. So many instances do, the owner's not among them.
pub(super) fn keeps(members: &Members, me: &str, partition: i32, copies: usize) -> bool {
    let owner = members.iter().find(|(_, held)| held.contains(&partition)).map(|(name, _)| instance_of(name));
    let instances = members.keys().map(|name| instance_of(name)).filter(|instance| Some(*instance) != owner);
    let instances: BTreeSet<&str> = instances.collect();
    let mine = members.keys().map(String::as_str).filter(|name| instance_of(name) == instance_of(me));
    first(instances, partition, copies).contains(&instance_of(me)) && first(mine, partition, 1) == [me]
}

/// Whether somebody who is about to join should know a partition: it may become its owner's copy or its owner.
pub(super) fn prepares(members: &Members, me: &str, partition: i32, copies: usize) -> bool {
    let instances = members.keys().map(|name| instance_of(name)).chain([instance_of(me)]);
    let instances: BTreeSet<&str> = instances.collect();
    first(instances, partition, copies.max(1) + 1).contains(&instance_of(me))
}

fn first<'a>(names: impl IntoIterator<Item = &'a str>, partition: i32, count: usize) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| Reverse(weight(name, partition)));
    names.truncate(count);
    names
}

fn weight(name: &str, partition: i32) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(name.as_bytes());
    hash.update(&partition.to_le_bytes());
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITIONS: i32 = 64;

    fn members(instances: usize, workers: usize) -> Members {
        let names = (0..instances).flat_map(|one| (0..workers).map(move |two| format!("p-{one}-{two}")));
        let names: Vec<String> = names.collect();
        let count = i32::try_from(names.len()).unwrap();
        let held = |number: i32| (0..PARTITIONS).filter(|one| one % count == number).collect();
        names.into_iter().zip((0..).map(held)).collect()
    }

    fn keepers(members: &Members, partition: i32, copies: usize) -> Vec<&str> {
        let names = members.keys().map(String::as_str);
        names.filter(|name| keeps(members, name, partition, copies)).collect()
    }

    #[test]
    fn each_partition_has_its_copies_on_instances_other_than_its_owners() {
        for (instances, workers, copies) in [(2, 1, 1), (2, 3, 1), (5, 2, 2), (3, 1, 7), (1, 4, 1)] {
            let members = members(instances, workers);
            for partition in 0..PARTITIONS {
                let keepers = keepers(&members, partition, copies);
                let owner = members.iter().find(|(_, held)| held.contains(&partition)).unwrap().0;
                let distinct: BTreeSet<&str> = keepers.iter().map(|name| instance_of(name)).collect();
                assert_eq!(keepers.len(), copies.min(instances - 1));
                assert_eq!(distinct.len(), keepers.len(), "one copy in a directory");
                assert!(!distinct.contains(instance_of(owner)));
            }
        }
    }

    #[test]
    fn whoever_goes_moves_only_its_own_copies() {
        let before = members(5, 1);
        let mut after = before.clone();
        after.remove("p-4-0");
        for partition in (0..PARTITIONS).filter(|partition| !before["p-4-0"].contains(partition)) {
            let (then, now) = (keepers(&before, partition, 2), keepers(&after, partition, 2));
            assert!(then.iter().all(|name| *name == "p-4-0" || now.contains(name)), "{then:?} {now:?}");
        }
    }

    #[test]
    fn of_two_instances_the_one_that_joins_prepares_everything() {
        let members = members(1, 2);
        assert!((0..PARTITIONS).all(|partition| prepares(&members, "p-9-0", partition, 1)));
    }
}
