//! One process of this host: whether it is there, what it is called, and when it is gone.

use muster_wire::data::hook::ProcessId;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How often a process is looked up where the kernel does not tell.
const LOOK: Duration = Duration::from_secs(2);
/// How far up descent is followed: deeper than shells in agents in shells go.
const ANCESTORS_MAX: usize = 64;

/// What pids mean here: numbers of one boot in one namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Here {
    pub(crate) boot: Option<String>,
    pub(crate) namespace: Option<String>,
}

impl Here {
    pub(crate) fn find() -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let namespace = fs::read_link("/proc/self/ns/pid").ok();
        Self {
            boot: boot.map(|id| id.trim_end().to_owned()),
            namespace: namespace.map(|link| link.to_string_lossy().into_owned()),
        }
    }

    /// Whether a pid of that boot and namespace is one of ours.
    pub(crate) fn shares(&self, boot: Option<&str>, namespace: Option<&str>) -> bool {
        boot.is_some() && namespace.is_some() && self.boot.as_deref() == boot && self.namespace.as_deref() == namespace
    }
}

/// Whether this very process runs; one that only waits to be reaped does not.
pub(crate) fn is_alive(process: ProcessId) -> bool {
    stat(process.pid).is_some_and(|stat| stat.start_ticks == process.start_ticks && !matches!(stat.state, 'Z' | 'X'))
}

/// When a process began; nothing where the system does not say.
pub(crate) fn start_ticks(pid: u32) -> Option<u64> {
    stat(pid).map(|stat| stat.start_ticks)
}

/// Those that a process descends from, the nearest first. One whose parent ended descends from nobody any more.
pub(crate) fn ancestors(pid: u32) -> impl Iterator<Item = u32> {
    let parent = |pid: &u32| stat(*pid).map(|stat| stat.parent).filter(|parent| *parent > 1);
    std::iter::successors(parent(&pid), parent).take(ANCESTORS_MAX)
}

/// The program's name, without its arguments.
pub(super) fn command(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// Waits until the process is gone.
pub(super) async fn gone(process: ProcessId) {
    if let Some(fd) = pidfd(process.pid)
        // The pid may have been given to another between: the fd is of whoever has it now.
        && is_alive(process)
        && fd.readable().await.is_ok()
    {
        return;
    }
    while is_alive(process) {
        tokio::time::sleep(LOOK).await;
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe; an OwnedFd keeps the promise that one asks for"
)]
fn pidfd(pid: u32) -> Option<AsyncFd<std::os::fd::OwnedFd>> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let fd = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
    AsyncFd::with_interest(fd, Interest::READABLE).ok()
}

/// What the kernel says of a process (`/proc/<pid>/stat`, fields 3, 4 and 22).
struct Stat {
    state: char,
    parent: u32,
    start_ticks: u64,
}

/// The process's name may hold anything, so fields are counted from the last parenthesis.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    Some(Stat {
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        start_ticks: fields.nth(17)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pid_that_was_given_to_another_process_is_gone() {
        let pid = std::process::id();
        let start_ticks = start_ticks(pid).unwrap();
        let own = ProcessId { pid, start_ticks };
        assert!(is_alive(own));
        assert!(command(pid).is_some_and(|name| !name.is_empty()));
        let other = ProcessId {
            start_ticks: start_ticks + 1,
            ..own
        };
        assert!(!is_alive(other));
        gone(other).await;
    }

    #[test]
    fn a_pid_of_another_namespace_is_not_ours() {
        let here = Here {
            boot: Some("b".into()),
            namespace: Some("n".into()),
        };
        assert!(here.shares(Some("b"), Some("n")));
        assert!(!here.shares(Some("b"), Some("other")));
        assert!(!here.shares(None, None));
        assert!(!Here::default().shares(None, None));
    }
}
