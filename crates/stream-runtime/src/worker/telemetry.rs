//! What a worker tells of itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Shift, now};
use crate::Metric;
use crate::broker::{Broker, BrokerError};
use crate::processor::Processor;
use crate::task::Task;

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
            let seconds = (now() - oldest).max(0) as f64 / 1_000.0;
            metrics.observe(Metric::EventToCommitSeconds, &[processor], seconds);
        }
    }

    pub(super) fn gauge(&mut self) {
        if self.gauged.is_some_and(|at| at.elapsed() < GAUGE_INTERVAL) {
            return;
        }
        self.gauged = Some(Instant::now());
        let (metrics, processor) = (self.given.metrics, self.given.settings.processor.as_str());
        for task in self.tasks.values() {
            let partition = task.partition().to_string();
            let labels = [processor, partition.as_str()];
            if let Ok(lag) = self.lag(task) {
                metrics.set(Metric::LagRecords, &labels, lag as f64);
            }
            let size = task.store().size();
            metrics.set(Metric::StateRows, &labels, size.rows as f64);
            metrics.set(Metric::StateBytes, &labels, size.bytes as f64);
        }
        self.gauge_time();
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
    fn gauge_time(&self) {
        let (metrics, processor) = (self.given.metrics, self.given.settings.processor.as_str());
        let mut sources: BTreeMap<&str, BTreeMap<i32, i64>> = BTreeMap::new();
        for task in self.tasks.values() {
            let origins = task.time().time.origins();
            let going = origins.filter(|(source, _, time)| *time < i64::MAX && !source.contains('/'));
            for (source, origin, time) in going {
                let known = sources.entry(source).or_default().entry(origin).or_insert(time);
                *known = time.min(*known);
            }
        }
        for (source, origins) in sources {
            let furthest = origins.values().copied().max().unwrap_or(0);
            let slowest = origins.values().copied().min().unwrap_or(0);
            let seconds = |millis: i64| millis.max(0) as f64 / 1_000.0;
            metrics.set(Metric::LagEventTimeSeconds, &[processor, source], seconds(now() - slowest));
            for (origin, time) in origins {
                let labels = [processor, source, &origin.to_string()];
                metrics.set(Metric::StalledSeconds, &labels, seconds(furthest - time));
            }
        }
    }
}
