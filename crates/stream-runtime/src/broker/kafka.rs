//! The port on Apache Kafka, through librdkafka.

mod admin;
mod group;
mod membership;
mod producer;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

pub use membership::{KafkaFence, KafkaMembership};
pub use producer::KafkaProducer;
pub use reader::KafkaReader;

use super::{Broker, BrokerError, Extent, GroupSettings, ProducerSettings};
use crate::StartFrom;

/// How long a question to the broker may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long one that can be asked again, or is not needed, may take.
const BRIEFLY: Duration = Duration::from_secs(2);
/// Between a question whose connection broke and the next try.
const RETRY: Duration = Duration::from_millis(50);

/// Properties the runtime rests on: they are not the user's to set.
const RESERVED: &[&str] = &[
    "bootstrap.servers",
    "group.id",
    "group.instance.id",
    "transactional.id",
    "enable.idempotence",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "isolation.level",
    "auto.offset.reset",
    "acks",
    "request.required.acks",
    "allow.auto.create.topics",
    "check.crcs",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "enable.partition.eof",
    "heartbeat.interval.ms",
    "max.poll.interval.ms",
    "message.timeout.ms",
    "session.timeout.ms",
    "transaction.timeout.ms",
    "partition.assignment.strategy",
    "group.protocol",
    "client.rack",
    "message.max.bytes",
    "log.connection.close",
];

/// An Apache Kafka cluster.
pub struct KafkaBroker {
    bootstrap: String,
    properties: BTreeMap<String, String>,
    /// Sees committed records only.
    committed: BaseConsumer,
    /// Sees the ends of open transactions too.
    uncommitted: BaseConsumer,
    /// By group, who looks on at its offsets: to make one takes longer than to ask it.
    onlookers: Mutex<BTreeMap<String, Arc<BaseConsumer>>>,
}

impl KafkaBroker {
    /// The cluster at `bootstrap`; `properties` are librdkafka's, for TLS, SASL and tuning.
    ///
    /// # Errors
    /// When a property is unknown, has a bad value or is one the runtime sets itself.
    pub fn new(bootstrap: &str, properties: &BTreeMap<String, String>) -> Result<Self, BrokerError> {
        if let Some(reserved) = properties.keys().find(|name| RESERVED.contains(&name.as_str())) {
            return Err(BrokerError::Refused(format!(
                "kafka property {reserved} is set by Pączek; remove it"
            )));
        }
        let reading = |isolation| {
            let mut config = client_config(bootstrap, properties);
            config.set("isolation.level", isolation);
            create(&config)
        };
        Ok(Self {
            committed: reading("read_committed")?,
            uncommitted: reading("read_uncommitted")?,
            onlookers: Mutex::default(),
            bootstrap: bootstrap.to_owned(),
            properties: properties.clone(),
        })
    }

    /// The broker's topics and their partitions.
    ///
    /// # Errors
    /// When no broker answers.
    pub fn topics(&self) -> Result<BTreeMap<String, i32>, BrokerError> {
        let metadata = self.ask(|limit| self.committed.fetch_metadata(None, limit))?;
        let known = metadata.topics().iter().filter(|topic| topic.error().is_none());
        Ok(known.map(|topic| (topic.name().to_owned(), count(topic.partitions().len()))).collect())
    }

