use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::rows::Restored;
use crate::watch::Recovery;

const MARK: &str = "<!-- failover -->";
const END: &str = "<!-- /failover -->";

/// What was found.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) profiles: u64,
    pub(crate) rows: Option<Restored>,
    pub(crate) runs: Vec<Run>,
}

/// One kill.
pub(crate) struct Run {
    pub(crate) contender: &'static str,
    pub(crate) what: &'static str,
    pub(crate) recovery: Recovery,
}

impl Report {
    pub(crate) fn table(&self) -> String {
        let contenders = ["Pączek", "Kafka Streams"];
        let mut text = format!(
            "{} profiles; seconds from the start of the process (restart) or from kill -9 (take-over) to the first \
             committed output of a partition that the kill had silenced / until all of them have committed again:\n\n| | {} | {} |\n|---|---|---|\n",
            self.profiles, contenders[0], contenders[1]
        );
        let mut kinds: Vec<&str> = self.runs.iter().map(|run| run.what).collect();
        kinds.dedup();
        kinds.sort_unstable();
        kinds.dedup();
        for what in kinds {
            let of = |contender| self.runs.iter().find(|run| (run.contender, run.what) == (contender, what));
            let [ours, theirs] =
                contenders.map(|name| of(name).map_or("–".to_owned(), |run| run.recovery.to_string()));
            let _ = writeln!(text, "| {what} | {ours} | {theirs} |");
        }
        if let Some(rows) = &self.rows {
            let _ = write!(
                text,
                "\nA changelog of {} rows of {} bytes was read into an empty store in {:.1} s: {:.0} rows/s, {:.0} rows per second of \
                 processor time, fetching included.",
                rows.rows,
                rows.bytes,
                rows.wall_seconds,
                rows.rows as f64 / rows.wall_seconds,
                rows.rows as f64 / rows.cpu_seconds
            );
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let runs = self.runs.iter().map(|run| {
            let (first, all) = (run.recovery.first.as_secs_f64(), run.recovery.all.as_secs_f64());
            json!({ "contender": run.contender, "what": run.what, "first_seconds": first, "all_seconds": all })
        });
        let rows = self.rows.as_ref().map(|rows| {
            json!({
                "rows": rows.rows, "bytes": rows.bytes,
                "wall_seconds": rows.wall_seconds, "cpu_seconds": rows.cpu_seconds,
                "rows_per_second": rows.rows as f64 / rows.wall_seconds,
                "rows_per_cpu_second": rows.rows as f64 / rows.cpu_seconds,
            })
        });
        json!({ "profiles": self.profiles, "restore": rows, "runs": runs.collect::<Vec<_>>() })
    }

    /// Puts the table between the marks of a page.
    pub(crate) fn write_into(&self, page: &Path) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(page).with_context(|| page.display().to_string())?;
        let marked = text.split_once(MARK).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let (before, after) = marked.with_context(|| format!("{} has no {MARK}", page.display()))?;
        std::fs::write(page, format!("{before}{MARK}\n{}\n{END}{after}", self.table()))?;
        Ok(())
    }
}
