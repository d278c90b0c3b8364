//! What a worker tells of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Shift;
use crate::broker::{Broker, BrokerError};
use crate::processor::Processor;
use crate::task::Task;
use crate::{Metric, Metrics};

/// How often the slow gauges are looked up.
const GAUGE_INTERVAL: Duration = Duration::from_secs(5);

impl<B: Broker, P: Processor> Shift<'_, B, P> {
    pub(super) fn measure(&self, draining: Instant, committing: Instant, applying: Instant) {
        let (metrics, processor) = (self.given.metrics, self.given.settings.processor.as_str());
        let part = |name, took: Duration| {
            metrics.observe(Metric::TransactionPartSeconds, &[processor, name], took.as_secs_f64());
        };
        part("drain", committing - draining);
        part("commit", applying - committing);
        part("apply", applying.elapsed());
        metrics.add(Metric::Transactions, &[processor], 1);
        metrics.add(Metric::RecordsTaken, &[processor], self.cycle.records as u64);
        if let Some(oldest) = self.cycle.oldest {
            let seconds = (self.given.clock.now() - oldest).max(0) as f64 / 1_000.0;
            metrics.observe(Metric::EventToCommitSeconds, &[processor], seconds);
        }
    }

    pub(super) fn gauge(&mut self) {
        let uptime = self.given.clock.uptime();
        if self.gauges.are_fresh(uptime) {
            return;
        }
        let of_tasks = self.tasks.values().flat_map(|task| self.gauge_task(task));
        let gauges = of_tasks.chain(self.gauge_time()).chain(self.gauge_copies()).collect();
        self.gauges.show(gauges, uptime);
    }

    fn gauge_task(&self, task: &Task<P>) -> [(Gauge, Option<f64>); 3] {
        let labels = || vec![self.given.settings.processor.clone(), task.partition().to_string()];
        let (lag, size) = (self.lag(task).ok(), task.store().size());
        [
            ((Metric::LagRecords, labels()), lag.map(|lag| lag as f64)),
            ((Metric::StateRows, labels()), Some(size.rows as f64)),
            ((Metric::StateBytes, labels()), Some(size.bytes as f64)),
        ]
    }

    fn gauge_copies(&self) -> Vec<(Gauge, Option<f64>)> {
        let labels = |partition: i32| vec![self.given.settings.processor.clone(), partition.to_string()];
        let lags = self.copies.lags(&self.owned).into_iter();
        lags.map(|(partition, lag)| ((Metric::StandbyLag, labels(partition)), lag.map(|lag| lag as f64)))
            .collect()
    }

    /// Input records not taken yet. Behind the last one stand the marks of transactions, which are none.
    fn lag(&self, task: &Task<P>) -> Result<i64, BrokerError> {
        if self.idle.get(&task.partition()).is_some_and(|idle| idle.at_end) {
            return Ok(0);
        }
        let extent = self.given.broker.extent(&self.input, task.partition())?;
        Ok((extent.stable_end - task.next_offset()).max(0))
    }

    /// Per source: how far its slowest origin is behind the clock, and each origin behind the furthest.
    fn gauge_time(&self) -> Vec<(Gauge, Option<f64>)> {
        let mut sources: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
        for task in self.tasks.values() {
            let origins = task.time().time.origins();
            let going = origins.filter(|(source, _, time)| *time < i64::MAX && !source.contains('/'));
            for (source, origin, time) in going {
                let known = sources.entry(source).or_default().entry(origin).or_insert(time);
                *known = time.min(*known);
            }
        }
        let (processor, now) = (&self.given.settings.processor, self.given.clock.now());
        let seconds = |millis: i64| Some(millis.max(0) as f64 / 1_000.0);
        let mut gauges = Vec::new();
        for (source, origins) in sources {
            let labels = || vec![processor.clone(), source.to_owned()];
            let furthest = origins.values().copied().max().unwrap_or(0);
            let slowest = origins.values().copied().min().unwrap_or(0);
            gauges.push(((Metric::LagEventTimeSeconds, labels()), seconds(now - slowest)));
            gauges.extend(origins.into_iter().map(|(origin, time)| {
                let labels = [labels(), vec![origin.to_string()]].concat();
                ((Metric::StalledSeconds, labels), seconds(furthest - time))
            }));
        }
        gauges
    }
}

/// A gauge, and the values of its labels.
type Gauge = (Metric, Vec<String>);

/// The gauges that a worker shows. One that it shows no more is taken down, and all of them when it ends: their
/// last values would look like news.
pub(super) struct Gauges<'a> {
    metrics: &'a Metrics,
    shown: BTreeSet<Gauge>,
    /// The uptime when they were looked up.
    looked: Option<Duration>,
}

impl<'a> Gauges<'a> {
    pub(super) fn of(metrics: &'a Metrics) -> Self {
        Self { metrics, shown: BTreeSet::new(), looked: None }
    }

    /// Looks them up again in this turn.
    pub(super) fn refresh(&mut self) {
        self.looked = None;
    }

    /// Takes down those of a task, before another worker of this process can show them.
    pub(super) fn close(&mut self, partition: i32) {
        const OF_TASKS: [Metric; 3] = [Metric::LagRecords, Metric::StateRows, Metric::StateBytes];
        let partition = Some(partition.to_string());
        self.take_down(|(metric, labels)| OF_TASKS.contains(metric) && labels.last() == partition.as_ref());
    }

    fn are_fresh(&self, uptime: Duration) -> bool {
        self.looked.is_some_and(|at| uptime.saturating_sub(at) < GAUGE_INTERVAL)
    }

    /// Shows these, and no others. One without a value keeps the one it had.
    fn show(&mut self, gauges: BTreeMap<Gauge, Option<f64>>, uptime: Duration) {
        self.looked = Some(uptime);
        self.take_down(|gauge| !gauges.contains_key(gauge));
        for ((metric, labels), value) in &gauges {
            value.iter().for_each(|value| self.metrics.set(*metric, labels, *value));
        }
        self.shown = gauges.into_keys().collect();
    }

    fn take_down(&mut self, is_gone: impl Fn(&Gauge) -> bool) {
        self.shown.retain(|gauge| {
            let gone = is_gone(gauge);
            if gone {
                self.metrics.forget(gauge.0, &gauge.1);
            }
            !gone
        });
    }
}

impl Drop for Gauges<'_> {
    fn drop(&mut self) {
        self.take_down(|_| true);
    }
}
