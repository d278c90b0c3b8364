//! Brokers that are wrong in one way each: what shows that the checks can fail.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use stream_runtime::broker::memory::{
    MemoryBroker, MemoryFence, MemoryMembership, MemoryProducer, MemoryReader,
};
use stream_runtime::broker::{
    Broker, BrokerError, Committed, Extent, GroupSettings, LogReader, Membership, ProducerSettings, Read,
    Rebalance, TransactionalProducer,
};
use stream_runtime::{Output, StartFrom};

use crate::harness::{Harness, LONG, fresh};
use crate::memory::OnMemory;

/// What a broker does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    KeysWander,
    HeadersAreLost,
    OffsetsHaveNoGaps,
    AnEndIsToldOnce,
    AllStartAtTheBeginning,
    AnyPositionWillDo,
    NothingIsCompacted,
    AllCommitsAtOnce,
    NobodyIsFenced,
    TransactionsNeverRunOut,
    NothingIsLetGoOf,
    AnyProofCounts,
    MembersLiveForEver,
    NobodySaysWhatIsHeld,
    CommittersAreForgotten,
    NamesAreForgotten,
    NobodyLeaves,
}

/// The fault that a check has to notice.
fn fault_for(check: &str) -> Fault {
    match check {
        "records_of_a_key_keep_their_order" => Fault::KeysWander,
        "a_record_comes_back_as_it_was_written" => Fault::HeadersAreLost,
        "positions_have_gaps" => Fault::OffsetsHaveNoGaps,
        "the_end_of_a_partition_is_told_again_after_new_records" => Fault::AnEndIsToldOnce,
        "a_reader_starts_where_it_is_told" => Fault::AllStartAtTheBeginning,
        "a_position_outside_the_log_is_refused" => Fault::AnyPositionWillDo,
        "compaction_keeps_the_last_values" => Fault::NothingIsCompacted,
        "an_open_transaction_is_hidden"
        | "an_aborted_transaction_stays_hidden"
        | "two_interleaved_producers_are_told_apart"
        | "the_stable_end_waits_for_the_oldest_open_transaction"
        | "offsets_appear_only_with_the_commit" => Fault::AllCommitsAtOnce,
        "a_newer_producer_fences_the_older_one" => Fault::NobodyIsFenced,
        "a_transaction_left_open_is_aborted_after_its_time" => Fault::TransactionsNeverRunOut,
        "members_share_the_partitions_out" => Fault::NothingIsLetGoOf,
        "a_stale_generation_is_refused" | "a_member_that_comes_back_has_a_share_and_the_former_one_none" => {
            Fault::AnyProofCounts
        }
        "a_dead_member_is_evicted_and_its_share_split" => Fault::MembersLiveForEver,
        "members_are_known_by_name_and_by_what_they_hold" => Fault::NobodySaysWhatIsHeld,
        "whoever_knows_the_last_committer_ends_what_that_one_left_open" => Fault::CommittersAreForgotten,
        "a_member_that_comes_back_has_its_share_at_once" => Fault::NamesAreForgotten,
        "what_a_member_has_goes_to_others_at_once_when_it_leaves" => Fault::NobodyLeaves,
        unknown => panic!("which wrong broker does {unknown} refuse?"),
    }
}

#[test]
fn each_check_refuses_a_broker_that_is_wrong() {
    for (name, check) in crate::checks::<Wrong>() {
        let fault = fault_for(name);
        let noticed = catch_unwind(AssertUnwindSafe(|| check(&Wrong::new(fault)))).is_err();
        assert!(noticed, "{name} let {fault:?} through");
    }
}

/// The log in memory with one fault.
#[derive(Clone)]
struct Faulty {
    inner: MemoryBroker,
    fault: Fault,
}

struct Wrong {
    right: OnMemory,
    broker: Faulty,
}

impl Wrong {
    fn new(fault: Fault) -> Self {
        let right = OnMemory::new();
        let broker = Faulty { inner: right.broker().clone(), fault };
        Self { right, broker }
    }
}

impl Harness for Wrong {
    type Broker = Faulty;

    fn broker(&self) -> &Faulty {
        &self.broker
    }

    fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        self.right.create_topic(name, partitions, settings);
    }

    fn pass(&self, time: Duration) {
        self.right.pass(time);
    }

    fn compact(&self, topic: &str) {
        if self.broker.fault != Fault::NothingIsCompacted {
            self.right.compact(topic);
        }
    }
}

impl Broker for Faulty {
    type Fence = MemoryFence;
    type Membership = FaultyMembership;
    type Reader = FaultyReader;
    type Producer = FaultyProducer;

    fn join(&self, group: &GroupSettings) -> Result<FaultyMembership, BrokerError> {
        let mut group = group.clone();
        if self.fault == Fault::MembersLiveForEver {
            group.session_timeout = 10 * LONG;
        }
        if self.fault == Fault::NamesAreForgotten {
            group.member = fresh("member");
        }
        Ok(FaultyMembership { inner: self.inner.join(&group)?, fault: self.fault })
    }

    fn reader(&self) -> Result<FaultyReader, BrokerError> {
        let inner = self.inner.reader()?;
        Ok(FaultyReader { inner, fault: self.fault, told: BTreeSet::new(), counts: BTreeMap::new() })
    }

