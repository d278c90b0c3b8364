use std::collections::BTreeMap;
use std::fmt::Debug;

use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};

/// Everything that is measured. Labels are of bounded number: never a customer, an item or text from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Input records taken.
    RecordsTaken,
    /// Output records written, by topic.
    RecordsWritten,
    /// Records refused, by stable code.
    DeadLetters,
    /// Events left alone: seen before, or too late.
    EventsSkipped,
    /// Timers that noticed something.
    TimersFired,
    /// Transactions committed.
    Transactions,
    /// Times a worker replaced its producer and opened its tasks anew.
    Recoveries,
    /// Records of an input partition not taken yet.
    LagRecords,
    /// Records of a changelog that a standby copy has not taken yet.
    StandbyLag,
    /// How far the stream time of a source is behind the clock.
    LagEventTimeSeconds,
    /// How far an origin partition holds a source's stream time behind its furthest one.
    StalledSeconds,
    /// From the broker's time of an input record to the commit of what it caused.
    EventToCommitSeconds,
    /// Time a transaction spends in each of its parts: process, drain, commit, apply.
    TransactionPartSeconds,
    /// Changelog records read to open a task.
    RestoredRecords,
    /// Rows in the state store of a task.
    StateRows,
    /// Bytes of the state store of a task.
    StateBytes,
    /// Stores that were damaged, set aside, and rebuilt.
    StoresSetAside,
    /// Event time of what a global table has taken and not learned yet.
    UnlearnedSeconds,
    /// Whether a processor writes nothing, since the disk is nearly full.
    Held,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::RecordsTaken,
        Self::RecordsWritten,
        Self::DeadLetters,
        Self::EventsSkipped,
        Self::TimersFired,
        Self::Transactions,
        Self::Recoveries,
        Self::LagRecords,
        Self::StandbyLag,
        Self::LagEventTimeSeconds,
        Self::StalledSeconds,
        Self::EventToCommitSeconds,
        Self::TransactionPartSeconds,
        Self::RestoredRecords,
        Self::StateRows,
        Self::StateBytes,
        Self::UnlearnedSeconds,
        Self::StoresSetAside,
        Self::Held,
    ];

    /// Its name as Prometheus sees it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.definition().1
    }

    /// The names of its labels; `processor` comes first.
    #[must_use]
    pub fn labels(self) -> &'static [&'static str] {
        self.definition().3
    }

    #[rustfmt::skip]
    fn definition(self) -> (Kind, &'static str, &'static str, &'static [&'static str]) {
        use Kind::{Counter, Gauge, Histogram};
        match self {
            Self::RecordsTaken => (Counter, "paczek_records_taken_total", "Input records taken", &["processor"]),
            Self::RecordsWritten => (Counter, "paczek_records_written_total", "Output records written", &["processor", "topic"]),
            Self::DeadLetters => (Counter, "paczek_dead_letters_total", "Records refused, by code", &["processor", "code"]),
            Self::EventsSkipped => (Counter, "paczek_events_skipped_total", "Events left alone: duplicate or late", &["processor", "reason"]),
            Self::TimersFired => (Counter, "paczek_timers_noticed_total", "Silences a timer noticed something in", &["processor"]),
            Self::Transactions => (Counter, "paczek_transactions_total", "Transactions committed", &["processor"]),
            Self::Recoveries => (Counter, "paczek_recoveries_total", "Producers replaced after doubt", &["processor"]),
            Self::LagRecords => (Gauge, "paczek_lag_records", "Input records not taken yet", &["processor", "partition"]),
            Self::StandbyLag => (Gauge, "paczek_standby_lag_records", "Changelog records that a standby copy has not taken yet", &["processor", "partition"]),
            Self::LagEventTimeSeconds => (Gauge, "paczek_lag_event_time_seconds", "Stream time behind the clock", &["processor", "source"]),
            Self::StalledSeconds => (Gauge, "paczek_stalled_partition_seconds", "How far an origin partition is behind the furthest of its source", &["processor", "source", "partition"]),
            Self::EventToCommitSeconds => (Histogram, "paczek_event_to_commit_seconds", "From the record's time to the commit of its outputs", &["processor"]),
            Self::TransactionPartSeconds => (Histogram, "paczek_transaction_part_seconds", "Time in each part of a transaction", &["processor", "part"]),
            Self::RestoredRecords => (Counter, "paczek_restored_records_total", "Changelog records read to open tasks", &["processor"]),
            Self::StateRows => (Gauge, "paczek_state_rows", "Rows in a task's state store, estimated", &["processor", "partition"]),
            Self::StoresSetAside => (Counter, "paczek_stores_set_aside_total", "Damaged stores set aside and rebuilt", &["processor"]),
            Self::UnlearnedSeconds => (Gauge, "paczek_unlearned_seconds", "Event time of what was taken and not learned yet", &["processor"]),
            Self::Held => (Gauge, "paczek_held", "1 while a processor writes nothing, since the disk is nearly full", &["processor"]),
            Self::StateBytes => (Gauge, "paczek_state_bytes", "Bytes of a task's state store, estimated", &["processor", "partition"]),
        }
    }
}

