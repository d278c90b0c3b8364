use std::hint::black_box;

use anyhow::Context as _;
use benches::Rows;
use criterion::{Criterion, Throughput};
use events::{Event, EventKind, EventTime, Interest, SessionEntry, SessionFact};
use recommender::{ItemModels, ModelSettings};

use crate::cpu_time::CpuTime;

/// Products in a prediction, as Serenade gives.
const HOW_MANY: usize = 21;
const RUNNING: usize = 500;

/// Learning the sessions of a clickstream, and predicting from them.
pub(crate) fn measure(criterion: &mut Criterion<CpuTime>, how_many: usize) -> anyhow::Result<()> {
    let rows = Rows::all(how_many)?.into_iter().next().context("there are no rows")?;
    let entries: Vec<SessionEntry> = rows.events.iter().enumerate().filter_map(entry).collect();
    let models = learn(&entries);
    let index = &models.tenant("shop").context("nothing was learned")?.sessions;
    let running = running(&rows.events);
    let how = ModelSettings::default().neighbourhood;
    let mut group = criterion.benchmark_group("session index");
    group.throughput(Throughput::Elements(entries.len() as u64));
    group.bench_function("learn an entry", |bencher| bencher.iter(|| learn(&entries).epoch()));
    group.throughput(Throughput::Elements(running.len() as u64));
    group.bench_function("predict", |bencher| {
        bencher
            .iter(|| running.iter().for_each(|visit| drop(black_box(index.predict(visit, HOW_MANY, &how)))));
    });
    group.finish();
    Ok(())
}

fn learn(entries: &[SessionEntry]) -> ItemModels {
    let mut models = ItemModels::new(ModelSettings::default());
    for entry in entries {
        models.offer(entry.clone(), entry.event_time);
    }
    models.seal(EventTime::MAX);
    models
}

/// What profile-updater will write to `sessions`: one visit for each profile.
fn entry((sequence, event): (usize, &Event)) -> Option<SessionEntry> {
    let interest = match event.kind {
        EventKind::ProductViewed => Interest::Viewed,
        EventKind::CartItemAdded => Interest::Added,
        EventKind::OrderCompleted => Interest::Purchased,
        _ => return None,
    };
    let profile = event.profile_key()?;
    let session_id = profile.to_string();
    let product_ids = event.items.iter().map(|item| item.product_id.clone()).collect();
    Some(SessionEntry {
        profile,
        event_time: event.event_time,
        sequence: sequence as u64,
        fact: SessionFact::Seen { session_id, event_id: event.event_id.clone(), interest, product_ids },
    })
}

/// Visits to predict for: products that were looked at one after the other.
fn running(events: &[Event]) -> Vec<Vec<&str>> {
    let viewed: Vec<&str> =
        events.iter().flat_map(|event| &event.items).map(|item| item.product_id.as_str()).collect();
    viewed.chunks(5).take(RUNNING).map(<[&str]>::to_vec).collect()
}
