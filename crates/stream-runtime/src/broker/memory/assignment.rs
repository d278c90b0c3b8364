use std::collections::{BTreeMap, BTreeSet};

/// Shares partitions out evenly, moving as few as possible from where they are: nobody ends up with more than
/// one above anybody else. The same shares and names always give the same answer.
pub(super) fn share_out(
    partitions: i32,
    shares: &BTreeMap<String, BTreeSet<i32>>,
) -> BTreeMap<String, BTreeSet<i32>> {
    if shares.is_empty() {
        return BTreeMap::new();
    }
    let mut free: BTreeSet<i32> = (0..partitions).collect();
    let mut kept = keep(free.len(), shares, &mut free);
    for partition in free {
        let poorest = kept.values_mut().min_by_key(|share| share.len());
        poorest.into_iter().for_each(|share| {
            share.insert(partition);
        });
    }
    kept
}

/// What each may keep of its share: those who hold most keep one more than the others where it does not come
/// out even. Takes that out of `free`.
fn keep(
    partitions: usize,
    shares: &BTreeMap<String, BTreeSet<i32>>,
    free: &mut BTreeSet<i32>,
) -> BTreeMap<String, BTreeSet<i32>> {
    let (least, over) = (partitions / shares.len(), partitions % shares.len());
    let mut by_wealth: Vec<_> = shares.iter().collect();
    by_wealth.sort_by_key(|(_, share)| std::cmp::Reverse(share.len()));
    let mut kept = BTreeMap::new();
    for (place, (name, share)) in by_wealth.into_iter().enumerate() {
        let quota = least + usize::from(place < over);
        let own: BTreeSet<i32> =
            share.iter().filter(|partition| free.contains(partition)).take(quota).copied().collect();
        free.retain(|partition| !own.contains(partition));
        kept.insert(name.clone(), own);
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moved(before: &BTreeMap<String, BTreeSet<i32>>, after: &BTreeMap<String, BTreeSet<i32>>) -> usize {
        before.iter().map(|(name, share)| share.difference(&after[name]).count()).sum()
    }

    proptest! {
        #[test]
        fn shares_are_even_whole_and_move_no_more_than_they_must(
            partitions in 1i32..20, members in 1usize..7, joining in 0usize..4,
        ) {
            let names = |range: std::ops::Range<usize>| range.map(|number| (format!("m{number}"), BTreeSet::new()));
            let settled = share_out(partitions, &names(0..members).collect());
            let mut grown = settled.clone();
            grown.extend(names(members..members + joining));
            let after = share_out(partitions, &grown);
            let sizes: Vec<usize> = after.values().map(BTreeSet::len).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{:?}", sizes);
            prop_assert_eq!(sizes.iter().sum::<usize>(), partitions as usize);
            prop_assert_eq!(after.values().flatten().collect::<BTreeSet<_>>().len(), partitions as usize);
            let newcomers: usize = after.iter().filter(|(name, _)| !settled.contains_key(*name))
                .map(|(_, share)| share.len()).sum();
            prop_assert_eq!(moved(&settled, &after), newcomers, "only what newcomers get moves");
            prop_assert_eq!(share_out(partitions, &after), after, "what is even stays as it is");
        }
    }
}