    fn producer(&self, settings: &ProducerSettings) -> Result<FaultyProducer, BrokerError> {
        let mut settings = settings.clone();
        match self.fault {
            Fault::NobodyIsFenced => settings.transactional_id = fresh("id"),
            Fault::TransactionsNeverRunOut => settings.transaction_timeout = 10 * LONG,
            _ => {}
        }
        Ok(FaultyProducer { inner: self.inner.producer(&settings)?, broker: self.clone(), sent: 0 })
    }

    fn log_name(&self, topic: &str) -> Result<String, BrokerError> {
        self.inner.log_name(topic)
    }

    fn partitions(&self, topic: &str) -> Result<Option<i32>, BrokerError> {
        self.inner.partitions(topic)
    }

    fn extent(&self, topic: &str, partition: i32) -> Result<Extent, BrokerError> {
        self.inner.extent(topic, partition)
    }

    fn members(&self, group: &str, topic: &str) -> Result<BTreeMap<String, BTreeSet<i32>>, BrokerError> {
        let mut members = self.inner.members(group, topic)?;
        if self.fault == Fault::NobodySaysWhatIsHeld {
            members.values_mut().for_each(BTreeSet::clear);
        }
        Ok(members)
    }

    fn last_committer(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Result<Option<String>, BrokerError> {
        if self.fault == Fault::CommittersAreForgotten {
            return Ok(None);
        }
        self.inner.last_committer(group, topic, partition)
    }

    fn start_offset(&self, topic: &str, partition: i32, from: StartFrom) -> Result<i64, BrokerError> {
        let from = if self.fault == Fault::AllStartAtTheBeginning { StartFrom::Earliest } else { from };
        self.inner.start_offset(topic, partition, from)
    }
}

struct FaultyMembership {
    inner: MemoryMembership,
    fault: Fault,
}

impl Membership for FaultyMembership {
    type Fence = MemoryFence;

    fn poll(&mut self) -> Result<Option<Rebalance>, BrokerError> {
        self.inner.poll()
    }

    fn acknowledge(&mut self, rebalance: &Rebalance) -> Result<(), BrokerError> {
        if self.fault == Fault::NothingIsLetGoOf { Ok(()) } else { self.inner.acknowledge(rebalance) }
    }

    fn committed(&mut self, partition: i32) -> Result<Option<i64>, BrokerError> {
        self.inner.committed(partition)
    }

    fn fence(&mut self) -> Result<MemoryFence, BrokerError> {
        if self.fault == Fault::AnyProofCounts { self.inner.no_fence() } else { self.inner.fence() }
    }

    fn no_fence(&mut self) -> Result<MemoryFence, BrokerError> {
        self.inner.no_fence()
    }

    fn commit_outside(&mut self, offsets: &BTreeMap<i32, i64>) -> Result<(), BrokerError> {
        self.inner.commit_outside(offsets)
    }

    fn leave(&mut self) {
        if self.fault != Fault::NobodyLeaves {
            self.inner.leave();
        }
    }
}

struct FaultyReader {
    inner: MemoryReader,
    fault: Fault,
    told: BTreeSet<i32>,
    counts: BTreeMap<i32, i64>,
}

impl LogReader for FaultyReader {
    fn assign(&mut self, positions: &[(&str, i32, i64)]) -> Result<(), BrokerError> {
        self.inner.assign(positions)
    }

    fn poll(&mut self, timeout: Duration) -> Result<Option<Read>, BrokerError> {
        match self.inner.poll(timeout) {
            Ok(Some(Read::Record(mut record))) => {
                let count = self.counts.entry(record.partition).or_default();
                if self.fault == Fault::OffsetsHaveNoGaps {
                    record.offset = *count;
                }
                *count += 1;
                Ok(Some(Read::Record(record)))
            }
            Ok(Some(Read::End { partition })) => {
                let again = !self.told.insert(partition) && self.fault == Fault::AnEndIsToldOnce;
                Ok((!again).then_some(Read::End { partition }))
            }
            Err(_) if self.fault == Fault::AnyPositionWillDo => Ok(None),
            other => other,
        }
    }
}

struct FaultyProducer {
    inner: MemoryProducer,
    broker: Faulty,
    sent: i32,
}

impl FaultyProducer {
    fn commit_at_once(&mut self) -> Result<(), BrokerError> {
        if self.broker.fault == Fault::AllCommitsAtOnce {
            let _ = self.inner.commit()?;
            self.inner.begin()?;
        }
        Ok(())
    }
}

impl TransactionalProducer for FaultyProducer {
    type Fence = MemoryFence;

    fn begin(&mut self) -> Result<(), BrokerError> {
        self.inner.begin()
    }

    fn send(&mut self, output: &Output, mark: usize) -> Result<(), BrokerError> {
        let mut output = output.clone();
        match self.broker.fault {
            Fault::HeadersAreLost => output.headers.clear(),
            Fault::KeysWander => {
                let partitions = self.broker.partitions(&output.topic)?.unwrap_or(1);
                output.partition = (partitions - 1) - self.sent / 100 % partitions;
                self.sent += 1;
            }
            _ => {}
        }
        self.inner.send(&output, mark)?;
        self.commit_at_once()
    }

    fn drain(&mut self) -> Result<BTreeMap<usize, i64>, BrokerError> {
        self.inner.drain()
    }

    fn send_offsets(
        &mut self,
        topic: &str,
        offsets: &BTreeMap<i32, i64>,
        fence: &MemoryFence,
    ) -> Result<(), BrokerError> {
        self.inner.send_offsets(topic, offsets, fence)?;
        self.commit_at_once()
    }

    fn commit(&mut self) -> Result<Committed, BrokerError> {
        self.inner.commit()
    }
}
