use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::measured::Figures;

/// What was found.
pub(crate) struct Report {
    pub(crate) input: PathBuf,
    pub(crate) outcome: Outcome,
    pub(crate) repetitions: Vec<Repetition>,
}

/// What is in the file.
pub(crate) struct Outcome {
    pub(crate) events: u64,
    pub(crate) abandoned_carts: u64,
}

/// Both on the same records.
pub(crate) struct Repetition {
    pub(crate) run: Figures,
    pub(crate) copy: Figures,
}

/// One figure: its name for a script, its name for a person, and how it follows from what was measured and
/// the number of events.
type Row = (&'static str, &'static str, fn(&Figures, f64) -> f64);

const ROWS: [Row; 6] = [
    ("events_per_second", "events/s", |figures, events| events / figures.wall_seconds),
    ("events_per_second_once_started", "events/s once started", |figures, events| {
        events / (figures.wall_seconds - figures.start_seconds)
    }),
    ("cpu_seconds_per_million_events", "CPU-s per 1 M events", |figures, events| {
        figures.cpu_seconds * 1e6 / events
    }),
    ("peak_rss_mib", "peak RSS, MiB", |figures, _| figures.peak_rss_mib),
    ("wall_seconds", "wall, s", |figures, _| figures.wall_seconds),
    ("start_seconds", "of it before any output, s", |figures, _| figures.start_seconds),
];

impl Report {
    pub(crate) fn table(&self) -> String {
        let Outcome { events, abandoned_carts } = self.outcome;
        let mut text = format!(
            "{events} events of {}, {abandoned_carts} carts abandoned; {}\n\n{:30}{:>12}{:>12}{:>12}\n",
            self.input.display(),
            self.circumstances(),
            "",
            "paczek run",
            "copy loop",
            "run/copy",
        );
        for row in &ROWS {
            let (run, copy) = self.medians(row);
            text.push_str(&format!(
                "{:30}{:>12}{:>12}{:>12.2}\n",
                row.1,
                readable(run),
                readable(copy),
                run / copy
            ));
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let (mut runs, mut copies, mut ratios) = (Map::new(), Map::new(), Map::new());
        for row in &ROWS {
            let (run, copy) = self.medians(row);
            runs.insert(row.0.to_owned(), json!(run));
            copies.insert(row.0.to_owned(), json!(copy));
            ratios.insert(row.0.to_owned(), json!(run / copy));
        }
        let each = self.repetitions.iter().map(
            |repetition| json!({ "run": self.all(&repetition.run), "copy": self.all(&repetition.copy) }),
        );
        json!({
            "input": self.input.display().to_string(),
            "events": self.outcome.events,
            "abandoned_carts": self.outcome.abandoned_carts,
            "cores": cores(),
            "run": runs,
            "copy": copies,
            "ratio": ratios,
            "repetitions": each.collect::<Vec<_>>(),
        })
    }

    fn circumstances(&self) -> String {
        let times = self.repetitions.len();
        let medians = if times > 1 { format!("medians of {times}") } else { "one run".to_owned() };
        format!("{medians}, {} cores shared with the broker", cores())
    }

    fn medians(&self, (_, _, figure): &Row) -> (f64, f64) {
        let of = |side: fn(&Repetition) -> &Figures| {
            median(self.repetitions.iter().map(|one| figure(side(one), self.events())).collect())
        };
        (of(|repetition| &repetition.run), of(|repetition| &repetition.copy))
    }

    fn all(&self, figures: &Figures) -> Value {
        ROWS.iter()
            .map(|(name, _, figure)| ((*name).to_owned(), json!(figure(figures, self.events()))))
            .collect()
    }

    fn events(&self) -> f64 {
        self.outcome.events as f64
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (below, above) = ((values.len() - 1) / 2, values.len() / 2);
    (values[below] + values[above]) / 2.0
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// As many digits as the figure is worth.
fn readable(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
