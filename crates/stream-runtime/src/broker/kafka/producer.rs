use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, ClientContext};

use super::{KafkaFence, bad_config, is_permanent, lock};
use crate::Output;
use crate::broker::{BrokerError, Committed, ProducerSettings, TransactionalProducer};

/// The client's own flush sleeps in steps of 100 ms: waiting in smaller ones is what keeps a commit short.
const DRAIN_STEP: Duration = Duration::from_micros(300);
/// Largest record; the topics allow as much.
const MESSAGE_BYTES: &str = "4194304";
/// How long a transaction's call may take.
const CALL: Duration = Duration::from_secs(10);
/// Whoever opens a producer is told to come back while its last transaction is being ended. By itself the client does so
/// half a second later, and at once when it is called again.
const ASK_ANEW: Duration = Duration::from_millis(50);
/// How long it is still waited for once a connection broke: its producer will be replaced in any case.
const IN_TROUBLE: Duration = Duration::from_secs(2);
/// Between two looks at whether one did.
const LOOK: Duration = Duration::from_millis(50);

/// A transactional producer whose instance ends with the first doubt about it.
pub struct KafkaProducer {
    producer: Arc<BaseProducer<Deliveries>>,
    id: String,
    patience: Duration,
}

impl KafkaProducer {
    pub(super) fn new(mut config: ClientConfig, settings: &ProducerSettings) -> Result<Self, BrokerError> {
        let timeout = settings.transaction_timeout.as_millis();
        config
            .set("transactional.id", &settings.transactional_id)
            .set("log.connection.close", "true")
            .set("message.max.bytes", MESSAGE_BYTES)
            .set("transaction.timeout.ms", timeout.to_string())
            .set("message.timeout.ms", (timeout * 8 / 10).to_string());
        for (name, value) in [
            ("linger.ms", "3"),
            ("retry.backoff.ms", "5"),
            ("batch.size", "524288"),
            ("compression.type", "lz4"),
            ("queue.buffering.max.messages", "500000"),
        ] {
            if config.get(name).is_none() {
                config.set(name, value);
            }
        }
        // Broken connections and timed-out requests are told at this level.
        config.set_log_level(RDKafkaLogLevel::Info);
        let producer: BaseProducer<Deliveries> =
            config.create_with_context(Deliveries::default()).map_err(|error| bad_config(&error))?;
        let limit = CALL.max(settings.transaction_timeout);
        retried(limit, || producer.init_transactions(ASK_ANEW)).map_err(|error| match &error {
            KafkaError::Transaction(inner) if inner.is_fatal() => {
                BrokerError::Refused(format!("no transactions for {}: {error}", settings.transactional_id))
            }
            _ => BrokerError::Unreachable(format!(
                "no transactions for {} yet: {error}",
                settings.transactional_id
            )),
        })?;
        let id = settings.transactional_id.clone();
        Ok(Self { producer: Arc::new(producer), id, patience: settings.transaction_timeout })
    }

    /// Takes in what has been acknowledged; where nothing has, waits a moment. The client's own wait would
    /// spin: it rounds the moment down to no time at all.
    fn serve(&self) {
        let before = self.producer.in_flight_count();
        self.producer.poll(Duration::ZERO);
        if self.producer.in_flight_count() == before {
            thread::sleep(DRAIN_STEP);
        }
    }

    fn check_deliveries(&self) -> Result<(), BrokerError> {
        let failure = lock(&self.producer.context().failure).take();
        failure.map_or(Ok(()), |failure| Err(self.refusal().unwrap_or(failure)))
    }

    /// What refuses the transaction, if something does: of its records the client tells only that they were thrown away.
    /// A transaction that has failed cannot be begun, and then it is told why it has.
    fn refusal(&self) -> Option<BrokerError> {
        let doubt = doubt("records", &self.producer.begin_transaction().err()?);
        matches!(doubt, BrokerError::Refused(_)).then_some(doubt)
    }
}

