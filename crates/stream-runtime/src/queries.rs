use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use state_store::StoreError;

/// Questions that wait at most; one more is not taken.
const MOST: usize = 1_024;

/// Questions about states, put to the worker that holds them. It answers between two cycles with what is
/// committed, so that nobody ever sees what may still be undone, and no question disturbs a transaction.
#[derive(Default)]
pub struct Queries {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// The partitions whose states the worker holds.
    held: BTreeSet<i32>,
    questions: VecDeque<Question>,
}

struct Question {
    partition: i32,
    key: Vec<u8>,
    reply: Reply,
}

type Reply = Box<dyn FnOnce(Answer) + Send>;

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The committed state of the key as it is stored; `None` if it has none.
    State(Option<Vec<u8>>),
    /// The partition of the key is not, or no longer, held here.
    NotHeld,
}

impl Queries {
    /// Whether the worker holds the states of a partition.
    #[must_use]
    pub fn holds(&self, partition: i32) -> bool {
        self.lock().held.contains(&partition)
    }

    /// Asks for the state of `key`. `reply` is called by the worker's thread, so it must be quick; it is dropped
    /// uncalled if too many wait already, the store cannot be read, or the worker ends.
    pub fn ask(&self, partition: i32, key: Vec<u8>, reply: impl FnOnce(Answer) + Send + 'static) {
        let mut waiting = self.lock();
        if waiting.questions.len() < MOST {
            waiting.questions.push_back(Question { partition, key, reply: Box::new(reply) });
        }
    }

    /// Tells which partitions are held from now on, and answers whatever waits.
    pub(crate) fn answer(
        &self,
        held: impl Iterator<Item = i32>,
        look: impl Fn(i32, &[u8]) -> Result<Option<Vec<u8>>, StoreError>,
    ) {
        let held: BTreeSet<i32> = held.collect();
        let questions = {
            let mut waiting = self.lock();
            waiting.held.clone_from(&held);
            std::mem::take(&mut waiting.questions)
        };
        for Question { partition, key, reply } in questions {
            if !held.contains(&partition) {
                reply(Answer::NotHeld);
            } else if let Ok(state) = look(partition, &key) {
                reply(Answer::State(state));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, TryRecvError, channel};

    use super::*;

    fn ask(queries: &Queries, partition: i32, key: &[u8]) -> Receiver<Answer> {
        let (sender, receiver) = channel();
        queries.ask(partition, key.to_vec(), move |answer| {
            let _ = sender.send(answer);
        });
        receiver
    }

    fn answer(queries: &Queries) {
        queries.answer([1, 2].into_iter(), |partition, key| {
            Ok((key == b"anna").then(|| vec![u8::try_from(partition).unwrap_or(0)]))
        });
    }

    #[test]
    fn a_question_is_answered_by_who_holds_the_partition() {
        let queries = Queries::default();
        let waits = ask(&queries, 1, b"anna");
        assert_eq!(waits.try_recv(), Err(TryRecvError::Empty), "nobody has turned yet");
        let (unknown, elsewhere) = (ask(&queries, 2, b"bruno"), ask(&queries, 3, b"anna"));
        assert!(!queries.holds(1));
        answer(&queries);
        assert_eq!(waits.try_recv(), Ok(Answer::State(Some(vec![1]))));
        assert_eq!(unknown.try_recv(), Ok(Answer::State(None)));
        assert_eq!(elsewhere.try_recv(), Ok(Answer::NotHeld));
        assert!(queries.holds(1) && !queries.holds(3));
    }

    #[test]
    fn what_is_too_much_is_dropped_and_not_kept() {
        let queries = Queries::default();
        let mut receivers: Vec<_> = (0..=MOST).map(|_| ask(&queries, 1, b"anna")).collect();
        assert_eq!(receivers.pop().map(|last| last.try_recv()), Some(Err(TryRecvError::Disconnected)));
        answer(&queries);
        assert!(receivers.iter().all(|receiver| receiver.try_recv().is_ok()));
    }
}
