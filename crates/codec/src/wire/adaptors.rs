use std::fmt;

use events::{EventKind, EventTime};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the error says when `event_type` is not a canonical name; it is looked up by this text.
pub(crate) const UNKNOWN_EVENT_TYPE: &str = "its event_type is none that this build knows";

/// The wire form of a word of `events`, so that the words themselves need none.
///
/// It borrows the word when it writes and makes the word itself when it reads: no copy in between.
pub(crate) trait Wire {
    /// The word.
    type Word;

    fn serialize<S: Serializer>(word: &Self::Word, serializer: S) -> Result<S::Ok, S::Error>;

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self::Word, D::Error>;
}

/// Makes a struct that mirrors a word with `#[serde(remote)]` the wire form of it.
macro_rules! mirror {
    ($wire:ty, $word:ty) => {
        impl Wire for $wire {
            type Word = $word;

            fn serialize<S: serde::Serializer>(word: &$word, serializer: S) -> Result<S::Ok, S::Error> {
                <$wire>::serialize(word, serializer)
            }

            fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<$word, D::Error> {
                <$wire>::deserialize(deserializer)
            }
        }
    };
}
pub(crate) use mirror;

/// A borrowed word that writes itself in the form `W`.
pub(crate) struct Borrowed<'a, W: Wire>(pub(crate) &'a W::Word);

impl<W: Wire> Serialize for Borrowed<'_, W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        W::serialize(self.0, serializer)
    }
}

/// A word that was read from the form `W`.
pub(crate) struct Owned<W: Wire>(pub(crate) W::Word);

impl<'de, W: Wire> Deserialize<'de> for Owned<W> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        W::deserialize(deserializer).map(Self)
    }
}

/// A word that may be absent.
pub(crate) struct Optional<W>(W);

impl<W: Wire> Wire for Optional<W> {
    type Word = Option<W::Word>;

    fn serialize<S: Serializer>(word: &Self::Word, serializer: S) -> Result<S::Ok, S::Error> {
        word.as_ref().map(Borrowed::<W>).serialize(serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self::Word, D::Error> {
        Ok(Option::<Owned<W>>::deserialize(deserializer)?.map(|owned| owned.0))
    }
}

/// Words in a row.
pub(crate) struct List<W>(W);

impl<W: Wire> Wire for List<W> {
    type Word = Vec<W::Word>;

    fn serialize<S: Serializer>(words: &Self::Word, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(words.iter().map(Borrowed::<W>))
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self::Word, D::Error> {
        // Collecting `Owned` in place keeps the allocation: the two have one layout.
        Ok(Vec::<Owned<W>>::deserialize(deserializer)?.into_iter().map(|owned| owned.0).collect())
    }
}

/// A time, as a long of milliseconds.
pub(crate) struct Millis;

impl Wire for Millis {
    type Word = EventTime;

    fn serialize<S: Serializer>(time: &EventTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.0)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventTime, D::Error> {
        i64::deserialize(deserializer).map(EventTime)
    }
}

/// A kind of event, as its canonical name.
pub(crate) struct KindName;

impl Wire for KindName {
    type Word = EventKind;

    fn serialize<S: Serializer>(kind: &EventKind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.name())
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventKind, D::Error> {
        deserializer.deserialize_str(Self)
    }
}

impl Visitor<'_> for KindName {
    type Value = EventKind;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a canonical event_type")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<EventKind, E> {
        EventKind::parse(name).ok_or_else(|| E::custom(UNKNOWN_EVENT_TYPE))
    }
}