    /// The offsets of a group, for the partitions that have one.
    ///
    /// # Errors
    /// When no broker answers.
    pub fn group_offsets(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>, BrokerError> {
        let mut partitions = TopicPartitionList::new();
        for partition in 0..self.partitions(topic)?.unwrap_or(0) {
            partitions.add_partition(topic, partition);
        }
        let onlooker = self.onlooker(group)?;
        let offsets = self.ask(|limit| onlooker.committed_offsets(partitions.clone(), limit))?;
        let known = offsets.elements().into_iter().filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        });
        Ok(known.collect())
    }

    /// Asks for a group's offsets without being a member, and does not wait for open transactions.
    fn onlooker(&self, group: &str) -> Result<Arc<BaseConsumer>, BrokerError> {
        let mut onlookers = lock(&self.onlookers);
        if let Some(known) = onlookers.get(group) {
            // Unasked, the client's own events would pile up.
            let _ = known.poll(Duration::ZERO);
            return Ok(Arc::clone(known));
        }
        let mut config = self.config();
        config.set("group.id", group).set("isolation.level", "read_uncommitted");
        let made: Arc<BaseConsumer> = Arc::new(create(&config)?);
        onlookers.insert(group.to_owned(), Arc::clone(&made));
        Ok(made)
    }

    /// First offset and end of a partition, as this client sees them.
    fn watermarks(
        &self,
        client: &BaseConsumer,
        topic: &str,
        partition: i32,
    ) -> Result<(i64, i64), BrokerError> {
        let ask = |limit| client.fetch_watermarks(topic, partition, limit);
        // Where brokers come and go the client may wait for one that leads no more, and does not ask by itself.
        let ask_anew = |limit| client.fetch_metadata(Some(topic), limit).and_then(|_| ask(limit));
        self.ask(|limit| ask(BRIEFLY).or_else(|_| ask_anew(limit)))
    }

    /// Asks for as long as a question may take: again, where the connection breaks, which the client leaves to its user.
    fn ask<T>(&self, mut question: impl FnMut(Duration) -> KafkaResult<T>) -> Result<T, BrokerError> {
        let deadline = Instant::now() + ANSWER;
        let left = || deadline.saturating_duration_since(Instant::now());
        loop {
            match question(left()) {
                Err(error) if code(&error).is_some_and(is_not_yet) && left() > RETRY => {
                    thread::sleep(RETRY);
                }
                answer => return answer.map_err(|error| self.silent(&error)),
            }
        }
    }

    fn config(&self) -> ClientConfig {
        client_config(&self.bootstrap, &self.properties)
    }

    fn silent(&self, error: &KafkaError) -> BrokerError {
        if code(error).is_some_and(is_permanent) {
            return BrokerError::Refused(format!("Kafka at {} refuses: {error}", self.bootstrap));
        }
        BrokerError::Unreachable(format!(
            "no answer from Kafka at {}: {error}; is it running, and is the address right?",
            self.bootstrap
        ))
    }
}

impl Broker for KafkaBroker {
    type Fence = KafkaFence;
    type Membership = KafkaMembership;
    type Reader = KafkaReader;
    type Producer = KafkaProducer;

    fn join(&self, group: &GroupSettings) -> Result<KafkaMembership, BrokerError> {
        KafkaMembership::join(&self.config(), group)
    }

    fn reader(&self) -> Result<KafkaReader, BrokerError> {
        KafkaReader::new(self.config())
    }

    fn producer(&self, settings: &ProducerSettings) -> Result<KafkaProducer, BrokerError> {
        KafkaProducer::new(self.config(), settings)
    }

    fn log_name(&self, topic: &str) -> Result<String, BrokerError> {
        let cluster = self.committed.client().fetch_cluster_id(ANSWER);
        let cluster =
            cluster.ok_or_else(|| BrokerError::Unreachable("the cluster tells no id".to_owned()))?;
        Ok(format!("{cluster}/{topic}"))
    }

    fn partitions(&self, topic: &str) -> Result<Option<i32>, BrokerError> {
        let metadata = self.ask(|limit| self.committed.fetch_metadata(Some(topic), limit))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
        Ok(found.map(|found| count(found.partitions().len())).filter(|partitions| *partitions > 0))
    }

    fn extent(&self, topic: &str, partition: i32) -> Result<Extent, BrokerError> {
        // Unasked, the clients' own events would pile up.
        for client in [&self.committed, &self.uncommitted] {
            let _ = client.poll(Duration::ZERO);
        }
        // A reader of committed records is told the last stable offset instead of the end.
        let (start, stable_end) = self.watermarks(&self.committed, topic, partition)?;
        let (_, end) = self.watermarks(&self.uncommitted, topic, partition)?;
        Ok(Extent { start, stable_end, end })
    }

    fn members(&self, group: &str, topic: &str) -> Result<BTreeMap<String, BTreeSet<i32>>, BrokerError> {
        group::members(&self.committed, group, topic)
    }

