//! What the pure functions cost on one core, and the store beside them.
//!
//!   cargo bench --workspace --bench pure
//!   cargo bench --workspace --bench pure -- 'pipeline/'

mod cpu_time;
mod models;
mod stages;
mod store;

use std::time::Duration;

use cpu_time::CpuTime;
use criterion::Criterion;
use criterion::measurement::{Measurement, WallTime};

/// The same as `paczek` has, so that what is measured allocates as it does there.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Rows of each clickstream: enough that profiles do not all fit into the processor's caches.
const ROWS: usize = 50_000;

fn main() -> anyhow::Result<()> {
    let mut on_a_core = settings(CpuTime);
    for rows in benches::Rows::all(ROWS)? {
        stages::measure(&mut on_a_core, &rows)?;
    }
    models::measure(&mut on_a_core, ROWS)?;
    // The store waits for the disk, and that counts.
    let mut by_the_clock = settings(WallTime);
    store::measure(&mut by_the_clock)?;
    by_the_clock.final_summary();
    Ok(())
}

fn settings<M: Measurement + 'static>(measurement: M) -> Criterion<M> {
    let (warm_up, measured) = (Duration::from_secs(1), Duration::from_secs(3));
    let criterion = Criterion::default().sample_size(10).warm_up_time(warm_up).measurement_time(measured);
    criterion.with_measurement(measurement).configure_from_args()
}
