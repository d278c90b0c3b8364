use std::fmt;

use serde::{de, ser};

use crate::wire::adaptors::UNKNOWN_EVENT_TYPE;
use crate::{CodecError, Subject};

/// What is wrong with a datum, in our words: serde's own may quote what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Fault(&'static str);

impl Fault {
    pub(super) const CUT: Self = Self("it ends too early");
    pub(super) const NOT_TEXT: Self = Self("a text is not UTF-8");
    pub(super) const OUT_OF_RANGE: Self = Self("a number is out of its range");
    pub(super) const NEGATIVE: Self = Self("a length or index is negative");
    pub(super) const NO_BRANCH: Self = Self("a nullable field is neither null nor a value");
    pub(super) const NO_SYMBOL: Self = Self("an enum has no symbol of that number");
    pub(super) const OTHER: Self = Self("a field does not hold what its schema says");
    const UNKNOWN_EVENT: Self = Self(UNKNOWN_EVENT_TYPE);

    pub(super) fn while_reading(self, subject: Subject) -> CodecError {
        match self {
            Self::UNKNOWN_EVENT => CodecError::UnknownEventType { what: subject.name() },
            Self(reason) => CodecError::Malformed { what: subject.name(), reason },
        }
    }

    pub(super) fn while_writing(self, subject: Subject) -> CodecError {
        CodecError::Unencodable { what: subject.name(), reason: "it does not fit its schema" }
    }
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        if message.to_string() == UNKNOWN_EVENT_TYPE { Self::UNKNOWN_EVENT } else { Self::OTHER }
    }
}

impl ser::Error for Fault {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::OTHER
    }
}
