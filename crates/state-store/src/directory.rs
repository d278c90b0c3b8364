use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

const INSTANCE: &str = "instance";
const LOCK: &str = "lock";

/// The directory an instance keeps its stores in, held by one process at a time.
///
/// It also holds the instance's name, so that the same directory always comes back as the same instance and
/// two directories never share one.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    instance: String,
    _lock: File,
}

/// Why a state directory cannot be used.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// Another process holds it.
    #[error("state directory {0} is in use by another process; give each instance its own state_dir")]
    InUse(PathBuf),
    /// It cannot be read or written.
    #[error("state directory {path} cannot be used: {source}; make it writable or set another state_dir")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StateDirectory {
    /// Takes the directory, creating it if need be; `new_instance` names the instance of a new one.
    ///
    /// # Errors
    /// When another process holds it or it cannot be written.
    pub fn hold(path: &Path, new_instance: impl FnOnce() -> String) -> Result<Self, DirectoryError> {
        let failed = |source| DirectoryError::Io { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let lock = File::create(path.join(LOCK)).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => DirectoryError::InUse(path.to_owned()),
            TryLockError::Error(source) => failed(source),
        })?;
        let instance = read_or_write(&path.join(INSTANCE), new_instance).map_err(failed)?;
        Ok(Self { path: path.to_owned(), instance, _lock: lock })
    }

    /// The instance's name.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Where the stores are.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn read_or_write(path: &Path, new: impl FnOnce() -> String) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(name) if !name.trim().is_empty() => Ok(name.trim().to_owned()),
        Ok(_) => write_new(path, new()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write_new(path, new()),
        Err(error) => Err(error),
    }
}

/// Written beside and renamed, so that a crash leaves a whole name or none.
fn write_new(path: &Path, name: String) -> io::Result<String> {
    let beside = path.with_extension("new");
    fs::write(&beside, &name)?;
    fs::rename(&beside, path)?;
    Ok(name)
}
