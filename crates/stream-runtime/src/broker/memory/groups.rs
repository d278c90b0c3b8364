use std::collections::{BTreeMap, BTreeSet};

use super::assignment::share_out;
use super::clock::millis;
use super::state::{State, Topic};
use crate::broker::{BrokerError, GroupSettings, Rebalance};

/// A consumer group.
#[derive(Default)]
pub(super) struct Group {
    topic: String,
    /// Counts the changes of who holds what.
    generation: u64,
    members: BTreeMap<String, Member>,
    pub(super) offsets: BTreeMap<(String, i32), i64>,
    /// Which producer committed each of them.
    pub(super) committers: BTreeMap<(String, i32), String>,
}

/// A member by its name. It keeps its share over a restart that is shorter than its session.
struct Member {
    /// Of all who have had the name, the one who has it now.
    number: u64,
    session: i64,
    seen: i64,
    /// What it is to have once the others have let go of it.
    share: BTreeSet<i32>,
    /// What it has, and nobody else gets.
    held: BTreeSet<i32>,
    /// What of that it has been asked to let go of.
    leaving: BTreeSet<i32>,
}

/// Proof of having been a member in one generation of a group.
#[derive(Clone, Debug)]
pub struct MemoryFence {
    pub(super) group: String,
    pub(super) member: Option<Proof>,
}

/// Which member, and when.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    pub(super) name: String,
    pub(super) number: u64,
    pub(super) generation: u64,
}

/// How somebody stands with a group.
pub(super) enum Standing {
    /// A member; the group is in this generation.
    Member(u64),
    /// Somebody else has its name.
    Replaced,
    /// It was silent too long.
    Evicted,
}

impl Group {
    /// When the first of its members has been silent too long.
    pub(super) fn deadline(&self) -> Option<i64> {
        self.members.values().map(Member::deadline).min()
    }

    /// Its members, and what each has.
    pub(super) fn holders(&self) -> BTreeMap<String, BTreeSet<i32>> {
        self.members.iter().map(|(name, member)| (name.clone(), member.held.clone())).collect()
    }

    fn share_out(&mut self, partitions: i32) {
        let shares = self.members.iter().map(|(name, member)| (name.clone(), member.share.clone())).collect();
        for (name, share) in share_out(partitions, &shares) {
            if let Some(member) = self.members.get_mut(&name) {
                member.share = share;
            }
        }
        self.generation += 1;
    }

    /// What a member is to be told next. What it is to get waits until nobody else holds it.
    fn next_change(&mut self, name: &str) -> Option<Rebalance> {
        let others = self.members.iter().filter(|(other, _)| *other != name);
        let taken: BTreeSet<i32> = others.flat_map(|(_, member)| &member.held).copied().collect();
        let member = self.members.get_mut(name)?;
        let going: Vec<i32> = member
            .held
            .difference(&member.share)
            .filter(|one| !member.leaving.contains(one))
            .copied()
            .collect();
        if !going.is_empty() {
            member.leaving.extend(&going);
            return Some(Rebalance::Revoked(going));
        }
        let coming: Vec<i32> =
            member.share.difference(&member.held).filter(|one| !taken.contains(one)).copied().collect();
        member.held.extend(&coming);
        (!coming.is_empty()).then_some(Rebalance::Assigned(coming))
    }
}

impl Member {
    /// What it is to have when it comes back, and what it was to let go of when it went: that is nobody's, as on
    /// Apache Kafka, until everything is shared out anew.
    fn after_a_restart(&self) -> (BTreeSet<i32>, BTreeSet<i32>) {
        (self.share.clone(), &self.held - &self.share)
    }

    fn deadline(&self) -> i64 {
        self.seen.saturating_add(self.session)
    }
}

