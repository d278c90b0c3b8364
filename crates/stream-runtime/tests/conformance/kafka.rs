use std::collections::BTreeMap;
use std::time::Duration;

use chaos::cluster::Cluster;
use stream_runtime::broker::kafka::KafkaBroker;
use stream_runtime::broker::{Broker as _, NewTopic, TransactionalProducer as _};

use crate::harness::{Harness, fresh, output};

/// Apache Kafka, one node for all checks: they use topics, groups and ids of their own.
pub(crate) struct OnKafka {
    broker: KafkaBroker,
}

impl OnKafka {
    pub(crate) fn new() -> Self {
        let bootstrap = Cluster::take().bootstrap;
        Self { broker: KafkaBroker::new(bootstrap, &BTreeMap::new()).unwrap() }
    }
}

impl Harness for OnKafka {
    type Broker = KafkaBroker;

    fn broker(&self) -> &KafkaBroker {
        &self.broker
    }

    fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let topic = NewTopic { name: name.to_owned(), partitions, replication: 1, settings };
        self.broker.create_topic(&topic).unwrap();
        self.until("the topic is known", || self.broker.partitions(name).unwrap() == Some(partitions));
    }

    fn pass(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// The newest segment is never compacted: a record written later begins another one.
    fn compact(&self, topic: &str) {
        self.pass(Duration::from_millis(400));
        let mut producer = self.producer(&fresh("filler"));
        producer.begin().unwrap();
        producer.send(&output(topic, 0, "filler", ""), 0).unwrap();
        producer.drain().unwrap();
        let _ = producer.commit().unwrap();
    }
}
