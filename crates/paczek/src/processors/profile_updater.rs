use events::{EventTime, Heartbeat, OriginTime, ProfileKey, ProfileUpdate};
use profile_updater::{Applied, Arrival, Outcome, Profile, Rules};
use state_store::Timer;
use stream_runtime::{Context, Failure, Metric, Outputs, Processor, SourceRecord, StreamTime, TaskTime};

use super::ingest::broadcast;
use super::{Refusal, Target, dead_letter};
use crate::headers;

const STAGE: &str = "profile-updater";
/// The source whose time the timers run on; the others only hold them back.
pub(crate) const CLICKSTREAM: &str = "clickstream";

/// A note of a task's: the newest event time that it has heard of, ends of sources aside.
const NEWEST: &str = "sessions/newest";
/// A note of a task's: how far it may have told the readers of `sessions` that it has got.
const TOLD: &str = "sessions/told";
/// So far behind the newest event a second is sealed that holds it.
const PAST_THE_NEWEST: i64 = 31 * events::SECOND;

/// Events in, profile updates out; one profile for each key.
pub(crate) struct ProfileProcessor {
    pub(crate) rules: Rules,
    pub(crate) origins: Vec<Origins>,
    pub(crate) updates: Target,
    pub(crate) sessions: Target,
    pub(crate) dead_letters: Target,
    pub(crate) guards: TimeGuards,
}

/// What holds up that time is never guessed. A twin test takes each away; the configuration cannot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeGuards {
    /// Stream time is that of the slowest origin.
    pub(crate) slowest_origin: bool,
    /// Ingest says what is LATE, by the raw partition.
    pub(crate) late_by_partition: bool,
}

impl Default for TimeGuards {
    fn default() -> Self {
        Self { slowest_origin: true, late_by_partition: true }
    }
}

/// The origin partitions of a source, declared at start.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    pub(crate) source: String,
    pub(crate) partitions: i32,
    pub(crate) lateness: i64,
}

impl Processor for ProfileProcessor {
    type State = Profile;

    fn decode(&self, bytes: &[u8]) -> Result<Profile, Failure> {
        Ok(codec::stored::decode_profile(bytes)?)
    }

    fn encode(&self, profile: &Profile) -> Result<Vec<u8>, Failure> {
        Ok(codec::stored::encode_profile(profile)?)
    }

    fn timer(&self, profile: &Profile) -> Option<i64> {
        profile.timer(&self.rules).map(|due| due.0)
    }

    /// An event exactly as old as the lateness is not late, so what is settled ends one millisecond before.
    fn settled(&self, time: &StreamTime) -> i64 {
        let settled =
            |origins: &Origins| EventTime(self.time_of(origins, time)).minus(origins.lateness + 1).0;
        self.origins.iter().map(settled).min().unwrap_or(i64::MIN)
    }

    fn process(&self, record: &SourceRecord, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        let Some(value) = record.value.as_deref() else { return Ok(()) };
        if headers::is_heartbeat(record) {
            return match codec::decode_heartbeat(value) {
                Ok(heartbeat) => {
                    hear(&heartbeat, context.time());
                    self.promise(context.time());
                    Ok(())
                }
                Err(error) => self.refuse(record, "UNREADABLE_HEARTBEAT", &error.to_string(), context),
            };
        }
        match codec::decode_event(value) {
            Ok(event) => self.apply(record, &event, context),
            Err(error) => self.refuse(record, "UNREADABLE_EVENT", &error.to_string(), context),
        }
    }

    fn fire(&self, timer: &Timer, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        let settled = EventTime(context.settled());
        let key = std::str::from_utf8(&timer.key).ok().and_then(ProfileKey::parse);
        let key = key.ok_or("a timer's key is no profile key")?;
        let profile = context.state(&timer.key)?;
        for update in profile_updater::fire(profile, &key, settled, &self.rules) {
            context.metrics().add(Metric::TimersFired, &[STAGE], 1);
            let headers = timer_headers(&update);
            context.emit(self.updates.keyed(
                timer.key.clone(),
                codec::encode_profile_update(&update)?,
                headers,
            ));
        }
        Ok(())
    }

