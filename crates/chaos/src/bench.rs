//! Runs rows, one try after the other, and keeps what came of each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::ledger::Ledger;
use crate::rows::{How, Row};
use crate::stage::{Scale, Stage};
use crate::tried::Tried;

/// Runs what is left of these rows until `until`; true if nothing is left.
///
/// # Errors
/// When what came of a try cannot be kept.
pub fn run(rows: &[&Row], scale: Scale, ledger: &mut Ledger, until: Option<Instant>) -> Result<bool, String> {
    let mut stage = Stage::new(scale);
    for row in rows {
        let (wanted, run) = match row.how {
            How::Tries { full, small, run } => (if scale == Scale::Full { full } else { small }, run),
            How::Twin { most, run } => (if scale == Scale::Full { most } else { 0 }, run),
            How::Tests(_) | How::Not(_) => continue,
        };
        let twin = matches!(row.how, How::Twin { .. });
        while ledger.of(row.id).len() < wanted && !(twin && ledger.of(row.id).iter().any(Tried::bites)) {
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(false);
            }
            let number = ledger.of(row.id).len();
            eprintln!("{} {}/{wanted}: {} …", row.id, number + 1, row.fault);
            let tried = attempt(|| run(&mut stage, number));
            eprintln!("{} {}/{wanted}: {}", row.id, number + 1, told(&tried));
            ledger.add(row.id, tried)?;
        }
    }
    Ok(true)
}

/// A try that cannot go on is one that failed.
fn attempt(run: impl FnOnce() -> Tried) -> Tried {
    let began = Instant::now();
    let mut tried = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Tried { violation: Some(text.unwrap_or_else(|| "it could not go on".to_owned())), ..Tried::default() }
    });
    tried.seconds = began.elapsed().as_secs_f64();
    tried
}

fn told(tried: &Tried) -> String {
    let took = Duration::from_secs_f64(tried.seconds).as_secs();
    let mut text = format!(
        "{} events, {} faults, {} lost, {} doubled, worst recovery {} ms, {took} s",
        tried.events, tried.faults, tried.lost, tried.doubled, tried.recovery_ms
    );
    let violation = tried.violation.iter().map(|violation| format!("VIOLATED: {violation}"));
    let short = tried.short.iter().chain(&tried.barred).cloned();
    for more in std::iter::once(tried.remark.clone()).chain(short).chain(violation) {
        if !more.is_empty() {
            text.push_str("; ");
            text.push_str(&more);
        }
    }
    text
}
