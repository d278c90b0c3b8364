//! As much of Kafka's protocol as it takes to tell requests apart.

/// The kind of request that carries records.
pub(crate) const PRODUCE: i16 = 0;
/// The kind of request that commits or aborts a transaction.
pub(crate) const END_TRANSACTION: i16 = 26;
/// From this version on a request of records is written in the compact form.
const COMPACT_PRODUCE: i16 = 9;
/// From this version on so is the end of a transaction.
const COMPACT_END: i16 = 3;

/// A request that belongs to a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Kafka's number for its kind.
    pub(crate) kind: i16,
    /// Whose transaction.
    pub(crate) transactional_id: String,
}

/// The request in these bytes, behind their length; `None` if it is of another kind, or of no transaction.
pub(crate) fn read(bytes: &[u8]) -> Option<Request> {
    let (kind, bytes) = number(bytes)?;
    let (version, bytes) = number(bytes)?;
    if ![PRODUCE, END_TRANSACTION].contains(&kind) {
        return None;
    }
    // The correlation id, then who calls itself how.
    let (_, bytes) = text(bytes.get(4..)?)?;
    let compact = version >= if kind == PRODUCE { COMPACT_PRODUCE } else { COMPACT_END };
    let transactional_id = match compact {
        true => compact_text(tags(bytes)?)?,
        false => text(bytes)?.0?,
    };
    Some(Request { kind, transactional_id })
}

/// The error code in the answer to the end of a transaction, behind its length: correlation id, throttle time, code.
pub(crate) fn error_of_end(answer: &[u8]) -> Option<i16> {
    number(answer.get(8..)?).map(|(code, _)| code)
}

fn number(bytes: &[u8]) -> Option<(i16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    Some((i16::from_be_bytes(*number), rest))
}

/// A text with its length in two bytes before it; -1 stands for none.
fn text(bytes: &[u8]) -> Option<(Option<String>, &[u8])> {
    let (length, rest) = number(bytes)?;
    let Ok(length) = usize::try_from(length) else { return Some((None, rest)) };
    let (text, rest) = rest.split_at_checked(length)?;
    Some((Some(String::from_utf8(text.to_vec()).ok()?), rest))
}

/// What follows an empty list of tagged fields; nobody sends others here.
fn tags(bytes: &[u8]) -> Option<&[u8]> {
    bytes.split_first().filter(|(count, _)| **count == 0).map(|(_, rest)| rest)
}

/// A text with one more than its length before it, in one byte: longer ones are not ours.
fn compact_text(bytes: &[u8]) -> Option<String> {
    let (length, rest) = bytes.split_first()?;
    let length = usize::from(*length).checked_sub(1).filter(|length| *length < 127)?;
    String::from_utf8(rest.get(..length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: i16, version: i16, body: &[u8]) -> Vec<u8> {
        let mut bytes = [kind.to_be_bytes(), version.to_be_bytes()].concat();
        bytes.extend([0, 0, 0, 9, 0, 6]);
        bytes.extend(b"paczek");
        bytes.extend(body);
        bytes
    }

    #[test]
    fn the_transaction_of_a_request_is_read_in_both_forms() {
        let own = |kind| Some(Request { kind, transactional_id: "tx".to_owned() });
        assert_eq!(read(&request(END_TRANSACTION, 1, b"\0\x02tx\0\0")), own(END_TRANSACTION));
        assert_eq!(read(&request(PRODUCE, 8, b"\0\x02tx\xff\xff")), own(PRODUCE));
        assert_eq!(read(&request(PRODUCE, 10, b"\0\x03tx\xff\xff")), own(PRODUCE));
    }

    #[test]
    fn what_is_of_no_transaction_is_none() {
        assert_eq!(read(&request(PRODUCE, 8, b"\xff\xff\0")), None, "an idempotent producer at most");
        assert_eq!(read(&request(3, 1, b"\0\x02tx")), None, "another kind");
        for cut in 0..18 {
            assert_eq!(read(&request(END_TRANSACTION, 1, b"\0\x02tx")[..cut]), None);
        }
    }

    #[test]
    fn the_error_of_an_answer_is_read() {
        assert_eq!(error_of_end(&[0, 0, 0, 9, 0, 0, 0, 0, 0, 47]), Some(47));
        assert_eq!(error_of_end(&[0, 0, 0, 9]), None);
    }
}