    fn heartbeat(&self, tasks: &[TaskTime<'_>], outputs: &mut Outputs) -> Result<(), Failure> {
        let heard = |task: &TaskTime<'_>| OriginTime {
            partition: task.partition,
            time: EventTime(self.clickstream_time(task.time)),
        };
        let known = tasks.iter().map(heard).filter(|origin| origin.time > EventTime::MIN);
        broadcast(&self.updates, CLICKSTREAM, known.collect(), outputs)?;
        let told = |task: &TaskTime<'_>| {
            Some(OriginTime { partition: task.partition, time: EventTime(task.time.origin(TOLD, 0)?) })
        };
        broadcast(&self.sessions, CLICKSTREAM, tasks.iter().filter_map(told).collect(), outputs)
    }
}

impl ProfileProcessor {
    fn apply(
        &self,
        record: &SourceRecord,
        event: &events::Event,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        let late = self.is_late(record, event, context.time());
        let arrival = Arrival { late, settled: EventTime(context.settled()) };
        let Some(key) = event.profile_key() else {
            return self.refuse(
                record,
                "NO_IDENTITY",
                "an event names neither customer nor visitor",
                context,
            );
        };
        let text = key.to_string().into_bytes();
        let profile = context.state(&text)?;
        match profile_updater::apply(profile, &key, event, arrival, &self.rules) {
            Outcome::Applied(applied) => self.tell(record, text, &applied, context)?,
            Outcome::Duplicate => skip(context, "duplicate"),
            Outcome::Late => skip(context, "late"),
            Outcome::Conflict => {
                let detail = "another event of this profile had the same event_id and said something else";
                return self.refuse(record, "EVENT_ID_CONFLICT", detail, context);
            }
        }
        Ok(())
    }

    fn clickstream_time(&self, time: &StreamTime) -> i64 {
        let origins = self.origins.iter().find(|origins| origins.source == CLICKSTREAM);
        origins.map_or(i64::MIN, |origins| self.time_of(origins, time))
    }

    fn time_of(&self, origins: &Origins, time: &StreamTime) -> i64 {
        if self.guards.slowest_origin {
            return time.of(&origins.source, origins.partitions);
        }
        let heard = (0..origins.partitions).filter_map(|partition| time.origin(&origins.source, partition));
        heard.max().unwrap_or(i64::MIN)
    }

    fn is_late(&self, record: &SourceRecord, event: &events::Event, time: &mut StreamTime) -> bool {
        if self.guards.late_by_partition {
            return record.header(headers::LATE).is_some();
        }
        let key = event.profile_key().map_or_else(String::new, |key| format!("newest/{key}"));
        note(&key, event.event_time.0, time);
        let lateness = self.origins.first().map_or(0, |origins| origins.lateness);
        time.origin(&key, 0).is_some_and(|newest| event.event_time < EventTime(newest).minus(lateness))
    }

    /// Moves the time that the readers of `sessions` are told. It never falls and never ends, so that no entry
    /// comes behind what they have sealed: a source may go on after its end, and another may be slower.
    fn promise(&self, time: &mut StreamTime) {
        let reached = self.clickstream_time(time);
        let newest = time.origin(NEWEST, 0).unwrap_or(i64::MIN);
        let finite =
            if reached == events::END_OF_SOURCE.0 { newest.saturating_add(PAST_THE_NEWEST) } else { reached };
        if finite > i64::MIN.saturating_add(PAST_THE_NEWEST) {
            note(TOLD, finite, time);
        }
    }