    fn last_committer(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Result<Option<String>, BrokerError> {
        group::last_committer(&*self.onlooker(group)?, topic, partition)
    }

    fn start_offset(&self, topic: &str, partition: i32, from: StartFrom) -> Result<i64, BrokerError> {
        let extent = self.extent(topic, partition)?;
        let StartFrom::Time(time) = from else {
            return Ok(if from == StartFrom::Earliest { extent.start } else { extent.stable_end });
        };
        let mut wanted = TopicPartitionList::new();
        wanted
            .add_partition_offset(topic, partition, Offset::Offset(time))
            .map_err(|error| BrokerError::Refused(error.to_string()))?;
        let found = self.ask(|limit| self.committed.offsets_for_times(wanted.clone(), limit))?;
        Ok(
            match found.elements().first().map(rdkafka::topic_partition_list::TopicPartitionListElem::offset)
            {
                Some(Offset::Offset(offset)) => offset,
                _ => extent.stable_end,
            },
        )
    }
}

/// Carries the client library's log into ours.
fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            tracing::warn!(facility, message, "kafka client");
        }
        _ => tracing::debug!(facility, message, "kafka client"),
    }
}

fn client_config(bootstrap: &str, properties: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("client.id", "paczek")
        .set("allow.auto.create.topics", "false")
        .set("log.connection.close", "false")
        .set("reconnect.backoff.max.ms", "1000");
    for (name, value) in properties {
        config.set(name, value);
    }
    config.set("bootstrap.servers", bootstrap);
    config
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn create<T: rdkafka::config::FromClientConfig>(config: &ClientConfig) -> Result<T, BrokerError> {
    config.create().map_err(|error| bad_config(&error))
}

/// The client's own words would repeat the value, which may be a secret.
fn bad_config(error: &KafkaError) -> BrokerError {
    let reason = match error {
        KafkaError::ClientConfig(_, _, name, _) => format!("{name} is no property, or has a bad value"),
        other => other.to_string(),
    };
    BrokerError::Refused(format!(
        "the Kafka client refuses its configuration: {reason}; look at [kafka.properties]"
    ))
}

fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

/// The code of an error, also of what an administrator asked, where the client keeps it to itself.
fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// Asking again does not help.
fn is_permanent(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::InvalidSessionTimeout
            | Code::InvalidTransactionTimeout
            | Code::UnsupportedVersion
    )
}

fn is_not_yet(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::WaitingForCoordinator
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::NotCoordinator
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::UnstableOffsetCommit
    )
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;

    fn refusal(name: &str, value: &str) -> String {
        let properties = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let refused = KafkaBroker::new("127.0.0.1:9", &properties).err().unwrap();
        refused.to_string()
    }

    #[test]
    fn a_refused_property_is_named_and_its_value_is_not() {
        for name in ["sasl.pasword", "security.protocol"] {
            let words = refusal(name, "hush");
            assert!(words.contains(name) && !words.contains("hush"), "{words}");
        }
    }

    #[test]
    fn what_exactly_once_rests_on_is_not_the_users_to_set() {
        for name in RESERVED {
            assert!(refusal(name, "1").contains("is set by Pączek"), "{name}");
        }
    }

    #[test]
    fn a_partition_whose_leader_has_changed_tells_its_ends_at_once() {
        let cluster = MockCluster::new(2).unwrap();
        cluster.create_topic("topic", 1, 2).unwrap();
        cluster.partition_leader("topic", 0, Some(1)).unwrap();
        let broker = KafkaBroker::new(&cluster.bootstrap_servers(), &BTreeMap::new()).unwrap();
        let before = broker.extent("topic", 0).unwrap();
        cluster.partition_leader("topic", 0, Some(2)).unwrap();
        assert_eq!(broker.extent("topic", 0).unwrap(), before);
    }

    #[test]
    fn a_question_whose_connection_breaks_is_asked_again() {
        let broker = KafkaBroker::new("127.0.0.1:9", &BTreeMap::new()).unwrap();
        let asked = |answers: &[KafkaResult<u8>]| {
            let mut answers = answers.iter().cloned();
            (broker.ask(|_| answers.next().unwrap()).ok(), answers.len())
        };
        let broken = RDKafkaErrorCode::BrokerTransportFailure;
        let (broken, also) = (KafkaError::MetadataFetch(broken), KafkaError::AdminOp(broken));
        assert_eq!(asked(&[Err(broken.clone()), Err(also), Ok(7)]), (Some(7), 0));
        let refused = KafkaError::AdminOp(RDKafkaErrorCode::ClusterAuthorizationFailed);
        assert_eq!(asked(&[Err(broken), Err(refused), Ok(7)]), (None, 1));
    }
}
