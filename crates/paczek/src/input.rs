//! The one reader of files of clickstream, for `load` and `demo` alike.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use events::{EventTime, Raw};
use indicatif::ProgressBar;
use ingest::{Format, Source};

use crate::problem::Problem;

/// One line of a file, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number, counting from 1.
    pub line: u64,
    /// Its event time; of a line that cannot be read, that of the line before.
    pub time: EventTime,
    /// The customer, else the visitor; of a line that cannot be read, `line:<n>`.
    pub key: String,
    /// The line without its end.
    pub value: Vec<u8>,
}

/// Every line of the file, in (event time, line) order. Empty lines are none.
///
/// # Errors
/// When the file cannot be read, or its format is none of files.
pub fn read_rows(path: &Path, source: &Source, now: EventTime) -> Result<Vec<Row>, Problem> {
    if source.format == Format::Avro {
        return Err(Problem::Config(
            "format avro is for records on Kafka: a file has a row in each line, and Avro may hold line ends"
                .into(),
        ));
    }
    let failed = |error| Problem::File { path: path.to_owned(), source: error };
    let file = File::open(path).map_err(failed)?;
    let progress = progress(file.metadata().map_err(failed)?.len(), "reading");
    let mut reader = BufReader::new(progress.wrap_read(file));
    let (mut rows, mut before, mut number) = (Vec::new(), EventTime::MIN, 0);
    while let Some(line) = read_line(&mut reader, source.max_value_bytes).map_err(failed)? {
        number += 1;
        if !line.is_empty() {
            let row = row(number, line, source, before, now);
            before = row.time;
            rows.push(row);
        }
    }
    progress.finish_and_clear();
    rows.sort_by_key(|row| (row.time, row.line));
    Ok(rows)
}

/// The next line without its end; `None` at the end of the file. Of a line that is longer than `limit` one
/// byte more than that is kept: it is refused as too large, and how much too large does not matter.
fn read_line(reader: &mut impl BufRead, limit: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut any = false;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any.then_some(line));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        line.extend_from_slice(&part[..part.len().min((limit + 1).saturating_sub(line.len()))]);
        let taken = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(taken);
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(Some(line));
        }
    }
}

/// A bar on the terminal; nothing where there is none.
pub(crate) fn progress(length: u64, doing: &'static str) -> ProgressBar {
    let style = indicatif::ProgressStyle::with_template("{msg} [{wide_bar}] {percent}% {eta}");
    ProgressBar::new(length)
        .with_message(doing)
        .with_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()))
}

fn row(line: u64, value: Vec<u8>, source: &Source, before: EventTime, now: EventTime) -> Row {
    let seen = ingest::peek(&Raw { value: Some(&value), line: Some(line), produced_at: now }, source);
    Row {
        line,
        time: seen.event_time.unwrap_or(before),
        key: seen.key.unwrap_or_else(|| format!("line:{line}")),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_avro_is_refused_and_not_read_as_something_else() {
        let avro = Source::new("clickstream", "shop", Format::Avro, ingest::SourceKind::Historic);
        let answer = read_rows(Path::new("/dev/null"), &avro, EventTime(0));
        assert!(matches!(answer, Err(Problem::Config(reason)) if reason.contains("avro")));
    }

    #[test]
    fn lines_are_read_as_they_stand_and_no_longer_than_they_may_be() {
        let mut text = &b"one \r\n\ntwo\tlong\nlast"[..];
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut text, 5).unwrap() {
            lines.push(String::from_utf8(line).unwrap());
        }
        assert_eq!(lines, ["one ", "", "two\tlo", "last"]);
    }
}
