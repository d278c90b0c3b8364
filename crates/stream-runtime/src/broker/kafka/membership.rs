use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext};

use super::{bad_config, create, is_not_yet, is_permanent, lock, log};
use crate::broker::{BrokerError, GroupSettings, Membership, Rebalance};

/// How long one question for committed offsets may take.
const OFFSETS: Duration = Duration::from_secs(2);
/// Heartbeats in a session: a member hears of changes in its group by the answers to them, so a take-over waits for one.
const HEARTBEATS: u128 = 12;
const SLOWEST_HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a member tries to say goodbye: whoever has not heard it waits out its session.
const GOODBYE: Duration = Duration::from_secs(2);
/// Between two looks at whether it has been said.
const TICK: Duration = Duration::from_millis(10);

/// A group member that never fetches: its partitions stay paused, it only holds them and proves it.
///
/// It is a static member (`group.instance.id`): who comes back within its session has its share at once. Of such a
/// member the client library does not tell when it was expelled in the middle of a rebalance and is let in again as
/// somebody new, who may prove what another one owns. `Group` hears of it from the library's log.
pub struct KafkaMembership {
    consumer: Arc<BaseConsumer<Group>>,
    topic: String,
    config: ClientConfig,
}

/// The consumer's group metadata, which carries its generation.
pub struct KafkaFence(pub(super) Arc<ConsumerGroupMetadata>);

impl KafkaMembership {
    pub(super) fn join(config: &ClientConfig, settings: &GroupSettings) -> Result<Self, BrokerError> {
        let mut config = config.clone();
        let session = settings.session_timeout.as_millis();
        config
            .set("group.id", &settings.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Only a reader of committed records waits for the last owner's open transaction.
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error");
        let alone = config.clone();
        let told = told_by(config.get("debug"));
        config
            .set("client.id", &settings.member)
            .set("group.instance.id", &settings.member)
            .set("debug", told)
            .set_log_level(RDKafkaLogLevel::Debug)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", session.to_string())
            .set(
                "heartbeat.interval.ms",
                (session / HEARTBEATS).min(SLOWEST_HEARTBEAT.as_millis()).to_string(),
            )
            .set("max.poll.interval.ms", session.max(300_000).to_string());
        let consumer: BaseConsumer<Group> =
            config.create_with_context(Group::default()).map_err(|error| bad_config(&error))?;
        consumer.subscribe(&[&settings.topic]).map_err(|error| BrokerError::Refused(error.to_string()))?;
        Ok(Self { consumer: Arc::new(consumer), topic: settings.topic.clone(), config: alone })
    }

    /// Hears all there is to hear. The client answers "nothing" also when it has only called one of [`Group`]'s
    /// functions, and more may be waiting behind that.
    fn hear(&self) -> Result<(), BrokerError> {
        loop {
            let heard = self.consumer.context().heard.load(Ordering::Relaxed);
            match self.consumer.poll(Duration::ZERO) {
                // On a slow cluster a member that joins anew is told so of what it had asked before.
                Some(Err(KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::FencedInstanceId))) => {
                    return Err(BrokerError::Doubt("somebody newer has this member's name".to_owned()));
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    return Err(BrokerError::Refused(format!("the group member is fenced: {code}")));
                }
                Some(Err(error)) if error.rdkafka_error_code().is_some_and(is_permanent) => {
                    return Err(BrokerError::Refused(format!("the group refuses this member: {error}")));
                }
                Some(Err(error)) => tracing::debug!(%error, "group member"),
                Some(Ok(_)) => {}
                None if self.consumer.context().heard.load(Ordering::Relaxed) == heard => return Ok(()),
                None => {}
            }
        }
    }

    fn list(&self, partitions: &[i32], offset: Offset) -> Result<TopicPartitionList, BrokerError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition_offset(&self.topic, *partition, offset).map_err(|error| doubt(&error))?;
        }
        Ok(list)
    }
}

impl Membership for KafkaMembership {
    type Fence = KafkaFence;

    fn poll(&mut self) -> Result<Option<Rebalance>, BrokerError> {
        self.hear()?;
        let group = self.consumer.context();
        if group.is_nobody.load(Ordering::Relaxed) {
            return Err(BrokerError::Doubt("the group has expelled this member".to_owned()));
        }
        Ok(lock(&group.waiting).pop_front())
    }