impl TransactionalProducer for KafkaProducer {
    type Fence = KafkaFence;

    fn begin(&mut self) -> Result<(), BrokerError> {
        self.producer.begin_transaction().map_err(|error| doubt("begin", &error))
    }

    fn send(&mut self, output: &Output, mark: usize) -> Result<(), BrokerError> {
        let mut record =
            BaseRecord::<[u8], [u8], usize>::with_opaque_to(&output.topic, mark).partition(output.partition);
        record.key = output.key.as_deref();
        record.payload = output.value.as_deref();
        if !output.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(output.headers.len());
            record.headers =
                Some(output.headers.iter().fold(headers, |headers, (key, value)| {
                    headers.insert(Header { key, value: Some(value) })
                }));
        }
        let deadline = Instant::now() + self.patience;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    self.serve();
                    record = back;
                }
                Err((error, _)) => return Err(doubt("send", &error)),
            }
        }
    }

    fn drain(&mut self) -> Result<BTreeMap<usize, i64>, BrokerError> {
        let deadline = Instant::now() + self.patience;
        while self.producer.in_flight_count() > 0 {
            self.serve();
            self.check_deliveries()?;
            if Instant::now() > deadline {
                return Err(BrokerError::Doubt("records were not acknowledged in time".to_owned()));
            }
        }
        self.check_deliveries()?;
        Ok(std::mem::take(&mut *lock(&self.producer.context().marked)))
    }

    fn send_offsets(
        &mut self,
        topic: &str,
        offsets: &BTreeMap<i32, i64>,
        fence: &KafkaFence,
    ) -> Result<(), BrokerError> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
                .map_err(|error| doubt("offsets", &error))?;
        }
        list.elements().iter_mut().for_each(|offset| offset.set_metadata(&self.id));
        let (producer, member) = (Arc::clone(&self.producer), Arc::clone(&fence.0));
        let call = move || retried(CALL, || producer.send_offsets_to_transaction(&list, &member, CALL));
        let troubled = || self.producer.context().troubled.load(Ordering::Relaxed);
        // The client waits for ever for a coordinator of the group that the cluster no longer knows (librdkafka's issues
        // 5456 and 5511). Should such a call ever go on, the broker refuses it: a new producer has the name by then.
        let answer = answer_within(CALL.min(self.patience), troubled, call);
        let why = "the group's coordinator has not taken the offsets in time";
        answer.ok_or_else(|| BrokerError::Doubt(why.to_owned()))?.map_err(|error| doubt("offsets", &error))
    }

    fn commit(&mut self) -> Result<Committed, BrokerError> {
        retried(CALL, || self.producer.commit_transaction(CALL)).map_err(|error| doubt("commit", &error))?;
        self.producer.poll(Duration::ZERO);
        let troubled = self.producer.context().troubled.swap(false, Ordering::Relaxed);
        Ok(if troubled { Committed::ReplaceProducer } else { Committed::Clean })
    }
}

/// What a call answers, if it does in time; little of that is left once there is trouble. One that does not answer is left
/// to itself with all that it holds: some of the client's calls never come back.
fn answer_within<T: Send + 'static>(
    limit: Duration,
    troubled: impl Fn() -> bool,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (tell, told) = mpsc::sync_channel(1);
    thread::spawn(move || {
        // Nobody may be waiting any more.
        let _ = tell.send(call());
    });
    let mut deadline = Instant::now() + limit;
    loop {
        match told.recv_timeout(LOOK) {
            Ok(answer) => return Some(answer),
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
            Err(_) => return None,
        }
        if troubled() {
            deadline = deadline.min(Instant::now() + IN_TROUBLE);
        }
    }
}

/// Calls again, with the same arguments, as long as the client says that it may.
fn retried(limit: Duration, mut call: impl FnMut() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    let deadline = Instant::now() + limit;
    loop {
        match call() {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {}
            answer => return answer,
        }
    }
}

