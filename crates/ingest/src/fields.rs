use std::{borrow::Cow, collections::BTreeMap};

use events::EventTime;

use crate::{
    Code, Rejection, instant,
    json::{self, Json, Members},
    money,
};

/// The most items of one event: Google Analytics 4 sends up to 200.
pub(crate) const MOST_ITEMS: usize = 200;

/// The most entries of a map or of a list of texts.
pub(crate) const MOST_ENTRIES: usize = 64;

/// The longest text, in characters.
const LONGEST_TEXT: usize = 2_048;

/// The longest address of a page or picture, in characters.
const LONGEST_URL: usize = 8_192;

/// The longest id, in characters.
const LONGEST_ID: usize = 128;

/// The longest name of a tenant, in characters.
const LONGEST_TENANT: usize = 64;

/// The greatest quantity of one item.
const MOST_PIECES: i32 = 10_000;

/// The members of a JSON object that have not been read yet.
///
/// Reading takes a member out, so what is left at the end is what the format does not know. A member that
/// is `null` counts as absent. Names are fixed text: no path can hold a key that the sender chose.
pub(crate) struct Fields<'a> {
    path: String,
    members: Members<'a>,
}

impl<'a> Fields<'a> {
    /// The members of the object that a whole record is.
    pub(crate) fn parse(value: &'a [u8]) -> Result<Self, Rejection> {
        Ok(Self { path: String::new(), members: json::parse_object(value)? })
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a member is there and not `null`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|member| *member != Json::Null)
    }

    /// The rejection of a required member that is not there.
    pub(crate) fn missing(&self, name: &'static str) -> Rejection {
        self.refuse(Code::MissingField, name, "is required")
    }

    /// A rejection because of a member.
    pub(crate) fn refuse(&self, code: Code, name: &'static str, detail: &'static str) -> Rejection {
        Rejection::of_field(code, self.path_of(name), detail)
    }

    /// A text of at most 2,048 characters; an empty one counts as absent.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, Rejection> {
        self.text_up_to(LONGEST_TEXT, name, "must be text of at most 2048 characters")
    }

    /// An address of at most 8,192 characters; an empty one counts as absent.
    pub(crate) fn url(&mut self, name: &'static str) -> Result<Option<String>, Rejection> {
        self.text_up_to(LONGEST_URL, name, "must be text of at most 8192 characters")
    }

    /// An id: 1 to 128 characters, none of them a control character.
    pub(crate) fn id(&mut self, name: &'static str) -> Result<Option<String>, Rejection> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Text(id)) if is_id(&id) => Ok(Some(id.into_owned())),
            Some(Json::Text(_)) => Err(self.refuse(Code::BadId, name, ID_SHAPE)),
            Some(_) => Err(self.refuse(Code::BadField, name, "must be text")),
        }
    }

    /// An id that senders also write as a whole number.
    pub(crate) fn id_or_number(&mut self, name: &'static str) -> Result<Option<String>, Rejection> {
        if let Some(member) = self.members.get_mut(name)
            && let Json::Number(number) = member
            && !number.is_f64()
        {
            *member = Json::Text(Cow::Owned(number.to_string()));
        }
        self.id(name)
    }

    /// The id of the event; without one, the number of the line it was loaded from.
    pub(crate) fn event_id(&mut self, name: &'static str, line: Option<u64>) -> Result<String, Rejection> {
        match (self.id(name)?, line) {
            (Some(id), _) => Ok(id),
            (None, Some(line)) => Ok(line_id(line)),
            (None, None) => Err(self.missing(name)),
        }
    }

    /// A tenant: 1 to 64 letters, digits, `.`, `_` and `-` of ASCII.
    pub(crate) fn tenant(&mut self, name: &'static str) -> Result<Option<String>, Rejection> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        match self.take(name) {
            None => Ok(None),
            Some(Json::Text(tenant))
                if (1..=LONGEST_TENANT).contains(&tenant.len()) && tenant.bytes().all(allowed) =>
            {
                Ok(Some(tenant.into_owned()))
            }
            Some(Json::Text(_)) => {
                Err(self.refuse(Code::BadId, name, "must be 1 to 64 of A-Z a-z 0-9 . _ -"))
            }
            Some(_) => Err(self.refuse(Code::BadField, name, "must be text")),
        }
    }

    /// A time written as RFC 3339 with an offset.
    pub(crate) fn rfc3339(&mut self, name: &'static str) -> Result<Option<EventTime>, Rejection> {
        let time = match self.take(name) {
            None => return Ok(None),
            Some(Json::Text(text)) => instant::from_rfc3339(&text),
            Some(_) => return Err(self.refuse(Code::BadField, name, "must be text")),
        };
        time.map(Some).ok_or_else(|| self.refuse(Code::BadTime, name, "must be RFC 3339 with an offset"))
    }

    /// A time in whole milliseconds since 1970.
    pub(crate) fn millis(&mut self, name: &'static str) -> Result<Option<EventTime>, Rejection> {
        let time = match self.take(name) {
            None => return Ok(None),
            Some(Json::Number(number)) => number.as_i64().and_then(instant::from_millis),
            Some(_) => return Err(self.refuse(Code::BadField, name, "must be a number")),
        };
        time.map(Some).ok_or_else(|| self.refuse(Code::BadTime, name, "must be milliseconds since 1970"))
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, name: &'static str) -> Result<Option<i64>, Rejection> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Number(number)) if number.is_i64() => Ok(number.as_i64()),
            Some(_) => Err(self.refuse(Code::BadField, name, "must be a whole number of 64 bits")),
        }
    }

    /// A place in a list, from 0.
    pub(crate) fn position(&mut self, name: &'static str) -> Result<Option<i32>, Rejection> {
        let position = self.integer(name)?.map(i32::try_from).transpose();
        position
            .ok()
            .filter(|position| position.is_none_or(|position| position >= 0))
            .ok_or_else(|| self.refuse(Code::BadField, name, "must be from 0 to 2^31 - 1"))
    }

    /// A quantity from 1 to 10,000, as a number or as its text; 1 when absent.
    pub(crate) fn quantity(&mut self, name: &'static str) -> Result<i32, Rejection> {
        let quantity = match self.take(name) {
            None => return Ok(1),
            Some(Json::Number(number)) => whole(&number),
            Some(Json::Text(text)) => text.trim().parse().ok(),
            Some(_) => return Err(self.refuse(Code::BadField, name, "must be a number")),
        };
        quantity
            .filter(|quantity| (1..=MOST_PIECES).contains(quantity))
            .ok_or_else(|| self.refuse(Code::BadQuantity, name, "must be a whole number from 1 to 10000"))
    }

    /// A currency of three letters, in capitals.
    pub(crate) fn currency(&mut self, name: &'static str) -> Result<Option<String>, Rejection> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Text(code))
                if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) =>
            {
                Ok(Some(code.to_ascii_uppercase()))
            }
            Some(Json::Text(_)) => Err(self.refuse(Code::BadCurrency, name, "must be three letters")),
            Some(_) => Err(self.refuse(Code::BadField, name, "must be text")),
        }
    }

    /// An amount in major units of `currency`, as a number or as its text, in minor units.
    pub(crate) fn money(
        &mut self,
        name: &'static str,
        currency: Option<&str>,
    ) -> Result<Option<i64>, Rejection> {
        let minor = match self.take(name) {
            None => return Ok(None),
            // The shortest text that reads back as the number is what the sender wrote, up to 15 digits.
            Some(Json::Number(number)) => money::minor_units(&number.to_string(), currency),
            Some(Json::Text(text)) => money::minor_units(text.trim(), currency),
            Some(_) => return Err(self.refuse(Code::BadField, name, "must be a number")),
        };
        minor.map(Some).ok_or_else(|| self.refuse(Code::BadMoney, name, MONEY_SHAPE))
    }

    /// An amount in minor units.
    pub(crate) fn minor(&mut self, name: &'static str) -> Result<Option<i64>, Rejection> {
        let minor = match self.take(name) {
            None => return Ok(None),
            Some(Json::Number(number)) => number.as_i64(),
            Some(_) => return Err(self.refuse(Code::BadField, name, "must be a number")),
        };
        let bounded = minor.filter(|minor| (0..money::LIMIT).contains(minor));
        bounded.map(Some).ok_or_else(|| self.refuse(Code::BadMoney, name, MONEY_SHAPE))
    }

    /// An object; an absent one is as good as an empty one.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Self, Rejection> {
        let path = self.path_of(name);
        Ok(self.object_if_any(name)?.unwrap_or(Self { path, members: Members::new() }))
    }

    /// An object, where it matters whether it is there.
    pub(crate) fn object_if_any(&mut self, name: &'static str) -> Result<Option<Self>, Rejection> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Object(members)) => Ok(Some(Self { path: self.path_of(name), members })),
            Some(_) => Err(self.refuse(Code::BadField, name, "must be an object")),
        }
    }

    /// A list of objects; none when absent. More than `most` are refused with `too_many`.
    pub(crate) fn objects(
        &mut self,
        name: &'static str,
        most: usize,
        too_many: Code,
    ) -> Result<Vec<Self>, Rejection> {
        let list = self.list(name)?;
        if list.len() > most {
            return Err(self.refuse(too_many, name, "has too many entries"));
        }
        let numbered = list.into_iter().enumerate().map(|(index, value)| {
            let path = format!("{}[{index}]", self.path_of(name));
            match value {
                Json::Object(members) => Ok(Self { path, members }),
                _ => Err(Rejection::of_field(Code::BadField, path, "must be an object")),
            }
        });
        numbered.collect()
    }

    /// A list of at most 64 texts of at most 2,048 characters; none when absent.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, Rejection> {
        let list = self.list(name)?;
        if list.len() > MOST_ENTRIES {
            return Err(self.refuse(Code::BadField, name, "has too many entries"));
        }
        let texts = list.into_iter().map(|value| match value {
            Json::Text(text) if fits(&text, LONGEST_TEXT) => Ok(text.into_owned()),
            _ => Err(self.refuse(Code::BadField, name, "must be texts of at most 2048 characters")),
        });
        texts.collect()
    }

    /// An object of at most 64 texts under keys the sender chose; empty when absent.
    pub(crate) fn text_map(&mut self, name: &'static str) -> Result<BTreeMap<String, String>, Rejection> {
        self.map(name, Code::BadField, "must map short names to texts", |value| match value {
            Json::Text(text) if fits(&text, LONGEST_TEXT) => Some(text.into_owned()),
            _ => None,
        })
    }

    /// An object of at most 64 ids under keys the sender chose; empty when absent.
    pub(crate) fn id_map(&mut self, name: &'static str) -> Result<BTreeMap<String, String>, Rejection> {
        self.map(name, Code::BadId, ID_SHAPE, |value| match value {
            Json::Text(id) if is_id(&id) => Some(id.into_owned()),
            _ => None,
        })
    }

    /// An object of at most 64 flags under keys the sender chose; empty when absent.
    pub(crate) fn flag_map(&mut self, name: &'static str) -> Result<BTreeMap<String, bool>, Rejection> {
        self.map(name, Code::BadField, "must map short names to true or false", |value| match value {
            Json::Flag(flag) => Some(flag),
            _ => None,
        })
    }

    /// What was not read: texts as they are, numbers and flags as text. Lists and objects have no place
    /// in an event's attributes and are left out.
    pub(crate) fn rest(self) -> Result<BTreeMap<String, String>, Rejection> {
        let path = self.path;
        let refuse = |detail| Rejection::of_field(Code::BadField, path.as_str(), detail);
        let mut attributes = BTreeMap::new();
        for (key, value) in self.members {
            let Some(text) = scalar(value) else { continue };
            if !is_id(&key) {
                return Err(refuse("has a further member whose name is no name"));
            }
            if !fits(&text, LONGEST_TEXT) {
                return Err(refuse("has a further member of more than 2048 characters"));
            }
            attributes.insert(key.into_owned(), text);
        }
        match attributes.len() > MOST_ENTRIES {
            true => Err(refuse("has more than 64 further members")),
            false => Ok(attributes),
        }
    }

    fn text_up_to(
        &mut self,
        longest: usize,
        name: &'static str,
        detail: &'static str,
    ) -> Result<Option<String>, Rejection> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Text(text)) if fits(&text, longest) => {
                Ok((!text.is_empty()).then(|| text.into_owned()))
            }
            Some(_) => Err(self.refuse(Code::BadField, name, detail)),
        }
    }

    fn list(&mut self, name: &'static str) -> Result<Vec<Json<'a>>, Rejection> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Json::List(list)) => Ok(list),
            Some(_) => Err(self.refuse(Code::BadField, name, "must be a list")),
        }
    }

    fn map<T>(
        &mut self,
        name: &'static str,
        code: Code,
        detail: &'static str,
        read: impl Fn(Json<'a>) -> Option<T>,
    ) -> Result<BTreeMap<String, T>, Rejection> {
        let members = self.object(name)?.members;
        if members.len() > MOST_ENTRIES {
            return Err(self.refuse(Code::BadField, name, "has more than 64 entries"));
        }
        let entries = members.into_iter().filter(|(_, value)| *value != Json::Null).map(|(key, value)| {
            let value = read(value).filter(|_| is_id(&key));
            Ok((key.into_owned(), value.ok_or_else(|| self.refuse(code, name, detail))?))
        });
        entries.collect()
    }

    fn take(&mut self, name: &str) -> Option<Json<'a>> {
        self.members.remove(name).filter(|member| *member != Json::Null)
    }

    fn path_of(&self, name: &str) -> String {
        match self.path.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.path),
        }
    }
}

