use std::time::Duration;

use stream_runtime::broker::NewTopic;
use stream_runtime::broker::memory::{MemoryBroker, MemoryClock};

use crate::harness::Harness;

/// The log in memory, with a clock moved by hand.
pub(crate) struct OnMemory {
    clock: MemoryClock,
    broker: MemoryBroker,
}

impl OnMemory {
    pub(crate) fn new() -> Self {
        let clock = MemoryClock::by_hand(1_700_000_000_000);
        let broker = MemoryBroker::new(&clock, 7);
        Self { clock, broker }
    }
}

impl Harness for OnMemory {
    type Broker = MemoryBroker;

    fn broker(&self) -> &MemoryBroker {
        &self.broker
    }

    fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let topic = NewTopic { name: name.to_owned(), partitions, replication: 1, settings };
        self.broker.create_topic(&topic).unwrap();
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn compact(&self, topic: &str) {
        self.broker.compact(topic);
    }
}
