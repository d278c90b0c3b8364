//! The one table: what each row came to.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::ledger::Tries;
use crate::rows::{How, ROWS, Row};
use crate::tried::Tried;

/// Before the table in README.md.
pub const BEGIN: &str = "<!-- chaos -->\n";
/// What the table in README.md was made of, below the project's root.
pub const KEPT: &str = "crates/chaos/table.json";
/// Behind it.
pub const END: &str = "<!-- /chaos -->\n";

/// What a row came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    /// The row.
    pub row: String,
    /// What goes wrong.
    pub fault: String,
    /// Tries that ended.
    pub tries: usize,
    /// Faults brought about in them.
    pub faults: u64,
    /// Workers killed by SIGKILL.
    pub kills: u64,
    /// Rows of clickstream.
    pub events: u64,
    /// Outputs lost.
    pub lost: u64,
    /// Outputs doubled.
    pub doubled: u64,
    /// The longest recovery, in milliseconds.
    pub recovery_ms: u64,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// `held`, `held, but …`, `VIOLATED …`, `not run`, `by …`.
    pub verdict: String,
}

/// The table of all rows.
#[must_use]
pub fn lines(tries: &Tries) -> Vec<Line> {
    ROWS.iter().map(|row| line(row, tries.rows.get(row.id).map_or(&[], Vec::as_slice))).collect()
}

fn line(row: &Row, tries: &[Tried]) -> Line {
    let sum = |of: fn(&Tried) -> u64| tries.iter().map(of).sum();
    Line {
        row: row.id.to_owned(),
        fault: row.fault.to_owned(),
        tries: tries.len(),
        faults: sum(|tried| tried.faults),
        kills: sum(|tried| tried.kills),
        events: sum(|tried| tried.events),
        lost: sum(|tried| tried.lost),
        doubled: sum(|tried| tried.doubled),
        recovery_ms: tries.iter().map(|tried| tried.recovery_ms).max().unwrap_or_default(),
        seconds: tries.iter().map(|tried| tried.seconds).sum::<f64>() as u64,
        verdict: verdict(row, tries),
    }
}

fn verdict(row: &Row, tries: &[Tried]) -> String {
    match row.how {
        How::Tests(tests) => return format!("by {tests}"),
        How::Not(reason) => return format!("not run: {reason}"),
        How::Twin { .. } => return bite(tries),
        How::Tries { .. } => {}
    }
    if let Some(violation) = tries.iter().find_map(|tried| tried.violation.as_ref()) {
        return format!("VIOLATED: {violation}");
    }
    if let Some(need) = tries.iter().find_map(|tried| tried.barred.as_ref()) {
        return format!("not run: {need}");
    }
    let worst = tries.iter().filter(|tried| !tried.short.is_empty()).max_by_key(|tried| tried.recovery_ms);
    let short = worst.and_then(|tried| tried.short.first());
    match (tries.is_empty(), short) {
        (true, _) => "not run yet".to_owned(),
        (false, None) => "held".to_owned(),
        (false, Some(short)) => format!("held, but {short}"),
    }
}

/// Whether the guard that was taken away was missed.
fn bite(tries: &[Tried]) -> String {
    let faults: u64 = tries.iter().map(|tried| tried.faults).sum();
    match (tries.is_empty(), tries.iter().any(Tried::bites)) {
        (true, _) => "not run yet".to_owned(),
        (false, true) => format!("bites: doubles within {faults} holds"),
        (false, false) => {
            format!("does not bite: nothing doubled in {faults} holds, so the row above proves little")
        }
    }
}

/// The table as Markdown, with a line below that adds it up.
#[must_use]
pub fn markdown(lines: &[Line]) -> String {
    let mut text = String::from(
        "| row | fault | tries | faults | events | lost | doubled | worst recovery | verdict |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for line in lines {
        let recovery = match line.recovery_ms {
            0 => "–".to_owned(),
            millis => format!("{:.1} s", millis as f64 / 1_000.0),
        };
        let verdict = cell(&line.verdict);
        let (tries, faults, events) = (line.tries, thousands(line.faults), thousands(line.events));
        let (row, fault, lost, doubled) = (&line.row, cell(&line.fault), line.lost, line.doubled);
        // Writing into a text does not fail.
        let _ = writeln!(
            text,
            "| {row} | {fault} | {tries} | {faults} | {events} | {lost} | {doubled} | {recovery} | {verdict} |"
        );
    }
    text.push('\n');
    text.push_str(&sum(lines));
    text
}

fn sum(lines: &[Line]) -> String {
    // A twin is no row: what it loses and doubles it is made to.
    let lines: Vec<&Line> = lines.iter().filter(|line| !line.row.ends_with("twin")).collect();
    let of = |of: fn(&Line) -> u64| thousands(lines.iter().map(|line| of(line)).sum());
    let count = |begins: &str| lines.iter().filter(|line| line.verdict.starts_with(begins)).count();
    let (held, run) = (count("held"), count("held") + count("VIOLATED"));
    format!(
        "{held} of {run} rows that this bench ran held, {} of them but for a figure; {} rows are held by tests, {} were not run. {} `kill -9` \
         of workers, {} events, {} lost, {} doubled, in {} seconds.\n",
        count("held, but"),
        count("by "),
        count("not run"),
        of(|line| line.kills),
        of(|line| line.events),
        of(|line| line.lost),
        of(|line| line.doubled),
        of(|line| line.seconds),
    )
}

/// In one line and one cell, and not too long for it.
fn cell(text: &str) -> String {
    let line = text.replace('\n', " ").replace('|', r"\|");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A page with the table between its marks; `None` if it has no marks.
#[must_use]
pub fn put_into(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_stands_between_its_marks_and_nothing_else_moves() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(put_into(&page, "new\n"), Some(format!("a\n{BEGIN}new\n{END}b\n")));
        assert_eq!(put_into("no marks", "new\n"), None);
    }

    #[test]
    fn one_violation_among_many_tries_is_the_verdict() {
        let (good, mut bad) = (Tried::default(), Tried::default());
        bad.violation = Some("a doubled reminder".to_owned());
        assert_eq!(verdict(&ROWS[0], std::slice::from_ref(&good)), "held");
        assert_eq!(verdict(&ROWS[0], &[good, bad]), "VIOLATED: a doubled reminder");
        assert_eq!(verdict(&ROWS[0], &[]), "not run yet");
        assert_eq!(verdict(&ROWS[0], &[Tried::barred("a disk")]), "not run: it needs a disk");
    }

    #[test]
    fn numbers_are_told_in_thousands() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(thousands), ["0", "999", "1,000", "12,345,678"]);
    }
}
