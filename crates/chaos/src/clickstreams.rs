//! Files of real clickstream that lie beside the project.

use std::io::Write as _;
use std::path::PathBuf;

use crate::cluster::root;

/// A file of real clickstream that lies beside the project; `None`, said aloud, where it does not.
#[must_use]
pub fn shared(name: &str) -> Option<PathBuf> {
    let beside = root().join("../shared/data");
    let folder = std::env::var_os("SHARED_DATA").map_or(beside, PathBuf::from);
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    // Past the test harness, which keeps what a passing test prints to itself.
    let _ = writeln!(
        std::io::stderr(),
        "skipped: needs {name} in ../shared/data or in the folder that SHARED_DATA names"
    );
    None
}

/// An hour of a real shop: 96 169 rows.
#[must_use]
pub fn one_hour() -> Option<PathBuf> {
    shared("alibaba-userbehavior/onehour_96k.csv")
}

/// Ten days of 114 customers: 10 000 rows, not in time order.
#[must_use]
pub fn ten_days() -> Option<PathBuf> {
    shared("alibaba-userbehavior/hotitems_10k.csv")
}