    fn acknowledge(&mut self, rebalance: &Rebalance) -> Result<(), BrokerError> {
        *lock(&self.consumer.context().unanswered) = None;
        match rebalance {
            Rebalance::Assigned(partitions) => {
                let list = self.list(partitions, Offset::End)?;
                self.consumer.incremental_assign(&list).map_err(|error| doubt(&error))?;
                if partitions.is_empty() {
                    return Ok(());
                }
                self.consumer.pause(&list).map_err(|error| doubt(&error))
            }
            Rebalance::Revoked(partitions) | Rebalance::Lost(partitions) => {
                let list = self.list(partitions, Offset::Invalid)?;
                self.consumer.incremental_unassign(&list).map_err(|error| doubt(&error))
            }
        }
    }

    fn committed(&mut self, partition: i32) -> Result<Option<i64>, BrokerError> {
        let list = self.list(&[partition], Offset::Invalid)?;
        let found = self.consumer.committed_offsets(list, OFFSETS).map_err(|error| not_yet(&error))?;
        let Some(element) = found.find_partition(&self.topic, partition) else { return Ok(None) };
        element.error().map_err(|error| not_yet(&error))?;
        Ok(match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    }

    fn fence(&mut self) -> Result<KafkaFence, BrokerError> {
        fence_of(&self.consumer, "not a member of the group")
    }

    fn no_fence(&mut self) -> Result<KafkaFence, BrokerError> {
        let stranger: BaseConsumer = create(&self.config)?;
        fence_of(&stranger, "no group metadata")
    }

    fn commit_outside(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), BrokerError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))
                .map_err(|error| doubt(&error))?;
        }
        self.consumer.commit(&list, CommitMode::Sync).map_err(|error| doubt(&error))
    }

    fn leave(&mut self) {
        let group = self.consumer.context();
        self.let_go();
        if group.is_nobody.load(Ordering::Relaxed) || !group.is_somebody.load(Ordering::Relaxed) {
            return;
        }
        // A static member does not say goodbye when it is closed, but when it wants nothing any more.
        self.consumer.unsubscribe();
        let begun = Instant::now();
        while !group.is_nobody.load(Ordering::Relaxed) && begun.elapsed() < GOODBYE {
            let _ = self.hear();
            thread::sleep(TICK);
        }
    }
}

impl KafkaMembership {
    /// A rebalance that has been told of and not answered would keep the client from closing for ever. What it still
    /// has to tell of is answered when it is told, and now: in a client that closes an answer can get lost.
    fn let_go(&self) {
        let group = self.consumer.context();
        group.closing.store(true, Ordering::Relaxed);
        let (unanswered, nothing) = (lock(&group.unanswered).take(), TopicPartitionList::new());
        let _ = match unanswered {
            Some(Asked::Assign) => self.consumer.incremental_assign(&nothing),
            Some(Asked::Unassign) => self.consumer.incremental_unassign(&nothing),
            None => Ok(()),
        };
        let _ = self.hear();
    }
}

impl Drop for KafkaMembership {
    /// Nobody waits for the client's end. Where a rebalance is told of while it closes, the answer to that can get lost
    /// inside the library, which then waits for it for ever; whoever has the name next fences it.
    fn drop(&mut self) {
        self.let_go();
        let client = Arc::clone(&self.consumer);
        thread::spawn(move || {
            while Arc::strong_count(&client) > 1 {
                thread::sleep(TICK);
            }
        });
    }
}

/// Keeps rebalances until the worker has dealt with them: the group waits meanwhile.
#[derive(Default)]
struct Group {
    waiting: Mutex<VecDeque<Rebalance>>,
    /// What the client waits for an answer to.
    unanswered: Mutex<Option<Asked>>,
    closing: AtomicBool,
    /// How often the client has called.
    heard: AtomicU64,
    /// The broker has given this member an id.
    is_somebody: AtomicBool,
    /// The id it had is no longer its own.
    is_nobody: AtomicBool,
}

/// What a client that shares partitions out wants to be called next.
#[derive(Clone, Copy)]
enum Asked {
    Assign,
    Unassign,
}

