//! Confluent's frame, by which the usual readers of Avro find the schema: a byte 0, the schema's id in four
//! bytes with the highest first, then the datum.

use crate::CodecError;

/// The first byte of a frame. No version byte and no JSON begins like this.
pub(crate) const MAGIC: u8 = 0;

const LENGTH: usize = 5;

/// The frame of a datum of that schema.
pub(crate) fn head(schema_id: u32) -> [u8; LENGTH] {
    let [first, second, third, fourth] = schema_id.to_be_bytes();
    [MAGIC, first, second, third, fourth]
}

/// The schema id and the datum of framed `bytes`, whose first byte is [`MAGIC`].
pub(crate) fn open<'a>(what: &'static str, bytes: &'a [u8]) -> Result<(u32, &'a [u8]), CodecError> {
    match bytes.split_first_chunk::<LENGTH>() {
        Some(([_, id @ ..], datum)) => Ok((u32::from_be_bytes(*id), datum)),
        None => Err(CodecError::ShortFrame { what, bytes: bytes.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_byte_of_the_id_comes_first() {
        assert_eq!(head(0x0102_0304), [0, 1, 2, 3, 4]);
        assert_eq!(open("x", &[0, 1, 2, 3, 4, 5]), Ok((0x0102_0304, &[5][..])));
    }

    #[test]
    fn a_frame_that_ends_in_its_id_is_refused() {
        assert_eq!(open("x", &[0, 0, 0, 1]), Err(CodecError::ShortFrame { what: "x", bytes: 4 }));
        assert_eq!(open("x", &[0, 0, 0, 0, 1]), Ok((1, &[][..])));
    }
}
