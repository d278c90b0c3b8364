/// Why bytes could not be read, or a value not be written.
///
/// Every message says what to do, and none repeats what was read, so it may stand in a log or a dead
/// letter. `what` is a subject's name or `stored state`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The value is over its limit; it was not looked into.
    #[error("{what} has {bytes} bytes and may have {limit}: make the record smaller where it is written")]
    TooLarge {
        /// The subject.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The largest size that is read or written.
        limit: usize,
    },
    /// There are no bytes at all.
    #[error("{what} is empty: its first byte must be a version; check what writes this topic or store")]
    Empty {
        /// The subject, or stored state.
        what: &'static str,
    },
    /// The first byte names a version this build does not read.
    #[error(
        "{what} is of version {found} and this build reads version {known}: use a build that reads {found}"
    )]
    UnknownVersion {
        /// The subject, or stored state.
        what: &'static str,
        /// The version in the bytes.
        found: u8,
        /// The version this build reads.
        known: u8,
    },
    /// The bytes do not follow the schema or the type.
    #[error("{what} cannot be read: {reason}; check what writes this topic or store")]
    Malformed {
        /// The subject, or stored state.
        what: &'static str,
        /// What is wrong, in words.
        reason: &'static str,
    },
    /// The frame ends before the schema id does.
    #[error(
        "{what} has {bytes} bytes and its frame alone has 5: a 0 and four bytes of schema id; check what writes this topic"
    )]
    ShortFrame {
        /// The subject.
        what: &'static str,
        /// Its size.
        bytes: usize,
    },
    /// The frame names a schema that is not known to be ours.
    #[error(
        "{what} is framed with a schema id that the registry file does not give to its topic: add it there, or write with the id that stands there"
    )]
    UnknownSchema {
        /// The subject.
        what: &'static str,
    },
    /// Something happened that has no canonical name.
    #[error("{what} has an event_type that this build does not know: use a canonical name, or a newer build")]
    UnknownEventType {
        /// The subject.
        what: &'static str,
    },
    /// A whole value was read, and bytes are left.
    #[error(
        "{what} is followed by {bytes} bytes that belong to nothing: check what writes this topic or store"
    )]
    TrailingBytes {
        /// The subject, or stored state.
        what: &'static str,
        /// How many bytes are left.
        bytes: usize,
    },
    /// The value has no form on the wire.
    #[error("{what} cannot be written: {reason}; correct the value where it is made")]
    Unencodable {
        /// The subject, or stored state.
        what: &'static str,
        /// What is wrong, in words.
        reason: &'static str,
    },
}