impl State {
    /// Makes somebody a member; whoever had the name before has it no longer.
    pub(super) fn join(&mut self, settings: &GroupSettings) -> Result<u64, BrokerError> {
        let (number, now) = (self.number(), self.now);
        let session = millis(settings.session_timeout);
        let partitions = self.topics.get(settings.topic.as_str()).map_or(0, Topic::partitions);
        let group = self.groups.entry(settings.group.clone()).or_default();
        if group.members.is_empty() {
            group.topic.clone_from(&settings.topic);
        } else if group.topic != settings.topic {
            let why = format!("group {} shares out {}, not {}", settings.group, group.topic, settings.topic);
            return Err(BrokerError::Refused(why));
        }
        let former = group.members.remove(&settings.member);
        let (share, given_up) = former.as_ref().map(Member::after_a_restart).unwrap_or_default();
        let (held, leaving) = (BTreeSet::new(), BTreeSet::new());
        let member = Member { number, session, seen: now, share, held, leaving };
        group.members.insert(settings.member.clone(), member);
        // One that comes back changes nothing for the others.
        if former.is_none() {
            group.share_out(partitions);
        }
        group.members.values_mut().for_each(|member| member.share.retain(|one| !given_up.contains(one)));
        self.expect(now.saturating_add(session));
        Ok(number)
    }

    pub(super) fn standing(&self, settings: &GroupSettings, number: u64) -> Standing {
        let group = self.groups.get(&settings.group);
        let member = group.and_then(|group| Some((group, group.members.get(&settings.member)?)));
        match member {
            None => Standing::Evicted,
            Some((group, member)) if member.number == number => Standing::Member(group.generation),
            Some(_) => Standing::Replaced,
        }
    }

    /// A member shows itself, and hears what has changed for it.
    pub(super) fn hear(&mut self, settings: &GroupSettings) -> Option<Rebalance> {
        let group = self.groups.get_mut(&settings.group)?;
        group.members.get_mut(&settings.member)?.seen = self.now;
        group.next_change(&settings.member)
    }

    /// A member has let go of these. From here on no proof of before counts.
    pub(super) fn let_go(&mut self, settings: &GroupSettings, partitions: &[i32]) {
        let Some(group) = self.groups.get_mut(&settings.group) else { return };
        let Some(member) = group.members.get_mut(&settings.member) else { return };
        for partition in partitions {
            member.held.remove(partition);
            member.leaving.remove(partition);
        }
        group.generation += 1;
    }

    /// A member is none any more.
    pub(super) fn leave(&mut self, settings: &GroupSettings) {
        let partitions = self.topics.get(settings.topic.as_str()).map_or(0, Topic::partitions);
        let Some(group) = self.groups.get_mut(&settings.group) else { return };
        group.members.remove(&settings.member);
        group.share_out(partitions);
    }

    /// Refuses whoever is no member as of now.
    pub(super) fn check_fence(&self, fence: &MemoryFence) -> Result<(), BrokerError> {
        let Some(proof) = &fence.member else { return Ok(()) };
        let group = self.groups.get(&fence.group);
        let member = group.and_then(|group| Some((group, group.members.get(&proof.name)?)));
        let why = match member {
            Some((group, member)) if member.number == proof.number => {
                if group.generation == proof.generation {
                    return Ok(());
                }
                "its generation is over"
            }
            _ => "it is no member any more",
        };
        Err(BrokerError::Doubt(format!("offsets of {} in {}: {why}", proof.name, fence.group)))
    }

    /// Whoever was silent too long loses its share.
    pub(super) fn evict_silent(&mut self) {
        for group in self.groups.values_mut() {
            let before = group.members.len();
            group.members.retain(|_, member| member.deadline() > self.now);
            if group.members.len() < before {
                let topic = self.topics.get(group.topic.as_str());
                group.share_out(topic.map_or(0, Topic::partitions));
            }
        }
    }

    /// The topic has other partitions than before.
    pub(super) fn share_out_again(&mut self, topic: &str) {
        let partitions = self.topics.get(topic).map_or(0, Topic::partitions);
        let groups = self.groups.values_mut().filter(|group| group.topic == topic);
        groups.for_each(|group| group.share_out(partitions));
    }
}
