//! Secrets in files of their own, which only their owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Why a secret cannot be had from its file.
#[derive(Debug)]
pub(crate) enum SecretError {
    /// The file cannot be read or made.
    Io(io::Error),
    /// Somebody else than its owner may read it.
    Exposed,
}

impl From<io::Error> for SecretError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The file's text.
pub(crate) fn read(path: &Path) -> Result<String, SecretError> {
    let text = fs::read_to_string(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        return Err(SecretError::Exposed);
    }
    Ok(text)
}

/// The file's text; it is made with a new one if there is none. Of several processes that make it at the same time one
/// wins, and all read the same.
pub(crate) fn read_or_make(path: &Path, make: impl FnOnce() -> io::Result<String>) -> Result<String, SecretError> {
    match read(path) {
        Err(SecretError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    // Written whole under a name of its own first, so that nobody reads half of it.
    let draft = path.with_extension(format!("{:016x}", rand::random::<u64>()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    writeln!(file, "{}", make()?)?;
    file.sync_all()?;
    let made = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        Ok(()) | Err(_) => read(path),
    }
}
