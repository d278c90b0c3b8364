use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{BRIEFLY, create, is_not_yet, is_permanent};
use crate::broker::{BrokerError, LogReader, Read};
use crate::{Header, SourceRecord};

/// Fetches partitions it is told to, outside any group.
pub struct KafkaReader {
    consumer: BaseConsumer,
    topic: Arc<str>,
    /// Topics whose leaders the client has been told.
    known: BTreeSet<String>,
}

impl KafkaReader {
    pub(super) fn new(mut config: ClientConfig) -> Result<Self, BrokerError> {
        config
            // The client asks for a group before it lets partitions be assigned; this one never joins it.
            .set("group.id", "paczek-reader")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true");
        for (name, value) in [
            ("fetch.wait.max.ms", "20"),
            ("fetch.queue.backoff.ms", "10"),
            ("queued.max.messages.kbytes", "16384"),
            ("max.partition.fetch.bytes", "2097152"),
        ] {
            if config.get(name).is_none() {
                config.set(name, value);
            }
        }
        Ok(Self { consumer: create(&config)?, topic: Arc::from(""), known: BTreeSet::new() })
    }

    /// The client looks once a second for topics whose leaders it does not know: asking makes them known at once. Where
    /// nobody answers, it finds them by itself.
    fn learn<'a>(&mut self, topics: impl Iterator<Item = &'a str>) {
        let new: BTreeSet<&str> = topics.filter(|topic| !self.known.contains(*topic)).collect();
        for topic in new {
            let Ok(metadata) = self.consumer.fetch_metadata(Some(topic), BRIEFLY) else { return };
            let mut partitions = metadata.topics().iter().flat_map(|topic| topic.partitions()).peekable();
            if partitions.peek().is_some() && partitions.all(|one| one.error().is_none()) {
                self.known.insert(topic.to_owned());
            }
        }
    }
}

impl LogReader for KafkaReader {
    fn assign(&mut self, positions: &[(&str, i32, i64)]) -> Result<(), BrokerError> {
        let mut list = TopicPartitionList::new();
        self.learn(positions.iter().map(|(topic, ..)| *topic));
        for (topic, partition, offset) in positions {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
                .map_err(|error| BrokerError::Refused(error.to_string()))?;
        }
        self.consumer.assign(&list).map_err(|error| BrokerError::Doubt(error.to_string()))
    }

    fn poll(&mut self, timeout: Duration) -> Result<Option<Read>, BrokerError> {
        let Self { consumer, topic, .. } = self;
        match consumer.poll(timeout) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(Read::Record(owned(&message, topic)))),
            Some(Err(KafkaError::PartitionEOF(partition))) => Ok(Some(Read::End { partition })),
            Some(Err(error)) => unreadable(&error).map(|()| None),
        }
    }
}

/// Topic names repeat from record to record; one of them is kept.
fn owned(message: &BorrowedMessage<'_>, topic: &mut Arc<str>) -> SourceRecord {
    if &**topic != message.topic() {
        *topic = Arc::from(message.topic());
    }
    SourceRecord {
        topic: Arc::clone(topic),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers(message),
    }
}

/// The client library panics on a header name that is not UTF-8, and anybody can write one: such a record
/// counts as one without headers.
fn headers(message: &BorrowedMessage<'_>) -> Vec<Header> {
    let read = || {
        let headers = message.headers()?;
        let owned = |header: rdkafka::message::Header<'_, &[u8]>| {
            (header.key.to_owned(), header.value.unwrap_or_default().to_vec())
        };
        Some(headers.iter().map(owned).collect())
    };
    std::panic::catch_unwind(AssertUnwindSafe(read)).ok().flatten().unwrap_or_default()
}

/// The client goes on by itself when a broker is away; anything else needs somebody.
fn unreadable(error: &KafkaError) -> Result<(), BrokerError> {
    match error.rdkafka_error_code() {
        Some(code) if is_not_yet(code) => Ok(()),
        Some(code) if is_permanent(code) => Err(BrokerError::Refused(format!("reading: {error}"))),
        Some(rdkafka::error::RDKafkaErrorCode::AutoOffsetReset) => Err(BrokerError::Refused(format!(
            "a position lies outside what the topic still holds ({error}); was it deleted, or did retention eat it?"
        ))),
        _ => Err(BrokerError::Doubt(format!("reading: {error}"))),
    }
}
