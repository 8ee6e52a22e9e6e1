//! The wrapped process: who it is, which signals it gets, how it ended.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use tokio::process::Child;
use tokio::signal::unix::{self, SignalKind};

/// A process that was started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) pid: u32,
    /// Clock ticks since boot; 0 where the platform does not say.
    pub(super) start_ticks: u64,
    /// Without its arguments: those may hold secrets.
    pub(super) command: String,
}

impl Started {
    pub(super) fn of(child: &Child, program: &OsString) -> Self {
        let pid = child.id().unwrap_or_default();
        let name = Path::new(program).file_name().unwrap_or(program);
        Self {
            pid,
            start_ticks: start_ticks(pid).unwrap_or_default(),
            command: name.to_string_lossy().into_owned(),
        }
    }
}

/// Field 22 of `/proc/<pid>/stat`; the second may hold anything, up to its last parenthesis.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Signals that are the command's.
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: unix::Signal,
    /// Ctrl-c at a terminal reaches the command by itself, and twice would mean something else to it.
    at_terminal: bool,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hang_up: unix::signal(SignalKind::hangup())?,
            at_terminal: std::io::stdin().is_terminal(),
        })
    }

    /// Signals that are ours, ctrl-c at a terminal too: the agent does not get it.
    pub(super) fn all() -> std::io::Result<Self> {
        Ok(Self {
            at_terminal: false,
            ..Self::listen()?
        })
    }

    /// The next signal to hand on.
    pub(super) async fn next(&mut self) -> Signal {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Signal::TERM,
                _ = self.hang_up.recv() => return Signal::HUP,
                _ = self.interrupt.recv() => if !self.at_terminal { return Signal::INT },
            }
        }
    }
}

pub(super) fn pass_on(child: &Child, signal: Signal) {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended just now; then its status says how.
        let _ = kill_process(pid, signal);
    }
}

/// Ends everything in the process group that `child` leads, also after its own end.
pub(super) fn kill_all(child: &Child) {
    let group = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    if let Some(group) = group {
        // All of it may have ended just now.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// The exit status as shells pass it on: 128 and the signal where one ended it.
pub(super) fn code(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| 128 + signal);
    status
        .code()
        .or(signal)
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

/// The exit status as it is reported: the negative number of the signal where one ended it.
pub(super) fn told(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_passed_on_as_shells_do() {
        let (exited, killed) = (ExitStatus::from_raw(3 << 8), ExitStatus::from_raw(9));
        assert_eq!((code(exited), told(exited)), (3, 3));
        assert_eq!((code(killed), told(killed)), (137, -9));
    }

    #[test]
    fn a_running_process_has_a_start() {
        assert!(start_ticks(std::process::id()).is_some_and(|ticks| ticks > 0));
        assert_eq!(start_ticks(0), None);
    }
}
