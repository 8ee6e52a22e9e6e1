//! Which labels sessions carry: not every hook of a session brings them.
//!
//! Kept in a file, to which a session's labels are added when they change: a hold by label holds from the first hook after a
//! restart, also where only an earlier hook said the label, and without the hub. Not synced: a killed service loses nothing,
//! and after a crash of the machine no session of it is left.

use muster_domain::names::SessionId;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Sessions remembered; the longest known is forgotten first. A few hundred bytes each.
const SESSIONS_MAX: usize = 4096;
/// Lines of the file, after which it is written anew.
const LINES_MAX: usize = 4 * SESSIONS_MAX;

type Pairs = BTreeMap<String, String>;

/// What sessions carried when they last carried any.
#[derive(Default)]
pub(crate) struct Labels(Mutex<Known>);

#[derive(Default)]
struct Known {
    of: HashMap<SessionId, Arc<Pairs>>,
    order: VecDeque<SessionId>,
    written: Option<Written>,
}

/// The file.
struct Written {
    path: PathBuf,
    file: File,
    lines: usize,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    session: Cow<'a, SessionId>,
    labels: Cow<'a, Pairs>,
}

impl Labels {
    /// Reads back what was known, and goes on in the same file. Lines that cannot be read are left out.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join("labels.jsonl");
        let before = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut known = Known::default();
        for line in before.split(|byte| *byte == b'\n') {
            if let Ok(Line { session, labels }) = serde_json::from_slice(line) {
                known.note(&session, &labels);
            }
        }
        known.written = Some(known.write(path)?);
        Ok(Self(Mutex::new(known)))
    }

    pub(super) fn remember(&self, session: Option<&SessionId>, labels: &Pairs) {
        let Some(session) = session.filter(|_| !labels.is_empty()) else {
            return;
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.of.get(session).is_some_and(|before| **before == *labels) {
            return;
        }
        known.note(session, labels);
        if let Err(error) = known.add(session, labels) {
            tracing::warn!(%error, "a session's labels were not written down; after a restart they are not known");
        }
    }

    pub(super) fn of(&self, session: Option<&SessionId>) -> Option<Arc<Pairs>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.of.get(session?).cloned()
    }
}

impl Known {
    fn note(&mut self, session: &SessionId, labels: &Pairs) {
        if self.of.insert(session.clone(), Arc::new(labels.clone())).is_none() {
            self.order.push_back(session.clone());
        }
        if self.order.len() > SESSIONS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
    }

    fn add(&mut self, session: &SessionId, labels: &Pairs) -> io::Result<()> {
        let Some(written) = &mut self.written else {
            return Ok(());
        };
        if written.lines < LINES_MAX {
            written.lines += 1;
            return written.file.write_all(&line(session, labels)?);
        }
        let path = written.path.clone();
        self.written = Some(self.write(path)?);
        Ok(())
    }

    /// Replaces the file with what is known.
    fn write(&self, path: PathBuf) -> io::Result<Written> {
        let beside = path.with_extension("partial");
        let mut all = Vec::new();
        for session in &self.order {
            if let Some(labels) = self.of.get(session) {
                all.extend(line(session, labels)?);
            }
        }
        let mut file = File::create(&beside)?;
        file.write_all(&all)?;
        fs::rename(&beside, &path)?;
        let lines = self.order.len();
        Ok(Written { path, file, lines })
    }
}

fn line(session: &SessionId, labels: &Pairs) -> io::Result<Vec<u8>> {
    let line = Line {
        session: Cow::Borrowed(session),
        labels: Cow::Borrowed(labels),
    };
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(n: usize) -> Option<SessionId> {
        SessionId::new(&format!("s{n}")).ok()
    }

    fn team(name: &str) -> Pairs {
        [("team".to_owned(), name.to_owned())].into()
    }

    fn known(labels: &Labels, n: usize) -> Option<Pairs> {
        labels.of(session(n).as_ref()).map(Arc::unwrap_or_clone)
    }

    #[test]
    fn what_a_session_carried_last_is_known_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let labels = Labels::open(dir.path()).unwrap();
        labels.remember(session(1).as_ref(), &team("a"));
        labels.remember(session(2).as_ref(), &team("a"));
        labels.remember(session(1).as_ref(), &team("b"));
        labels.remember(session(1).as_ref(), &Pairs::new());
        drop(labels);
        let path = dir.path().join("labels.jsonl");
        let torn = [&fs::read(&path).unwrap()[..], b"{\"session\":\"s3"].concat();
        fs::write(&path, torn).unwrap();
        let labels = Labels::open(dir.path()).unwrap();
        assert_eq!(
            (known(&labels, 1), known(&labels, 2)),
            (Some(team("b")), Some(team("a")))
        );
        labels.remember(session(3).as_ref(), &team("c"));
        let labels = Labels::open(dir.path()).unwrap();
        assert_eq!(
            (known(&labels, 1), known(&labels, 3)),
            (Some(team("b")), Some(team("c")))
        );
    }

    #[test]
    fn neither_the_memory_nor_the_file_grows_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let labels = Labels::open(dir.path()).unwrap();
        for n in 0..LINES_MAX + 10 {
            labels.remember(session(n).as_ref(), &team("a"));
        }
        let lines = fs::read_to_string(dir.path().join("labels.jsonl"))
            .unwrap()
            .lines()
            .count();
        assert!(lines < 2 * SESSIONS_MAX, "{lines}");
        let labels = Labels::open(dir.path()).unwrap();
        assert_eq!(
            (known(&labels, 0), known(&labels, LINES_MAX + 9)),
            (None, Some(team("a")))
        );
    }
}
