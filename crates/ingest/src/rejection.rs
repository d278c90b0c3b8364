use std::fmt;

/// Why a record did not become an event.
///
/// It never repeats what the sender wrote: no value, and no key the sender chose. So it can be logged and
/// shown, and carries no personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Rejection {
    /// Stable code of the reason.
    pub code: Code,
    /// Path of the field at fault, such as `properties.products[2].price`; empty for the whole record.
    pub field: String,
    /// What was expected, in a few words for a person.
    pub detail: String,
}

impl Rejection {
    /// A rejection because of one field. The detail is fixed text, so that no payload can slip into it.
    pub(crate) fn of_field(code: Code, field: impl Into<String>, detail: &'static str) -> Self {
        Self { code, field: field.into(), detail: detail.to_owned() }
    }

    /// A rejection of the whole record.
    pub(crate) fn of_record(code: Code, detail: &'static str) -> Self {
        Self::of_field(code, "", detail)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, field, detail } = self;
        match field.is_empty() {
            true => write!(formatter, "{code}: {detail}"),
            false => write!(formatter, "{code} {field}: {detail}"),
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// Why a record was rejected. The names are stable: alerts and replays are written against them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            /// Every code, in the order of the checks.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name, such as `NO_IDENTITY`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

codes! {
    /// The record has no value.
    NullValue = "NULL_VALUE",
    /// The value is longer than the source allows.
    TooLarge = "TOO_LARGE",
    /// The value is shorter than the frame that stands before a datum.
    ShortFrame = "SHORT_FRAME",
    /// The first byte is neither that of a frame nor a version.
    BadMagic = "BAD_MAGIC",
    /// The frame names another schema than the source's.
    UnknownSchema = "UNKNOWN_SCHEMA",
    /// What follows is not a datum of the schema.
    NotAvro = "NOT_AVRO",
    /// Bytes follow the datum.
    TrailingBytes = "TRAILING_BYTES",
    /// Objects and lists lie more than 32 deep in each other.
    TooDeep = "TOO_DEEP",
    /// The value is not one JSON object in UTF-8.
    NotJson = "NOT_JSON",
    /// An object names a key twice.
    DuplicateKey = "DUPLICATE_KEY",
    /// The value is not a row of as many fields as the format has.
    NotCsv = "NOT_CSV",
    /// A required field is not there.
    MissingField = "MISSING_FIELD",
    /// A field is of the wrong type, too long, or has too many entries.
    BadField = "BAD_FIELD",
    /// The format has no such event.
    UnknownEvent = "UNKNOWN_EVENT",
    /// The source does not declare the tenant.
    UnknownTenant = "UNKNOWN_TENANT",
    /// An id is empty, longer than 128 characters or holds a control character; or a tenant is not of
    /// 1 to 64 letters, digits, `.`, `_` and `-`.
    BadId = "BAD_ID",
    /// A time is no time.
    BadTime = "BAD_TIME",
    /// More than 200 items.
    TooManyItems = "TOO_MANY_ITEMS",
    /// A quantity is not a whole number from 1 to 10,000.
    BadQuantity = "BAD_QUANTITY",
    /// An amount is no decimal number, negative, or 10^12 minor units and more.
    BadMoney = "BAD_MONEY",
    /// A currency is not of three letters.
    BadCurrency = "BAD_CURRENCY",
    /// Neither a customer nor a visitor is named.
    NoIdentity = "NO_IDENTITY",
    /// There is an amount and no currency.
    MoneyWithoutCurrency = "MONEY_WITHOUT_CURRENCY",
    /// A change of a cart without its items or without saying which change.
    BadCartOp = "BAD_CART_OP",
    /// An order event without its order id, or a completed order without items.
    BadOrder = "BAD_ORDER",
    /// It happened before the year 2000: most often seconds where milliseconds belong.
    TimeAbsurd = "TIME_ABSURD",
    /// It happened more than 5 minutes after it was received or produced.
    TimeFuture = "TIME_FUTURE",
    /// It happened more than 400 days before it was received.
    TooLate = "TOO_LATE",
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_reads_as_code_field_and_reason() {
        let of_field = Rejection::of_field(Code::BadMoney, "properties.price", "must not be negative");
        assert_eq!(of_field.to_string(), "BAD_MONEY properties.price: must not be negative");
        let of_record = Rejection::of_record(Code::NullValue, "the record has no value");
        assert_eq!(of_record.to_string(), "NULL_VALUE: the record has no value");
    }

    #[test]
    fn a_code_is_named_after_its_variant() {
        for code in Code::ALL {
            let squeezed = code.name().replace('_', "").to_lowercase();
            assert_eq!(squeezed, format!("{code:?}").to_lowercase());
        }
    }
}
