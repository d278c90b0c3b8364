use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use crate::{Code, Rejection};

/// How deep objects and lists may lie in each other.
const DEEPEST: usize = 32;

/// The members of a JSON object by key.
pub(crate) type Members<'a> = BTreeMap<Cow<'a, str>, Json<'a>>;

/// A JSON value that borrows its text from the record where that has no escapes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Flag(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Members<'a>),
}

/// Reads one JSON object. Depth is bounded before anything nests, so no input can exhaust the stack.
pub(crate) fn parse_object(value: &[u8]) -> Result<Members<'_>, Rejection> {
    let not_json = |detail| Rejection::of_record(Code::NotJson, detail);
    let text = std::str::from_utf8(value).map_err(|_| not_json("must be UTF-8"))?;
    if is_deeper_than(DEEPEST, value) {
        return Err(Rejection::of_record(Code::TooDeep, "must not nest more than 32 deep"));
    }
    match serde_json::from_str(text) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(_) => Err(not_json("must be a JSON object")),
        // A value of any type is welcome, so the only fault that lies in the data is a key given twice.
        Err(error) if error.is_data() => {
            Err(Rejection::of_record(Code::DuplicateKey, "an object names a key twice"))
        }
        Err(_) => Err(not_json("must be one complete JSON object")),
    }
}

/// Whether brackets outside of strings open more than `deepest` levels. On text that is no JSON the answer
/// holds up to the place where a parser stops.
fn is_deeper_than(deepest: usize, value: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in value {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > deepest {
            return true;
        }
    }
    false
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::new();
        while let Some((Key(key), value)) = entries.next_entry()? {
            if members.insert(key, value).is_some() {
                return Err(A::Error::custom("duplicate key"));
            }
        }
        Ok(Json::Object(members))
    }
}

/// A key that borrows where it can; serde copies a bare `Cow` always.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<Code> {
        parse_object(text.as_bytes()).err().map(|rejection| rejection.code)
    }

    #[test]
    fn an_object_is_read_with_every_kind_of_value() {
        let members = parse_object(br#"{"a":null,"b":[true,1,-2,0.5],"\u0063":"d\n","e":{"f":"g"}}"#);
        let number = |text: &str| Json::Number(text.parse().unwrap_or_else(|_| 0.into()));
        let list = vec![Json::Flag(true), number("1"), number("-2"), number("0.5")];
        let nested = Members::from([("f".into(), Json::Text("g".into()))]);
        let expected = Members::from([
            ("a".into(), Json::Null),
            ("b".into(), Json::List(list)),
            ("c".into(), Json::Text("d\n".into())),
            ("e".into(), Json::Object(nested)),
        ]);
        assert_eq!(members, Ok(expected));
    }

    #[test]
    fn what_is_not_one_json_object_is_refused() {
        let texts =
            ["", "null", "[]", "5", "{", r#"{"a":1"#, r#"{"a":1}{}"#, "{} x", "\u{feff}{}", "{'a':1}"];
        for text in texts.into_iter().chain([r#"{"a":1e999}"#, r#"{"a":NaN}"#, r#"{"a":"\ud800"}"#]) {
            assert_eq!(code(text), Some(Code::NotJson), "{text}");
        }
        let not_utf8 = parse_object(b"{\"a\":\"\xff\"}").err().map(|rejection| rejection.code);
        assert_eq!(not_utf8, Some(Code::NotJson));
    }

    #[test]
    fn a_key_given_twice_is_refused_at_any_depth_and_however_it_is_spelt() {
        assert_eq!(code(r#"{"a":1,"a":1}"#), Some(Code::DuplicateKey));
        assert_eq!(code(r#"{"a":[{"b":1,"\u0062":2}]}"#), Some(Code::DuplicateKey));
        assert_eq!(code(r#"{"a":{"b":1},"b":2}"#), None);
    }

    #[test]
    fn thirty_two_levels_pass_and_one_more_does_not() {
        let nested =
            |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert_eq!(code(&nested(DEEPEST)), None);
        assert_eq!(code(&nested(DEEPEST + 1)), Some(Code::TooDeep));
        assert_eq!(code(&nested(1_000_000)), Some(Code::TooDeep));
        assert_eq!(code(&"[".repeat(1_000_000)), Some(Code::TooDeep));
    }

    #[test]
    fn brackets_inside_of_strings_do_not_nest() {
        let text = format!(r#"{{"a":"\"{}\\"}}"#, "[{".repeat(100));
        assert_eq!(code(&text), None);
    }
}
