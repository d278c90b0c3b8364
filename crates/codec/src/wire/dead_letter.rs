use std::borrow::Cow;

use events::DeadLetter;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{as_json, outward};
use crate::{CodecError, Outward, Subject};

/// The largest dead letter: 4 MiB, which is what its topic takes.
pub const MAX_DEAD_LETTER_BYTES: usize = 4 * 1024 * 1024;

const SUBJECT: Subject = Subject::DeadLetter;

pub(crate) fn encode(letter: &DeadLetter, form: Outward) -> Result<Vec<u8>, CodecError> {
    outward::encode(SUBJECT, &DeadLetterWire::try_from(letter)?, form)
}

pub(crate) fn decode(bytes: &[u8]) -> Result<DeadLetter, CodecError> {
    outward::decode::<DeadLetterWire<'_>>(SUBJECT, bytes)?.try_into()
}

pub(crate) fn to_json(letter: &DeadLetter) -> Result<Value, CodecError> {
    as_json(SUBJECT, &DeadLetterWire::try_from(letter)?)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadLetterWire<'a> {
    stage: Cow<'a, str>,
    source: Cow<'a, str>,
    code: Cow<'a, str>,
    field: Cow<'a, str>,
    detail: Cow<'a, str>,
    key: Option<Cow<'a, str>>,
    key_hex: Option<String>,
    payload: Option<Cow<'a, str>>,
    payload_hex: Option<String>,
    payload_bytes: i64,
}

impl<'a> TryFrom<&'a DeadLetter> for DeadLetterWire<'a> {
    type Error = CodecError;

    fn try_from(letter: &'a DeadLetter) -> Result<Self, CodecError> {
        let (key, key_hex) = text_or_hex(letter.key.as_deref());
        let (payload, payload_hex) = text_or_hex(letter.payload.as_deref());
        let payload_bytes = i64::try_from(letter.payload_bytes).map_err(|_| CodecError::Unencodable {
            what: SUBJECT.name(),
            reason: "payload_bytes is over 2^63 - 1",
        })?;
        Ok(Self {
            stage: Cow::Borrowed(&letter.stage),
            source: Cow::Borrowed(&letter.source),
            code: Cow::Borrowed(&letter.code),
            field: Cow::Borrowed(&letter.field),
            detail: Cow::Borrowed(&letter.detail),
            key,
            key_hex,
            payload,
            payload_hex,
            payload_bytes,
        })
    }
}

impl TryFrom<DeadLetterWire<'_>> for DeadLetter {
    type Error = CodecError;

    fn try_from(wire: DeadLetterWire<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            stage: wire.stage.into_owned(),
            source: wire.source.into_owned(),
            code: wire.code.into_owned(),
            field: wire.field.into_owned(),
            detail: wire.detail.into_owned(),
            key: bytes_of(wire.key, wire.key_hex)?,
            payload: bytes_of(wire.payload, wire.payload_hex)?,
            payload_bytes: u64::try_from(wire.payload_bytes)
                .map_err(|_| malformed("payload_bytes is negative"))?,
        })
    }
}

/// Text as it is, anything else in hexadecimal.
///
/// Control characters are no text: JSON would write each in six bytes, so that a record of zeros could
/// not fit its own dead letter, and a terminal would obey them.
fn text_or_hex(bytes: Option<&[u8]>) -> (Option<Cow<'_, str>>, Option<String>) {
    let Some(bytes) = bytes else { return (None, None) };
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(is_text) => (Some(Cow::Borrowed(text)), None),
        _ => (None, Some(to_hex(bytes))),
    }
}

fn is_text(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r') || !character.is_control()
}

fn bytes_of(text: Option<Cow<'_, str>>, hex: Option<String>) -> Result<Option<Vec<u8>>, CodecError> {
    match (text, hex) {
        (Some(_), Some(_)) => Err(malformed("it has the same bytes as text and in hexadecimal")),
        (Some(text), None) => Ok(Some(text.into_owned().into_bytes())),
        (None, Some(hex)) => from_hex(&hex).map(Some),
        (None, None) => Ok(None),
    }
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 0x0f)]));
    }
    hex
}

fn from_hex(hex: &str) -> Result<Vec<u8>, CodecError> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(malformed("a text in hexadecimal has half a byte"));
    }
    let byte = |[high, low]: &[u8; 2]| Some(nibble(*high)? << 4 | nibble(*low)?);
    pairs.iter().map(byte).collect::<Option<_>>().ok_or(malformed("a text in hexadecimal has another digit"))
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn malformed(reason: &'static str) -> CodecError {
    outward::malformed(SUBJECT, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_reads_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&bytes)), Ok(bytes));
    }

    #[test]
    fn other_digits_are_refused() {
        for hex in ["0", "0g", "AB", "ź"] {
            assert!(from_hex(hex).is_err(), "{hex}");
        }
    }
}
