use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::fault::Fault;

/// The value that `datum` begins with, and what follows it.
///
/// Nothing is allocated on the word of a length: a text is as long as bytes are left, and each entry of an array or
/// map takes a byte at least.
pub(super) fn read<T: DeserializeOwned>(datum: &[u8]) -> Result<(T, &[u8]), Fault> {
    let mut reader = Reader { rest: datum };
    let value = T::deserialize(&mut reader)?;
    Ok((value, reader.rest))
}

struct Reader<'de> {
    rest: &'de [u8],
}

impl<'de> Reader<'de> {
    fn long(&mut self) -> Result<i64, Fault> {
        let mut zigzag = 0;
        for (place, byte) in self.rest.iter().take(10).enumerate() {
            if place == 9 && *byte > 1 {
                return Err(Fault::OUT_OF_RANGE);
            }
            zigzag |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[place + 1..];
                return Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
            }
        }
        Err(Fault::CUT)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Fault::CUT)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn text(&mut self) -> Result<&'de str, Fault> {
        let length = usize::try_from(self.long()?).map_err(|_| Fault::NEGATIVE)?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or(Fault::CUT)?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| Fault::NOT_TEXT)
    }

    fn index(&mut self) -> Result<u32, Fault> {
        u32::try_from(self.long()?).map_err(|_| Fault::NEGATIVE)
    }

    /// How many entries the next block of an array or map has; none at its end.
    fn block(&mut self) -> Result<u64, Fault> {
        let entries = self.long()?;
        if entries < 0 {
            // Its size in bytes stands here, for readers that skip it.
            self.long()?;
        }
        Ok(entries.unsigned_abs())
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Fault;

    /// A datum does not say what it is.
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(Fault::OTHER)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.take()? {
            [0] => visitor.visit_bool(false),
            [1] => visitor.visit_bool(true),
            _ => Err(Fault::OTHER),
        }
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_i32(i32::try_from(self.long()?).map_err(|_| Fault::OUT_OF_RANGE)?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_u32(u32::try_from(self.long()?).map_err(|_| Fault::OUT_OF_RANGE)?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_i64(self.long()?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_f64(f64::from_le_bytes(self.take()?))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.long()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self),
            _ => Err(Fault::NO_BRANCH),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(Entries { left: 0, reader: self })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(Entries { left: 0, reader: self })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_seq(Fields { left: fields.len(), reader: self })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        symbols: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.index()? {
            index if (index as usize) < symbols.len() => visitor.visit_enum(Symbol(index)),
            _ => Err(Fault::NO_SYMBOL),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u64 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
        ignored_any
    }
}

/// The fields of a record, which stand there without names, in the order of the schema.
struct Fields<'a, 'de> {
    left: usize,
    reader: &'a mut Reader<'de>,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

/// The entries of an array or map, block by block; the last block is an empty one.
struct Entries<'a, 'de> {
    left: u64,
    reader: &'a mut Reader<'de>,
}

impl<'de> Entries<'_, 'de> {
    fn next<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        if self.left == 0 {
            self.left = self.reader.block()?;
        }
        match self.left {
            0 => Ok(None),
            left => {
                self.left = left - 1;
                seed.deserialize(&mut *self.reader).map(Some)
            }
        }
    }
}

impl<'de> SeqAccess<'de> for Entries<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.next(seed)
    }
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.next(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        seed.deserialize(&mut *self.reader)
    }
}

/// A symbol of an enum, by its number.
struct Symbol(u32);

impl<'de> EnumAccess<'de> for Symbol {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let number: U32Deserializer<Fault> = self.0.into_deserializer();
        Ok((seed.deserialize(number)?, self))
    }
}

impl<'de> VariantAccess<'de> for Symbol {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Fault> {
        Err(Fault::OTHER)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(Fault::OTHER)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Fault> {
        Err(Fault::OTHER)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn whole<T: DeserializeOwned>(datum: &[u8]) -> Result<T, Fault> {
        read(datum).map(|(value, _)| value)
    }

    #[test]
    fn the_numbers_of_the_specification_are_read() {
        for (bytes, number) in
            [(&[0x00][..], 0), (&[0x01], -1), (&[0x02], 1), (&[0x7f], -64), (&[0x80, 0x01], 64)]
        {
            assert_eq!(whole::<i64>(bytes), Ok(number));
        }
        let least = [[0xff; 9].as_slice(), &[0x01]].concat();
        assert_eq!(whole::<i64>(&least), Ok(i64::MIN));
        assert_eq!(whole::<i32>(&least), Err(Fault::OUT_OF_RANGE));
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused() {
        assert_eq!(whole::<i64>(&[[0xff; 9].as_slice(), &[0x02]].concat()), Err(Fault::OUT_OF_RANGE));
        assert_eq!(whole::<i64>(&[0xff; 20]), Err(Fault::OUT_OF_RANGE));
        assert_eq!(whole::<i64>(&[0xff; 9]), Err(Fault::CUT));
    }

    #[test]
    fn an_array_may_come_in_blocks_with_or_without_their_size() {
        let blocks = [4, 2, 4, 3, 4, 6, 8, 0];
        assert_eq!(whole::<Vec<i64>>(&blocks), Ok(vec![1, 2, 3, 4]));
        let entries = [1, 6, 2, b'a', 2, 2, 2, b'b', 4, 0];
        let map = BTreeMap::from([("a".to_owned(), 1_i64), ("b".to_owned(), 2)]);
        assert_eq!(whole(&entries), Ok(map));
    }

    #[test]
    fn a_flag_and_a_union_have_two_values_each() {
        assert_eq!(whole::<bool>(&[2]), Err(Fault::OTHER));
        assert_eq!(whole::<Option<bool>>(&[0]), Ok(None));
        assert_eq!(whole::<Option<bool>>(&[2, 1]), Ok(Some(true)));
        assert_eq!(whole::<Option<bool>>(&[4, 1]), Err(Fault::NO_BRANCH));
    }
}