/// A call that has failed leaves a transaction of which nothing is known; one that is refused will always be.
fn doubt(call: &str, error: &KafkaError) -> BrokerError {
    let told = format!("transaction ({call}): {error}");
    let is_refused = error.rdkafka_error_code().is_some_and(is_permanent);
    if is_refused { BrokerError::Refused(told) } else { BrokerError::Doubt(told) }
}

/// What became of the records sent.
#[derive(Default)]
struct Deliveries {
    failure: Mutex<Option<BrokerError>>,
    marked: Mutex<BTreeMap<usize, i64>>,
    /// The connection broke or a request timed out: a late answer may still be under way somewhere.
    troubled: AtomicBool,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if ["REQTMOUT", "TXNERR", "FAIL"].contains(&facility) {
            self.troubled.store(true, Ordering::Relaxed);
        }
        super::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.troubled.store(true, Ordering::Relaxed);
        tracing::debug!(%error, reason, "producer");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, mark: usize) {
        match result {
            Ok(message) if mark > 0 && message.offset() >= 0 => {
                lock(&self.marked).insert(mark, message.offset());
            }
            Ok(_) => {}
            Err((error, message)) => self.failed(error, message.topic()),
        }
    }
}

impl Deliveries {
    /// A refusal stays: it is the reason why the rest of the transaction is given up.
    fn failed(&self, error: &KafkaError, topic: &str) {
        let mut failure = lock(&self.failure);
        if error.rdkafka_error_code().is_some_and(is_permanent) {
            *failure = Some(BrokerError::Refused(format!("{topic} cannot be written: {error}")));
        }
        failure.get_or_insert_with(|| BrokerError::Doubt(format!("a record was not written: {error}")));
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::{MockCluster, MockCoordinator};
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::broker::Membership as _;
    use crate::broker::kafka::membership::tests::member;

    #[test]
    fn a_topic_that_may_not_be_written_is_a_refusal() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("topic", 1, 1).unwrap();
        let mut producer = producer(&cluster, CALL);
        let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        cluster.request_errors(RDKafkaApiKey::AddPartitionsToTxn, &[denied]);
        producer.begin().unwrap();
        let output =
            Output { topic: "topic".into(), partition: 0, key: None, value: None, headers: Vec::new() };
        producer.send(&output, 0).unwrap();
        let answer = producer.drain();
        assert!(matches!(&answer, Err(BrokerError::Refused(why)) if why.contains("authoriz")), "{answer:?}");
    }

    fn producer(
        cluster: &MockCluster<'_, rdkafka::producer::DefaultProducerContext>,
        patience: Duration,
    ) -> KafkaProducer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let transactional_id = "worker".to_owned();
        KafkaProducer::new(config, &ProducerSettings { transactional_id, transaction_timeout: patience })
            .unwrap()
    }

    #[test]
    fn a_coordinator_that_is_gone_keeps_nobody_waiting() {
        let cluster = MockCluster::new(2).unwrap();
        cluster.create_topic("topic", 1, 1).unwrap();
        cluster.partition_leader("topic", 0, Some(1)).unwrap();
        cluster.coordinator(MockCoordinator::Transaction("worker".to_owned()), 1).unwrap();
        cluster.coordinator(MockCoordinator::Group("group".to_owned()), 2).unwrap();
        let mut producer = producer(&cluster, Duration::from_secs(2));
        let fence = member(&cluster).no_fence().unwrap();
        producer.begin().unwrap();
        cluster.broker_down(2).unwrap();
        let asked = Instant::now();
        let answer = producer.send_offsets("topic", &BTreeMap::from([(0, 1)]), &fence);
        assert!(matches!(answer, Err(BrokerError::Doubt(_))), "{answer:?}");
        assert!(asked.elapsed() < CALL, "{:?}", asked.elapsed());
    }
}