    /// What an event taught, and how the profile looks now.
    fn tell(
        &self,
        record: &SourceRecord,
        key: Vec<u8>,
        applied: &Applied,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        if let Some(entry) = &applied.session_entry {
            let frontier = headers::read_number(record, headers::FRONTIER).unwrap_or(entry.event_time.0);
            note(NEWEST, frontier, context.time());
            // The event of a slower source may be older than what was promised; its entry is not.
            let frontier = frontier.max(context.time().origin(TOLD, 0).unwrap_or(i64::MIN));
            let headers = vec![headers::number(headers::FRONTIER, frontier)];
            context.emit(self.sessions.keyed(key.clone(), codec::encode_session_entry(entry)?, headers));
        }
        context.emit(self.updates.keyed(key, codec::encode_profile_update(&applied.update)?, Vec::new()));
        Ok(())
    }

    fn refuse(
        &self,
        record: &SourceRecord,
        code: &str,
        detail: &str,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        let refusal = Refusal { stage: STAGE, source: "events", code, field: "", detail };
        context.metrics().add(Metric::DeadLetters, &[STAGE, code], 1);
        context.emit(dead_letter(&self.dead_letters, record, &refusal)?);
        Ok(())
    }
}

fn hear(heartbeat: &Heartbeat, time: &mut StreamTime) {
    for origin in &heartbeat.origins {
        time.hear(&heartbeat.source, origin.partition, origin.time.0);
        if origin.time < events::END_OF_SOURCE {
            note(NEWEST, origin.time.0, time);
        }
    }
}

/// How far a task may have told the readers of `sessions` that it has got.
pub(crate) fn told(time: &StreamTime) -> Option<EventTime> {
    time.origin(TOLD, 0).map(EventTime)
}

/// Keeps the greater of what a note says and `value`.
fn note(name: &str, value: i64, time: &mut StreamTime) {
    let known = time.origin(name, 0).unwrap_or(i64::MIN);
    time.hear(name, 0, value.max(known));
}

fn skip(context: &Context<'_, ProfileProcessor>, reason: &str) {
    context.metrics().add(Metric::EventsSkipped, &[STAGE, reason], 1);
}

/// What a timer caused is named by its cause, so that a replay names it the same.
fn timer_headers(update: &ProfileUpdate) -> Vec<stream_runtime::Header> {
    let Some(left) = &update.abandonment else { return Vec::new() };
    let due = left.abandoned_at.0;
    let profile = &update.profile;
    let id = codec::deterministic_id(&[
        "abandonment",
        profile.tenant(),
        profile.id(),
        &left.cart.cart_key,
        &left.fingerprint,
        &due.to_string(),
    ]);
    vec![headers::number(headers::DUE, due), headers::text(headers::ID, &id.to_string())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processor() -> ProfileProcessor {
        let target = || Target { topic: "any".into(), partitions: 1, outward: codec::Outward::Json };
        ProfileProcessor {
            rules: Rules::default(),
            origins: vec![Origins { source: CLICKSTREAM.to_owned(), partitions: 2, lateness: 0 }],
            updates: target(),
            sessions: target(),
            dead_letters: target(),
            guards: TimeGuards::default(),
        }
    }

    #[test]
    fn what_the_readers_of_sessions_are_told_neither_ends_nor_falls() {
        let (processor, mut time) = (processor(), StreamTime::default());
        let mut told = |heard: &[(i32, EventTime)]| {
            let origin =
                |(partition, time): &(i32, EventTime)| OriginTime { partition: *partition, time: *time };
            let origins = heard.iter().map(origin).collect();
            hear(&Heartbeat { source: CLICKSTREAM.to_owned(), origins }, &mut time);
            processor.promise(&mut time);
            time.origin(TOLD, 0)
        };
        let (at, end) = (EventTime, events::END_OF_SOURCE);
        assert_eq!(told(&[(0, at(1_000))]), None, "of one origin nothing has been heard");
        assert_eq!(told(&[(1, at(5_000))]), Some(1_000));
        let sealed = 5_000 + PAST_THE_NEWEST;
        assert_eq!(told(&[(0, end), (1, end)]), Some(sealed), "all that came can be learned");
        assert_eq!(told(&[(1, at(6_000))]), Some(sealed), "it goes on after its end");
        assert_eq!(told(&[(1, at(60_000))]), Some(60_000));
    }
}