/// The id of an event that has none but the number of the line it was loaded from.
pub(crate) fn line_id(line: u64) -> String {
    format!("line:{line}")
}

/// Whether `text` can be an id or a key: 1 to 128 characters, none of them a control character.
pub(crate) fn is_id(text: &str) -> bool {
    !text.is_empty() && fits(text, LONGEST_ID) && !text.chars().any(char::is_control)
}

/// What [`is_id`] asks for, in words.
pub(crate) const ID_SHAPE: &str = "must be 1 to 128 characters without control characters";

const MONEY_SHAPE: &str = "must be a number from 0 to less than 10^12 minor units";

fn fits(text: &str, longest: usize) -> bool {
    text.len() <= longest || text.chars().count() <= longest
}

/// A number that may be written as `2.0`.
fn whole(number: &serde_json::Number) -> Option<i32> {
    match number.as_i64() {
        Some(integer) => i32::try_from(integer).ok(),
        None => {
            let integral = number.as_f64().filter(|value| value.fract() == 0.0)?;
            format!("{integral:.0}").parse().ok()
        }
    }
}

fn scalar(value: Json<'_>) -> Option<String> {
    match value {
        Json::Text(text) => Some(text.into_owned()),
        Json::Number(number) => Some(number.to_string()),
        Json::Flag(flag) => Some(flag.to_string()),
        Json::Null | Json::List(_) | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields<'_> {
        Fields::parse(text.as_bytes()).unwrap()
    }

    fn member(value: &str) -> String {
        format!(r#"{{"x":{value}}}"#)
    }

    #[test]
    fn texts_and_ids_are_counted_in_characters_and_not_in_bytes() {
        let quoted = |length: usize| member(&format!("\"{}\"", "ą".repeat(length)));
        assert!(fields(&quoted(2_048)).text("x").is_ok());
        assert!(fields(&quoted(2_049)).text("x").is_err());
        assert!(fields(&quoted(8_192)).url("x").is_ok());
        assert!(fields(&quoted(8_193)).url("x").is_err());
        assert!(fields(&quoted(128)).id("x").is_ok());
        assert!(fields(&quoted(129)).id("x").is_err());
    }

    #[test]
    fn null_and_empty_text_count_as_absent_but_an_empty_id_does_not() {
        assert_eq!(fields(&member("null")).text("x"), Ok(None));
        assert_eq!(fields(&member("null")).quantity("x"), Ok(1));
        assert_eq!(fields(&member("\"\"")).text("x"), Ok(None));
        assert_eq!(fields(&member("\"\"")).id("x").map_err(|rejection| rejection.code), Err(Code::BadId));
    }

    #[test]
    fn a_tenant_has_up_to_64_plain_characters() {
        for tenant in ["Shop_1.pl-PL", &"a".repeat(64)] {
            let read = fields(&member(&format!("\"{tenant}\""))).tenant("x");
            assert_eq!(read, Ok(Some(tenant.to_owned())));
        }
        for tenant in ["", "a b", "a|b", "a/b", "żabka", &"a".repeat(65)] {
            let read = fields(&member(&format!("\"{tenant}\""))).tenant("x");
            assert_eq!(read.map_err(|rejection| rejection.code), Err(Code::BadId), "{tenant}");
        }
    }

    #[test]
    fn a_quantity_is_whole_however_it_is_written() {
        for (text, quantity) in [("1", 1), ("10000", 10_000), ("3.0", 3), ("\"7\"", 7)] {
            assert_eq!(fields(&member(text)).quantity("x"), Ok(quantity), "{text}");
        }
        for text in ["0", "-1", "10001", "0.5", "1e300", "4294967297", "18446744073709551615", "\"two\""] {
            let read = fields(&member(text)).quantity("x").map_err(|rejection| rejection.code);
            assert_eq!(read, Err(Code::BadQuantity), "{text}");
        }
    }

    #[test]
    fn a_whole_number_can_be_an_id_where_senders_write_one() {
        assert_eq!(fields(&member("507")).id_or_number("x"), Ok(Some("507".to_owned())));
        assert!(fields(&member("507")).id("x").is_err());
        assert!(fields(&member("5.5")).id_or_number("x").is_err());
    }

    #[test]
    fn a_position_is_from_0_to_the_greatest_of_32_bits() {
        assert_eq!(fields(&member("0")).position("x"), Ok(Some(0)));
        assert_eq!(fields(&member("2147483647")).position("x"), Ok(Some(i32::MAX)));
        assert_eq!(fields("{}").position("x"), Ok(None));
        for text in ["-1", "2147483648", "1.5", "\"1\""] {
            assert!(fields(&member(text)).position("x").is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_read_is_no_longer_there() {
        let mut fields = fields(r#"{"a":"1","b":2,"c":true,"d":null,"e":[],"f":{}}"#);
        assert_eq!(fields.text("a"), Ok(Some("1".to_owned())));
        assert_eq!(fields.text("a"), Ok(None));
        let rest = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("c".to_owned(), "true".to_owned())]);
        assert_eq!(fields.rest(), Ok(rest));
    }

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let mut outer = fields(r#"{"a":{"b":[{},{"c":1}]}}"#);
        let mut inner = outer.object("a").unwrap().objects("b", 2, Code::TooManyItems).unwrap();
        let refused = inner[1].text("c").map_err(|rejection| rejection.field);
        assert_eq!(refused, Err("a.b[1].c".to_owned()));
    }

    #[test]
    fn sixty_four_entries_pass_and_one_more_does_not() {
        let list = |entries: usize| member(&format!("[{}]", vec![r#""a""#; entries].join(",")));
        assert_eq!(fields(&list(64)).texts("x").map(|texts| texts.len()), Ok(64));
        assert!(fields(&list(65)).texts("x").is_err());

        let map = |entries: usize| {
            let entries: Vec<String> = (0..entries).map(|index| format!(r#""k{index}":"a""#)).collect();
            format!("{{{}}}", entries.join(","))
        };
        assert_eq!(fields(&member(&map(64))).text_map("x").map(|texts| texts.len()), Ok(64));
        assert!(fields(&member(&map(65))).text_map("x").is_err());
        assert_eq!(fields(&map(64)).rest().map(|rest| rest.len()), Ok(64));
        assert!(fields(&map(65)).rest().is_err());
    }

    #[test]
    fn a_null_in_a_map_counts_as_absent() {
        let flags = fields(&member(r#"{"ads":true,"mail":null}"#)).flag_map("x");
        assert_eq!(flags, Ok(BTreeMap::from([("ads".to_owned(), true)])));
    }
}
