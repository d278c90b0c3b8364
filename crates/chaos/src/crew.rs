//! The workers of a run: started, struck, and started again at once.

use std::os::unix::process::ExitStatusExt as _;

use fastrand::Rng;
use stream_runtime::Step;

use crate::shop::{INGEST, PROFILE_UPDATER, RECOMMENDER, Shop, wait};
use crate::tried::Tried;
use crate::worker::{Fate, Worker, now};

/// A worker that is fated dies within its first so many transactions.
const FATED_WITHIN: usize = 20;
/// Who has not committed again after so many milliseconds has nothing to do, and may be killed all the same.
const SETTLED: u64 = 8_000;

/// One instance of the crew.
struct Post {
    instance: String,
    command: &'static str,
    worker: Worker,
}

/// A death by SIGKILL.
struct Death {
    instance: String,
    command: &'static str,
    at: u64,
}

/// Workers of one shop.
pub(crate) struct Crew<'a> {
    shop: &'a Shop,
    chance: Rng,
    /// Of a hundred that are started, so many die at a step of their own.
    fated: u64,
    posts: Vec<Post>,
    deaths: Vec<Death>,
    /// Who ended without having been killed, with its last words.
    quitters: Vec<String>,
}

impl<'a> Crew<'a> {
    /// Starts an instance for each of these commands.
    pub(crate) fn start(shop: &'a Shop, commands: &[&'static str], seed: u64, fated: u64) -> Self {
        let (posts, deaths, quitters) = (Vec::new(), Vec::new(), Vec::new());
        let mut crew = Self { shop, chance: Rng::with_seed(seed), fated, posts, deaths, quitters };
        for (number, command) in commands.iter().enumerate() {
            crew.join(&format!("{command}-{number}"), command);
        }
        crew
    }

    /// One more instance.
    pub(crate) fn join(&mut self, instance: &str, command: &'static str) {
        let worker = self.worker(instance, command);
        self.posts.push(Post { instance: instance.to_owned(), command, worker });
    }

    /// The instance that joined last leaves in good order.
    pub(crate) fn leave(&mut self) {
        if let Some(post) = self.posts.pop() {
            post.worker.end();
        }
    }

    /// How many were killed by SIGKILL.
    pub(crate) fn kills(&self) -> u64 {
        self.deaths.len() as u64
    }

    /// No worker that is started from now on carries its death in it.
    pub(crate) fn spare(&mut self) {
        self.fated = 0;
    }

    /// Kills one of those who run this command.
    pub(crate) fn strike(&mut self, command: &str) {
        let places: Vec<usize> =
            (0..self.posts.len()).filter(|place| self.posts[*place].command == command).collect();
        let place = self.chance.choice(&places).expect("somebody runs it");
        self.posts[*place].worker.kill();
        self.look();
    }

    /// Whether all who run this command have committed again since they were killed: a kill then meets work, and
    /// not a worker that is still starting.
    pub(crate) fn is_settled(&self, command: &str) -> bool {
        let of_it = self.posts.iter().filter(|post| post.command == command);
        of_it.filter_map(|post| Some((post, self.last_death(&post.instance)?))).all(|(post, death)| {
            let applied = |processor: &&str| post.worker.applied(processor).iter().any(|at| *at > death);
            now() > death + SETTLED || processors(command).iter().any(applied)
        })
    }

    fn last_death(&self, instance: &str) -> Option<u64> {
        self.deaths.iter().rfind(|death| death.instance == instance).map(|death| death.at)
    }

    /// Starts whoever has ended again.
    pub(crate) fn look(&mut self) {
        for place in 0..self.posts.len() {
            let Some(status) = self.posts[place].worker.ended() else { continue };
            let (instance, command) = (self.posts[place].instance.clone(), self.posts[place].command);
            if status.signal() == Some(9) {
                self.deaths.push(Death { instance: instance.clone(), command, at: now() });
            } else {
                let said = self.posts[place].worker.said();
                let last = said.lines().last().unwrap_or_default();
                self.quitters.push(format!("{instance} ended by itself ({status}): {last}"));
            }
            self.posts[place].worker = self.worker(&instance, command);
        }
    }

    /// The workers, by instance.
    pub(crate) fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.posts.iter().map(|post| &post.worker)
    }

    /// Waits until some profile-updater has committed later than this, in milliseconds since 1970.
    pub(crate) fn commits_after(&self, time: u64) {
        wait("it commits", || {
            self.workers().any(|worker| worker.applied(PROFILE_UPDATER).last() > Some(&time))
        });
    }

    /// Counts deaths and how long it took each to commit again. Who had no work left did not.
    pub(crate) fn account(&mut self, most_ms: u64, tried: &mut Tried) {
        self.look();
        tried.kills += self.kills();
        tried.faults += self.kills();
        for death in &self.deaths {
            let post = self.posts.iter().find(|post| post.instance == death.instance);
            let processors = processors(death.command).iter();
            let applied = processors.filter_map(|processor| {
                post?.worker.applied(processor).into_iter().find(|applied| *applied > death.at)
            });
            let next = self.deaths.iter().find(|next| next.instance == death.instance && next.at > death.at);
            let applied = applied.min().filter(|applied| next.is_none_or(|next| *applied < next.at));
            if let Some(applied) = applied {
                tried.recovered(applied - death.at, most_ms);
            }
        }
        let quitters = std::mem::take(&mut self.quitters);
        tried.holds(quitters.is_empty(), || quitters.join("; "));
    }

    /// All leave in good order.
    pub(crate) fn end(self) {
        self.posts.into_iter().for_each(|post| post.worker.end());
    }

    fn worker(&mut self, instance: &str, command: &'static str) -> Worker {
        let fate = if self.chance.u64(..100) < self.fated { self.fate(command) } else { Fate::default() };
        Worker::start_as(command, self.shop, instance, &fate)
    }

    fn fate(&mut self, command: &str) -> Fate {
        Fate {
            signal: "KILL".into(),
            processor: (*self.chance.choice(processors(command)).expect("it runs one")).into(),
            step: format!("{:?}", self.chance.choice(Step::ALL).expect("there are steps")),
            transaction: self.chance.usize(1..=FATED_WITHIN),
            records: self.chance.usize(..50),
            ..Fate::default()
        }
    }
}

/// What a command runs.
fn processors(command: &str) -> &'static [&'static str] {
    match command {
        "ingest" => &[INGEST],
        "profile-updater" => &[PROFILE_UPDATER],
        "recommender" => &[RECOMMENDER],
        _ => &[INGEST, PROFILE_UPDATER, RECOMMENDER],
    }
}
