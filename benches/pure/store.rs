use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use state_store::{RocksOptions, RocksStore, Row, StateStore, WriteBatch};

/// Rows of a store that is read from.
const STORED: u64 = 200_000;
/// Rows that one transaction writes.
const BATCH: u64 = 1_000;
/// Bytes of a usual profile.
const VALUE: usize = 400;

/// RocksDB as a task uses it: a batch with timers and the position, and a row by its key.
pub(crate) fn measure(criterion: &mut Criterion) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut store = RocksStore::open(&folder.path().join("store"), &RocksOptions::default())?;
    for first in (0..STORED).step_by(BATCH as usize) {
        store.write(batch(first))?;
    }
    let mut group = criterion.benchmark_group("state store");
    group.throughput(Throughput::Elements(BATCH));
    let mut first = 0;
    group.bench_function("write a row in a batch of 1000", |bencher| {
        let next = || {
            first = (first + 7 * BATCH) % STORED;
            batch(first)
        };
        bencher.iter_batched(next, |batch| black_box(store.write(batch)).is_ok(), BatchSize::PerIteration);
    });
    group.bench_function("get a row", |bencher| {
        let keys: Vec<Vec<u8>> = (0..BATCH).map(|number| key(number * 7_919 % STORED)).collect();
        bencher.iter(|| keys.iter().filter(|key| matches!(store.get(key), Ok(Some(_)))).count());
    });
    group.finish();
    Ok(())
}

fn batch(first: u64) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for number in first..first + BATCH {
        let timer = (number % 3 == 0).then_some(number as i64);
        // Bytes that do not compress to nothing.
        let value = (0..VALUE as u64).map(|at| (at.wrapping_mul(number | 1) >> 3) as u8).collect();
        batch.put(key(number), Row { value, timer }, None);
    }
    batch.set_position(first.to_le_bytes().to_vec());
    batch
}

fn key(number: u64) -> Vec<u8> {
    format!("shop|customer-{number}").into_bytes()
}
