//! `muster gate`, `muster escalation`: what stands between leased work and its going on.

use super::lease::{Target, decided, word, wrote};
use crate::args::Global;
use crate::ask::{AskError, ask};
use crate::{format, hub, output};
use muster_domain::lease::{EscalationKind, GateStatus, Seed};
use muster_wire::api::{
    EscalationsClearRequest, EscalationsSetRequest, GatesReplaceRequest, GatesRequest, GatesSeedRequest,
    GatesSetStatusRequest, GuardsAnswer, GuardsListRequest, GuardsRow,
};
use muster_wire::data::lease::GuardsData;
use muster_wire::subject::Operation;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct GateArgs {
    #[command(subcommand)]
    command: GateCommand,
}

#[derive(Debug, clap::Subcommand)]
enum GateCommand {
    /// What has to be passed, in order
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Other gates in place of those there are
    Replace {
        #[command(flatten)]
        target: Target,
        /// What has to be the case, in order
        #[arg(required = true)]
        gates: Vec<String>,
    },
    /// Gates where there are none: those given, else what the handoff says
    Seed {
        #[command(flatten)]
        target: Target,
        /// Where they come from: handoff:immediate_actions or definition_of_done
        #[arg(long, default_value = "handoff:immediate_actions", value_parser = word::<Seed>)]
        from: Seed,
        /// What has to be the case, in order
        gates: Vec<String>,
    },
    /// How far one gate is
    Set {
        #[command(flatten)]
        target: Target,
        /// Which, counted from 1 as `gate list` does
        number: usize,
        /// open, done or blocked
        #[arg(value_parser = word::<GateStatus>)]
        status: GateStatus,
    },
    /// Pass the first gate that is not passed
    Advance {
        #[command(flatten)]
        target: Target,
    },
    /// Take all gates away
    Clear {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct EscalationArgs {
    #[command(subcommand)]
    command: EscalationCommand,
}

#[derive(Debug, clap::Subcommand)]
enum EscalationCommand {
    /// What waits for somebody
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Say that something waits for somebody; the work stops until it is cleared
    Set {
        #[command(flatten)]
        target: Target,
        /// Names it; made where it is not given
        #[arg(long)]
        id: Option<String>,
        /// The work goes on meanwhile
        #[arg(long)]
        non_blocking: bool,
        /// Why
        reason: String,
    },
    /// Say that it does no longer
    Clear {
        #[command(flatten)]
        target: Target,
        /// Which; all where none is named
        id: Option<String>,
    },
}

pub(crate) async fn gate(args: GateArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let answer: GuardsAnswer = match args.command {
        GateCommand::List { target } => return list(&target, global, Operation::GatesList, gates).await,
        GateCommand::Replace { target, gates } => {
            let target = target.lease()?;
            let question = GatesReplaceRequest { target, gates };
            decided(global, Operation::GatesReplace, &question).await?
        }
        GateCommand::Seed { target, from, gates } => {
            let question = GatesSeedRequest {
                target: target.lease()?,
                seeded_from: from,
                gates,
            };
            decided(global, Operation::GatesSeed, &question).await?
        }
        GateCommand::Set { target, number, status } => {
            let question = GatesSetStatusRequest {
                target: target.lease()?,
                index: number.checked_sub(1).unwrap_or(usize::MAX),
                status,
            };
            decided(global, Operation::GatesSetStatus, &question).await?
        }
        GateCommand::Advance { target } => {
            let question = GatesRequest {
                target: target.lease()?,
            };
            decided(global, Operation::GatesAdvance, &question).await?
        }
        GateCommand::Clear { target } => {
            let question = GatesRequest {
                target: target.lease()?,
            };
            decided(global, Operation::GatesClear, &question).await?
        }
    };
    let (outcome, message) = (answer.outcome, answer.message.as_deref());
    wrote(global, &answer, (outcome, message), || gates(&answer.row.guards))
}

pub(crate) async fn escalation(args: EscalationArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let answer: GuardsAnswer = match args.command {
        EscalationCommand::List { target } => {
            return list(&target, global, Operation::EscalationsList, escalations).await;
        }
        EscalationCommand::Set {
            target,
            id,
            non_blocking,
            reason,
        } => {
            let question = EscalationsSetRequest {
                target: target.lease()?,
                id,
                kind: if non_blocking {
                    EscalationKind::NonBlocking
                } else {
                    EscalationKind::Blocking
                },
                reason,
            };
            decided(global, Operation::EscalationsSet, &question).await?
        }
        EscalationCommand::Clear { target, id } => {
            let target = target.lease()?;
            let question = EscalationsClearRequest { target, id };
            decided(global, Operation::EscalationsClear, &question).await?
        }
    };
    let (outcome, message) = (answer.outcome, answer.message.as_deref());
    wrote(global, &answer, (outcome, message), || escalations(&answer.row.guards))
}

async fn list(
    target: &Target,
    global: &Global,
    operation: Operation,
    shown: fn(&GuardsData) -> String,
) -> anyhow::Result<ExitCode> {
    let question = GuardsListRequest {
        workspace: target.place()?,
        profile: target.profile.clone(),
    };
    let bus = hub::connect(global).await?;
    let (_, row): (_, GuardsRow) = ask(&bus, operation, &question).await.map_err(AskError::fatal)?;
    if global.json {
        output::json(&row)?;
    } else {
        output::line(&shown(&row.guards));
    }
    Ok(ExitCode::SUCCESS)
}

fn gates(guards: &GuardsData) -> String {
    if guards.execution_gates.is_empty() {
        return "no gates".to_owned();
    }
    let lines = guards.execution_gates.iter().enumerate().map(|(at, gate)| {
        let mark = match gate.status {
            GateStatus::Done => 'x',
            GateStatus::Blocked => '!',
            GateStatus::Open => ' ',
        };
        let next = if guards.attention_anchor == Some(at) {
            " <- next"
        } else {
            ""
        };
        format!("{}. [{mark}] {}{next}", at + 1, format::shorten(&gate.text, 100))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn escalations(guards: &GuardsData) -> String {
    if guards.escalations.is_empty() {
        return "nothing waits for anybody".to_owned();
    }
    let lines = guards.escalations.iter().map(|one| {
        let kind = match one.kind {
            EscalationKind::Blocking => "blocking",
            EscalationKind::NonBlocking => "non-blocking",
        };
        let (id, reason) = (format::shorten(&one.id, 60), format::shorten(&one.reason, 100));
        format!("{id} ({kind}): {reason}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::lease::Gate;

    #[test]
    fn gates_are_numbered_and_the_next_is_marked() {
        let gate = |text: &str, status| Gate {
            text: text.into(),
            status,
            seeded_from: None,
        };
        let guards = GuardsData {
            escalations: Vec::new(),
            execution_gates: vec![gate("builds", GateStatus::Done), gate("ships", GateStatus::Blocked)],
            attention_anchor: Some(1),
        };
        assert_eq!(gates(&guards), "1. [x] builds\n2. [!] ships <- next");
        assert_eq!(escalations(&guards), "nothing waits for anybody");
    }
}
