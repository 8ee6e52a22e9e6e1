//! `muster handoff`, `muster recovery`: what leased work leaves to whoever goes on with it.

use super::lease::{Target, decided, word, wrote};
use crate::args::Global;
use crate::ask::{AskError, ask};
use crate::{format, hub, output};
use muster_domain::lease::{Buffer, Handoff, Origin, Pulse, Recovery};
use muster_wire::api::{HandoffAnswer, HandoffRow, HandoffsGetRequest, HandoffsWriteRequest, RecoveriesWriteRequest};
use muster_wire::subject::Operation;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What was left, handoff and recovery
    Show {
        #[command(flatten)]
        target: Target,
    },
    /// Leave a handoff to whoever goes on
    Write(Write),
}

#[derive(Debug, clap::Args)]
struct Write {
    #[command(flatten)]
    target: Target,
    /// What it is about
    #[arg(long)]
    title: Box<str>,
    /// What is to be done next; more than once, in order
    #[arg(long = "next", value_name = "ACTION")]
    immediate_actions: Vec<Box<str>>,
    /// What is done
    #[arg(long = "completed", value_name = "THING")]
    completed_state: Vec<Box<str>>,
    /// What is to be kept to
    #[arg(long = "guardrail", value_name = "RULE")]
    operational_guardrails: Vec<Box<str>>,
    /// Where to look
    #[arg(long = "file", value_name = "PATH")]
    key_files: Vec<Box<str>>,
    /// What has to be the case in the end
    #[arg(long = "done-when", value_name = "STATE")]
    definition_of_done: Vec<Box<str>>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RecoveryArgs {
    #[command(subcommand)]
    command: RecoveryCommand,
}

#[derive(Debug, clap::Subcommand)]
enum RecoveryCommand {
    /// Leave what is needed to go on with work that is interrupted
    Write(WriteRecovery),
}

#[derive(Debug, clap::Args)]
struct WriteRecovery {
    #[command(flatten)]
    target: Target,
    /// Why: manual, compaction or risky_pause
    #[arg(long, default_value = "manual", value_parser = word::<Origin>)]
    origin: Origin,
    /// Where the work stands
    #[arg(long)]
    summary: Box<str>,
    /// What is to be done next; more than once, in order
    #[arg(long = "next", value_name = "ACTION")]
    immediate_actions: Vec<Box<str>>,
    /// Where to look
    #[arg(long = "file", value_name = "PATH")]
    key_files: Vec<Box<str>>,
    /// What is in mind and written nowhere else, line by line
    #[arg(long = "line", value_name = "TEXT")]
    summary_lines: Vec<Box<str>>,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let write = match args.command {
        Command::Show { target } => return show(&target, global).await,
        Command::Write(write) => write,
    };
    let question = HandoffsWriteRequest {
        target: write.target.lease()?,
        handoff: Handoff {
            title: write.title,
            immediate_actions: write.immediate_actions,
            completed_state: write.completed_state,
            operational_guardrails: write.operational_guardrails,
            key_files: write.key_files,
            definition_of_done: write.definition_of_done,
        },
    };
    left(global, &decided(global, Operation::HandoffsWrite, &question).await?)
}

pub(crate) async fn recovery(args: RecoveryArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let RecoveryCommand::Write(write) = args.command;
    let question = RecoveriesWriteRequest {
        target: write.target.lease()?,
        recovery: Recovery {
            origin: write.origin,
            checkpoint: Pulse {
                summary: write.summary,
                immediate_actions: write.immediate_actions,
                key_files: write.key_files,
            },
            working_buffer: Buffer {
                summary_lines: write.summary_lines,
            },
        },
    };
    left(global, &decided(global, Operation::RecoveriesWrite, &question).await?)
}

fn left(global: &Global, answer: &HandoffAnswer) -> anyhow::Result<ExitCode> {
    let (outcome, message) = (answer.outcome, answer.message.as_deref());
    wrote(global, answer, (outcome, message), || text(&answer.row))
}

async fn show(target: &Target, global: &Global) -> anyhow::Result<ExitCode> {
    let question = HandoffsGetRequest {
        workspace: target.place()?,
        profile: target.profile.clone(),
    };
    let bus = hub::connect(global).await?;
    let (_, row): (_, HandoffRow) = ask(&bus, Operation::HandoffsGet, &question)
        .await
        .map_err(AskError::fatal)?;
    if global.json {
        output::json(&row)?;
    } else {
        output::line(&text(&row));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(row: &HandoffRow) -> String {
    let mut lines = Vec::new();
    if let Some(handoff) = &row.left.handoff {
        let what = &handoff.what;
        lines.push(format!(
            "handoff {}: {}",
            handoff.revision,
            format::shorten(&what.title, 100)
        ));
        section(&mut lines, "next", &what.immediate_actions);
        section(&mut lines, "completed", &what.completed_state);
        section(&mut lines, "guardrails", &what.operational_guardrails);
        section(&mut lines, "files", &what.key_files);
        section(&mut lines, "done when", &what.definition_of_done);
    }
    if let Some(recovery) = &row.left.recovery {
        let (what, revision) = (&recovery.what, recovery.revision);
        let summary = format::shorten(&what.checkpoint.summary, 200);
        lines.push(format!("recovery {revision}: {summary}"));
        section(&mut lines, "next", &what.checkpoint.immediate_actions);
        section(&mut lines, "files", &what.checkpoint.key_files);
        section(&mut lines, "in mind", &what.working_buffer.summary_lines);
    }
    if lines.is_empty() {
        return "nothing was left".to_owned();
    }
    lines.join("\n")
}

fn section(lines: &mut Vec<String>, name: &str, entries: &[Box<str>]) {
    if !entries.is_empty() {
        lines.push(format!("  {name}:"));
        lines.extend(
            entries
                .iter()
                .map(|entry| format!("    - {}", format::shorten(entry, 200))),
        );
    }
}
