//! What one process did to files, from what it had open before and has open now.

use super::snapshot::{FileKey, Open};
use muster_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// A descriptor that is written to all the time is told of this often.
const WRITES_EVERY: Duration = Duration::from_secs(1);

/// File systems without files of anybody's: what is below is the kernel's or a device.
const PSEUDO: &[&str] = &["/proc", "/sys", "/dev"];
/// What comes with the system. That a program reads it says no more than that the program runs: libraries, locales, modules
/// of interpreters, where the linker looks. What is written there is told of.
const SYSTEM: &[&str] = &[
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
];

/// Whether nobody wants to know of this file.
pub(super) fn is_noise(path: &Path, write: bool) -> bool {
    let below = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
    !path.is_absolute() || below(PSEUDO) || !write && below(SYSTEM)
}

/// What was done to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Opened(FileKey, String),
    /// By how many bytes, where the offset shows it.
    Written(String, Option<u64>),
    Closed(String),
    Unlinked(String),
    Renamed(String, String),
}

/// The files that a process has open.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    held: BTreeMap<FileKey, Held>,
    /// Those that it had open until the last look: what it started before may have them from it.
    left: BTreeSet<FileKey>,
}

#[derive(Debug, Clone)]
struct Held {
    path: String,
    /// It was given open by whoever started the process: the descriptor is shared, and told of where it was opened.
    given: bool,
    unlinked: bool,
    /// How far it was written as of the last look, and as was told. Of a file that grows at its end that is known only once it
    /// did: until then its offset is 0.
    reached: u64,
    told: Option<u64>,
    written: Option<Timestamp>,
}

impl Files {
    /// Whether a process that this one started since the look before may have the file from it.
    pub(super) fn gives(&self, key: &FileKey) -> bool {
        self.held.contains_key(key) || self.left.contains(key)
    }

    /// Takes what is open now. Whatever is new and that `given` says was open before the process began is not its doing.
    pub(super) fn take(&mut self, now: &[Open], given: impl Fn(&FileKey) -> bool, at: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        let there: BTreeSet<FileKey> = now.iter().map(|open| open.key).collect();
        self.left.clear();
        for (key, mut held) in self.held.extract_if(.., |key, _| !there.contains(key)) {
            held.close(&mut changes);
            self.left.insert(key);
        }
        for open in now {
            let held = self.held.entry(open.key).or_insert_with(|| {
                let given = given(&open.key);
                if !given {
                    changes.push(Change::Opened(open.key, open.path.clone()));
                }
                Held {
                    path: open.path.clone(),
                    given,
                    unlinked: false,
                    reached: 0,
                    told: (!open.key.access.append).then_some(0),
                    written: None,
                }
            });
            held.look(open, at, &mut changes);
        }
        changes
    }

    /// The process ended.
    pub(super) fn close(self) -> Vec<Change> {
        let mut changes = Vec::new();
        for mut held in self.held.into_values() {
            held.close(&mut changes);
        }
        changes
    }
}

impl Held {
    fn look(&mut self, open: &Open, at: Timestamp, changes: &mut Vec<Change>) {
        if self.given {
            return;
        }
        if self.path != open.path {
            let from = std::mem::replace(&mut self.path, open.path.clone());
            changes.push(Change::Renamed(from, open.path.clone()));
        }
        if open.unlinked && !self.unlinked {
            self.unlinked = true;
            changes.push(Change::Unlinked(self.path.clone()));
        }
        // An offset that reading moves as well says nothing of writing.
        if !open.key.access.write || open.key.access.read {
            return;
        }
        if open.offset < self.reached {
            (self.reached, self.told) = (open.offset, Some(open.offset));
        }
        self.reached = open.offset;
        if self.written.is_none_or(|written| at.since(written) >= WRITES_EVERY) && self.write(changes) {
            self.written = Some(at);
        }
    }

    /// Tells what was written and not told, if anything was.
    fn write(&mut self, changes: &mut Vec<Change>) -> bool {
        let untold = self.told.map(|told| self.reached.saturating_sub(told));
        if untold == Some(0) || self.reached == 0 {
            return false;
        }
        self.told = Some(self.reached);
        changes.push(Change::Written(self.path.clone(), untold));
        true
    }

