//! What ingest must know about the agent and cannot find out itself.
//!
//! A fixed list: the environment of a hook also holds secrets (`CLAUDE_CODE_MESSAGING_TOKEN`
//! speaks for the session), and what is not on the list never leaves the process. Pid, start
//! time, boot id and pid namespace together name one process for good, so that ingest can tell a
//! killed agent from a pid that was given to another.

use std::ffi::OsString;
use std::fs;
use std::io::Read;

use crate::Env;

/// `CLAUDECODE` is here because other agents run Claude's settings too, and lack it; the two folders
/// because the agent keeps a file below one of them that says whether its dialog is still open.
const FORWARDED: [&str; 14] = [
    "HOME",
    "CLAUDE_CONFIG_DIR",
    "CLAUDECODE",
    "CLAUDE_PID",
    "CLAUDE_PROJECT_DIR",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_REMOTE",
    "TRACEPARENT",
    "TRACESTATE",
    "MUSTER_RUN",
    "MUSTER_LABELS",
];

#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) env: Vec<(&'static str, String)>,
    pub(crate) pid: u32,
    /// Start of `pid` in clock ticks since boot, field 22 of `/proc/<pid>/stat`.
    pub(crate) pid_start: Option<u64>,
    pub(crate) boot_id: Option<String>,
    pub(crate) pid_ns: Option<String>,
}

impl Facts {
    pub(crate) fn under_claude_code(&self) -> bool {
        self.env.contains(&("CLAUDECODE", "1".to_owned()))
    }
}

/// More than `/proc/<pid>/stat` has: some fifty numbers and a short name.
const GLANCE_BYTES: usize = 1024;

pub(crate) fn gather(env: Env<'_>) -> Facts {
    let lossy = |value: OsString| value.to_string_lossy().into_owned();
    let pid = env("CLAUDE_PID")
        .and_then(|value| value.to_str()?.parse().ok())
        .unwrap_or_else(std::os::unix::process::parent_id);
    Facts {
        env: FORWARDED
            .iter()
            .filter_map(|name| Some((*name, lossy(env(name)?))))
            .collect(),
        pid,
        pid_start: glance(&format!("/proc/{pid}/stat")).and_then(|stat| start_ticks(&stat)),
        boot_id: glance("/proc/sys/kernel/random/boot_id")
            .and_then(|id| String::from_utf8(id).ok())
            .map(|id| id.trim_end().to_owned()),
        pid_ns: fs::read_link("/proc/self/ns/pid")
            .ok()
            .map(|link| link.to_string_lossy().into_owned()),
    }
}

/// A small file of the kernel's, in one read: it tells no size, so reading it to the end would ask several times.
fn glance(path: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; GLANCE_BYTES];
    let read = fs::File::open(path).ok()?.read(&mut bytes).ok()?;
    bytes.truncate(read);
    Some(bytes)
}

/// The command name (field 2) may hold spaces and parentheses, so fields count from the last `)`.
fn start_ticks(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_full_of_parentheses_does_not_move_the_start_time() {
        let stat = b"42 (a) b) (c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 2";
        assert_eq!(start_ticks(stat), Some(987_654));
        assert_eq!(start_ticks(b"42 (short) S 1"), None);
        assert_eq!(start_ticks(b""), None);
    }

    #[test]
    fn own_process_is_identified_through_proc() {
        let own = std::process::id().to_string();
        let facts = gather(&|name| (name == "CLAUDE_PID").then(|| own.clone().into()));
        assert_eq!(facts.pid, std::process::id());
        assert!(facts.pid_start.is_some_and(|ticks| ticks > 0));
        assert_eq!(facts.boot_id.map(|id| id.len()), Some(36));
        assert!(facts.pid_ns.is_some_and(|ns| ns.starts_with("pid:[")));
    }

    #[test]
    fn only_listed_variables_are_forwarded() {
        let facts = gather(&|_| Some("secret".into()));
        assert_eq!(facts.env.len(), FORWARDED.len());
        assert!(
            facts
                .env
                .iter()
                .all(|(name, _)| !name.contains("TOKEN") && !name.contains("KEY"))
        );
    }

    #[test]
    fn without_an_agent_pid_the_parent_stands_for_it() {
        assert_eq!(gather(&|_| None).pid, std::os::unix::process::parent_id());
    }
}
