use std::path::{Path, PathBuf};

use anyhow::Context as _;
use events::{Event, EventTime, Raw};
use ingest::{Format, Source, SourceKind};
use simulator::{Generator, Options};

/// Clickstream of a real shop; it does not ship with the project.
const REAL: &str = "alibaba-userbehavior/onehour_96k.csv";
/// After every row.
const PRODUCED_AT: EventTime = EventTime(1_900_000_000_000);
const SEED: u64 = 7;

/// Rows of clickstream in the order of arrival, as they stand and as `events` carries them.
pub struct Rows {
    /// Where they come from, for a person.
    pub name: &'static str,
    /// As they stand.
    pub raw: Vec<Vec<u8>>,
    /// Those that are accepted, canonical.
    pub events: Vec<Event>,
    /// The same in Avro, as records of `events`.
    pub avro: Vec<Vec<u8>>,
    source: Source,
}

impl Rows {
    /// Rows that the seeded shop makes up: Segment's JSON of every kind of event, with its noise.
    ///
    /// # Errors
    /// When an event cannot be encoded.
    pub fn made(how_many: usize) -> anyhow::Result<Self> {
        let lines = Generator::new(Options::new(SEED, how_many as u64)).map(|line| line.value);
        Self::read("shop", Format::Segment, lines.collect())
    }

    /// Rows of a real shop, if they are on this machine: in `../shared/data`, or where `SHARED_DATA` says.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn real(how_many: usize) -> anyhow::Result<Option<Self>> {
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        let path = std::env::var_os("SHARED_DATA").map_or_else(beside, PathBuf::from).join(REAL);
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let lines = text.lines().take(how_many).map(|line| line.as_bytes().to_vec());
        Self::read("alibaba", Format::Alibaba, lines.collect()).map(Some)
    }

    /// Both, or the made ones alone.
    ///
    /// # Errors
    /// As each of them.
    pub fn all(how_many: usize) -> anyhow::Result<Vec<Self>> {
        Ok(Self::real(how_many)?.into_iter().chain([Self::made(how_many)?]).collect())
    }

    /// The event of a row as it stands, if it is accepted.
    #[must_use]
    pub fn accept(&self, number: usize) -> Option<Event> {
        accept(&self.source, self.raw.get(number)?, number)
    }

    fn read(name: &'static str, format: Format, raw: Vec<Vec<u8>>) -> anyhow::Result<Self> {
        let source = Source::new("clickstream", "shop", format, SourceKind::Historic);
        let accepted = raw.iter().enumerate().filter_map(|(number, row)| accept(&source, row, number));
        let events: Vec<Event> = accepted.collect();
        let avro = events.iter().map(codec::encode_event).collect::<Result<_, _>>()?;
        Ok(Self { name, raw, events, avro, source })
    }
}

fn accept(source: &Source, row: &[u8], number: usize) -> Option<Event> {
    let raw = Raw { value: Some(row), line: Some(number as u64 + 1), produced_at: PRODUCED_AT };
    ingest::accept(&raw, source).ok()
}
