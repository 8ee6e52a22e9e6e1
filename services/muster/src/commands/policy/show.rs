//! `muster policy show`.

use super::rules;
use crate::args::Global;
use crate::{format, hub, output};
use muster_policy::Policies;
use muster_wire::api::PolicyShown;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The texts, as they were activated
    #[arg(long)]
    text: bool,
    /// What was in force before
    #[arg(long, conflicts_with = "text")]
    history: bool,
}

pub(super) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let (shown, sources) = rules::in_force(&hub::connect(global).await?).await?;
    if global.json {
        output::json(&shown)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.history {
        output::line(&history(&shown));
        return Ok(ExitCode::SUCCESS);
    }
    let Some(active) = &shown.active else {
        output::line("no rules were ever activated: agents ask as they always did");
        return Ok(ExitCode::SUCCESS);
    };
    if args.text {
        for source in &sources {
            output::line(&format!("// {}", source.name));
            for line in source.text.trim_end().lines() {
                output::line(line);
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let name = active
        .name
        .as_deref()
        .map_or_else(String::new, |name| format!(" {name:?}"));
    let since = format::age(format::now(), active.at);
    output::line(&format!(
        "version {}{name}, activated by {} {since} ago, {}",
        active.version, active.by, active.fingerprint
    ));
    match Policies::parse(&sources) {
        Ok(policies) => {
            let mut rules: Vec<_> = policies.rules().collect();
            rules.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
            let row = |rule: &&muster_policy::Rule| {
                let decision = if rule.grant {
                    "allow, granted".to_owned()
                } else {
                    rule.ruling.to_string()
                };
                [
                    rule.id.clone(),
                    decision,
                    rule.reason.clone(),
                    format!("{}:{}", rule.file, rule.line),
                ]
            };
            let rows: Vec<_> = rules.iter().map(row).collect();
            output::line(&format::table(["RULE", "DECISION", "REASON", "WHERE"], &rows));
        }
        Err(error) => output::remark(&format!("these rules cannot be read by this version: {error}")),
    }
    Ok(ExitCode::SUCCESS)
}

fn history(shown: &PolicyShown) -> String {
    let now = format::now();
    let row = |past: &muster_wire::api::PolicyRow| {
        [
            past.version.to_string(),
            format::age(now, past.at),
            past.by.clone(),
            past.name.clone().unwrap_or_default(),
            past.fingerprint.clone(),
        ]
    };
    let rows: Vec<_> = shown.history.iter().map(row).collect();
    format::table(["VERSION", "AGE", "BY", "NAME", "FINGERPRINT"], &rows)
}
