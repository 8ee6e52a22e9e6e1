//! Values with units, and values that must not be shown.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use subtle::ConstantTimeEq;

/// A size with its unit: `8MiB`, `512KB`.
pub use bytesize::ByteSize;

/// A duration with its unit: `30s`, `250ms`, `14d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct HumanDuration(#[serde(with = "humantime_serde")] pub Duration);

impl HumanDuration {
    pub fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for HumanDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

/// The path of a file that holds a secret, so that the secret itself is in no configuration, environment or process list.
/// An empty path stands for "none", so that a default file can show the key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretFile(PathBuf);

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("secret file {path} cannot be read: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("secret file {path} is empty: write the secret into it")]
    Empty { path: PathBuf },
}

impl SecretFile {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn is_set(&self) -> bool {
        !self.0.as_os_str().is_empty()
    }

    /// The content without surrounding white space.
    ///
    /// A file that others can read is taken, because secrets mounted into containers often are such, but with a warning.
    ///
    /// # Errors
    ///
    /// [`SecretError`]: an empty secret would be one that everybody knows.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let path = &self.0;
        let text = std::fs::read_to_string(path).map_err(|source| SecretError::Unreadable {
            path: path.clone(),
            source,
        })?;
        if let Some(warning) = self.exposed() {
            tracing::warn!("{warning}");
        }
        match text.trim() {
            "" => Err(SecretError::Empty { path: path.clone() }),
            secret => Ok(Secret::new(secret)),
        }
    }

    /// What to do about it where others than the owner can read the file.
    pub fn exposed(&self) -> Option<String> {
        let mode = std::fs::metadata(&self.0).ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then(|| {
            let path = self.0.display();
            format!("secret file {path} can be read by others than its owner (mode {mode:03o}): run `chmod 600 {path}`")
        })
    }
}

/// Text that is never printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in a time that depends on the lengths only.
    pub fn matches(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert!(secret.matches("hunter2"));
        assert!(!secret.matches("hunter") && !secret.matches("hunter3") && !secret.matches(""));
    }

    #[test]
    fn a_secret_file_is_trimmed_and_must_not_be_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = SecretFile::new(&path);
        assert!(matches!(file.read(), Err(SecretError::Unreadable { .. })));
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(file.read(), Err(SecretError::Empty { .. })));
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(file.read().unwrap().expose(), "abc");
    }

    #[test]
    fn a_secret_file_that_others_can_read_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "abc").unwrap();
        let file = SecretFile::new(&path);
        for (mode, warned) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let warning = file.exposed();
            assert_eq!(warning.is_some(), warned, "{warning:?}");
            assert!(warning.is_none_or(|text| text.contains(&format!("{mode:o}")) && text.contains("chmod 600")));
            assert_eq!(file.read().unwrap().expose(), "abc");
        }
    }
}
