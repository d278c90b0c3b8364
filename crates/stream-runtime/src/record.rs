use std::sync::Arc;

/// A header of a record.
pub type Header = (String, Vec<u8>);

/// A record as it was read from a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRecord {
    /// The topic it stands in.
    pub topic: Arc<str>,
    /// The partition it stands in.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// When it was written, in milliseconds since 1970.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<Header>,
}

impl SourceRecord {
    /// The last header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// Bytes of key and value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        bytes(&self.key, &self.value)
    }
}

/// A record to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Where to.
    pub topic: Arc<str>,
    /// Which partition.
    pub partition: i32,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<Header>,
}

impl Output {
    /// Bytes of key and value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        bytes(&self.key, &self.value)
    }
}

fn bytes(key: &Option<Vec<u8>>, value: &Option<Vec<u8>>) -> usize {
    key.as_ref().map_or(0, Vec::len) + value.as_ref().map_or(0, Vec::len)
}
