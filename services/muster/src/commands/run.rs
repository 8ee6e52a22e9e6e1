//! `muster run`: without a command a turn loop (`turns`); `muster run -- CMD…` wraps a process and reports what it prints,
//! uses and returns.
//!
//! To whoever calls it, it is the command: standard input and error are the command's own, its output passes through
//! unchanged, whole and at once, and so does its exit status. Beside the copy (`telling`), what is printed is read (`lines`)
//! into turns, usage and transcript (`session`) and told to this host's ingest (`reporter`). The command never waits for
//! that longer than [`telling::ROOM`] in all: with ingest away it runs on, and the last line says how much was not reported.

mod lines;
mod process;
mod reporter;
mod session;
mod telling;
mod turns;
mod watching;

use crate::args::Global;
use crate::{output, socket};
use anyhow::Context as _;
use muster_domain::names::{AgentName, RunId};
use muster_runtime::exit::{self, Failure};
use muster_wire::data::watch::{Categories, Category};
use process::Started;
use reporter::{Missed, Reporter};
use session::Session;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use telling::Telling;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use watching::Watch;

/// How long more output is waited for after the command's end: something it started may hold the pipe open.
const QUIET: Duration = Duration::from_secs(1);
/// How long a session stays without a name, and so unseen; an agent that names its session with its first line starts up
/// first, which takes some seconds on a busy machine.
const NAMELESS: Duration = Duration::from_secs(1);
const NAMELESS_AGENT: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is reported as the agent; by the command's name without it
    #[arg(long, value_name = "NAME")]
    agent: Option<AgentName>,
    /// Ingest's socket; $MUSTER_SOCKET without it, else where `muster up` listens
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// What is told of the processes that the command launches: lifecycle, process, file, network, with commas between, or
    /// all, or none; lifecycle without it
    #[arg(long, value_name = "CATEGORIES")]
    watch: Option<Categories>,
    #[command(flatten)]
    turns: turns::Options,
    /// The command to wrap, after --. Without one, or where the first word begins with a dash, an agent is driven turn by
    /// turn, and these are more arguments for it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let watch = match args.watch {
        Some(categories) if !categories.is_empty() && !watching::is_there() => {
            output::remark("muster: this system does not say what processes do; nothing is watched");
            Categories::default()
        }
        Some(categories) => categories,
        None => Categories::from_iter([Category::Lifecycle]),
    };
    let [program, arguments @ ..] = &args.command[..] else {
        return Box::pin(turns::run(
            args.turns,
            args.agent,
            args.socket,
            args.command,
            watch,
            global,
        ))
        .await;
    };
    if program.as_encoded_bytes().starts_with(b"-") {
        return Box::pin(turns::run(
            args.turns,
            args.agent,
            args.socket,
            args.command,
            watch,
            global,
        ))
        .await;
    }
    if let Some(option) = args.turns.given() {
        return Err(Failure::Usage(format!(
            "{option} is for a turn loop; give it to the wrapped command itself"
        ))
        .into());
    }
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
    let nameless = if names_its_session(&agent) {
        NAMELESS_AGENT
    } else {
        NAMELESS
    };
    let reporter = Reporter::start(args.socket.or_else(socket::path), agent);
    let watch = Watch::start(&watch, &run, &started);
    let mut telling = Telling::start(Session::new(run), reporter, watch, &started, nameless);

    let ended = CancellationToken::new();
    let (status, copied) = {
        let copy = copy(stdout, &mut telling, &ended);
        tokio::pin!(copy);
        attend(&mut child, signals, copy, &ended).await?
    };
    let missed = telling.finish(&started, process::told(status)).await?;
    if missed != Missed::default() {
        output::remark(&format!(
            "muster: {missed} of this run were not reported: ingest did not take them"
        ));
    }
    match copied {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            output::remark(&format!("muster: the command's output could not be passed on: {error}"));
            let code = process::code(status);
            Ok(ExitCode::from(if code == 0 { exit::BUG } else { code }))
        }
        Ok(()) | Err(_) => Ok(ExitCode::from(process::code(status))),
    }
}

/// Waits for the command and all of its output, and hands signals on to it; once it ended, a signal is ours.
async fn attend(
    child: &mut Child,
    mut signals: process::Signals,
    mut copy: std::pin::Pin<&mut impl Future<Output = io::Result<()>>>,
    ended: &CancellationToken,
) -> anyhow::Result<(std::process::ExitStatus, io::Result<()>)> {
    let mut copied = None;
    let status = loop {
        tokio::select! {
            result = &mut copy, if copied.is_none() => copied = Some(result),
            signal = signals.next() => process::pass_on(child, signal),
            status = child.wait() => break status.context("waiting for the command")?,
        }
    };
    ended.cancel();
    let copied = match copied {
        Some(copied) => copied,
        None => tokio::select! {
            result = copy => result,
            _ = signals.next() => Ok(()),
        },
    };
    Ok((status, copied))
}

/// Passes the command's output through as it comes, to its end. After the command's own end that is also when nothing comes
/// for [`QUIET`]; a reader of ours that takes its time is no such silence.
async fn copy(mut stdout: ChildStdout, telling: &mut Telling, ended: &CancellationToken) -> io::Result<()> {
    let mut out = tokio::io::stdout();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let quiet = async {
            ended.cancelled().await;
            sleep(QUIET).await;
        };
        let read = tokio::select! {
            biased;
            read = stdout.read(&mut chunk) => read?,
            () = quiet => return Ok(()),
        };
        if read == 0 {
            return Ok(());
        }
        // Nobody reads any more: with the pipe closed, the command learns it as it would without us.
        out.write_all(&chunk[..read]).await?;
        out.flush().await?;
        telling.printed(&chunk[..read]).await;
    }
}

/// Whether this agent says its session's name in what it prints.
fn names_its_session(agent: &AgentName) -> bool {
    ["claude-code", "codex", "gemini-cli", "qwen-code"].contains(&agent.as_str())
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
