//! What the settings were before we came, kept until we leave.
//!
//! Two files per settings file under muster's state folder: the bytes, and a record with digests
//! of them and of what we wrote. A settings file that still has the digest we wrote can be put
//! back as it was; any other was changed by somebody, whose changes must stay.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Error;
use super::file::{self, Snapshot};

#[derive(Serialize, Deserialize)]
struct Record {
    settings: PathBuf,
    /// Of the bytes kept; `None` when there was no file.
    original_sha256: Option<String>,
    written_sha256: String,
    /// The settings' folder did not exist either.
    made_folder: bool,
}

pub(super) struct Original {
    /// `<name>.json` is the record, `<name>.original` the bytes.
    stem: PathBuf,
    record: Record,
}

impl Original {
    /// Keeps what is about to be replaced by `after`. Before the settings are written: a crash in
    /// between leaves a record that fits no file, which is harmless.
    pub(super) fn keep(state: &Path, before: &Snapshot, after: &str) -> Result<(), Error> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state)
            .map_err(file::io("create", state))?;
        let stem = stem(state, &before.path);
        if let Some(bytes) = &before.bytes {
            file::write_private(&stem.with_extension("original"), bytes)?;
        }
        let record = Record {
            settings: before.path.clone(),
            original_sha256: before.bytes.as_deref().map(sha256),
            written_sha256: sha256(after.as_bytes()),
            made_folder: !before.path.parent().is_some_and(Path::exists),
        };
        Self { stem, record }.save()
    }

    /// Our own entries are about to be brought up to date. Where somebody else has changed the
    /// file since we wrote it, the record goes on saying so.
    pub(super) fn follow(state: &Path, before: &Snapshot, after: &str) -> Result<(), Error> {
        let Some(mut original) = Self::find(state, before)? else {
            return Ok(());
        };
        if !original.untouched_since(before) {
            return Ok(());
        }
        original.record.written_sha256 = sha256(after.as_bytes());
        original.save()
    }

    pub(super) fn find(state: &Path, settings: &Snapshot) -> Result<Option<Self>, Error> {
        let stem = stem(state, &settings.path);
        let Some(bytes) = file::read_if_there(&stem.with_extension("json"))? else {
            return Ok(None);
        };
        let record = serde_json::from_slice(&bytes);
        let record = record.map_err(|_| Error::OriginalDamaged {
            path: settings.path.clone(),
        })?;
        Ok(Some(Self { stem, record }))
    }

    /// The settings are exactly what we wrote.
    pub(super) fn untouched_since(&self, settings: &Snapshot) -> bool {
        settings
            .bytes
            .as_deref()
            .is_some_and(|bytes| sha256(bytes) == self.record.written_sha256)
    }

    pub(super) fn file_was_absent(&self) -> bool {
        self.record.original_sha256.is_none()
    }

    /// What was kept is still what was read then.
    pub(super) fn intact(&self) -> bool {
        self.bytes().is_ok()
    }

    /// The text kept; `None` when there was no file, or no text in it.
    pub(super) fn text(&self) -> Option<String> {
        String::from_utf8(self.bytes().ok()??).ok()
    }

    /// Puts the settings back, or away where there were none.
    pub(super) fn restore(&self, current: &Snapshot) -> Result<(), Error> {
        if let Some(bytes) = self.bytes()? {
            return current.replace(&bytes);
        }
        current.delete()?;
        if self.record.made_folder
            && let Some(folder) = current.path.parent()
        {
            // Not empty any more: somebody else uses it by now.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    /// After leaving; nothing is kept of a file that is not enrolled.
    pub(super) fn forget(self) -> Result<(), Error> {
        for extension in ["original", "json"] {
            let path = self.stem.with_extension(extension);
            if path.exists() {
                fs::remove_file(&path).map_err(file::io("remove", &path))?;
            }
        }
        Ok(())
    }

    fn bytes(&self) -> Result<Option<Vec<u8>>, Error> {
        let Some(digest) = &self.record.original_sha256 else {
            return Ok(None);
        };
        let bytes = file::read_if_there(&self.stem.with_extension("original"))?;
        match bytes {
            Some(bytes) if sha256(&bytes) == *digest => Ok(Some(bytes)),
            Some(_) | None => Err(self.damaged()),
        }
    }

    fn save(&self) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(&self.record).map_err(|_| self.damaged())?;
        file::write_private(&self.stem.with_extension("json"), &bytes)
    }

    fn damaged(&self) -> Error {
        Error::OriginalDamaged {
            path: self.record.settings.clone(),
        }
    }
}

fn stem(state: &Path, settings: &Path) -> PathBuf {
    let digest = sha256(settings.as_os_str().as_encoded_bytes());
    state.join(&digest[..16])
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
