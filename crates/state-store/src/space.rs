use std::io;
use std::path::Path;

/// How much of the disk under a directory is free to this process, from 0 to 1.
///
/// # Errors
/// When the system does not tell, or the directory is not there.
pub fn free_space(directory: &Path) -> io::Result<f64> {
    let disk = rustix::fs::statvfs(directory)?;
    if disk.f_blocks == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(disk.f_bavail as f64 / disk.f_blocks as f64)
}
