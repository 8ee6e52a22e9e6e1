//! One file a command, and the way in and out that all share.

pub(crate) mod alerts;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod bootstrap;
pub(crate) mod budget;
pub(crate) mod case;
pub(crate) mod checkpoint;
pub(crate) mod circuit;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod effects;
pub(crate) mod enroll;
pub(crate) mod experiment;
pub(crate) mod feedback;
pub(crate) mod guards;
pub(crate) mod handoff;
pub(crate) mod hold;
pub(crate) mod lease;
pub(crate) mod mcp;
pub(crate) mod memory;
pub(crate) mod message;
pub(crate) mod migrate;
pub(crate) mod policy;
pub(crate) mod replay;
pub(crate) mod review;
pub(crate) mod rule;
pub(crate) mod run;
pub(crate) mod search;
mod selection;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod stats;
pub(crate) mod summary;
pub(crate) mod tail;
pub(crate) mod up;

use crate::args::{Command, Invocation};
use clap::Parser;
use muster_runtime::exit;
use muster_wire::subject::Operation;
use std::process::ExitCode;
use std::time::Duration;

/// Parses, runs, and turns the outcome into an exit status.
pub(crate) fn main() -> ExitCode {
    let invocation = match Invocation::try_parse() {
        Ok(invocation) => invocation,
        Err(error) => {
            // Help and version come this way too; they are no failure.
            let failed = error.use_stderr();
            // Nothing is left to do for a terminal that is gone.
            let _ = error.print();
            return ExitCode::from(if failed { exit::USAGE } else { exit::DRAINED });
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return crate::output::failed(&anyhow::Error::from(error)),
    };
    let code = match runtime.block_on(run(invocation)) {
        Ok(code) => code,
        Err(error) => crate::output::failed(&error),
    };
    // Blocking work that is still going on, such as a read from a terminal, is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    code
}

async fn run(invocation: Invocation) -> anyhow::Result<ExitCode> {
    let global = &invocation.global;
    match invocation.command {
        Command::Up(args) => Box::pin(up::run(*args, global)).await,
        Command::Enroll(args) => enroll::run(args, global),
        Command::Unenroll(args) => enroll::leave(args, global),
        Command::Doctor(args) => Box::pin(doctor::run(args, global)).await,
        Command::Sessions(args) => sessions::run(args, global).await,
        Command::Session(args) => session::run(args, global).await,
        Command::Message(args) => message::run(args, global).await,
        Command::Effects(args) => effects::run(args, global).await,
        Command::Search(args) => search::run(args, global).await,
        Command::Summary(args) => summary::run(args, global).await,
        Command::Metrics(args) => summary::metrics(args, global).await,
        Command::Stats(args) => stats::run(args, global).await,
        Command::Alerts(args) => alerts::run(args, global).await,
        Command::Approvals(args) => approvals::run(args, global).await,
        Command::Approve(args) => approvals::approve(args, global).await,
        Command::Deny(args) => approvals::deny(args, global).await,
        Command::Hold(args) => hold::hold(args, global).await,
        Command::Release(args) => hold::release(args, global).await,
        Command::Holds(args) => hold::list(args, global).await,
        Command::Away(args) => hold::away(args, global).await,
        Command::Back(args) => hold::back(args, global).await,
        Command::Feedback(args) => feedback::run(args, global).await,
        Command::Case(args) => case::run(args, global).await,
        Command::Rule(args) => rule::run(args, global).await,
        Command::Review(args) => review::run(args, global).await,
        Command::Budget(args) => budget::run(args, global).await,
        Command::Experiment(args) => Box::pin(experiment::run(args, global)).await,
        Command::Policy(args) => Box::pin(policy::run(args, global)).await,
        Command::Circuit(args) => circuit::run(args, global).await,
        Command::Lease(args) => lease::run(args, global).await,
        Command::Gate(args) => guards::gate(args, global).await,
        Command::Escalation(args) => guards::escalation(args, global).await,
        Command::Handoff(args) => handoff::run(args, global).await,
        Command::Recovery(args) => handoff::recovery(args, global).await,
        Command::Memory(args) => Box::pin(memory::run(*args, global)).await,
        Command::Bootstrap(args) => bootstrap::run(args, global).await,
        Command::Context(args) => checkpoint::context(args, global).await,
        Command::Checkpoint(args) => checkpoint::run(args, Operation::CheckpointsEvaluate, global).await,
        Command::Closeout(args) => checkpoint::run(args, Operation::CheckpointsCloseout, global).await,
        Command::Tail(args) => tail::run(args, global).await,
        Command::Replay(args) => replay::run(args, global).await,
        Command::Run(args) => Box::pin(run::run(args, global)).await,
        Command::Mcp(args) => Box::pin(mcp::run(args, global)).await,
        Command::Audit(args) => audit::run(args, global).await,
        Command::Migrate(args) => migrate::run(args, global).await,
        Command::Config(args) => config::run(args, global),
        Command::Hook { rest } => Ok(muster_hook::main(rest)),
    }
}

/// The environment, without what cannot be ours because it is no text.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// How this command is called from where its reader stands.
pub(crate) fn me() -> String {
    let exe = std::env::current_exe().unwrap_or_else(|_| "muster".into());
    let on_path = std::env::var_os("PATH")
        .and_then(|path| {
            std::env::split_paths(&path)
                .map(|dir| dir.join("muster"))
                .find(|file| file.is_file())
        })
        .is_some_and(|found| {
            found
                .canonicalize()
                .is_ok_and(|found| exe.canonicalize().is_ok_and(|exe| exe == found))
        });
    if on_path {
        return "muster".to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    exe.strip_prefix(&here)
        .map_or_else(|_| exe.display().to_string(), |path| format!("./{}", path.display()))
}
