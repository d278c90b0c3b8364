use events::{EventTime, Heartbeat, OriginTime, Raw};
use ingest::{Code, Format, Frontier, Mark, Rejection, Source, SourceKind};
use state_store::Timer;
use stream_runtime::{Context, Failure, Metric, Outputs, Processor, SourceRecord, StreamTime, TaskTime};

use super::{Refusal, Target, avro_input, dead_letter};
use crate::headers;

/// Time passes by the clock in steps of at least this, so that idleness does not fill the log.
const IDLE_STEP: i64 = events::SECOND;

/// Raw records in, canonical events and dead letters out; it keeps nothing but how far each partition has got.
pub(crate) struct IngestProcessor {
    /// Its name in the topology.
    pub(crate) name: String,
    /// What it notes its frontiers under.
    pub(crate) frontier: String,
    pub(crate) source: Source,
    /// The id of its schema in a registry, if it is framed Avro.
    pub(crate) schema_id: Option<u32>,
    /// Silence after which a live partition counts as idle, in milliseconds.
    pub(crate) idle_patience: i64,
    pub(crate) events: Target,
    pub(crate) dead_letters: Target,
}

impl Processor for IngestProcessor {
    type State = ();

    fn decode(&self, _: &[u8]) -> Result<(), Failure> {
        Ok(())
    }

    fn encode(&self, (): &()) -> Result<Vec<u8>, Failure> {
        Ok(Vec::new())
    }

    fn timer(&self, (): &()) -> Option<i64> {
        None
    }

    fn settled(&self, _: &StreamTime) -> i64 {
        i64::MIN
    }

    fn process(&self, record: &SourceRecord, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        // Only what is over can say that it has ended.
        let historic = self.source.kind == SourceKind::Historic;
        if historic && record.value.is_none() && record.header(headers::END_OF_SOURCE).is_some() {
            context.time().hear(&self.source.name, record.partition, events::END_OF_SOURCE.0);
            return Ok(());
        }
        let line = headers::read_number(record, headers::LINE).and_then(|line| u64::try_from(line).ok());
        let raw = Raw { value: record.value.as_deref(), line, produced_at: EventTime(record.timestamp) };
        let answer = match self.source.format {
            Format::Avro => avro_input::accept(&raw, &self.source, self.schema_id),
            _ => ingest::accept(&raw, &self.source),
        };
        match answer {
            Ok(event) => self.forward(record, &event, context),
            Err(rejection) => self.reject(record, &rejection, context),
        }
    }

    fn fire(&self, _: &Timer, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        Ok(())
    }

    fn heartbeat(&self, tasks: &[TaskTime<'_>], outputs: &mut Outputs) -> Result<(), Failure> {
        let heard = |task: &TaskTime<'_>| {
            let time = EventTime(task.time.origin(&self.source.name, task.partition)?);
            Some(OriginTime { partition: task.partition, time })
        };
        broadcast(&self.events, &self.source.name, tasks.iter().filter_map(heard).collect(), outputs)
    }

    fn passes_idle_time(&self) -> bool {
        self.source.kind == SourceKind::Live
    }

    fn idle(&self, partition: i32, idle_since: i64, now: i64, time: &mut StreamTime) -> bool {
        let reached = now - self.idle_patience;
        let known = time.origin(&self.source.name, partition).unwrap_or(i64::MIN);
        let passes = self.passes_idle_time() && idle_since <= reached && known < reached - IDLE_STEP;
        if passes {
            time.hear(&self.source.name, partition, reached);
            self.set_frontier(partition, self.frontier(partition, time).time().max(EventTime(reached)), time);
        }
        passes
    }
}

impl IngestProcessor {
    fn forward(
        &self,
        record: &SourceRecord,
        event: &events::Event,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        let partition = record.partition;
        let Ok(value) = codec::encode_event(event) else {
            let detail = "the event is longer than an event may be".to_owned();
            return self.reject(
                record,
                &Rejection { code: Code::TooLarge, field: String::new(), detail },
                context,
            );
        };
        let mut frontier = self.frontier(partition, context.time());
        let Mark { frontier: reached, late } = frontier.take(event.event_time, self.source.lateness);
        self.set_frontier(partition, reached, context.time());
        context.time().hear(&self.source.name, partition, reached.0);
        let key = event.profile_key().ok_or("ingest accepted an event without identity")?;
        let mut headers = vec![headers::number(headers::FRONTIER, reached.0)];
        if late {
            headers.push(headers::text(headers::LATE, "true"));
        }
        context.emit(self.events.keyed(key.to_string().into_bytes(), value, headers));
        Ok(())
    }

    fn reject(
        &self,
        record: &SourceRecord,
        rejection: &Rejection,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        let code = rejection.code.name();
        let refusal = Refusal {
            stage: &self.name,
            source: &self.source.name,
            code,
            field: &rejection.field,
            detail: &rejection.detail,
        };
        context.metrics().add(Metric::DeadLetters, &[&self.name, code], 1);
        context.emit(dead_letter(&self.dead_letters, record, &refusal)?);
        Ok(())
    }

    /// The newest event time outlives an end of the source, so it is kept beside the time that is told.
    fn frontier(&self, partition: i32, time: &StreamTime) -> Frontier {
        time.origin(&self.frontier, partition)
            .map_or(Frontier::START, |reached| Frontier::new(EventTime(reached)))
    }

    fn set_frontier(&self, partition: i32, reached: EventTime, time: &mut StreamTime) {
        time.hear(&self.frontier, partition, reached.0);
    }
}

/// Tells every reader of `target` how far these origins have got.
pub(super) fn broadcast(
    target: &Target,
    source: &str,
    origins: Vec<OriginTime>,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    if origins.is_empty() {
        return Ok(());
    }
    let value = codec::encode_heartbeat(&Heartbeat { source: source.to_owned(), origins })?;
    let kind = [(headers::KIND.to_owned(), headers::HEARTBEAT.to_vec())];
    outputs.broadcast(&target.topic, target.partitions, &value, &kind);
    Ok(())
}
