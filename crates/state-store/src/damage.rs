//! A store that is not what was written. It is a cache: it is set aside, and an empty one takes its place, to be
//! filled from the changelog.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rocksdb::ErrorKind;

use crate::{RocksOptions, RocksStore, StoreError};

/// Stands in a store's directory once it has been seen to be damaged.
const MARK: &str = "damaged";

/// A store, and whether it took the place of a damaged one.
pub struct Opened {
    /// The store.
    pub store: RocksStore,
    /// Where the damaged one lies now, for whoever wants to look at it.
    pub set_aside: Option<PathBuf>,
}

/// Opens the store in `path`. One that is damaged, or was seen to be, is set aside first; of those only the last
/// is kept.
///
/// # Errors
/// When another process has it open, or the disk is full or cannot be written.
pub fn open_sound(path: &Path, options: &RocksOptions) -> Result<Opened, StoreError> {
    match RocksStore::open(path, options) {
        Ok(store) if !path.join(MARK).exists() => return Ok(Opened { store, set_aside: None }),
        Ok(_) => {}
        Err(error) if error.is_damaged() => {}
        Err(error) => return Err(error),
    }
    let aside = set_aside(path)
        .map_err(|error| hindered(path, &format_args!("it is damaged and cannot be set aside: {error}")))?;
    Ok(Opened { store: RocksStore::open(path, options)?, set_aside: Some(aside) })
}

fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = path.with_extension(MARK);
    match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// What stands in the way of opening or writing a store, other than what it holds or a full disk.
pub(crate) fn hindered(path: &Path, reason: &impl Display) -> StoreError {
    StoreError::Engine { path: path.display().to_string(), reason: reason.to_string() }
}

/// What the engine means when it cannot open a store. It trips over damage in many ways.
pub(crate) fn at_open(path: &Path, error: &rocksdb::Error) -> StoreError {
    let gone = error.as_ref().contains("No such file or directory");
    let damaged = matches!(
        error.kind(),
        ErrorKind::Corruption | ErrorKind::NotFound | ErrorKind::InvalidArgument | ErrorKind::NotSupported
    );
    if damaged || gone { damage(path, error) } else { at_work(path, error) }
}

/// What the engine means when it cannot read or write.
pub(crate) fn at_work(path: &Path, error: &rocksdb::Error) -> StoreError {
    const FULL: [&str; 4] =
        ["No space left on device", "File too large", "Disk quota exceeded", "Max allowed space"];
    if error.kind() == ErrorKind::Corruption {
        return damage(path, error);
    }
    let (path, reason) = (path.display().to_string(), error.to_string());
    if FULL.iter().any(|words| reason.contains(words)) {
        return StoreError::Full { path };
    }
    StoreError::Engine { path, reason }
}

fn damage(path: &Path, error: &rocksdb::Error) -> StoreError {
    StoreError::Damaged { path: path.display().to_string(), reason: error.to_string() }
}

/// Leaves word of damage for whoever opens the store next.
pub(crate) fn note_damage(path: &Path, error: StoreError) -> StoreError {
    if error.is_damaged() {
        // Where even that cannot be written, the damage is met again.
        let _ = fs::write(path.join(MARK), error.to_string());
    }
    error
}
