//! Who owns which partitions, and whose offsets count.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stream_runtime::broker::{Broker as _, BrokerError, Membership as _, TransactionalProducer as _};

use crate::harness::{Harness, LONG, SESSION, Seat, fresh, output, settle};

pub(crate) fn members_share_the_partitions_out<H: Harness>(harness: &H) {
    let (topic, group) = (harness.topic(6, &[]), fresh("group"));
    let mut one = harness.join(&group, &topic, "one");
    settle(harness, &mut [&mut one], 6);
    let mut two = harness.join(&group, &topic, "two");
    settle(harness, &mut [&mut one, &mut two], 3);
    assert_eq!(&one.owned | &two.owned, (0..6).collect::<BTreeSet<_>>());
    let before = [one.owned.clone(), two.owned.clone()];
    let mut three = harness.join(&group, &topic, "three");
    settle(harness, &mut [&mut one, &mut two, &mut three], 2);
    assert!(one.owned.is_subset(&before[0]) && two.owned.is_subset(&before[1]), "what can stay stays");
    assert_eq!(&(&one.owned | &two.owned) | &three.owned, (0..6).collect::<BTreeSet<_>>());
}

pub(crate) fn a_stale_generation_is_refused<H: Harness>(harness: &H) {
    let (topic, group, id) = (harness.topic(2, &[]), fresh("group"), fresh("id"));
    let mut one = harness.join(&group, &topic, "one");
    settle(harness, &mut [&mut one], 2);
    let stale = one.membership.fence().unwrap();
    let mut two = harness.join(&group, &topic, "two");
    settle(harness, &mut [&mut one, &mut two], 1);
    let offsets = BTreeMap::from([(0, 1), (1, 1)]);
    let mut producer = harness.producer(&id);
    producer.begin().unwrap();
    producer.send(&output(&topic, 0, "key", "stale"), 0).unwrap();
    let refused = producer.send_offsets(&topic, &offsets, &stale);
    assert!(matches!(refused, Err(BrokerError::Doubt(_))), "{refused:?}");
    harness.until("a proof of now is accepted", || {
        [&mut one, &mut two].into_iter().for_each(Seat::turn);
        let fence = one.membership.fence().unwrap();
        let mut producer = harness.producer(&id);
        producer.begin().unwrap();
        producer.send(&output(&topic, 0, "key", "now"), 0).unwrap();
        producer.drain().unwrap();
        producer.send_offsets(&topic, &offsets, &fence).and_then(|()| producer.commit()).is_ok()
    });
}

pub(crate) fn offsets_appear_only_with_the_commit<H: Harness>(harness: &H) {
    let (topic, group, id) = (harness.topic(1, &[]), fresh("group"), fresh("id"));
    let mut seat = harness.join(&group, &topic, "one");
    settle(harness, &mut [&mut seat], 1);
    assert_eq!(seat.membership.committed(0).unwrap(), None);
    let mut producer = harness.producer(&id);
    stage(&mut producer, &mut seat, &topic, 5);
    let open = seat.membership.committed(0);
    assert!(matches!(open, Err(BrokerError::NotYet(_))), "{open:?}");
    let _ = producer.commit().unwrap();
    harness.until("committed", || matches!(seat.membership.committed(0), Ok(Some(5))));
    stage(&mut producer, &mut seat, &topic, 9);
    harness.kill(producer);
    let open = seat.membership.committed(0);
    assert!(matches!(open, Err(BrokerError::NotYet(_))), "{open:?}");
    harness.kill(harness.producer(&id));
    harness.until("aborted", || matches!(seat.membership.committed(0), Ok(Some(5))));
}

fn stage<H: Harness>(
    producer: &mut crate::harness::Producer<H>,
    seat: &mut Seat<H>,
    topic: &str,
    offset: i64,
) {
    producer.begin().unwrap();
    producer.send(&output(topic, 0, "key", "value"), 0).unwrap();
    producer.drain().unwrap();
    seat.turn();
    let fence = seat.membership.fence().unwrap();
    producer.send_offsets(topic, &BTreeMap::from([(0, offset)]), &fence).unwrap();
}

pub(crate) fn a_dead_member_is_evicted_and_its_share_split<H: Harness>(harness: &H) {
    let (topic, group) = (harness.topic(6, &[]), fresh("group"));
    let [mut one, mut two, mut dying] =
        ["one", "two", "dying"].map(|member| harness.join(&group, &topic, member));
    settle(harness, &mut [&mut one, &mut two, &mut dying], 2);
    harness.kill(dying);
    for _ in 0..5 {
        harness.pass(SESSION / 20);
        [&mut one, &mut two].into_iter().for_each(Seat::turn);
    }
    assert_eq!((one.owned.len(), two.owned.len()), (2, 2), "it may come back");
    settle(harness, &mut [&mut one, &mut two], 3);
    assert_eq!(&one.owned | &two.owned, (0..6).collect::<BTreeSet<_>>());
}

