//! `muster enroll` and `muster unenroll`: the command line over the merging of settings.

use crate::args::Global;
use crate::enroll::{self, Options, Outcome, Report, Scope};
use crate::output;
use muster_runtime::exit::Failure;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which agent
    agent: Agent,
    /// All of this user's sessions, or those in the current folder
    #[arg(long, default_value = "user")]
    scope: Where,
    /// Block the action when the hook fails at this event, as in PreToolUse; may be repeated
    #[arg(long, value_name = "EVENT", num_args = 1.., action = clap::ArgAction::Append)]
    fail_closed: Vec<String>,
    /// Give the agent muster's tools too: add `muster mcp` to its servers, with the hub named here
    #[arg(long)]
    mcp: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LeaveArgs {
    /// Which agent
    agent: Agent,
    /// As it was enrolled
    #[arg(long, default_value = "user")]
    scope: Where,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Agent {
    ClaudeCode,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Where {
    User,
    Project,
}

impl From<Where> for Scope {
    fn from(place: Where) -> Self {
        match place {
            Where::User => Self::User,
            Where::Project => Self::Project,
        }
    }
}

pub(crate) fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let Agent::ClaudeCode = args.agent;
    let tools = args.mcp.then(|| hub_flags(global));
    let options = Options::from_environment(args.scope.into(), args.fail_closed, tools)?;
    print(&enroll::run(&options).map_err(refused)?, global)
}

pub(crate) fn leave(args: LeaveArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let Agent::ClaudeCode = args.agent;
    let options = Options::from_environment(args.scope.into(), Vec::new(), Some(Vec::new()))?;
    print(&enroll::unenroll(&options).map_err(refused)?, global)
}

/// The hub as it is named now; an agent's own environment may name none.
fn hub_flags(global: &Global) -> Vec<String> {
    let file = |path: &PathBuf| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        path.to_string_lossy().into_owned()
    };
    let flags = [
        ("--nats", global.nats.clone()),
        ("--nats-credentials", global.nats_credentials.as_ref().map(file)),
        ("--nats-ca", global.nats_ca.as_ref().map(file)),
    ];
    let given = flags
        .into_iter()
        .filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
    given.flatten().collect()
}

/// What the user asked for, or the file he has, is at fault; only I/O is not.
fn refused(error: enroll::Error) -> anyhow::Error {
    match error {
        enroll::Error::Io { .. } | enroll::Error::ChangedMeanwhile { .. } => error.into(),
        enroll::Error::FailClosed { .. } => Failure::Usage(error.to_string()).into(),
        enroll::Error::NotJson { .. }
        | enroll::Error::Comments { .. }
        | enroll::Error::Shape { .. }
        | enroll::Error::OriginalDamaged { .. }
        | enroll::Error::NoPlace { .. } => Failure::Config(error.to_string()).into(),
    }
}

fn print(report: &Report, global: &Global) -> anyhow::Result<ExitCode> {
    if global.json {
        output::json(report)?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = report.settings.display();
    output::line(&match report.outcome {
        Outcome::Enrolled => format!("enrolled: {} hooks added to {settings}", report.changed.len()),
        Outcome::AlreadyEnrolled => format!("already enrolled in {settings}; nothing changed"),
        Outcome::Updated => format!("brought up to date in {settings}: {}", report.changed.join(", ")),
        Outcome::Restored => format!("{settings} is again what it was, byte for byte"),
        Outcome::Removed => format!("muster's hooks are taken out of {settings}; what else changed there stays"),
        Outcome::NotEnrolled => format!("not enrolled in {settings}; nothing changed"),
    });
    if !report.command.is_empty() {
        output::line(&format!("each runs {}", report.command.join(" ")));
    }
    if !report.fail_closed.is_empty() {
        output::line(&format!(
            "blocking when the hook fails: {}",
            report.fail_closed.join(", ")
        ));
    }
    if let Some(tools) = &report.tools {
        let file = tools.file.display();
        output::line(&match tools.outcome {
            Outcome::Enrolled | Outcome::Updated => {
                format!("tools: added to {file}, which starts {}", tools.command.join(" "))
            }
            Outcome::AlreadyEnrolled => format!("tools: already in {file}; nothing changed"),
            Outcome::Restored => format!("tools: {file} is again what it was, byte for byte"),
            Outcome::Removed => format!("tools: taken out of {file}; what else changed there stays"),
            Outcome::NotEnrolled => format!("tools: not in {file}"),
        });
    }
    for skipped in &report.skipped {
        output::line(&format!("not {}: {}", skipped.event, skipped.reason));
    }
    for warning in &report.warnings {
        output::remark(&format!("warning: {warning}"));
    }
    if matches!(
        report.outcome,
        Outcome::Enrolled | Outcome::AlreadyEnrolled | Outcome::Updated
    ) {
        let me = super::me();
        output::line(&format!(
            "next: start claude, then `{me} sessions list`; `{me} unenroll claude-code` undoes this"
        ));
    }
    Ok(ExitCode::SUCCESS)
}
