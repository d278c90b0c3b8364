use std::hint::black_box;

use benches::{Profiles, Rows};
use criterion::{BatchSize, Criterion, Throughput};
use events::ProfileUpdate;

use crate::cpu_time::CpuTime;

/// Each stage of an event by itself, and decode → profile → encode in one. The first half of the rows has made
/// the profiles that the second half meets, as in a shop that was open yesterday.
pub(crate) fn measure(criterion: &mut Criterion<CpuTime>, rows: &Rows) -> anyhow::Result<()> {
    let updates = updates(rows);
    let profiles = profiles(rows)?;
    let mut group = criterion.benchmark_group(rows.name);
    group.throughput(Throughput::Elements(rows.raw.len() as u64));
    group.bench_function("ingest a raw row", |bencher| {
        bencher.iter(|| (0..rows.raw.len()).filter_map(|number| rows.accept(number)).count());
    });
    let (before, events) = rows.events.split_at(rows.events.len() / 2);
    let records = &rows.avro[before.len()..];
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("encode an event", |bencher| {
        bencher.iter(|| events.iter().for_each(|event| drop(black_box(codec::encode_event(event)))));
    });
    group.bench_function("decode an event", |bencher| {
        bencher.iter(|| records.iter().for_each(|record| drop(black_box(codec::decode_event(record)))));
    });
    group.bench_function("apply an event", |bencher| {
        let apply = |profiles: &mut Profiles| events.iter().filter_map(|event| profiles.apply(event)).count();
        bencher.iter_batched_ref(|| Profiles::of(before), apply, BatchSize::PerIteration);
    });
    group.bench_function("decode, apply, encode", |bencher| {
        let run = |profiles: &mut Profiles| {
            let written = records.iter().filter_map(|record| profiles.decode_apply_encode(record).ok()?);
            written.map(|bytes| bytes.len()).sum::<usize>()
        };
        bencher.iter_batched_ref(|| Profiles::of(before), run, BatchSize::PerIteration);
    });
    group.throughput(Throughput::Elements(updates.len() as u64));
    group.bench_function("encode a profile update", |bencher| {
        let encode = |update: &ProfileUpdate| drop(black_box(codec::encode_profile_update(update)));
        bencher.iter(|| updates.iter().for_each(encode));
    });
    group.throughput(Throughput::Elements(profiles.len() as u64));
    group.bench_function("decode a stored profile", |bencher| {
        let decode = |bytes: &Vec<u8>| drop(black_box(codec::stored::decode_profile(bytes)));
        bencher.iter(|| profiles.iter().for_each(decode));
    });
    group.finish();
    Ok(())
}

fn updates(rows: &Rows) -> Vec<ProfileUpdate> {
    let mut profiles = Profiles::default();
    rows.events.iter().filter_map(|event| profiles.apply(event)).map(|update| *update).collect()
}

fn profiles(rows: &Rows) -> anyhow::Result<Vec<Vec<u8>>> {
    let profiles = Profiles::of(&rows.events);
    let stored = profiles.all().into_iter().map(codec::stored::encode_profile);
    Ok(stored.collect::<Result<_, _>>()?)
}
