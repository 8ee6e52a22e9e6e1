//! `muster run -- CMD…`: wraps a process and reports what it prints, uses and returns.
//!
//! To whoever calls it, it is the command: standard input and error are the command's own, its output passes through
//! unchanged and at once, and so does its exit status. What is printed is read on the way (`lines`) into turns, usage and
//! transcript (`session`) and told to this host's ingest (`reporter`). The command never waits for that longer than
//! [`reporter::ROOM`] in all: with ingest away it runs on, and the last line says how much was not reported.

mod lines;
mod process;
mod reporter;
mod session;

use crate::args::Global;
use crate::{output, socket};
use anyhow::Context as _;
use lines::Lines;
use muster_domain::names::{AgentName, RunId};
use muster_runtime::exit::Failure;
use process::Started;
use reporter::Reporter;
use session::Session;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use uuid::Uuid;

/// How long output is waited for after the command's end, once it is quiet: something it started may hold the pipe open.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is reported as the agent; by the command's name without it
    #[arg(long, value_name = "NAME")]
    agent: Option<AgentName>,
    /// Ingest's socket; $MUSTER_SOCKET without it, else where `muster up` listens
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// The command, after --
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD"
    )]
    command: Vec<OsString>,
}

pub(crate) async fn run(args: Args, _global: &Global) -> anyhow::Result<ExitCode> {
    let [program, arguments @ ..] = &args.command[..] else {
        return Err(Failure::Usage("name the command after --".to_owned()).into());
    };
    let agent = match args.agent {
        Some(agent) => agent,
        None => agent_of(program)?,
    };
    let run = RunId::new(&Uuid::now_v7().to_string())?;
    // Before the command runs: from its first moment on, signals are its own.
    let signals = process::Signals::listen()?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("MUSTER_RUN", run.as_str())
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| Failure::Usage(format!("cannot run {}", Path::new(program).display())))?;
    let stdout = child.stdout.take().context("invariant: the output is piped")?;
    let started = Started::of(&child, program);
    let mut reporter = Reporter::start(args.socket.or_else(socket::path), agent);
    let mut session = Session::new(run);
    reporter.report(session.started(&started)).await;

    let status = {
        let tee = tee(stdout, &mut session, &mut reporter);
        tokio::pin!(tee);
        attend(&mut child, signals, tee).await?
    };
    let reported = session.ended(&started, process::told(status));
    reporter.report(reported).await;
    let missed = reporter.finish().await;
    if missed > 0 {
        output::remark(&format!(
            "muster: {missed} events of this run were not reported: ingest did not take them"
        ));
    }
    Ok(ExitCode::from(process::code(status)))
}

/// Waits for the command while its output goes through, and hands signals on to it.
async fn attend(
    child: &mut Child,
    mut signals: process::Signals,
    mut tee: std::pin::Pin<&mut impl Future<Output = ()>>,
) -> anyhow::Result<std::process::ExitStatus> {
    let mut silent = false;
    loop {
        tokio::select! {
            () = &mut tee, if !silent => silent = true,
            signal = signals.next() => process::pass_on(child, signal),
            status = child.wait() => {
                let status = status.context("waiting for the command")?;
                if !silent {
                    // The reader itself notices the end, or that nothing more comes.
                    let _ = timeout(QUIET, tee).await;
                }
                return Ok(status);
            }
        }
    }
}

/// Passes the command's output through as it comes, and reports its lines.
async fn tee(mut stdout: ChildStdout, session: &mut Session, reporter: &mut Reporter) {
    let mut out = tokio::io::stdout();
    let mut lines = Lines::default();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = match stdout.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        // Nobody reads any more: with the pipe closed, the command learns it as it would without us.
        if out.write_all(&chunk[..read]).await.is_err() || out.flush().await.is_err() {
            break;
        }
        lines.take(&chunk[..read]);
        while let Some(line) = lines.next() {
            reporter.report(session.line(&line)).await;
        }
    }
    if let Some(line) = lines.rest() {
        reporter.report(session.line(&line)).await;
    }
}

/// The product that a program is known to be, else the program's own name.
fn agent_of(program: &OsString) -> anyhow::Result<AgentName> {
    let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy();
    let agent = match &*name {
        "claude" => "claude-code",
        "gemini" => "gemini-cli",
        "qwen" => "qwen-code",
        other => other,
    };
    AgentName::new(agent).map_err(|error| Failure::Usage(format!("{error}; name the agent with --agent")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_programs_are_named_as_their_hooks_name_them() {
        let name = |program: &str| agent_of(&program.into()).unwrap().to_string();
        assert_eq!(name("/usr/local/bin/claude"), "claude-code");
        assert_eq!(name("codex"), "codex");
        assert_eq!(name("./my-agent.sh"), "my-agent.sh");
    }
}
