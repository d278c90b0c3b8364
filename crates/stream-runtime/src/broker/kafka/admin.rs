use futures_executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic as KafkaTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;

use super::{ANSWER, KafkaBroker, create};
use crate::broker::{Broker, BrokerError, NewTopic, TopicState};

impl KafkaBroker {
    /// Makes a topic.
    ///
    /// # Errors
    /// When the cluster refuses or does not answer.
    pub fn create_topic(&self, topic: &NewTopic) -> Result<(), BrokerError> {
        let mut new =
            KafkaTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(topic.replication));
        for (name, value) in &topic.settings {
            new = new.set(name, value);
        }
        let admin = self.admin()?;
        let options = AdminOptions::new().operation_timeout(Some(ANSWER));
        let made = block_on(admin.create_topics([&new], &options)).map_err(|error| self.silent(&error))?;
        only(made).map_err(|code| BrokerError::Refused(format!("topic {} was not made: {code}", topic.name)))
    }

    /// Gives a topic more partitions.
    ///
    /// # Errors
    /// When the cluster refuses or does not answer.
    pub fn add_partitions(&self, topic: &str, partitions: usize) -> Result<(), BrokerError> {
        let admin = self.admin()?;
        let more = NewPartitions::new(topic, partitions);
        let made = block_on(admin.create_partitions([&more], &AdminOptions::new()))
            .map_err(|error| self.silent(&error))?;
        only(made)
            .map_err(|code| BrokerError::Refused(format!("topic {topic} got no more partitions: {code}")))
    }

    /// A topic's partitions and settings; `None` if there is none of that name.
    ///
    /// # Errors
    /// When no broker answers.
    pub fn topic_state(&self, topic: &str) -> Result<Option<TopicState>, BrokerError> {
        let Some(partitions) = self.partitions(topic)? else { return Ok(None) };
        let admin = self.admin()?;
        let wanted = [ResourceSpecifier::Topic(topic)];
        let options = |limit| AdminOptions::new().request_timeout(Some(limit));
        let found = self.ask(|limit| block_on(admin.describe_configs(&wanted, &options(limit))))?;
        let resource = found.into_iter().next();
        let resource =
            resource.ok_or_else(|| BrokerError::Unreachable(format!("topic {topic} is not described")))?;
        let resource = resource.map_err(|code| {
            BrokerError::Refused(format!("the settings of {topic} cannot be read: {code}"))
        })?;
        let settings =
            resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect();
        Ok(Some(TopicState { partitions, settings }))
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, BrokerError> {
        create(&self.config())
    }
}

fn only(results: Vec<rdkafka::admin::TopicResult>) -> Result<(), String> {
    match results.into_iter().next() {
        Some(Err((_, code))) => Err(code.to_string()),
        Some(Ok(_)) => Ok(()),
        None => Err("no answer".to_owned()),
    }
}
