//! `muster policy activate`: reads the rules here first, so that a mistake is told with its place before anybody is asked.

use super::rules::{self, Shipped};
use crate::args::Global;
use crate::ask::{AskError, order};
use crate::{hub, output};
use muster_runtime::exit::Failure;
use muster_wire::api::{ActivationOutcome, PolicyActivateRequest, PolicyActivatedAnswer, PolicyText};
use muster_wire::subject::Operation;
use std::path::PathBuf;
use std::process::ExitCode;
use uuid::Uuid;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 the rules are in force, 64 they are wrong or others came between, 78 no operator token."
)]
pub(super) struct Args {
    /// Files of rules, or folders of .cedar files
    #[arg(required_unless_present_any = ["defaults", "none"], conflicts_with = "none")]
    files: Vec<PathBuf>,
    /// Rules that are shipped
    #[arg(long, value_name = "NAME", conflicts_with = "none")]
    defaults: Option<Shipped>,
    /// No rules at all
    #[arg(long)]
    none: bool,
    /// What to call them
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only in place of the rules of this fingerprint; without it, of those that are in force now
    #[arg(long, value_name = "FINGERPRINT")]
    replace: Option<String>,
}

pub(super) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let sources = rules::sources(&args.files, args.defaults)?;
    let policies = rules::read(&sources)?;
    if policies.rules().next().is_none() && !args.none {
        return Err(Failure::Usage("there is no rule in that; to have none in force, say --none".to_owned()).into());
    }
    let operator = hub::operator(global)?;
    let bus = hub::connect(global).await?;
    let expected = match args.replace {
        Some(fingerprint) => fingerprint,
        None => {
            let (shown, _) = rules::in_force(&bus).await?;
            shown.active.map_or_else(String::new, |active| active.fingerprint)
        }
    };
    let request = PolicyActivateRequest {
        name: args.name,
        sources: sources
            .into_iter()
            .map(|source| PolicyText {
                name: source.name,
                text: source.text,
            })
            .collect(),
        expected_fingerprint: Some(expected),
        request_id: Some(Uuid::now_v7().to_string()),
    };
    let answer = order(&bus, &operator, Operation::PolicyActivate, &request).await;
    let (_, answer): (_, PolicyActivatedAnswer) = answer.map_err(AskError::fatal)?;
    if global.json {
        output::json(&answer)?;
    } else {
        let how = match answer.outcome {
            ActivationOutcome::Applied => "in force",
            ActivationOutcome::Unchanged => "already in force",
            ActivationOutcome::Superseded => "in force, and replaced since",
        };
        let (count, active) = (policies.rules().count(), &answer.active);
        output::line(&format!(
            "{how}: {count} rules, version {}, {}",
            active.version, active.fingerprint
        ));
    }
    Ok(ExitCode::SUCCESS)
}
