use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use events::{SpeechControl, SpeechKind};
use stream_runtime::{Failure, GlobalTable, Metric, Metrics, SourceRecord};

/// Its name in metrics.
pub(crate) const SPEAKING: &str = "speaking";

/// What tenants have switched off: the newest record of each key of `control`.
pub(crate) struct Speaking {
    /// Those that sources declare. Nothing is kept of others, so that it stays as small as the configuration.
    tenants: BTreeSet<String>,
    off: RwLock<BTreeSet<(String, SpeechKind)>>,
}

impl Speaking {
    /// Everything is on.
    pub(crate) fn new(tenants: BTreeSet<String>) -> Self {
        Self { tenants, off: RwLock::default() }
    }

    /// The tenants it knows.
    pub(crate) fn tenants(&self) -> &BTreeSet<String> {
        &self.tenants
    }

    /// Whether a tenant's speech of this kind is on.
    pub(crate) fn is_on(&self, tenant: &str, kind: SpeechKind) -> bool {
        let off = self.off.read().unwrap_or_else(PoisonError::into_inner);
        !off.iter().any(|(known, what)| known == tenant && *what == kind)
    }

    /// Takes a record in; the code of what is wrong with one that is left alone.
    fn switch(&self, record: &SourceRecord) -> Result<(), &'static str> {
        let unreadable = "UNREADABLE_CONTROL";
        let (tenant, kind) = record.key.as_deref().and_then(read_key).ok_or(unreadable)?;
        if !self.tenants.contains(tenant) {
            return Err("UNKNOWN_TENANT");
        }
        let speaking = match record.value.as_deref() {
            None => true,
            Some(value) => {
                let said = codec::decode_control(value).map_err(|_| unreadable)?;
                if said.tenant != tenant || said.kind != kind {
                    return Err(unreadable);
                }
                said.speaking
            }
        };
        let mut off = self.off.write().unwrap_or_else(PoisonError::into_inner);
        let switched = (tenant.to_owned(), kind);
        if speaking {
            off.remove(&switched)
        } else {
            off.insert(switched)
        };
        Ok(())
    }
}

impl GlobalTable for Speaking {
    fn take(&self, record: &SourceRecord, metrics: &Metrics) {
        if let Err(code) = self.switch(record) {
            metrics.add(Metric::DeadLetters, &[SPEAKING, code], 1);
        }
    }

    /// It is read from the beginning at every start: the topic is compacted and as small as the table.
    fn snapshot(&self) -> Result<Vec<u8>, Failure> {
        Ok(Vec::new())
    }

    fn restore(&self, _: Option<&[u8]>) -> Result<(), Failure> {
        self.off.write().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
}

/// The tenant and the kind that a key names.
fn read_key(key: &[u8]) -> Option<(&str, SpeechKind)> {
    let (tenant, name) = std::str::from_utf8(key).ok()?.rsplit_once('|')?;
    let kind = SpeechKind::ALL.into_iter().find(|kind| kind.name() == name)?;
    (SpeechControl::key(tenant, kind).as_bytes() == key).then_some((tenant, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARTS: SpeechKind = SpeechKind::AbandonedCarts;

    fn record(key: &[u8], value: Option<&[u8]>) -> SourceRecord {
        SourceRecord { key: Some(key.to_vec()), value: value.map(<[u8]>::to_vec), ..SourceRecord::default() }
    }

    fn switch(tenant: &str, speaking: bool) -> SourceRecord {
        let control = SpeechControl { tenant: tenant.to_owned(), kind: CARTS, speaking };
        record(
            SpeechControl::key(tenant, CARTS).as_bytes(),
            Some(&codec::encode_control(&control, codec::Outward::Json).unwrap()),
        )
    }

    fn table() -> Speaking {
        Speaking::new(BTreeSet::from(["bakery".to_owned(), "florist".to_owned()]))
    }

    #[test]
    fn the_newest_record_holds_and_a_tombstone_means_on() {
        let table = table();
        for (taken, on) in [
            (switch("bakery", false), false),
            (switch("bakery", true), true),
            (switch("bakery", false), false),
            (record(b"bakery|abandoned-carts", None), true),
        ] {
            assert_eq!(table.switch(&taken), Ok(()));
            assert_eq!(table.is_on("bakery", CARTS), on);
            assert!(table.is_on("florist", CARTS), "each tenant by itself");
            assert!(table.is_on("bakery", SpeechKind::Recommendations), "each kind by itself");
        }
    }

    #[test]
    fn what_cannot_be_believed_is_counted_and_changes_nothing() {
        let table = table();
        table.switch(&switch("bakery", false)).unwrap();
        let mut elsewhere = switch("bakery", true);
        elsewhere.key = Some(b"florist|abandoned-carts".to_vec());
        let metrics = Metrics::default();
        for (wrong, code) in [
            (record(b"bakery|abandoned-carts", Some(b"off")), "UNREADABLE_CONTROL"),
            (record(b"bakery|abandoned-carts", Some(b"")), "UNREADABLE_CONTROL"),
            (record(b"bakery|songs", None), "UNREADABLE_CONTROL"),
            (record(b"bakery", None), "UNREADABLE_CONTROL"),
            (record(&[0xff, b'|'], None), "UNREADABLE_CONTROL"),
            (SourceRecord { key: None, ..switch("bakery", true) }, "UNREADABLE_CONTROL"),
            (elsewhere, "UNREADABLE_CONTROL"),
            (switch("stranger", false), "UNKNOWN_TENANT"),
            (record(b"|abandoned-carts", None), "UNKNOWN_TENANT"),
        ] {
            assert_eq!(table.switch(&wrong), Err(code), "{wrong:?}");
            table.take(&wrong, &metrics);
        }
        assert_eq!(metrics.labelled(Metric::DeadLetters, "UNREADABLE_CONTROL"), 7);
        assert_eq!(metrics.labelled(Metric::DeadLetters, "UNKNOWN_TENANT"), 2);
        assert!(!table.is_on("bakery", CARTS) && table.is_on("florist", CARTS));
        assert!(table.is_on("stranger", CARTS));
    }
}
