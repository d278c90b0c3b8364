//! What has been tried so far, kept in a file, so that a bench that was interrupted goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::tried::Tried;

/// The tries of every row, in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tries {
    /// Which program they were made with.
    pub build: String,
    /// By row.
    pub rows: BTreeMap<String, Vec<Tried>>,
}

/// Tries, and the file they are kept in.
pub struct Ledger {
    path: PathBuf,
    /// What was tried.
    pub tries: Tries,
}

impl Ledger {
    /// Opens the file, or begins one. What another build has tried does not count.
    ///
    /// # Errors
    /// When what stands there is no ledger.
    pub fn open(path: &Path, build: &str) -> Result<Self, String> {
        let fresh = Tries { build: build.to_owned(), rows: BTreeMap::new() };
        let tries = match std::fs::read(path) {
            Err(_) => fresh,
            Ok(bytes) => {
                let told = |error| format!("{} is no file of tries: {error}", path.display());
                let known: Tries = serde_json::from_slice(&bytes).map_err(told)?;
                if known.build == build { known } else { fresh }
            }
        };
        Ok(Self { path: path.to_owned(), tries })
    }

    /// Tries of a row.
    #[must_use]
    pub fn of(&self, row: &str) -> &[Tried] {
        self.tries.rows.get(row).map_or(&[], Vec::as_slice)
    }

    /// Adds a try and writes the file, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, row: &str, tried: Tried) -> Result<(), String> {
        self.tries.rows.entry(row.to_owned()).or_default().push(tried);
        let told = |error: std::io::Error| format!("{} cannot be written: {error}", self.path.display());
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(told)?;
        }
        let beside = self.path.with_extension("new");
        let json = serde_json::to_vec_pretty(&self.tries).map_err(|error| error.to_string())?;
        std::fs::write(&beside, json).map_err(told)?;
        std::fs::rename(&beside, &self.path).map_err(told)
    }
}
