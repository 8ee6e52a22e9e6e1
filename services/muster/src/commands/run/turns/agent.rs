//! The agent's process: one for many turns, fed by standard input.

use super::super::lines::Lines;
use super::super::process::{self, Started};
use super::super::watching::Watch;
use anyhow::Context as _;
use muster_domain::names::{RunId, SessionId};
use muster_runtime::exit::Failure;
use muster_wire::data::watch::Categories;
use rustix::process::Signal;
use serde_json::Value;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

/// Lines read ahead; an agent that prints faster waits at its pipe.
const LINES_MAX: usize = 256;

/// Lines said ahead; whoever reads none of so many reads nothing any more.
const SAID_MAX: usize = 64;
/// How long more lines are waited for after the agent's end: something it started may hold the pipe open.
const QUIET: Duration = Duration::from_secs(1);
/// How long an agent may live that says nothing any more.
const SILENT: Duration = Duration::from_secs(5);

/// How the agent is started, each time.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) cwd: PathBuf,
    pub(super) model: Option<String>,
    /// The user's own arguments.
    pub(super) extra: Vec<OsString>,
    /// What is told of the processes that it launches.
    pub(super) watch: Categories,
}

/// A running agent.
pub(super) struct Agent {
    pub(super) child: Child,
    /// To the task that writes: an agent that does not read must not keep the loop from hearing signals.
    said: Option<Sender<String>>,
    pub(super) lines: Receiver<String>,
    pub(super) started: Started,
    pub(super) watch: Watch,
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
        let stdin = child.stdin.take().context("invariant: the input is piped")?;
        let (sender, lines) = mpsc::channel(LINES_MAX);
        let (said, to_say) = mpsc::channel(SAID_MAX);
        let tasks = TaskTracker::new();
        tasks.spawn(read(stdout, sender));
        tasks.spawn(write(stdin, to_say));
        let started = Started::of(&child, &self.program.clone().into_os_string());
        Ok(Agent {
            watch: Watch::start(&self.watch, run, &started),
            started,
            said: Some(said),
            child,
            lines,
        })
    }
}

impl Agent {
    /// Says something to it; false where it ended just now, which its lines' end tells too, or does not listen.
    pub(super) fn say(&self, line: &Value) -> bool {
        let said = self.said.as_ref();
        said.is_some_and(|said| said.try_send(format!("{line}\n")).is_ok())
    }

    /// Says that nothing more will be said, upon which it ends after its turn.
    pub(super) fn hang_up(&mut self) {
        self.said = None;
    }

    /// To all that it started, where it is to end for good.
    pub(super) fn signal(&self, signal: Signal) {
        if signal == Signal::KILL {
            process::kill_all(&self.child);
        }
        process::pass_on(&self.child, signal);
    }

    /// Waits for its end, once it says nothing any more.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        if let Ok(status) = timeout(SILENT, self.child.wait()).await {
            return status;
        }
        self.signal(Signal::KILL);
        self.child.wait().await
    }
}

/// Waits for the end of `child`, and then for what it said last.
pub(super) async fn quiet(child: &mut Child) {
    // What cannot be waited for has no end to wait for; its lines have.
    if child.wait().await.is_err() {
        std::future::pending::<()>().await;
    }
    sleep(QUIET).await;
}

async fn write(mut stdin: ChildStdin, mut to_say: Receiver<String>) {
    while let Some(line) = to_say.recv().await {
        let written = async {
            stdin.write_all(line.as_bytes()).await?;
            stdin.flush().await
        };
        if written.await.is_err() {
            return;
        }
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
