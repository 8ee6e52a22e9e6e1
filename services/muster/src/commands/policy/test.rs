//! `muster policy test`: one call against the rules, and everything that was found out on the way.

use super::rules::Which;
use crate::args::Global;
use crate::output;
use muster_domain::policy::Ruling;
use muster_policy::{Examined, Facts, Policies};
use muster_runtime::exit::Failure;
use serde_json::{Value, json};
use std::process::ExitCode;

/// What is expected of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Expected {
    /// No rule applies
    None,
    Allow,
    ApprovalRequired,
    EscalationRequired,
    Deny,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 the rules were asked, 1 they say something else than --expect, 64 they are wrong."
)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// The tool, as its agent names it
    #[arg(long)]
    tool: String,
    /// What it is called with
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    /// Where; without it, here
    #[arg(long, value_name = "FOLDER")]
    cwd: Option<String>,
    /// The product that runs
    #[arg(long, default_value = "claude-code")]
    agent: String,
    /// The named subagent that calls
    #[arg(long)]
    subagent: Option<String>,
    /// The host
    #[arg(long, default_value = "")]
    host: String,
    /// The session
    #[arg(long, default_value = "")]
    session: String,
    /// The host's profile
    #[arg(long, default_value = "default")]
    profile: String,
    /// A label of the session, as in team=web; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// The agent's permission mode, as in bypassPermissions
    #[arg(long, default_value = "")]
    mode: String,
    /// Somebody sits before it
    #[arg(long)]
    attended: bool,
    /// Fail unless the rules say this
    #[arg(long, value_name = "DECISION")]
    expect: Option<Expected>,
}

pub(super) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let input: Value =
        serde_json::from_str(&args.input).map_err(|error| Failure::Usage(format!("--input: {error}")))?;
    let policies = args.which.read(global).await?;
    let here = || {
        std::env::current_dir()
            .map(|here| here.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let cwd = args.cwd.unwrap_or_else(here);
    let facts = Facts {
        host: &args.host,
        agent: &args.agent,
        subagent: args.subagent.as_deref(),
        session: &args.session,
        profile: &args.profile,
        labels: &args.labels,
        attended: args.attended,
        mode: &args.mode,
        cwd: &cwd,
        tool: &args.tool,
        input: &input,
    };
    let examined = policies.examine(&facts);
    if global.json {
        output::json(&document(&policies, &examined))?;
    } else {
        shown(&examined).iter().for_each(|line| output::line(line));
    }
    let found = examined
        .verdict
        .as_ref()
        .map_or(Expected::None, |verdict| match verdict.decision {
            Ruling::Allow => Expected::Allow,
            Ruling::ApprovalRequired => Expected::ApprovalRequired,
            Ruling::EscalationRequired => Expected::EscalationRequired,
            Ruling::Deny => Expected::Deny,
        });
    Ok(if args.expect.is_none_or(|expected| expected == found) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn document(policies: &Policies, examined: &Examined) -> Value {
    let classed = &examined.classed;
    json!({
        "verdict": examined.verdict,
        "unevaluated": examined.unevaluated,
        "family": classed.family,
        "families": classed.families,
        "path": classed.path,
        "commands": classed.commands,
        "words": classed.words,
        "programs": classed.programs,
        "dynamic": classed.dynamic,
        "unread": classed.unread,
        "fingerprint": policies.fingerprint(),
    })
}

fn shown(examined: &Examined) -> Vec<String> {
    let classed = &examined.classed;
    let list = |words: &mut dyn Iterator<Item = String>| words.collect::<Vec<_>>().join(", ");
    let mut lines = match &examined.verdict {
        None => vec!["no rule applies: the agent decides as it always did".to_owned()],
        Some(verdict) => vec![
            format!(
                "{}{}: {}",
                verdict.decision,
                if verdict.grant { ", granted" } else { "" },
                verdict.message
            ),
            format!("reason    {}", verdict.reason_code),
            format!("rules     {}", verdict.rules.join(", ")),
        ],
    };
    lines.push(format!("family    {}", classed.family));
    if classed.unread {
        lines.push("unread    it says more than is read, or nests it too deep".to_owned());
    }
    if classed.families.len() > 1 {
        lines.push(format!(
            "families  {}",
            list(&mut classed.families.iter().map(ToString::to_string))
        ));
    }
    if !classed.path.is_empty() {
        lines.push(format!("path      {}", classed.path));
    }
    if !classed.commands.is_empty() {
        lines.push(format!("commands  {}", list(&mut classed.commands.iter().cloned())));
    }
    for one in &examined.unevaluated {
        lines.push(format!("rule {} could not be evaluated: {}", one.rule, one.error));
    }
    lines
}
