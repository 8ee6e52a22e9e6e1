//! `agent.turn.*`: what a wrapped run printed.

use super::read;
use crate::data::turn::{
    ModelChanged, Note, StatusChanged, TokenUsageChanged, TurnEnd, TurnStart, TurnState, TurnStateChanged,
};
use muster_domain::approval::AskEnd;
use muster_domain::fact::{RunTurn, TurnFact};
use muster_domain::family::TurnKind;

/// Millionths of a US dollar; what no agent can have cost is nothing.
fn micros(usd: f64) -> Option<u64> {
    let micros = (usd * 1e6).round();
    // The cast saturates, and the range was checked.
    (0.0..1e18).contains(&micros).then_some(micros as u64)
}

pub(super) fn fact(kind: TurnKind, data: &str) -> Option<TurnFact> {
    Some(match kind {
        TurnKind::TurnStart => {
            let TurnStart { run, index, cwd, .. } = read(data)?;
            TurnFact::Started {
                turn: RunTurn { run, index },
                cwd,
            }
        }
        TurnKind::TurnEnd => {
            let end: TurnEnd = read(data)?;
            TurnFact::Ended {
                turn: RunTurn {
                    run: end.run,
                    index: end.index,
                },
                ok: end.ok,
                result: end.result,
                duration_ms: end.duration_ms,
                usage: end.usage.into(),
                run_cost_micros: end.run_cost_usd.and_then(micros),
                tools: end.tools,
            }
        }
        TurnKind::Note => {
            let link = read::<Note>(data)?.link?;
            TurnFact::SubagentLinked {
                subagent: link.agent_id,
                call: link.tool_use_id,
            }
        }
        TurnKind::ModelChanged => {
            let ModelChanged { model } = read(data)?;
            TurnFact::ModelChanged { model }
        }
        TurnKind::TokenUsageChanged => {
            let TokenUsageChanged {
                used_tokens,
                window_tokens,
                ..
            } = read(data)?;
            TurnFact::ContextChanged {
                used_tokens,
                window_tokens,
            }
        }
        TurnKind::TurnStateChanged => {
            let TurnStateChanged { state } = read(data)?;
            TurnFact::StateChanged {
                compacting: state == TurnState::Compacting,
            }
        }
        TurnKind::StatusChanged => {
            let StatusChanged { status, ask, reason } = read(data)?;
            if status == StatusChanged::RETRYING {
                return Some(TurnFact::Retried);
            }
            let end = match status.as_str() {
                StatusChanged::ANSWERED => AskEnd::Answered,
                StatusChanged::RELEASED => AskEnd::Released,
                _ => return None,
            };
            TurnFact::AskEnded { ask: ask?, end, reason }
        }
    })
}
