//! The clickstream of the demo: nine shoppers of a morning, one line cut off, one line sent twice.

use std::collections::{BTreeMap, BTreeSet};

use events::{Event, EventKind, EventTime, Raw};
use ingest::{DEFAULT_LATENESS, Format, Frontier, Rejection, Source, SourceKind, accept};

const SHOPPERS: &str = include_str!("../../paczek/demo/shoppers.jsonl");

fn answers(kind: SourceKind) -> Vec<Result<Event, Rejection>> {
    let source = Source::new("clickstream", "shop", Format::Segment, kind);
    // 2026-03-14T13:00:00Z, half an hour after the last shopper.
    let produced_at = EventTime(1_773_493_200_000);
    let numbered = (1..).zip(SHOPPERS.lines());
    numbered
        .map(|(line, text)| {
            accept(&Raw { value: Some(text.as_bytes()), line: Some(line), produced_at }, &source)
        })
        .collect()
}

#[test]
fn all_lines_but_the_one_cut_off_are_accepted_live_and_historic() {
    for kind in [SourceKind::Live, SourceKind::Historic] {
        let answers = answers(kind);
        let refused: Vec<String> =
            answers.iter().filter_map(|answer| answer.as_ref().err()).map(ToString::to_string).collect();
        assert_eq!(refused, ["NOT_JSON: must be one complete JSON object"]);
        assert_eq!(answers.len(), 60);
    }
}

#[test]
fn one_line_is_sent_twice_and_no_line_is_late() {
    let mut ids = BTreeSet::new();
    let mut frontier = Frontier::START;
    let mut twice = Vec::new();
    for event in answers(SourceKind::Historic).into_iter().flatten() {
        assert!(!frontier.take(event.event_time, DEFAULT_LATENESS).late, "{}", event.event_id);
        if !ids.insert(event.event_id.clone()) {
            twice.push(event.event_id);
        }
    }
    assert_eq!(twice, ["hugo-02"]);
}

#[test]
fn three_shoppers_buy() {
    let events: Vec<Event> = answers(SourceKind::Historic).into_iter().flatten().collect();
    let orders = events.iter().filter(|event| event.kind == EventKind::OrderCompleted);
    let paid: BTreeMap<&str, Option<i64>> = orders
        .filter_map(|event| {
            Some((event.order.as_ref()?.order_id.as_str(), event.order.as_ref()?.total_minor))
        })
        .collect();
    let expected = [("order-anna", Some(12_475)), ("order-emma", Some(5_450)), ("order-ida", Some(4_395))];
    assert_eq!(paid, BTreeMap::from(expected));
}
