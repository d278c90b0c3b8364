use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

use crate::StreamTime;

/// Key of the record that ends each transaction on a changelog partition.
pub const TRAILER_KEY: &[u8] = b"\xFFmark";

/// The form that this version writes.
const VERSION: u32 = 2;
/// The form before it, which does not say over how many partitions keys are spread. It is still read.
const PREVIOUS: u32 = 1;
/// The form of the one that ends a changelog for good: who knows only the forms before it refuses to go on there.
const MOVED: u32 = 3;
/// How keys are spread; see [`crate::partition_for`].
pub(crate) const PARTITIONER: &str = "murmur2";
/// The one state store a task has so far.
const STORE: u8 = 1;

/// The last record of a transaction on a changelog partition: what the frame before it brings the state to.
///
/// State and input position live in one log, so neither can be ahead of the other. JSON on the wire; the
/// shape is `schemas/changelog-trailer/v1.avsc`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailer {
    /// Version of this shape.
    pub version: u32,
    /// Number of the transaction on this partition, counting from 1.
    pub sequence: u64,
    /// Records of the frame: those directly before this one.
    pub count: u64,
    /// xxh3-64 over the keys and values of the frame, in hexadecimal.
    pub hash: String,
    /// Where the task goes on reading.
    pub inputs: Vec<InputPosition>,
    /// Partitions of the input: they decide which keys this one has. `None` in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// How keys are spread over them. `None` in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitioner: Option<String>,
    /// The changelog that the state has moved to: nothing follows here. `None` but in version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// The task's stream time.
    pub stream_time: Vec<OriginPosition>,
    /// `transactional.id` of the writer.
    pub written_by: String,
    /// Version of the code that wrote it.
    pub code_version: String,
}

/// The next record a task reads from one input partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputPosition {
    /// The input topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Offset of the next record.
    pub next_offset: i64,
}

/// The newest event time of one origin partition of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginPosition {
    /// The source.
    pub source: String,
    /// Its origin partition.
    pub partition: i32,
    /// Event time in milliseconds; the greatest number once the origin has ended.
    pub time: i64,
}

/// Why bytes are no trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UnreadableTrailer {
    /// Its version is none of those that are read.
    #[error(
        "it has version {0} and this paczek reads versions {PREVIOUS} to {MOVED}; run the version that wrote it, or \
         a newer one"
    )]
    Version(u64),
    /// It is nothing of ours.
    #[error("it is not in the form of a trailer")]
    Malformed,
}

impl Trailer {
    /// The trailer of a frame, in the previous form until it is told what it is [`Trailer::spread_over`].
    #[must_use]
    pub fn new(
        sequence: u64,
        frame: &Frame,
        input: InputPosition,
        time: &StreamTime,
        written_by: &str,
    ) -> Self {
        let stream_time = time.origins().map(|(source, partition, time)| OriginPosition {
            source: source.to_owned(),
            partition,
            time,
        });
        Self {
            version: PREVIOUS,
            sequence,
            count: frame.count,
            hash: frame.digest(),
            inputs: vec![input],
            partitions: None,
            partitioner: None,
            moved_to: None,
            stream_time: stream_time.collect(),
            written_by: written_by.to_owned(),
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// In the present form: keys are spread over so many partitions of the input.
    #[must_use]
    pub fn spread_over(self, partitions: i32) -> Self {
        let partitioner = Some(PARTITIONER.to_owned());
        Self { version: VERSION, partitions: Some(partitions), partitioner, ..self }
    }

    /// In the form that ends its changelog: the state is in that other one from here on.
    #[must_use]
    pub fn moved_to(self, changelog: &str) -> Self {
        Self { version: MOVED, moved_to: Some(changelog.to_owned()), ..self }
    }

    /// Where the task goes on reading; 0 for a trailer without inputs, which this version never writes.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.inputs.first().map_or(0, |input| input.next_offset)
    }

    /// The topic the task reads.
    #[must_use]
    pub fn input(&self) -> Option<&str> {
        self.inputs.first().map(|input| input.topic.as_str())
    }

    /// The task's stream time.
    #[must_use]
    pub fn time(&self) -> StreamTime {
        let mut time = StreamTime::default();
        for origin in &self.stream_time {
            time.hear(&origin.source, origin.partition, origin.time);
        }
        time
    }

    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// From bytes.
    ///
    /// # Errors
    /// When they are no trailer that this version reads.
    pub fn decode(bytes: &[u8]) -> Result<Self, UnreadableTrailer> {
        Self::from_json(serde_json::from_slice(bytes).map_err(|_| UnreadableTrailer::Malformed)?)
    }

    /// The version is looked at before anything else: the rest is read as that version means it.
    pub(crate) fn from_json(json: Value) -> Result<Self, UnreadableTrailer> {
        let version = json.get("version").and_then(Value::as_u64).ok_or(UnreadableTrailer::Malformed)?;
        if !(u64::from(PREVIOUS)..=u64::from(MOVED)).contains(&version) {
            return Err(UnreadableTrailer::Version(version));
        }
        let trailer: Self = serde_json::from_value(json).map_err(|_| UnreadableTrailer::Malformed)?;
        let whole = trailer.version == PREVIOUS || trailer.partitions.is_some();
        if whole && (trailer.version == MOVED) == trailer.moved_to.is_some() {
            Ok(trailer)
        } else {
            Err(UnreadableTrailer::Malformed)
        }
    }
}

/// What a trailer says of the records before it: how many, and a hash over them.
#[derive(Clone, Default)]
pub struct Frame {
    count: u64,
    hash: Xxh3,
}

impl Frame {
    /// Takes one more record in.
    pub fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.count += 1;
        self.hash.update(&(key.len() as u64).to_le_bytes());
        self.hash.update(key);
        self.hash.update(&value.map_or(u64::MAX, |value| value.len() as u64).to_le_bytes());
        self.hash.update(value.unwrap_or_default());
    }