/// The one place numbers are kept.
pub struct Metrics {
    registry: Registry,
    counters: BTreeMap<Metric, IntCounterVec>,
    gauges: BTreeMap<Metric, GaugeVec>,
    histograms: BTreeMap<Metric, HistogramVec>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::new(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            histograms: BTreeMap::new(),
        };
        Metric::ALL.into_iter().for_each(|metric| metrics.define(metric));
        metrics
    }
}

impl Metrics {
    /// Counts.
    pub fn add(&self, metric: Metric, labels: &[&str], count: u64) {
        if let Some(counter) = self.counters.get(&metric) {
            counter.with_label_values(labels).inc_by(count);
        }
    }

    /// Sets a number that goes up and down.
    pub fn set(&self, metric: Metric, labels: &[impl AsRef<str> + Debug], value: f64) {
        if let Some(gauge) = self.gauges.get(&metric) {
            gauge.with_label_values(labels).set(value);
        }
    }

    /// Shows such a number no more.
    pub fn forget(&self, metric: Metric, labels: &[impl AsRef<str> + Debug]) {
        if let Some(gauge) = self.gauges.get(&metric) {
            // One that has never been set is gone already.
            let _ = gauge.remove_label_values(labels);
        }
    }

    /// Takes one measurement, in seconds.
    pub fn observe(&self, metric: Metric, labels: &[&str], seconds: f64) {
        if let Some(histogram) = self.histograms.get(&metric) {
            histogram.with_label_values(labels).observe(seconds);
        }
    }

    /// The sum of a counter over all that have the label value `label`.
    #[must_use]
    pub fn labelled(&self, metric: Metric, label: &str) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == metric.name());
        let counted = family.into_iter().flat_map(|family| family.get_metric());
        let named = counted.filter(|one| one.get_label().iter().any(|pair| pair.value() == label));
        named.map(|one| one.get_counter().get_value() as u64).sum()
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut bytes = Vec::new();
        // Writing into memory does not fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut bytes);
        String::from_utf8(bytes).unwrap_or_default()
    }

    fn define(&mut self, metric: Metric) {
        let (kind, name, help, labels) = metric.definition();
        let registered = match kind {
            Kind::Counter => IntCounterVec::new(Opts::new(name, help), labels).and_then(|vec| {
                self.counters.insert(metric, vec.clone());
                self.registry.register(Box::new(vec))
            }),
            Kind::Gauge => GaugeVec::new(Opts::new(name, help), labels).and_then(|vec| {
                self.gauges.insert(metric, vec.clone());
                self.registry.register(Box::new(vec))
            }),
            Kind::Histogram => {
                let options = HistogramOpts::new(name, help).buckets(buckets());
                HistogramVec::new(options, labels).and_then(|vec| {
                    self.histograms.insert(metric, vec.clone());
                    self.registry.register(Box::new(vec))
                })
            }
        };
        debug_assert!(registered.is_ok(), "{name} is defined twice or badly");
    }
}

/// 0.5 ms to 16 s, doubling.
fn buckets() -> Vec<f64> {
    (0..16).map(|power| 0.0005 * f64::from(1 << power)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_defined_once_and_shows_under_its_name() {
        let metrics = Metrics::default();
        for metric in Metric::ALL {
            let labels: Vec<&str> = metric.labels().iter().map(|_| "x").collect();
            metrics.add(metric, &labels, 1);
            metrics.set(metric, &labels, 1.0);
            metrics.observe(metric, &labels, 1.0);
            assert!(metrics.text().contains(metric.name()), "{metric:?}");
        }
    }
}
