//! The settings file on disk: read once, replaced in one step or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Error;

/// The file as it was when the command began; `bytes` is `None` when there was none.
pub(super) struct Snapshot {
    /// The file itself, where the given path was a symbolic link to it.
    pub(super) path: PathBuf,
    pub(super) bytes: Option<Vec<u8>>,
}

impl Snapshot {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let path = target(path)?;
        let bytes = read_if_there(&path)?;
        Ok(Self { path, bytes })
    }

    /// Empty for a file that is not there.
    pub(super) fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(self.bytes.as_deref().unwrap_or_default()).map_err(|error| Error::NotJson {
            path: self.path.clone(),
            detail: error.to_string(),
        })
    }

    /// Puts `bytes` in the file's place, with the same permissions.
    ///
    /// # Errors
    ///
    /// [`Error::ChangedMeanwhile`] when somebody else wrote it since it was read: agents write
    /// their settings too, e.g. for an "always allow".
    pub(super) fn replace(&self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(io("create", folder))?;
        }
        let permissions = fs::metadata(&self.path).ok().map(|metadata| metadata.permissions());
        let new = sibling(&self.path);
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
            if let Some(permissions) = permissions {
                file.set_permissions(permissions)?;
            }
            file.write_all(bytes)?;
            file.sync_all()
        })();
        let replaced = written
            .map_err(io("write", &new))
            .and_then(|()| self.check_unchanged())
            .and_then(|()| fs::rename(&new, &self.path).map_err(io("replace", &self.path)));
        if replaced.is_err() {
            // The error at hand matters more than a left-over file.
            let _ = fs::remove_file(&new);
            return replaced;
        }
        sync_folder(&self.path)
    }

    pub(super) fn delete(&self) -> Result<(), Error> {
        self.check_unchanged()?;
        fs::remove_file(&self.path).map_err(io("remove", &self.path))?;
        sync_folder(&self.path)
    }

    fn check_unchanged(&self) -> Result<(), Error> {
        if read_if_there(&self.path)? == self.bytes {
            return Ok(());
        }
        Err(Error::ChangedMeanwhile {
            path: self.path.clone(),
        })
    }
}

/// Writes a file only its owner may read: settings can hold tokens.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let new = sibling(path);
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(io("write", path))?;
    sync_folder(path)
}

pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", path)(error)),
    }
}

pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// Follows symbolic links by hand, because the last one may point to a file yet to be made.
fn target(path: &Path) -> Result<PathBuf, Error> {
    /// As many as Linux itself follows.
    const LINKS_MAX: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(next) = fs::read_link(&path) else {
            return Ok(path);
        };
        path = path.parent().unwrap_or(Path::new("/")).join(next);
    }
    Err(io("follow", &path)(io::Error::other("too many symbolic links")))
}

/// In the same folder, because only there a rename is one step.
fn sibling(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".muster-{}", std::process::id()));
    path.with_file_name(name)
}

fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io("sync", folder))
}
