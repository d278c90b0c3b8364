//! What can be learned of a group without being a member of it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::broker::BrokerError;

/// How long a question may take. A worker asks between two transactions, so it is short.
const ANSWER: Duration = Duration::from_secs(2);
/// Partitions change hands in every other state.
const SETTLED: [&str; 3] = ["Stable", "Empty", "Dead"];
/// Kafka takes no longer name of a topic or id; anybody who may commit can write what is read here.
const LONGEST_ID: usize = 249;

pub(super) fn members(
    client: &BaseConsumer,
    group: &str,
    topic: &str,
) -> Result<BTreeMap<String, BTreeSet<i32>>, BrokerError> {
    let list = client.fetch_group_list(Some(group), ANSWER).map_err(|error| silent(&error))?;
    let Some(found) = list.groups().iter().find(|found| found.name() == group) else {
        return Ok(BTreeMap::new());
    };
    if !SETTLED.contains(&found.state()) {
        return Err(BrokerError::NotYet("the group shares its partitions out".to_owned()));
    }
    let held = |bytes: Option<&[u8]>| bytes.and_then(|bytes| assigned(bytes, topic)).unwrap_or_default();
    let members = found.members().iter();
    Ok(members.map(|member| (member.client_id().to_owned(), held(member.assignment()))).collect())
}

pub(super) fn last_committer(
    onlooker: &BaseConsumer,
    topic: &str,
    partition: i32,
) -> Result<Option<String>, BrokerError> {
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition(topic, partition);
    let found = onlooker.committed_offsets(wanted, ANSWER).map_err(|error| silent(&error))?;
    let Some(element) = found.find_partition(topic, partition) else { return Ok(None) };
    // The client library panics where it is not UTF-8.
    let metadata = std::panic::catch_unwind(AssertUnwindSafe(|| element.metadata().to_owned()));
    Ok(metadata.ok().filter(|id| is_id(id)))
}

fn is_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len()) && text.chars().all(|letter| letter.is_ascii_graphic())
}

fn silent(error: &KafkaError) -> BrokerError {
    BrokerError::Unreachable(format!("the group is not told of: {error}"))
}

/// The partitions of a topic in an assignment of Kafka's consumer protocol: a version, then of each topic its name
/// and partitions. `None` if it is none.
fn assigned(mut bytes: &[u8], topic: &str) -> Option<BTreeSet<i32>> {
    take::<2>(&mut bytes)?;
    let mut partitions = BTreeSet::new();
    for _ in 0..number(&mut bytes)? {
        let length = usize::try_from(i16::from_be_bytes(take(&mut bytes)?)).ok()?;
        let (name, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        for _ in 0..number(&mut bytes)? {
            let partition = number(&mut bytes)?;
            if name == topic.as_bytes() {
                partitions.insert(partition);
            }
        }
    }
    Some(partitions)
}

fn number(bytes: &mut &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(take(bytes)?))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let mut bytes = vec![0, 3];
        bytes.extend((topics.len() as i32).to_be_bytes());
        for (name, partitions) in topics {
            bytes.extend((name.len() as i16).to_be_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend((partitions.len() as i32).to_be_bytes());
            partitions.iter().for_each(|partition| bytes.extend(partition.to_be_bytes()));
        }
        bytes.extend([0xff; 4]);
        bytes
    }

    #[test]
    fn an_assignment_is_read_and_a_torn_one_is_none() {
        let bytes = assignment(&[("other", &[7]), ("events", &[3, 1])]);
        assert_eq!(assigned(&bytes, "events"), Some(BTreeSet::from([1, 3])));
        assert_eq!(assigned(&bytes, "unknown"), Some(BTreeSet::new()));
        // Behind the topics stand four bytes that nobody reads.
        (0..bytes.len() - 4).for_each(|length| assert_eq!(assigned(&bytes[..length], "events"), None));
        assert_eq!(assigned(&[0, 0, 0x7f, 0xff, 0xff, 0xff], "events"), None);
    }

    #[test]
    fn what_anybody_may_have_written_is_no_id_unless_it_looks_like_one() {
        assert!(is_id("paczek-profile-updater-a1b2-0"));
        for other in ["", "two words", "li\nne", "\u{1b}[2J", &"x".repeat(LONGEST_ID + 1)] {
            assert!(!is_id(other), "{other:?}");
        }
    }
}
