//! The file that remembers which processes are watched.

use super::Watched;
use super::process::{self, Here};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    /// Pids mean nothing after a reboot.
    boot: Option<String>,
    watched: BTreeSet<Watched>,
}

#[derive(Debug)]
pub(super) struct Register {
    path: PathBuf,
    content: Content,
    lost: BTreeSet<Watched>,
}

impl Register {
    pub(super) fn open(dir: &Path, here: &Here) -> Self {
        let path = dir.join("watched.json");
        // Without the file, or with half of one, nothing was watched: hooks bring it back.
        let before: Content = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let same_boot = before.boot.is_some() && before.boot == here.boot;
        let (alive, lost) = before
            .watched
            .into_iter()
            .partition(|watched| same_boot && process::is_alive(watched.process()));
        let mut register = Self {
            path,
            content: Content {
                boot: here.boot.clone(),
                watched: alive,
            },
            lost,
        };
        // The lost stay in the file until they were told.
        register.content.watched.extend(register.lost.iter().cloned());
        register
    }

    /// Who died while nobody watched.
    pub(super) fn take_lost(&mut self) -> BTreeSet<Watched> {
        std::mem::take(&mut self.lost)
    }

    /// Who is still there.
    pub(super) fn alive(&self) -> Vec<Watched> {
        let alive = |watched: &&Watched| process::is_alive(watched.process());
        self.content.watched.iter().filter(alive).cloned().collect()
    }

    pub(super) fn add(&mut self, watched: Watched) -> io::Result<()> {
        self.content.watched.insert(watched);
        self.write()
    }

    pub(super) fn remove(&mut self, watched: &Watched) -> io::Result<()> {
        if self.content.watched.remove(watched) {
            self.write()?;
        }
        Ok(())
    }

    /// Replaced whole. Not synced: after a crash of the machine every watched process is gone, and the boot id says so.
    fn write(&self) -> io::Result<()> {
        let partial = self.path.with_extension("partial");
        fs::write(&partial, serde_json::to_vec(&self.content)?)?;
        fs::rename(&partial, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::names::SessionId;

    #[test]
    fn who_died_meanwhile_is_known_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let here = Here::find();
        let watched = Watched {
            session: SessionId::new("s").unwrap(),
            agent: None,
            pid: u32::MAX - 1,
            start_ticks: 1,
            carries: false,
        };
        let mut register = Register::open(dir.path(), &here);
        register.add(watched.clone()).unwrap();
        let mut again = Register::open(dir.path(), &here);
        assert_eq!(again.take_lost(), BTreeSet::from([watched.clone()]));
        assert!(again.alive().is_empty());
        again.remove(&watched).unwrap();
        assert!(Register::open(dir.path(), &here).take_lost().is_empty());
    }
}
