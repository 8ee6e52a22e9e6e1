//! Why there is no answer. Read by people only: in debug mode, or as the reason of a block.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use crate::progress::Stage;

#[derive(Debug)]
pub(crate) enum Failure {
    Usage(String),
    NoSocketPath,
    Worker(io::Error),
    WorkerGone,
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
            Self::NoSocketPath => {
                f.write_str("no socket path: set MUSTER_SOCKET, XDG_RUNTIME_DIR or HOME")
            }
            Self::Worker(error) => write!(f, "cannot start a thread: {error}"),
            Self::WorkerGone => f.write_str("the worker thread ended without a result"),
            Self::Input(error) => write!(f, "cannot read the agent's input: {error}"),
            Self::Absent { socket } => {
                write!(
                    f,
                    "ingest is not running (no socket at {})",
                    socket.display()
                )
            }
            Self::Unreachable {
                socket,
                error,
                waited,
            } => {
                write!(
                    f,
                    "ingest at {} unreachable for {waited:?}: {error}",
                    socket.display()
                )
            }
            Self::Protocol(problem) => write!(f, "ingest broke the protocol: {problem}"),
            Self::Refused { code, detail } => write!(f, "ingest refused ({code}): {detail}"),
            Self::OutOfTime { stage } => write!(f, "out of time while {stage}"),
        }
    }
}
