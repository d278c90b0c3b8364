//! What a person reads at the end of a demo.

use std::fmt::Write as _;

use events::{Abandonment, EventTime, ProfileUpdate, Stage};

use crate::config::Config;
use crate::demo::Demo;
use crate::headers;
use crate::problem::Problem;

/// Carts told of one by one.
const TOLD: usize = 12;

/// The run in plain words.
pub(crate) fn tell(config: &Config, demo: &Demo) -> Result<String, Problem> {
    let summary = &demo.summary;
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(format!(
        "{} lines read, {} events accepted, {} rejected:",
        summary.events, summary.accepted, summary.rejected
    ));
    for (code, count) in &summary.rejected_by_code {
        line(format!("  {code}: {count}"));
    }
    line(format!(
        "{} profile updates written, {} duplicates left out.",
        summary.profile_updates, summary.duplicates
    ));
    line(format!("{} carts were left behind:", summary.abandoned_carts));
    let mut left = abandonments(config, demo)?;
    left.sort_by(|one, other| one.1.abandoned_at.cmp(&other.1.abandoned_at).then(one.0.cmp(&other.0)));
    left.iter().take(TOLD).for_each(|(customer, abandonment)| line(sentence(customer, abandonment)));
    if left.len() > TOLD {
        line(format!("  … and {} more; --json has the figures.", left.len() - TOLD));
    }
    Ok(text)
}

fn abandonments(config: &Config, demo: &Demo) -> Result<Vec<(String, Abandonment)>, Problem> {
    let topic = config.topic("profile-updates");
    let noticed = demo.records(&topic).filter(|record| record.header(headers::DUE).is_some());
    let mut left = Vec::new();
    for record in noticed {
        let value = record.value.as_deref().unwrap_or_default();
        let update: ProfileUpdate =
            codec::decode_profile_update(value).map_err(|error| Problem::Failed(error.to_string()))?;
        let customer = update.profile.id().to_owned();
        left.extend(update.abandonment.map(|abandonment| (customer, abandonment)));
    }
    Ok(left)
}

fn sentence(customer: &str, left: &Abandonment) -> String {
    let mut text = String::new();
    let pieces: i64 = left.cart.lines.iter().map(|line| i64::from(line.quantity)).sum();
    let products: Vec<&str> = left.cart.lines.iter().map(|line| line.product_id.as_str()).take(3).collect();
    // Writing into a String does not fail.
    let _ = write!(text, "  {} {customer} left {pieces} × {}", clock(left.abandoned_at), products.join(", "));
    if left.cart.lines.len() > products.len() {
        text.push_str(", …");
    }
    if let (Some(currency), true) = (&left.cart.currency, left.cart.total_minor > 0) {
        let _ =
            write!(text, " ({}.{:02} {currency})", left.cart.total_minor / 100, left.cart.total_minor % 100);
    }
    let place = if left.stage == Stage::Checkout { "in the checkout" } else { "in the cart" };
    let _ = write!(text, " {place}; last seen at {}", clock(left.last_activity_at));
    text
}

fn clock(time: EventTime) -> String {
    jiff::Timestamp::from_millisecond(time.0)
        .map_or_else(|_| "?".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}
