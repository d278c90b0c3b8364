use serde::ser::{Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::fault::Fault;

/// Appends the datum of `value` to `bytes`.
pub(super) fn write<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), Fault> {
    value.serialize(&mut Writer { bytes })
}

struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn long(&mut self, number: i64) {
        let mut zigzag = ((number << 1) ^ (number >> 63)).cast_unsigned();
        while zigzag > 0x7f {
            self.bytes.push((zigzag & 0x7f) as u8 | 0x80);
            zigzag >>= 7;
        }
        self.bytes.push(zigzag as u8);
    }

    fn length(&mut self, length: usize) -> Result<(), Fault> {
        self.long(i64::try_from(length).map_err(|_| Fault::OUT_OF_RANGE)?);
        Ok(())
    }

    /// The one block of an array or map; the end, which [`Writer::end_block`] writes, is an empty one.
    fn block(&mut self, length: Option<usize>) -> Result<(), Fault> {
        match length.ok_or(Fault::OTHER)? {
            0 => Ok(()),
            length => self.length(length),
        }
    }

    fn end_block(&mut self) -> Result<(), Fault> {
        self.bytes.push(0);
        Ok(())
    }
}

/// Types that no schema of ours has.
macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $answer:ty;)+) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$answer, Fault> { Err(Fault::OTHER) })+
    };
}

impl Serializer for &mut Writer<'_> {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeTuple = Impossible<(), Fault>;
    type SerializeTupleStruct = Impossible<(), Fault>;
    type SerializeTupleVariant = Impossible<(), Fault>;
    type SerializeStructVariant = Impossible<(), Fault>;

    fn serialize_bool(self, flag: bool) -> Result<(), Fault> {
        self.bytes.push(u8::from(flag));
        Ok(())
    }

    fn serialize_i32(self, number: i32) -> Result<(), Fault> {
        self.serialize_i64(number.into())
    }

    fn serialize_u32(self, number: u32) -> Result<(), Fault> {
        self.serialize_i64(number.into())
    }

    fn serialize_i64(self, number: i64) -> Result<(), Fault> {
        self.long(number);
        Ok(())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Fault> {
        self.bytes.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Fault> {
        self.length(text.len())?;
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Fault> {
        self.serialize_i64(0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Fault> {
        self.long(1);
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), Fault> {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Fault> {
        self.block(length)?;
        Ok(self)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Fault> {
        self.block(length)?;
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Fault> {
        Ok(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Fault> {
        Err(Fault::OTHER)
    }

    refuse! {
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_char(char) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_tuple(usize) -> Impossible<(), Fault>;
        serialize_tuple_struct(&'static str, usize) -> Impossible<(), Fault>;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Impossible<(), Fault>;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Impossible<(), Fault>;
    }
}

impl SerializeSeq for &mut Writer<'_> {
    type Ok = ();
    type Error = Fault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Fault> {
        self.end_block()
    }
}

impl SerializeMap for &mut Writer<'_> {
    type Ok = ();
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Fault> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Fault> {
        self.end_block()
    }
}

impl SerializeStruct for &mut Writer<'_> {
    type Ok = ();
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Fault> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Fault> {
        Ok(())
    }
}
