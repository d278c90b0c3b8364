/// Amounts stay below this many minor units, so that sums over any cart fit 64 bits.
pub(crate) const LIMIT: i64 = 1_000_000_000_000;

/// The number of digits of [`LIMIT`] less one: longer amounts need not be computed to be refused.
const DIGITS: i64 = 12;

/// The longest text that is read as an amount, in bytes.
const LONGEST: usize = 64;

/// Reads a decimal number of major units (`19.99`, `1e3`) as minor units of `currency`, digit by digit:
/// no binary fraction is involved. What lies beyond the currency's last digit is rounded half away from
/// zero; a currency that is not given counts as one of two digits.
///
/// `None` if the text is no decimal number, negative, or [`LIMIT`] minor units and more.
pub(crate) fn minor_units(text: &str, currency: Option<&str>) -> Option<i64> {
    if text.len() > LONGEST {
        return None;
    }
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent) + digits_after_the_point(currency);
    let minor = shifted(&digits, point)?;
    (minor == 0 || !negative).then_some(minor)
}

/// The number whose digits are the first `point` of `digits`, filled up with zeros and rounded by the
/// digit after them; `None` from [`LIMIT`] on.
fn shifted(digits: &[u8], point: i64) -> Option<i64> {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let digits = digits.get(zeros..).unwrap_or_default();
    let point = point - i64::try_from(zeros).ok()?;
    if digits.is_empty() || point < 0 {
        return Some(0);
    }
    if point > DIGITS {
        return None;
    }
    let point = usize::try_from(point).ok()?;
    let filled = digits.iter().copied().chain(std::iter::repeat(b'0')).take(point);
    let cut = filled.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    let rounded = cut + i64::from(digits.get(point).is_some_and(|digit| *digit >= b'5'));
    (rounded < LIMIT).then_some(rounded)
}

/// How many decimal digits the minor unit of a currency is away. Source: ISO 4217, list one.
fn digits_after_the_point(currency: Option<&str>) -> i64 {
    match currency.unwrap_or_default() {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn euro(text: &str) -> Option<i64> {
        minor_units(text, Some("EUR"))
    }

    #[test]
    fn decimals_that_binary_fractions_miss_are_exact() {
        // 1.15, 8.41 and 4.35 times 100 are a little less than 115, 841 and 435 in binary fractions.
        for (text, cents) in [("1.15", 115), ("8.41", 841), ("4.35", 435), ("0.1", 10), ("19.99", 1999)] {
            assert_eq!(euro(text), Some(cents), "{text}");
        }
        assert_eq!(euro("9999999999.99"), Some(999_999_999_999));
    }

    #[test]
    fn what_lies_beyond_the_last_digit_is_rounded_half_away_from_zero() {
        for (text, cents) in [("1.005", 101), ("1.0049999", 100), ("0.995", 100), ("0.004", 0), ("0.0005", 0)]
        {
            assert_eq!(euro(text), Some(cents), "{text}");
        }
        assert_eq!(minor_units("0.5", Some("JPY")), Some(1));
        assert_eq!(minor_units("0.49", Some("JPY")), Some(0));
    }

    #[test]
    fn each_currency_has_its_own_minor_unit() {
        assert_eq!(minor_units("1234", Some("JPY")), Some(1234));
        assert_eq!(minor_units("50000", Some("KRW")), Some(50_000));
        assert_eq!(minor_units("1.234", Some("KWD")), Some(1234));
        assert_eq!(minor_units("1.5", Some("TND")), Some(1500));
        assert_eq!(minor_units("1.5", Some("PLN")), Some(150));
        assert_eq!(minor_units("1.5", None), Some(150));
    }

    #[test]
    fn an_exponent_moves_the_point() {
        let cases = [("1e3", 100_000), ("1.5E+2", 15_000), ("12345e-2", 12_345), ("5e-3", 1), ("1e-400", 0)];
        for (text, cents) in cases {
            assert_eq!(euro(text), Some(cents), "{text}");
        }
        assert_eq!(euro("0e2000000000"), Some(0));
        assert_eq!(euro("1e2000000000"), None);
    }

    #[test]
    fn negative_and_absurd_amounts_are_none() {
        for text in ["-0.01", "-5", "10000000000", "9999999999.995", "1e99"] {
            assert_eq!(euro(text), None, "{text}");
        }
        assert_eq!(euro("-0.00"), Some(0));
    }

    #[test]
    fn what_is_no_plain_decimal_number_is_none() {
        for text in ["", ".", "-", "e5", "1e", "1e1e1", "1,99", "1.9.9", "€5", "0x10", "NaN", "inf", "١"] {
            assert_eq!(euro(text), None, "{text}");
        }
        assert_eq!(euro(&"1".repeat(LONGEST + 1)), None);
    }

    proptest! {
        #[test]
        fn cents_written_with_two_digits_read_back(cents in 0..LIMIT) {
            prop_assert_eq!(euro(&format!("{}.{:02}", cents / 100, cents % 100)), Some(cents));
        }

        #[test]
        fn cents_written_as_a_json_number_read_back(cents in 0..LIMIT) {
            let number: Result<serde_json::Number, _> = format!("{}.{:02}", cents / 100, cents % 100).parse();
            prop_assert_eq!(number.ok().and_then(|number| euro(&number.to_string())), Some(cents));
        }
    }
}
