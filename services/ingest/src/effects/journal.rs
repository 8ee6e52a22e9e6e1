//! Which effects were begun, on disk before anything is done: the same one is not begun twice, also after a crash.
//!
//! One small file, replaced whole. The spool has the receipts, but keeps them only until the hub has them.

use crate::peer::Peer;
use muster_domain::effect::ActionKind;
use muster_domain::ids::EffectId;
use muster_domain::names::{RunId, SessionId};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// How long one that is over is remembered, in milliseconds: longer than any effect may wait for its host, so that what the
/// hub hands over again after that is late anyway.
const REMEMBERED_MS: i64 = 60 * 60 * 1000;
/// Effects in the file at most: half a megabyte. Of those that are over, the oldest go first.
const ENTRIES_MAX: usize = 4096;

/// An effect that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Whom it is for.
    pub(crate) session: Option<SessionId>,
    pub(crate) run: Option<RunId>,
    /// The process that it was given to, and whose receipts of it count.
    #[serde(default)]
    pub(crate) by: Option<Peer>,
    /// Not known where the order could not be read.
    pub(crate) kind: Option<ActionKind>,
    #[serde(with = "muster_wire::time")]
    pub(crate) begun: Timestamp,
    /// Its end was told.
    pub(crate) over: bool,
}

impl Entry {
    /// Whether this process has it. Orders to begin a session are given to no run.
    pub(crate) fn is_with(&self, peer: Option<Peer>) -> bool {
        self.run.is_some() && self.by == peer
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    entries: BTreeMap<EffectId, Entry>,
}

pub(crate) struct Journal {
    path: PathBuf,
    content: Content,
}

impl Journal {
    /// Reads the file in `dir`; one that cannot be read is set aside.
    ///
    /// # Errors
    /// When there is one, and it can neither be read nor be set aside.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join("effects.json");
        let content = match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(content) => content,
                Err(error) => {
                    let aside = path.with_extension("damaged");
                    fs::rename(&path, &aside)?;
                    tracing::error!(%error, aside = %aside.display(), "the journal of effects is damaged and is set aside");
                    Content::default()
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, content })
    }

    pub(crate) fn get(&self, id: EffectId) -> Option<&Entry> {
        self.content.entries.get(&id)
    }

    /// Those whose end was not told.
    pub(crate) fn open_entries(&self) -> impl Iterator<Item = (EffectId, &Entry)> {
        let open = self.content.entries.iter().filter(|(_, entry)| !entry.over);
        open.map(|(id, entry)| (*id, entry))
    }

    /// Writes an entry down; it is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written. Then it is not known to be begun, and must not be.
    pub(crate) async fn write(&mut self, id: EffectId, entry: Entry) -> io::Result<()> {
        let now = entry.begun;
        let before = self.content.entries.insert(id, entry);
        self.forget(now);
        let saved = self.save().await;
        if saved.is_err() {
            match before {
                Some(before) => self.content.entries.insert(id, before),
                None => self.content.entries.remove(&id),
            };
        }
        saved
    }

    /// Notes that the end was told.
    ///
    /// # Errors
    /// When it cannot be written; after a restart the end would be told as unknown once more, which changes nothing.
    pub(crate) async fn over(&mut self, id: EffectId) -> io::Result<()> {
        match self.content.entries.get_mut(&id) {
            Some(entry) if !entry.over => {
                entry.over = true;
                self.save().await
            }
            Some(_) | None => Ok(()),
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let entries = &mut self.content.entries;
        entries.retain(|_, entry| !entry.over || now.as_millis() - entry.begun.as_millis() < REMEMBERED_MS);
        while entries.len() > ENTRIES_MAX {
            let oldest = entries.iter().filter(|(_, entry)| entry.over);
            let Some(id) = oldest.min_by_key(|(_, entry)| entry.begun).map(|(id, _)| *id) else {
                return;
            };
            entries.remove(&id);
        }
    }

    /// Beside the runtime: a disk takes its time, and others wait for their answers.
    async fn save(&self) -> io::Result<()> {
        let (path, bytes) = (self.path.clone(), serde_json::to_vec(&self.content)?);
        tokio::task::spawn_blocking(move || replace(&path, &bytes)).await?
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&beside, path)?;
    // The name, too, has to survive.
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_data())
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::ids::EventId;
    use uuid::Uuid;

    fn id(n: u128) -> EffectId {
        EffectId::of(EventId::from_uuid(Uuid::from_u128(n)))
    }

    fn entry(begun_ms: i64) -> Entry {
        Entry {
            session: SessionId::new("s").ok(),
            run: RunId::new("r").ok(),
            by: None,
            kind: Some(ActionKind::Message),
            begun: Timestamp::from_millis(begun_ms),
            over: false,
        }
    }

    #[tokio::test]
    async fn what_was_begun_is_known_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path()).unwrap();
        journal.write(id(1), entry(0)).await.unwrap();
        journal.write(id(2), entry(0)).await.unwrap();
        journal.over(id(2)).await.unwrap();
        let again = Journal::open(dir.path()).unwrap();
        assert_eq!(again.open_entries().map(|(id, _)| id).collect::<Vec<_>>(), [id(1)]);
        assert!(again.get(id(2)).unwrap().over);
        assert_eq!(again.get(id(3)), None);
    }

    #[tokio::test]
    async fn what_is_over_is_forgotten_once_it_would_be_late_and_what_is_not_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path()).unwrap();
        journal.write(id(1), entry(0)).await.unwrap();
        journal.write(id(2), entry(0)).await.unwrap();
        journal.over(id(2)).await.unwrap();
        journal.write(id(3), entry(REMEMBERED_MS)).await.unwrap();
        assert!(journal.get(id(1)).is_some() && journal.get(id(2)).is_none());
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("effects.json"), "{").unwrap();
        assert_eq!(Journal::open(dir.path()).unwrap().open_entries().count(), 0);
        assert!(dir.path().join("effects.damaged").exists());
    }
}
