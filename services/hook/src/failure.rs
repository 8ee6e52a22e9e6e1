//! Why there is no answer. Read by people only: in debug mode, or as the reason of a block.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use crate::progress::Stage;

/// What a failure means to the agent, as installed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Exit status that blocks; `None` to fail open.
    pub(crate) fail_closed: Option<u8>,
    pub(crate) debug: bool,
}

impl Manner {
    /// Says what is to be said, and gives the exit status.
    pub(crate) fn conclude(self, failure: &Failure) -> u8 {
        if let Some(status) = self.fail_closed {
            let line = format!("muster-hook: {failure}; blocking, as installed to fail closed");
            // With stderr closed the exit status has to do.
            let _ = writeln!(io::stderr(), "{line}");
            return status;
        }
        if self.debug {
            let _ = writeln!(io::stderr(), "muster-hook: {failure}");
        }
        0
    }
}

#[derive(Debug)]
pub(crate) enum Failure {
    Usage(String),
    NoSocketPath,
    Watchdog(io::Error),
    Input(io::Error),
    /// The socket's file is not there: ingest never ran, or was stopped in order.
    Absent {
        socket: PathBuf,
    },
    Unreachable {
        socket: PathBuf,
        error: io::Error,
        waited: Duration,
    },
    Protocol(&'static str),
    Refused {
        code: String,
        detail: String,
    },
    OutOfTime {
        stage: Stage,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(problem) => write!(f, "{problem}; see muster-hook --help"),
            Self::NoSocketPath => f.write_str("no socket path: set MUSTER_SOCKET, XDG_RUNTIME_DIR or HOME"),
            Self::Watchdog(error) => write!(f, "cannot start a thread: {error}"),
            Self::Input(error) => write!(f, "cannot read the agent's input: {error}"),
            Self::Absent { socket } => {
                write!(f, "ingest is not running (no socket at {})", socket.display())
            }
            Self::Unreachable { socket, error, waited } => {
                write!(f, "ingest at {} unreachable for {waited:?}: {error}", socket.display())
            }
            Self::Protocol(problem) => write!(f, "ingest broke the protocol: {problem}"),
            Self::Refused { code, detail } => write!(f, "ingest refused ({code}): {detail}"),
            Self::OutOfTime { stage } => write!(f, "out of time while {stage}"),
        }
    }
}
