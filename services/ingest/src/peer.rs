//! The process at the other end of a connection, as the kernel names it: no client can say it is another.
//!
//! Whoever has this user's rights can still become another process (`ptrace`, its memory under `/proc`, its files); that is
//! between users, and not kept apart here.

use crate::watch;
use muster_wire::data::hook::ProcessId;
use rustix::process::{Pid, getpgid, test_kill_process};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

/// A process. Its start tells it from a later one of the same number, where the system says when that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peer {
    pub(crate) pid: u32,
    pub(crate) start_ticks: Option<u64>,
}

impl Peer {
    /// Who connected. Nothing where the system does not say, or only of processes of another pid namespace.
    pub(crate) fn of(stream: &UnixStream) -> Option<Self> {
        let pid = stream.peer_cred().ok()?.pid()?;
        Some(Self::running(u32::try_from(pid).ok().filter(|pid| *pid > 0)?))
    }

    /// The process that has this number now.
    pub(crate) fn running(pid: u32) -> Self {
        Self {
            pid,
            start_ticks: watch::start_ticks(pid),
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        match self.start_ticks {
            Some(start_ticks) => watch::is_alive(ProcessId {
                pid: self.pid,
                start_ticks,
            }),
            None => self.id().is_some_and(|pid| test_kill_process(pid).is_ok()),
        }
    }

    /// Whether it is in the process group that `leader` leads, or led.
    pub(crate) fn is_in_group_of(&self, leader: Pid) -> bool {
        self.id().and_then(|pid| getpgid(Some(pid)).ok()) == Some(leader)
    }

    /// Whether it descends from this process.
    pub(crate) fn descends_from(&self, ancestor: &Self) -> bool {
        watch::ancestors(self.pid).any(|pid| pid == ancestor.pid) && ancestor.is_alive()
    }

    fn id(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.pid).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_says_who_is_at_the_other_end() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = Peer::of(&ours).unwrap();
        assert_eq!(peer, Peer::running(std::process::id()));
        assert!(peer.is_alive());
        let earlier = Peer {
            start_ticks: peer.start_ticks.map(|ticks| ticks - 1),
            ..peer
        };
        assert!(!earlier.is_alive());
        let parent = Peer::running(std::os::unix::process::parent_id());
        assert!(peer.descends_from(&parent) && !parent.descends_from(&peer));
    }
}
