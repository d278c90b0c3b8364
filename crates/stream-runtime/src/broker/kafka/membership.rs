use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext};

use super::{bad_config, create, is_not_yet, is_permanent, lock, log};
use crate::broker::{BrokerError, GroupSettings, Membership, Rebalance};

/// How long one question for committed offsets may take.
const OFFSETS: Duration = Duration::from_secs(2);

/// A group member that never fetches: its partitions stay paused, it only holds them and proves it.
pub struct KafkaMembership {
    consumer: BaseConsumer<Group>,
    topic: String,
    config: ClientConfig,
}

/// The consumer's group metadata, which carries its generation.
pub struct KafkaFence(pub(super) ConsumerGroupMetadata);

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
        config
            .set("client.id", &settings.member)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", session.to_string())
            .set("heartbeat.interval.ms", (session / 4).to_string())
            .set("max.poll.interval.ms", session.max(300_000).to_string());
        let consumer: BaseConsumer<Group> =
            config.create_with_context(Group::default()).map_err(|error| bad_config(&error))?;
        consumer.subscribe(&[&settings.topic]).map_err(|error| BrokerError::Refused(error.to_string()))?;
        Ok(Self { consumer, topic: settings.topic.clone(), config: alone })
    }

    /// Hears all there is to hear. The client answers "nothing" also when it has only called one of [`Group`]'s
    /// functions, and more may be waiting behind that.
    fn hear(&self) -> Result<(), BrokerError> {
        loop {
            let heard = self.consumer.context().heard.load(Ordering::Relaxed);
            match self.consumer.poll(Duration::ZERO) {
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
        Ok(lock(&self.consumer.context().waiting).pop_front())
    }

    fn acknowledge(&mut self, rebalance: &Rebalance) -> Result<(), BrokerError> {
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
        let metadata = self.consumer.group_metadata();
        metadata.map(KafkaFence).ok_or_else(|| BrokerError::Doubt("not a member of the group".to_owned()))
    }

    fn no_fence(&mut self) -> Result<KafkaFence, BrokerError> {
        let stranger: BaseConsumer = create(&self.config)?;
        let metadata = stranger.group_metadata();
        metadata.map(KafkaFence).ok_or_else(|| BrokerError::Doubt("no group metadata".to_owned()))
    }

    fn commit_outside(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), BrokerError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))
                .map_err(|error| doubt(&error))?;
        }
        self.consumer.commit(&list, CommitMode::Sync).map_err(|error| doubt(&error))
    }
}

impl Drop for KafkaMembership {
    fn drop(&mut self) {
        self.consumer.context().closing.store(true, Ordering::Relaxed);
        // A rebalance that nobody has answered would keep the client from closing for ever.
        let nothing = TopicPartitionList::new();
        let _ = self.consumer.incremental_assign(&nothing);
        let _ = self.consumer.incremental_unassign(&nothing);
    }
}

/// Keeps rebalances until the worker has dealt with them: the group waits meanwhile.
#[derive(Default)]
struct Group {
    waiting: Mutex<VecDeque<Rebalance>>,
    closing: AtomicBool,
    /// How often the client has called.
    heard: AtomicU64,
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.heard.fetch_add(1, Ordering::Relaxed);
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
        let partitions = list.elements().iter().map(|element| element.partition()).collect();
        let rebalance = match (revoking, revoking && consumer.assignment_lost()) {
            (false, _) => Rebalance::Assigned(partitions),
            (true, false) => Rebalance::Revoked(partitions),
            (true, true) => Rebalance::Lost(partitions),
        };
        lock(&self.waiting).push_back(rebalance);
    }
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
