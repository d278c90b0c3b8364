use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stream_runtime::broker::kafka::{KafkaBroker, KafkaProducer};
use stream_runtime::broker::{Broker as _, ProducerSettings, TransactionalProducer as _};
use stream_runtime::{Output, partition_for};

/// Partitions of every topic.
pub(crate) const PARTITIONS: i32 = 4;
/// Events of one transaction while profiles are made.
const BATCH: u64 = 20_000;
/// Events a second while somebody is killed: every partition has a hundred.
const RATE: u64 = 400;
const TICK: Duration = Duration::from_millis(50);

/// Who writes the clickstream: an event for each customer, then a trickle of further ones.
pub(crate) struct Shop {
    producer: KafkaProducer,
    topic: Arc<str>,
    customers: u64,
    written: u64,
}

impl Shop {
    pub(crate) fn open(bootstrap: &str, topic: &str, customers: u64) -> anyhow::Result<Self> {
        // The customers' own mix of keys needs no tuning: the broker takes a batch at a time.
        let broker = KafkaBroker::new(bootstrap, &BTreeMap::new())?;
        let settings = ProducerSettings {
            transactional_id: format!("shop-{topic}"),
            transaction_timeout: Duration::from_secs(60),
        };
        Ok(Self { producer: broker.producer(&settings)?, topic: Arc::from(topic), customers, written: 0 })
    }

    /// One event for each customer.
    pub(crate) fn fill(&mut self) -> anyhow::Result<()> {
        while self.written < self.customers {
            self.write(BATCH.min(self.customers - self.written))?;
        }
        Ok(())
    }

    /// Goes on until it is told to stop.
    pub(crate) fn trickle(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let (begun, before) = (Instant::now(), self.written);
        while !stop.load(Ordering::Relaxed) {
            let due = begun.elapsed().as_millis() as u64 * RATE / 1_000;
            let missing = due.saturating_sub(self.written - before);
            if missing > 0 {
                self.write(missing)?;
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    fn write(&mut self, events: u64) -> anyhow::Result<()> {
        self.producer.begin()?;
        for number in self.written..self.written + events {
            // 7 919 is a prime: every customer has a turn before anybody has a second one.
            let output = event(&self.topic, number, number.wrapping_mul(7_919) % self.customers);
            self.producer.send(&output, 0)?;
        }
        self.producer.drain()?;
        let _ = self.producer.commit()?;
        self.written += events;
        Ok(())
    }
}

fn event(topic: &Arc<str>, number: u64, customer: u64) -> Output {
    let user = format!("customer-{customer}");
    let kind = if number.is_multiple_of(3) { "Product Added" } else { "Product Viewed" };
    let value = format!(
        r#"{{"type":"track","event":"{kind}","messageId":"m{number}","userId":"{user}","timestamp":"{}","properties":{{"product_id":"p{}","category":"c{}","brand":"b{}","price":{}.5,"quantity":1}}}}"#,
        timestamp(number),
        number % 5_003,
        number % 23,
        number % 199,
        1 + number % 90
    );
    let partition = partition_for(user.as_bytes(), PARTITIONS);
    Output {
        topic: Arc::clone(topic),
        partition,
        key: None,
        value: Some(value.into_bytes()),
        headers: Vec::new(),
    }
}

/// A millisecond of event time an event: nobody is silent for long enough to be noticed.
fn timestamp(number: u64) -> String {
    let (millis, seconds) = (number % 1_000, number / 1_000);
    let (hours, minutes) = (10 + seconds / 3_600, seconds / 60 % 60);
    format!("2026-03-01T{hours:02}:{minutes:02}:{:02}.{millis:03}Z", seconds % 60)
}
