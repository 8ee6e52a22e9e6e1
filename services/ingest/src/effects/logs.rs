//! What sessions begun by order print: a file each, `runs/<session>.log`, the latest of them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Files kept, those written last: more than any host runs at once by far.
const KEPT_MAX: usize = 100;
/// How long one is kept that nobody writes to: as long as the hub keeps its log.
const KEPT_FOR: Duration = Duration::from_hours(14 * 24);

/// Opens a session's log, and makes room for it: those of sessions long over go.
pub(super) fn open(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        if let Err(error) = prune(dir, SystemTime::now()) {
            tracing::warn!(%error, dir = %dir.display(), "old logs of sessions were not deleted");
        }
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// The last bytes of a log, however long it is.
pub(super) fn end(path: &Path, bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut end = Vec::new();
    file.take(bytes).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

fn prune(dir: &Path, now: SystemTime) -> io::Result<()> {
    let mut logs: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            logs.push((entry.metadata()?.modified()?, path));
        }
    }
    logs.sort_unstable();
    let too_many = logs.len().saturating_sub(KEPT_MAX - 1);
    for (at, (written, path)) in logs.into_iter().enumerate() {
        // What was written in the future is not old.
        let old = now.duration_since(written).is_ok_and(|age| age > KEPT_FOR);
        if old || at < too_many {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, text: &str, at: SystemTime) {
        fs::write(dir.join(name), text).unwrap();
        let file = File::options().append(true).open(dir.join(name)).unwrap();
        file.set_modified(at).unwrap();
    }

    #[test]
    fn only_the_end_of_a_log_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.log");
        fs::write(&path, [&vec![b'x'; 1 << 20][..], b"the end"].concat()).unwrap();
        assert_eq!(end(&path, 7).unwrap(), "the end");
        fs::write(&path, "short").unwrap();
        assert_eq!(end(&path, 400).unwrap(), "short");
    }

    #[test]
    fn the_logs_of_sessions_long_over_go_and_the_latest_stay() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        write(dir.path(), "old.log", "", now - KEPT_FOR - Duration::from_secs(1));
        write(dir.path(), "notes.txt", "", now - 2 * KEPT_FOR);
        for n in 0..KEPT_MAX as u64 {
            write(dir.path(), &format!("{n}.log"), "", now - Duration::from_secs(n));
        }
        open(&dir.path().join("new.log")).unwrap();
        let left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), KEPT_MAX + 1, "and what is no log");
        for gone in ["old.log", "99.log"] {
            assert!(!left.iter().any(|name| name == gone), "{gone}");
        }
        assert!(left.iter().any(|name| name == "0.log") && left.iter().any(|name| name == "98.log"));
    }
}