    fn close(&mut self, changes: &mut Vec<Change>) {
        if !self.given {
            self.write(changes);
            changes.push(Change::Closed(self.path.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::Access;
    use super::*;

    const WRITES: Access = Access {
        read: false,
        write: true,
        append: false,
    };

    fn open(inode: u64, path: &str, access: Access, offset: u64) -> Open {
        let key = FileKey {
            device: 1,
            inode,
            access,
        };
        Open {
            key,
            path: path.to_owned(),
            unlinked: false,
            offset,
        }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn own(_: &FileKey) -> bool {
        false
    }

    #[test]
    fn a_file_is_opened_written_renamed_unlinked_and_closed() {
        let mut files = Files::default();
        let first = open(7, "/w/a", WRITES, 3);
        let opened = Change::Opened(first.key, "/w/a".to_owned());
        let written = |path: &str, count| Change::Written(path.to_owned(), Some(count));
        assert_eq!(files.take(&[first], own, at(0)), [opened, written("/w/a", 3)]);
        let moved = open(7, "/w/b", WRITES, 10);
        let renamed = Change::Renamed("/w/a".to_owned(), "/w/b".to_owned());
        assert_eq!(files.take(std::slice::from_ref(&moved), own, at(50)), [renamed]);
        let unlinked = Open {
            unlinked: true,
            ..moved
        };
        let changes = files.take(std::slice::from_ref(&unlinked), own, at(100));
        assert_eq!(changes, [Change::Unlinked("/w/b".to_owned())]);
        assert_eq!(files.take(&[unlinked], own, at(1000)), [written("/w/b", 7)]);
        assert_eq!(files.take(&[], own, at(1050)), [Change::Closed("/w/b".to_owned())]);
    }

    #[test]
    fn what_was_written_since_it_was_told_last_is_told_at_the_end() {
        let mut files = Files::default();
        files.take(&[open(7, "/w/a", WRITES, 3)], own, at(0));
        assert_eq!(files.take(&[open(7, "/w/a", WRITES, 5)], own, at(50)), []);
        let rest = [
            Change::Written("/w/a".to_owned(), Some(2)),
            Change::Closed("/w/a".to_owned()),
        ];
        assert_eq!(files.clone().take(&[], own, at(100)), rest);
        assert_eq!(files.close(), rest);
    }

    #[test]
    fn how_much_the_first_write_at_a_files_end_is_cannot_be_known() {
        let appends = Access { append: true, ..WRITES };
        let mut files = Files::default();
        assert_eq!(files.take(&[open(7, "/w/log", appends, 0)], own, at(0)).len(), 1);
        let changes = files.take(&[open(7, "/w/log", appends, 5000)], own, at(1000));
        assert_eq!(changes, [Change::Written("/w/log".to_owned(), None)]);
        let changes = files.take(&[open(7, "/w/log", appends, 5008)], own, at(2000));
        assert_eq!(changes, [Change::Written("/w/log".to_owned(), Some(8))]);
    }

    #[test]
    fn an_offset_that_reading_moves_is_no_write_and_one_set_back_none_either() {
        let both = Access { read: true, ..WRITES };
        let mut files = Files::default();
        files.take(&[open(7, "/w/db", both, 0), open(8, "/w/a", WRITES, 9)], own, at(0));
        let now = [open(7, "/w/db", both, 4096), open(8, "/w/a", WRITES, 2)];
        assert_eq!(files.take(&now, own, at(2000)), []);
    }

    #[test]
    fn a_file_that_was_given_open_is_told_of_where_it_was_opened() {
        let mut files = Files::default();
        assert_eq!(files.take(&[open(7, "/w/out", WRITES, 3)], |_| true, at(0)), []);
        assert_eq!(files.take(&[open(7, "/w/out", WRITES, 9)], |_| true, at(2000)), []);
        assert_eq!(files.close(), []);
    }

    #[test]
    fn what_a_process_closed_just_now_it_may_have_given_to_a_child() {
        let file = open(7, "/w/out", WRITES, 3);
        let mut files = Files::default();
        files.take(std::slice::from_ref(&file), own, at(0));
        assert!(files.gives(&file.key));
        files.take(&[], own, at(50));
        assert!(files.gives(&file.key));
        files.take(&[], own, at(100));
        assert!(!files.gives(&file.key));
    }

    #[test]
    fn what_comes_with_the_system_is_noise_until_it_is_written() {
        let noise = |path: &str, write| is_noise(Path::new(path), write);
        for path in [
            "/usr/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux.so.2",
            "/etc/ld.so.cache",
        ] {
            assert!(noise(path, false) && !noise(path, true), "{path}");
        }
        for path in ["/proc/1/maps", "/dev/null", "/dev/shm/x", "/sys/x", "anon"] {
            assert!(noise(path, true), "{path}");
        }
        for path in ["/etc/passwd", "/home/dev/.ssh/id_ed25519", "/usrlocal/x", "/tmp/x"] {
            assert!(!noise(path, false), "{path}");
        }
    }
}
