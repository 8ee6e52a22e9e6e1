//! What one look at the processes of a run found.

use muster_domain::fact::ProcessRef;
use muster_domain::time::Timestamp;
use muster_wire::data::watch::OpenFlag;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// All processes of a run that were found, each after the parent that it was found by.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    pub(super) at: Timestamp,
    pub(super) processes: Vec<Process>,
    /// The sockets asked for that the kernel lists, by inode.
    pub(super) endpoints: BTreeMap<u64, Endpoint>,
    /// Processes for which there was no room.
    pub(super) unwatched: u64,
    /// Descriptors for which there was none, or which may not be read.
    pub(super) unread: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) id: ProcessRef,
    pub(super) ppid: u32,
    /// The program's name as the kernel keeps it.
    pub(super) command: String,
    /// The program's file, where it may be known.
    pub(super) program: Option<String>,
    /// It ended, and its parent has not asked how.
    pub(super) ended: Option<Ended>,
    pub(super) files: Vec<Open>,
    /// Inodes.
    pub(super) sockets: Vec<u64>,
}

/// How a process ended: exit status, or the negative number of the signal, where that may be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended(pub(super) Option<i32>);

/// An open file. Descriptors that were duplicated are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) key: FileKey,
    pub(super) path: String,
    /// The name is gone.
    pub(super) unlinked: bool,
    pub(super) offset: u64,
}

/// Which file, and how it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileKey {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Access {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) append: bool,
}

impl Access {
    pub(super) fn flags(self) -> Vec<OpenFlag> {
        let flags = [
            (self.read, OpenFlag::Read),
            (self.write, OpenFlag::Write),
            (self.append, OpenFlag::Append),
        ];
        flags
            .into_iter()
            .filter_map(|(set, flag)| set.then_some(flag))
            .collect()
    }
}

/// A TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Listening(SocketAddr),
    Connected { local: SocketAddr, remote: SocketAddr },
}
