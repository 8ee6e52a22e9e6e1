//! `muster bootstrap`: what a subagent needs to begin in a workspace.

use super::lease::here;
use crate::args::Global;
use crate::ask::{AskError, ask};
use crate::{format, hub, output};
use muster_domain::lease::EscalationKind;
use muster_domain::names::{HostName, Profile, SessionId, Workspace};
use muster_wire::api::{Bootstrap, BootstrapRequest, LeftOut};
use muster_wire::subject::Operation;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The workspace; without it, the current folder
    #[arg(long, value_name = "PATH")]
    workspace: Option<Workspace>,
    /// Whose work
    #[arg(long)]
    profile: Option<Profile>,
    /// The session that hands work on; then it is said how much deeper that may go
    #[arg(long)]
    session: Option<SessionId>,
    /// Where it runs
    #[arg(long)]
    host: Option<HostName>,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let question = BootstrapRequest {
        workspace: args.workspace.map_or_else(here, Ok)?,
        profile: args.profile,
        session: args.session,
        host: args.host,
    };
    let bus = hub::connect(global).await?;
    let answered = ask(&bus, Operation::WorkspacesBootstrap, &question).await;
    let (_, context): (_, Bootstrap) = answered.map_err(AskError::fatal)?;
    if global.json {
        output::json(&context)?;
    } else {
        output::line(&text(&context));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(context: &Bootstrap) -> String {
    let short = |text: &str| format::shorten(text, 200);
    let mut lines = vec![format!("{}: {}", context.workspace, context.rights)];
    if let Some(nesting) = context.nesting {
        lines.push(format!("work may be handed on {} deeper", nesting.depth_left));
    }
    if let Some(lease) = &context.lease {
        let who = lease.session.actor_id.as_deref().unwrap_or("a person");
        let stale = if lease.stale { ", who no longer keeps it" } else { "" };
        lines.push(format!("held by {}{stale}", short(who)));
    }
    for one in &context.escalations {
        let stops = if one.kind == EscalationKind::Blocking {
            "stop"
        } else {
            "look"
        };
        lines.push(format!("{stops}: {}", short(&one.reason)));
    }
    for open in &context.open_gates {
        lines.push(format!("gate {}: {}", open.index + 1, short(&open.gate.text)));
    }
    if let Some(handoff) = &context.handoff {
        lines.push(format!("handoff: {}", short(&handoff.what.title)));
        lines.extend(
            handoff
                .what
                .operational_guardrails
                .iter()
                .map(|text| format!("  keep to: {}", short(text))),
        );
        lines.extend(
            handoff
                .what
                .immediate_actions
                .iter()
                .map(|text| format!("  next: {}", short(text))),
        );
    }
    if let Some(recovery) = &context.recovery {
        lines.push(format!("recovery: {}", short(&recovery.what.checkpoint.summary)));
    }
    lines.extend(
        context
            .memories
            .iter()
            .map(|one| format!("known: {}", short(&one.text))),
    );
    if context.left_out != LeftOut::default() {
        lines.push("there is more than fits; see --json, left_out".to_owned());
    }
    lines.join("\n")
}
