use std::collections::BTreeMap;

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas; -1 for the cluster's default.
    pub replication: i32,
    /// Its settings, such as `cleanup.policy`.
    pub settings: BTreeMap<String, String>,
}

/// A topic as the broker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    /// How many partitions.
    pub partitions: i32,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
}
