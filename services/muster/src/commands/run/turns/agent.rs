//! The agent's process: one for many turns, fed by standard input.

use super::super::lines::Lines;
use super::super::process::{self, Started};
use anyhow::Context as _;
use muster_domain::names::{RunId, SessionId};
use muster_runtime::exit::Failure;
use rustix::process::Signal;
use serde_json::Value;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_util::task::TaskTracker;

/// Lines read ahead; an agent that prints faster waits at its pipe.
const LINES_MAX: usize = 256;

/// How the agent is started, each time.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) cwd: PathBuf,
    pub(super) model: Option<String>,
    /// The user's own arguments.
    pub(super) extra: Vec<OsString>,
}

/// A running agent.
pub(super) struct Agent {
    child: Child,
    stdin: Option<ChildStdin>,
    pub(super) lines: Receiver<String>,
    pub(super) started: Started,
}

impl Launch {
    /// Starts the agent for a conversation, which is `known` where it has had a prompt: only then does it have something to
    /// go on with, and only before does it take an id for a new one.
    pub(super) fn start(&self, run: &RunId, session: &SessionId, known: bool) -> anyhow::Result<Agent> {
        let mut command = Command::new(&self.program);
        command.args([
            "-p",
            "--verbose",
            "--output-format",
            "stream-json",
            "--input-format",
            "stream-json",
        ]);
        command
            .arg(if known { "--resume" } else { "--session-id" })
            .arg(session.as_str());
        if let Some(model) = &self.model {
            command.arg("--model").arg(model);
        }
        command
            .args(&self.extra)
            .current_dir(&self.cwd)
            .env("MUSTER_RUN", run.as_str());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        // Ctrl-c at a terminal is for the loop, which ends the agent in its own way.
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| {
            Failure::Usage(format!(
                "cannot run {} in {}; name the agent's program with --program",
                self.program.display(),
                self.cwd.display()
            ))
        })?;
        let stdout = child.stdout.take().context("invariant: the output is piped")?;
        let (sender, lines) = mpsc::channel(LINES_MAX);
        TaskTracker::new().spawn(read(stdout, sender));
        Ok(Agent {
            started: Started::of(&child, &self.program.clone().into_os_string()),
            stdin: child.stdin.take(),
            child,
            lines,
        })
    }
}

impl Agent {
    /// Says something to it. Nothing is heard where it ended just now, which its lines' end tells too.
    pub(super) async fn say(&mut self, line: &Value) -> io::Result<()> {
        let Some(stdin) = &mut self.stdin else {
            return Ok(());
        };
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        stdin.flush().await
    }

    /// Says that nothing more will be said, upon which it ends after its turn.
    pub(super) fn hang_up(&mut self) {
        self.stdin = None;
    }

    pub(super) fn signal(&self, signal: Signal) {
        process::pass_on(&self.child, signal);
    }

    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }
}

async fn read(mut stdout: ChildStdout, sender: Sender<String>) {
    let mut lines = Lines::default();
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = stdout.read(&mut chunk).await {
        lines.take(&chunk[..read]);
        while let Some(line) = lines.next() {
            if sender.send(line).await.is_err() {
                return;
            }
        }
    }
    if let Some(line) = lines.rest() {
        // Whoever does not listen any more does not miss it.
        let _ = sender.send(line).await;
    }
}