impl Group {
    /// The client has come to another id. The broker gives one to a member that has none, and takes it away for good.
    fn renamed(&self, former: &str, id: &str) {
        let is_one = |id: &str| !id.is_empty() && id != "(not-set)";
        self.is_somebody.fetch_or(is_one(id), Ordering::Relaxed);
        self.is_nobody.fetch_or(is_one(former), Ordering::Relaxed);
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        if facility == "MEMBERID"
            && let Some((former, id)) = renaming(message)
        {
            self.renamed(former, id);
        }
        log(level, facility, message);
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        let revoking = error != RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Relaxed) {
            // The client is going; whatever it answers, it goes.
            let _ = if revoking {
                consumer.incremental_unassign(list)
            } else {
                consumer.incremental_assign(list)
            };
            return;
        }
        *lock(&self.unanswered) = Some(if revoking { Asked::Unassign } else { Asked::Assign });
        let partitions = list.elements().iter().map(|element| element.partition()).collect();
        let rebalance = match (revoking, revoking && consumer.assignment_lost()) {
            (false, _) => Rebalance::Assigned(partitions),
            (true, false) => Rebalance::Revoked(partitions),
            (true, true) => Rebalance::Lost(partitions),
        };
        lock(&self.waiting).push_back(rebalance);
    }
}

fn fence_of<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    otherwise: &str,
) -> Result<KafkaFence, BrokerError> {
    let metadata = client.group_metadata().ok_or_else(|| BrokerError::Doubt(otherwise.to_owned()))?;
    Ok(KafkaFence(Arc::new(metadata)))
}

/// Former and new id of a member, in the library's words.
fn renaming(message: &str) -> Option<(&str, &str)> {
    let (_, ids) = message.split_once("updating member id \"")?;
    ids.strip_suffix('"')?.split_once("\" -> \"")
}

/// The library's log of its group, besides what the user asks to see.
fn told_by(asked: Option<&str>) -> String {
    asked.map_or_else(|| "cgrp".to_owned(), |asked| format!("{asked},cgrp"))
}

fn doubt(error: &KafkaError) -> BrokerError {
    BrokerError::Doubt(format!("group member: {error}"))
}

fn not_yet(error: &KafkaError) -> BrokerError {
    match error.rdkafka_error_code() {
        Some(code) if is_not_yet(code) => BrokerError::NotYet(error.to_string()),
        _ => BrokerError::Refused(format!("the group's offsets cannot be read: {error}")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::RDKafkaApiKey;

    use super::*;

    pub(in crate::broker::kafka) fn member(
        cluster: &MockCluster<'_, rdkafka::producer::DefaultProducerContext>,
    ) -> KafkaMembership {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let settings = GroupSettings {
            group: "group".to_owned(),
            topic: "topic".to_owned(),
            member: "member".to_owned(),
            session_timeout: Duration::from_secs(30),
        };
        KafkaMembership::join(&config, &settings).unwrap()
    }

    /// The first answer that is not "nothing".
    fn heard(member: &mut KafkaMembership) -> Result<Rebalance, BrokerError> {
        for _ in 0..6_000 {
            if let Some(rebalance) = member.poll()? {
                member.acknowledge(&rebalance)?;
                return Ok(rebalance);
            }
            thread::sleep(TICK);
        }
        panic!("nothing is heard of the group");
    }

    /// Without a word of the log, the client would tell of one more assignment, of nothing.
    #[test]
    fn a_member_that_was_expelled_in_a_rebalance_and_let_in_again_is_in_doubt() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("topic", 2, 1).unwrap();
        let mut member = member(&cluster);
        assert_eq!(heard(&mut member).unwrap(), Rebalance::Assigned(vec![0, 1]));
        let [again, expelled] = [
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
        ];
        cluster.request_errors(RDKafkaApiKey::JoinGroup, &[expelled]);
        cluster.request_errors(RDKafkaApiKey::Heartbeat, &[again]);
        let heard = heard(&mut member);
        assert!(matches!(heard, Err(BrokerError::Doubt(_))), "{heard:?}");
        let told = lock(&member.consumer.context().waiting);
        assert!(!told.iter().any(|rebalance| matches!(rebalance, Rebalance::Lost(_))), "{told:?}");
    }

    #[test]
    fn only_who_has_had_an_id_can_lose_it() {
        let line = |former: &str, id: &str| {
            format!("[thrd:main]: Group \"a\": updating member id \"{former}\" -> \"{id}\"")
        };
        let group = Group::default();
        let is = || [&group.is_somebody, &group.is_nobody].map(|flag| flag.load(Ordering::Relaxed));
        group.log(RDKafkaLogLevel::Debug, "MEMBERID", &line("(not-set)", ""));
        assert_eq!(is(), [false, false]);
        group.log(RDKafkaLogLevel::Debug, "MEMBERID", &line("", "member-1"));
        group.log(RDKafkaLogLevel::Debug, "HEARTBEAT", &line("member-1", ""));
        assert_eq!(is(), [true, false]);
        group.log(RDKafkaLogLevel::Debug, "MEMBERID", &line("member-1", ""));
        assert_eq!(is(), [true, true]);
    }
}