pub(crate) fn a_member_that_comes_back_has_a_share_and_the_former_one_none<H: Harness>(harness: &H) {
    let (topic, group, id) = (harness.topic(4, &[]), fresh("group"), fresh("id"));
    let [mut one, mut two] = ["one", "two"].map(|member| harness.join(&group, &topic, member));
    settle(harness, &mut [&mut one, &mut two], 2);
    let former = one.membership.fence().unwrap();
    harness.kill(one);
    let mut again = harness.join(&group, &topic, "one");
    settle(harness, &mut [&mut again, &mut two], 2);
    assert_eq!(&again.owned | &two.owned, (0..4).collect::<BTreeSet<_>>());
    harness.pass(Duration::from_millis(200));
    let mut producer = harness.producer(&id);
    producer.begin().unwrap();
    producer.send(&output(&topic, 0, "key", "former"), 0).unwrap();
    let refused = producer.send_offsets(&topic, &BTreeMap::from([(0, 1)]), &former);
    assert!(matches!(refused, Err(BrokerError::Doubt(_))), "the former one has the name no longer");
}

/// By their sessions alone this would take longer than anything is waited for.
pub(crate) fn what_a_member_has_goes_to_others_at_once_when_it_leaves<H: Harness>(harness: &H) {
    let (topic, group) = (harness.topic(4, &[]), fresh("group"));
    let [mut one, mut two] = ["one", "two"].map(|member| harness.join_for(&group, &topic, member, LONG));
    settle(harness, &mut [&mut one, &mut two], 2);
    one.membership.leave();
    harness.kill(one);
    settle(harness, &mut [&mut two], 4);
    let mut again = harness.join_for(&group, &topic, "one", LONG);
    settle(harness, &mut [&mut again, &mut two], 2);
    assert_eq!(&again.owned | &two.owned, (0..4).collect::<BTreeSet<_>>());
}

/// Its session alone would take longer than anything is waited for.
pub(crate) fn a_member_that_comes_back_has_its_share_at_once<H: Harness>(harness: &H) {
    let (topic, group) = (harness.topic(4, &[]), fresh("group"));
    let [mut one, mut two] = ["one", "two"].map(|member| harness.join_for(&group, &topic, member, LONG));
    settle(harness, &mut [&mut one, &mut two], 2);
    let before = one.owned.clone();
    harness.kill(one);
    let mut again = harness.join_for(&group, &topic, "one", LONG);
    settle(harness, &mut [&mut again, &mut two], 2);
    assert_eq!(again.owned, before);
}

pub(crate) fn members_are_known_by_name_and_by_what_they_hold<H: Harness>(harness: &H) {
    let (topic, group) = (harness.topic(4, &[]), fresh("group"));
    assert_eq!(harness.broker().members(&group, &topic).unwrap(), BTreeMap::new());
    let [mut one, mut two] = ["one", "two"].map(|member| harness.join(&group, &topic, member));
    settle(harness, &mut [&mut one, &mut two], 2);
    let names = ["one", "two"].map(|member| format!("{group}-{member}"));
    let expected = names.iter().cloned().zip([one.owned.clone(), two.owned.clone()]).collect();
    harness.until("all is told", || {
        [&mut one, &mut two].into_iter().for_each(Seat::turn);
        harness.broker().members(&group, &topic).is_ok_and(|members| members == expected)
    });
    harness.kill(one);
    harness.until("the dead one is no member", || {
        two.turn();
        let members = harness.broker().members(&group, &topic);
        members.is_ok_and(|members| members.len() == 1 && members[&names[1]].len() == 4)
    });
}

pub(crate) fn whoever_knows_the_last_committer_ends_what_that_one_left_open<H: Harness>(harness: &H) {
    let (topic, group, id) = (harness.topic(1, &[]), fresh("group"), fresh("id"));
    let mut seat = harness.join(&group, &topic, "one");
    settle(harness, &mut [&mut seat], 1);
    let committer = || harness.broker().last_committer(&group, &topic, 0).unwrap();
    assert_eq!(committer(), None);
    let mut dying = harness.producer(&id);
    stage(&mut dying, &mut seat, &topic, 5);
    let _ = dying.commit().unwrap();
    harness.until("committed", || matches!(seat.membership.committed(0), Ok(Some(5))));
    stage(&mut dying, &mut seat, &topic, 9);
    harness.kill(dying);
    assert_eq!(committer().as_ref(), Some(&id), "also while a transaction is open");
    harness.kill(harness.producer(&committer().unwrap()));
    harness.until("aborted", || matches!(seat.membership.committed(0), Ok(Some(5))));
}
