//! Claude Code's own dialog: whether it is still open.
//!
//! The dialog is shown while the hook waits, and the first answer wins; but the hook is not told when it lost. The agent keeps
//! a file about each of its processes, which says `waiting` as long as a dialog is open. The file is internal to the agent:
//! where it is missing or reads otherwise, the next hook tells instead, only later.

use crate::answers::{Asked, Vendor};
use crate::observation::Observation;
use muster_domain::names::SessionId;
use serde::Deserialize;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the file is looked at: often enough to see a dialog that somebody answers at once.
const LOOK: Duration = Duration::from_millis(50);
/// The dialog of another call may open when one closes: only what is closed in so many looks is.
const LOOKS_CLOSED: u32 = 10;
/// The file has some 700 bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The dialog of one session.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    file: PathBuf,
    session: SessionId,
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "sessionId")]
    session: String,
    status: Option<String>,
}

impl Dialog {
    /// The folder that an agent with this environment keeps its files in.
    pub(crate) fn config_dir(config_dir: Option<String>, home: Option<String>) -> Option<PathBuf> {
        let given = |dir: Option<String>| dir.filter(|dir| !dir.is_empty()).map(PathBuf::from);
        given(config_dir).or_else(|| Some(given(home)?.join(".claude")))
    }

    /// Where the agent lives in our own pid namespace, and so most likely in our own file system.
    pub(super) fn of(observation: &Observation, asked: &Asked, config_dir: Option<PathBuf>) -> Option<Self> {
        let process = observation.process.filter(|_| asked.vendor == Vendor::ClaudeCode)?;
        Some(Self {
            file: config_dir?.join("sessions").join(format!("{}.json", process.pid)),
            session: observation.session.clone()?,
        })
    }

    /// Ends when a dialog was seen open and then no more; never, where there is nothing to see.
    pub(super) async fn closed(dialog: Option<&Self>) {
        let Some(dialog) = dialog else {
            return std::future::pending().await;
        };
        let mut open = false;
        let mut closed = 0;
        loop {
            let looked = dialog.clone();
            let waits = tokio::task::spawn_blocking(move || waits(&looked.file, &looked.session)).await;
            match waits.ok().flatten() {
                Some(true) => (open, closed) = (true, 0),
                Some(false) if open => closed += 1,
                Some(false) | None => {}
            }
            if closed >= LOOKS_CLOSED {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Whether the session waits for its user; `None` where the file does not say, or speaks of another session.
fn waits(path: &Path, session: &SessionId) -> Option<bool> {
    let file = File::open(path).ok()?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).ok()?;
    let said: Said = serde_json::from_slice(&text).ok()?;
    let status = Some(said.status?).filter(|_| said.session == session.as_str())?;
    Some(status == "waiting")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: &str) -> String {
        format!(
            r#"{{"pid":7,"sessionId":"s","kind":"interactive","status":"{status}","waitingFor":"permission prompt"}}"#
        )
    }

    #[test]
    fn only_a_whole_file_about_this_session_says_anything() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("7.json");
        let session = SessionId::new("s").unwrap();
        assert_eq!(waits(&path, &session), None);
        for (text, expected) in [
            (said("waiting"), Some(true)),
            (said("busy"), Some(false)),
            (said("busy").replace("\"s\"", "\"other\""), None),
            (r#"{"sessionId":"s"}"#.to_owned(), None),
            (said("waiting").split_off(9), None),
        ] {
            std::fs::write(&path, &text).unwrap();
            assert_eq!(waits(&path, &session), expected, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dialog_is_closed_only_after_it_was_seen_open() {
        let dir = tempfile::tempdir().unwrap();
        let dialog = Dialog {
            file: dir.path().join("7.json"),
            session: SessionId::new("s").unwrap(),
        };
        let say = |status: &str| std::fs::write(&dialog.file, said(status)).unwrap();
        let mut closed = std::pin::pin!(Dialog::closed(Some(&dialog)));
        let a_while = Duration::from_secs(5);
        say("busy");
        assert!(tokio::time::timeout(a_while, &mut closed).await.is_err());
        say("waiting");
        assert!(tokio::time::timeout(a_while, &mut closed).await.is_err());
        say("busy");
        assert!(tokio::time::timeout(a_while, &mut closed).await.is_ok());
    }

    #[test]
    fn the_folder_is_the_one_the_agent_uses() {
        let of = |dir: &str, home: &str| Dialog::config_dir(Some(dir.to_owned()), Some(home.to_owned()));
        assert_eq!(of("/c", "/h"), Some("/c".into()));
        assert_eq!(of("", "/h"), Some("/h/.claude".into()));
        assert_eq!(of("", ""), None);
    }
}