    /// The hash so far, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        format!("{:016x}", self.hash.digest())
    }
}

/// The key in the changelog of the row `key`.
#[must_use]
pub fn state_key(key: &[u8]) -> Vec<u8> {
    [&[STORE], key].concat()
}

/// The row key of a changelog record; `None` for a trailer or another store's record.
#[must_use]
pub fn store_key(changelog_key: &[u8]) -> Option<&[u8]> {
    changelog_key.strip_prefix(&[STORE])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_schema_are_trailers() {
        for example in [
            include_str!("../../../schemas/changelog-trailer/examples/ingest.json"),
            include_str!("../../../schemas/changelog-trailer/examples/profile-updater-at-the-end.json"),
            include_str!("../../../schemas/changelog-trailer/examples/moved.json"),
        ] {
            let trailer = Trailer::decode(example.as_bytes()).unwrap();
            assert_eq!(Trailer::decode(&trailer.encode()), Ok(trailer));
        }
    }

    #[test]
    fn a_trailer_has_the_bytes_of_its_version() {
        for golden in [
            include_str!("../tests/golden/trailer.v1.json"),
            include_str!("../tests/golden/trailer.v2.json"),
            include_str!("../tests/golden/trailer.v3.json"),
        ] {
            let mut frame = Frame::default();
            frame.add(&state_key(b"bakery|anna"), Some(b"\x01state"));
            frame.add(&state_key(b"bakery|jan"), None);
            let input = InputPosition { topic: "events".into(), partition: 1, next_offset: 42 };
            let mut time = StreamTime::default();
            time.hear("clickstream", 0, 1_772_438_439_120);
            time.hear("clickstream", 1, i64::MAX);
            let trailer = Trailer::new(7, &frame, input, &time, "paczek-profile-updater-6f0a1c-1");
            let trailer = Trailer { code_version: "0.1.0".into(), ..trailer };
            let expected = match Trailer::decode(golden.as_bytes()).unwrap().version {
                PREVIOUS => trailer,
                VERSION => trailer.spread_over(4),
                _ => trailer.spread_over(4).moved_to("profile-updater-changelog-g2"),
            };
            assert_eq!(Trailer::decode(golden.as_bytes()).unwrap(), expected);
            assert_eq!(
                String::from_utf8(expected.encode()).unwrap(),
                golden,
                "the form of a trailer has changed"
            );
        }
    }

    #[test]
    fn what_is_no_trailer_is_refused() {
        for bytes in [&b""[..], b"{}", b"[1]", br#"{"version":2}"#, &[0xff; 40]] {
            assert_eq!(Trailer::decode(bytes), Err(UnreadableTrailer::Malformed));
        }
        let example = include_str!("../../../schemas/changelog-trailer/examples/moved.json");
        for (named, other) in [("\"moved_to\"", "\"somewhere\""), ("\"version\": 3", "\"version\": 2")] {
            let half = example.replace(named, other);
            assert_eq!(Trailer::decode(half.as_bytes()), Err(UnreadableTrailer::Malformed));
        }
        let newer = example.replace("\"version\": 3", "\"version\": 4");
        assert_eq!(Trailer::decode(newer.as_bytes()), Err(UnreadableTrailer::Version(4)));
    }
}
