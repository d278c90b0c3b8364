//! Members that join and leave.

use std::time::{Duration, Instant};

use super::kills::{FRONT, SOON};
use crate::crew::Crew;
use crate::feed::Feed;
use crate::oracle::judge;
use crate::shop::PROFILE_UPDATER;
use crate::stage::Stage;
use crate::tried::Tried;
use crate::worker::now;

/// Between two changes.
const EVERY: Duration = Duration::from_secs(5);
/// Some partition commits at least this often, in milliseconds.
const WINDOW: u64 = 30_000;
/// Rows a second.
const RATE: usize = 500;

/// F-10: a member joins or leaves every five seconds.
pub(super) fn storm(stage: &mut Stage, number: usize) -> Tried {
    let changes = stage.size(36, 6);
    let input = stage.clicks(1_000 + number as u64, (changes * EVERY.as_secs() + 20) * RATE as u64);
    let reference = stage.reference(&input);
    let cluster = stage.cluster(1);
    let shop = stage.shop(&cluster, &[SOON[0], SOON[1]]);
    let mut tried = Tried { events: input.events, ..Tried::default() };
    let feed = Feed::start(&shop, &cluster.bootstrap, input.records(), RATE);
    let mut crew = Crew::start(&shop, &["ingest", "profile-updater"], number as u64, 0);
    let mut commits = Vec::new();
    let began = now();
    for change in 0..changes {
        let due = Instant::now() + EVERY;
        if change % 2 == 0 {
            crew.join(&format!("guest-{change}"), "profile-updater");
        } else {
            commits.extend(crew.workers().flat_map(|worker| worker.applied(PROFILE_UPDATER)));
            crew.leave();
        }
        tried.faults += 1;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let ended = now();
    feed.finish();
    shop.finish_front(|| crew.look());
    commits.extend(crew.workers().flat_map(|worker| worker.applied(PROFILE_UPDATER)));
    commits.retain(|at| (began..=ended).contains(at));
    commits.extend([began, ended]);
    commits.sort_unstable();
    let stall = commits.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    tried.recovered(stall, WINDOW);
    crew.account(u64::MAX, &mut tried);
    judge(&shop, &reference, &FRONT, &mut tried);
    crew.end();
    tried
}
