use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

const INSTANCE: &str = "instance";
const LOCK: &str = "lock";
const LAYOUT: &str = "layout";
/// The layout of what lies in the directory. Another one is refused.
const THIS_LAYOUT: &str = "1";
/// Longest number of a process that is repeated to the user.
const PID_DIGITS: usize = 10;

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
    #[error("state directory {path} is in use by process {owner}; give each instance its own state_dir")]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The number of the process, or that nobody knows it.
        owner: String,
    },
    /// A newer version has arranged it in another way.
    #[error(
        "state directory {0} is laid out by another version of paczek; run that version, or set another state_dir: what it held is \
         rebuilt from the changelogs"
    )]
    OtherLayout(PathBuf),
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
        // The owner's number stands in it: it is not to be emptied before it is ours.
        let options = File::options().read(true).write(true).create(true).truncate(false).clone();
        let mut lock = options.open(path.join(LOCK)).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => in_use(path, &mut lock),
            TryLockError::Error(source) => failed(source),
        })?;
        sign(&mut lock).map_err(failed)?;
        let layout = read_or_write(&path.join(LAYOUT), || THIS_LAYOUT.to_owned()).map_err(failed)?;
        if layout != THIS_LAYOUT {
            return Err(DirectoryError::OtherLayout(path.to_owned()));
        }
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

fn in_use(path: &Path, lock: &mut File) -> DirectoryError {
    let mut text = String::new();
    // Without a number the sentence is still true.
    let _ = lock.take(PID_DIGITS as u64).read_to_string(&mut text);
    let known = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let owner = if known { text } else { "unknown".to_owned() };
    DirectoryError::InUse { path: path.to_owned(), owner }
}

fn sign(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.write_all(std::process::id().to_string().as_bytes())
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
