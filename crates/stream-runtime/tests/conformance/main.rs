//! What every broker behind the port must do. One list of checks, each run on the log in memory and on an
//! Apache Kafka that the run starts and stops itself.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::process::Command;

mod groups;
mod harness;
mod kafka;
mod memory;
mod records;
mod transactions;
mod wrong;

/// Turns the one list into the tests of both brokers.
macro_rules! conformance {
    ($($room:ident::$check:ident),+ $(,)?) => {
        mod on_memory {
            $(#[test]
            fn $check() {
                crate::$room::$check(&crate::memory::OnMemory::new());
            })+
        }

        mod on_kafka {
            $(#[test]
            fn $check() {
                crate::$room::$check(&crate::kafka::OnKafka::new());
            })+
        }

        /// The list, for any broker.
        pub(crate) fn checks<H: crate::harness::Harness>() -> Vec<(&'static str, fn(&H))> {
            vec![$((stringify!($check), crate::$room::$check as fn(&H))),+]
        }
    };
}

conformance![
    records::records_of_a_key_keep_their_order,
    records::a_record_comes_back_as_it_was_written,
    records::positions_have_gaps,
    records::the_end_of_a_partition_is_told_again_after_new_records,
    records::a_reader_starts_where_it_is_told,
    records::a_position_outside_the_log_is_refused,
    records::compaction_keeps_the_last_values,
    transactions::an_open_transaction_is_hidden,
    transactions::an_aborted_transaction_stays_hidden,
    transactions::two_interleaved_producers_are_told_apart,
    transactions::the_stable_end_waits_for_the_oldest_open_transaction,
    transactions::a_newer_producer_fences_the_older_one,
    transactions::a_transaction_left_open_is_aborted_after_its_time,
    groups::members_share_the_partitions_out,
    groups::a_stale_generation_is_refused,
    groups::offsets_appear_only_with_the_commit,
    groups::a_dead_member_is_evicted_and_its_share_split,
    groups::a_member_that_comes_back_has_a_share_and_the_former_one_none,
    groups::a_member_that_comes_back_has_its_share_at_once,
    groups::what_a_member_has_goes_to_others_at_once_when_it_leaves,
    groups::members_are_known_by_name_and_by_what_they_hold,
    groups::whoever_knows_the_last_committer_ends_what_that_one_left_open,
];

/// Asks this very binary what it would run.
#[test]
fn both_brokers_run_the_same_list() {
    let list = Command::new(std::env::current_exe().unwrap()).args(["--list", "--format", "terse"]).output();
    let list = String::from_utf8(list.unwrap().stdout).unwrap();
    let of = |broker: &str| -> BTreeSet<String> {
        let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
        names.filter_map(|name| name.strip_prefix(broker)).map(str::to_owned).collect()
    };
    let checks = checks::<memory::OnMemory>().into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(of("on_memory::"), checks, "left: run, right: the list");
    assert_eq!(of("on_kafka::"), checks, "left: run, right: the list");
}
