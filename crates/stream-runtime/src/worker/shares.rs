//! Whether the group has shared everything out.
//!
//! A member that dies while it gives partitions up, and comes back within its session, is let in as if nothing had
//! happened: nobody shares anything out anew, and what it was giving up stays nobody's. So whoever has joined looks.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Shift;
use crate::RuntimeError;
use crate::broker::{Broker, BrokerError, Membership as _};
use crate::processor::Processor;

/// What a newcomer has seen of its group so far.
pub(super) struct Shares {
    /// The uptime of the next look; `None` once there is nothing to look for.
    next_look: Option<Duration>,
    /// What nobody held at the last look.
    nobodys: BTreeSet<i32>,
}

impl Shares {
    /// Of somebody who joined at this uptime.
    pub(super) fn joined(now: Duration, session: Duration) -> Self {
        Self { next_look: Some(now + session / 2), nobodys: BTreeSet::new() }
    }

    /// Takes in what is held now. True if two looks in a row, a session apart, find the same partition nobody's:
    /// what only changes hands is somebody's by then.
    fn look(&mut self, now: Duration, session: Duration, held: &BTreeSet<i32>, partitions: i32) -> bool {
        let nobodys: BTreeSet<i32> = (0..partitions).filter(|one| !held.contains(one)).collect();
        let stays = nobodys.iter().any(|partition| self.nobodys.contains(partition));
        self.next_look = (!nobodys.is_empty()).then_some(now + session);
        self.nobodys = nobodys;
        stays
    }
}

impl<B: Broker, P: Processor> Shift<'_, B, P> {
    /// Leaves the group, and so has it share everything out anew, where something stays nobody's.
    pub(super) fn look_at_shares(&mut self) -> Result<(), RuntimeError> {
        let (settings, now) = (self.given.settings, self.given.clock.uptime());
        if self.shares.next_look.is_none_or(|at| now < at) || !settings.guards.share_out {
            return Ok(());
        }
        self.shares.next_look = Some(now + settings.session_timeout);
        let broker = self.given.broker;
        let members = broker.members(&settings.group, &settings.input);
        let (Ok(members), Ok(Some(partitions))) = (members, broker.partitions(&settings.input)) else {
            return Ok(());
        };
        let held = members.into_values().flatten().collect();
        if self.shares.look(now, settings.session_timeout, &held, partitions) {
            self.membership.leave();
            return Err(BrokerError::Doubt("a partition has stayed nobody's".to_owned()).into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: Duration = Duration::from_secs(6);

    fn looks(held: &[&[i32]]) -> Vec<bool> {
        let mut shares = Shares::joined(Duration::ZERO, SESSION);
        held.iter()
            .map_while(|held| {
                let now = shares.next_look?;
                Some(shares.look(now, SESSION, &held.iter().copied().collect(), 3))
            })
            .collect()
    }

    #[test]
    fn what_stays_nobodys_is_shared_out_anew_and_what_changes_hands_is_not() {
        assert_eq!(looks(&[&[0, 1], &[1, 0]]), [false, true]);
        assert_eq!(looks(&[&[0, 1], &[0, 2], &[1, 2]]), [false, false, false], "another one each time");
        assert_eq!(looks(&[&[0, 1, 2], &[]]), [false], "where all is held, it is not looked again");
    }
}
