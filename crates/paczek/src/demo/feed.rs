use std::path::Path;
use std::vec;

use events::EventTime;
use ingest::Source;
use simulator::{Generator, Truth};

use crate::input::{Row, read_rows};
use crate::load::{End, RawRecord, raw_records};
use crate::problem::Problem;

/// Lines written in one transaction.
const CHUNK: usize = 2_000;

/// What the pipeline is fed with, chunk by chunk.
pub(super) struct Feed {
    rows: Rows,
    /// How many lines there are.
    pub(super) lines: u64,
    /// How many of them were handed out.
    pub(super) given: u64,
    pub(super) is_over: bool,
}

enum Rows {
    Shop(Box<Generator>),
    File(vec::IntoIter<Row>),
}

impl Feed {
    /// The lines of a made-up shop, in their order of arrival.
    pub(super) fn shop(options: simulator::Options) -> Self {
        let lines = options.lines;
        Self { rows: Rows::Shop(Box::new(Generator::new(options))), lines, given: 0, is_over: false }
    }

    /// The lines of a file, by event time.
    pub(super) fn file(path: &Path, source: &Source, now: EventTime) -> Result<Self, Problem> {
        let rows = read_rows(path, source, now)?;
        let lines = rows.len() as u64;
        Ok(Self { rows: Rows::File(rows.into_iter()), lines, given: 0, is_over: false })
    }

    /// The next records of the shop's topic; the last ones end its partitions.
    pub(super) fn next(&mut self, partitions: i32) -> Vec<RawRecord> {
        let first = self.given + 1;
        let rows: Vec<Row> = match &mut self.rows {
            Rows::File(rows) => rows.take(CHUNK).collect(),
            Rows::Shop(generator) => {
                let made = (first..).zip(generator.take(CHUNK));
                made.map(|(line, made)| Row { line, time: made.event_time, key: made.key, value: made.value })
                    .collect()
            }
        };
        self.given += rows.len() as u64;
        self.is_over = rows.len() < CHUNK;
        raw_records(&rows, partitions, if self.is_over { End::Ended } else { End::Open })
    }

    /// What is true of it all; `None` of a file, of which nobody knows.
    pub(super) fn into_truth(self) -> Option<Truth> {
        match self.rows {
            Rows::Shop(generator) => Some(generator.into_truth()),
            Rows::File(_) => None,
        }
    }
}
