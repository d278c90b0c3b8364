use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Shared;
use super::groups::{MemoryFence, Proof, Standing};
use super::state::State;
use crate::broker::{BrokerError, GroupSettings, Membership, Rebalance};

/// A place in a group. Unless it has left it goes like a process that dies: without a word, so the group waits out
/// its session, as it does for a named member on Apache Kafka.
pub struct MemoryMembership {
    shared: Arc<Shared>,
    settings: GroupSettings,
    /// `None` between being thrown out and joining anew.
    number: Option<u64>,
    /// The last generation it knew of.
    generation: u64,
    owned: BTreeSet<i32>,
}

impl MemoryMembership {
    pub(super) fn join(shared: &Arc<Shared>, settings: &GroupSettings) -> Result<Self, BrokerError> {
        let number = shared.ask(|state| state.join(settings))?;
        Ok(Self {
            shared: Arc::clone(shared),
            settings: settings.clone(),
            number: Some(number),
            generation: 0,
            owned: BTreeSet::new(),
        })
    }

    fn hear(&mut self, state: &mut State) -> Result<Option<Rebalance>, BrokerError> {
        let number = match self.number {
            Some(number) => number,
            None => *self.number.insert(state.join(&self.settings)?),
        };
        match state.standing(&self.settings, number) {
            Standing::Member(generation) => self.generation = generation,
            Standing::Replaced => {
                let why = "the group member is fenced: another one has its name";
                return Err(BrokerError::Refused(why.to_owned()));
            }
            Standing::Evicted => {
                self.number = None;
                let lost = std::mem::take(&mut self.owned);
                return Ok((!lost.is_empty()).then(|| Rebalance::Lost(lost.into_iter().collect())));
            }
        }
        let change = state.hear(&self.settings);
        if let Some(Rebalance::Assigned(partitions)) = &change {
            self.owned.extend(partitions);
        }
        Ok(change)
    }

    /// Proof of what it was when it was a member last.
    fn proof(&mut self, state: &State) -> Option<Proof> {
        let number = self.number.unwrap_or_default();
        if let Standing::Member(generation) = state.standing(&self.settings, number) {
            self.generation = generation;
        }
        Some(Proof { name: self.settings.member.clone(), number, generation: self.generation })
    }
}

impl Membership for MemoryMembership {
    type Fence = MemoryFence;

    fn poll(&mut self) -> Result<Option<Rebalance>, BrokerError> {
        let shared = Arc::clone(&self.shared);
        shared.ask(|state| self.hear(state))
    }

    fn acknowledge(&mut self, rebalance: &Rebalance) -> Result<(), BrokerError> {
        let Rebalance::Revoked(partitions) = rebalance else { return Ok(()) };
        self.owned.retain(|partition| !partitions.contains(partition));
        let number = self.number.unwrap_or_default();
        self.shared.ask(|state| {
            if matches!(state.standing(&self.settings, number), Standing::Member(_)) {
                state.let_go(&self.settings, partitions);
            }
        });
        Ok(())
    }

    fn committed(&mut self, partition: i32) -> Result<Option<i64>, BrokerError> {
        let GroupSettings { group, topic, .. } = &self.settings;
        self.shared.ask(|state| {
            if state.is_unstable(group, topic, partition) {
                let why = format!("a transaction about {topic}-{partition} is open");
                return Err(BrokerError::NotYet(why));
            }
            let offsets = state.groups.get(group).map(|group| &group.offsets);
            Ok(offsets.and_then(|offsets| offsets.get(&(topic.clone(), partition)).copied()))
        })
    }

    fn fence(&mut self) -> Result<MemoryFence, BrokerError> {
        let shared = Arc::clone(&self.shared);
        let member = shared.ask(|state| self.proof(state));
        Ok(MemoryFence { group: self.settings.group.clone(), member })
    }

    fn no_fence(&mut self) -> Result<MemoryFence, BrokerError> {
        Ok(MemoryFence { group: self.settings.group.clone(), member: None })
    }

    fn commit_outside(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), BrokerError> {
        let fence = self.fence()?;
        self.shared.ask(|state| {
            state.check_fence(&fence)?;
            let known = &mut state.groups.entry(fence.group.clone()).or_default().offsets;
            let topic = &self.settings.topic;
            known.extend(offsets.iter().map(|(partition, offset)| ((topic.clone(), *partition), *offset)));
            Ok(())
        })
    }
    fn leave(&mut self) {
        let number = self.number.unwrap_or_default();
        self.shared.ask(|state| {
            if matches!(state.standing(&self.settings, number), Standing::Member(_)) {
                state.leave(&self.settings);
            }
        });
    }
}
