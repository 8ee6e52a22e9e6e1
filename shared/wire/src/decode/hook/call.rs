//! What a hook says of a tool's call: what is to run, how it ended, and what came back.

use super::{ASKING, Note, error, message};
use crate::canonical;
use crate::data::hook::{Verdict, VerdictKind};
use crate::decode::{read, summary};
use crate::members::{Field, Members, count, text};
use crate::text::{REASON_CHARS, one_line};
use muster_domain::fact::{Held, HookBody, InputDigest, ToolOutcome, ToolUse};
use muster_domain::names::{SubagentId, ToolName};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// How much of either end of a result is looked at: enough to tell a poll's answer from the next one, and no more work for
/// a large one.
const OUTPUT_BYTES: usize = 256;

/// A digest of what a call gave back.
pub(super) fn output(response: &RawValue) -> u32 {
    let bytes = response.get().as_bytes();
    let (head, tail) = (bytes.len().min(OUTPUT_BYTES), bytes.len().saturating_sub(OUTPUT_BYTES));
    let whole = muster_domain::digest::of(&(bytes.len(), &bytes[..head], &bytes[tail.max(head)..]));
    // Both halves of it.
    (whole ^ (whole >> 32)) as u32
}

/// Bytes of output that the agent read, which is more than stands here where ingest shortened it.
pub(super) fn output_bytes(members: &Members<'_>, note: &Note<'_>, body: &HookBody) -> u64 {
    #[derive(Deserialize)]
    struct Shortened {
        original_bytes: u64,
    }
    if !matches!(body, HookBody::ToolEnded { .. }) {
        return 0;
    }
    let shortened = note.optimized.and_then(|raw| read::<Shortened>(raw.get()));
    let here = members.raw(Field::ToolResponse).map_or(0, |raw| raw.get().len() as u64);
    shortened.map_or(here, |shortened| shortened.original_bytes.max(here))
}

/// A call that is about to run; one that its host denied is over with that, and many agents say no more of it.
pub(super) fn started(tool: ToolUse, note: &Note<'_>) -> HookBody {
    let verdict: Option<Verdict> = note.verdict.and_then(|raw| read(raw.get()));
    match verdict {
        Some(Verdict {
            decision: VerdictKind::Deny,
            reason,
            ..
        }) => HookBody::ToolEnded {
            tool,
            outcome: ToolOutcome::Denied {
                reason: one_line(&reason, REASON_CHARS).unwrap_or_default(),
            },
            duration_ms: None,
            spawned: None,
        },
        _ => HookBody::ToolStarted(tool),
    }
}

pub(super) fn tool(members: &Members<'_>, note: &Note<'_>) -> Option<ToolUse> {
    let tool: ToolName = members.name(Field::Tool)?;
    let input = members.raw(Field::ToolInput);
    let noted = note.input_digest.and_then(|hex| canonical::parse_hex(&text(hex)?));
    let asks_user = ASKING.contains(&tool.as_str());
    let question = if asks_user {
        input.and_then(summary::question)
    } else {
        None
    };
    Some(ToolUse {
        call: members.name(Field::Call),
        input: noted
            .or_else(|| input.map(canonical::input_digest))
            .unwrap_or(InputDigest(0)),
        summary: question.or_else(|| input.and_then(summary::of)),
        asks_user,
        tool,
        held: held(members, note).map(Box::new),
    })
}

/// What a person must see to answer, where the hook is held open for an answer.
fn held(members: &Members<'_>, note: &Note<'_>) -> Option<Held> {
    #[derive(Deserialize)]
    struct Whole {
        object: Box<str>,
    }
    let wait = Duration::from_millis(count(note.wait_ms?)?);
    let text = |field| members.raw(field).map(|raw| raw.get().into());
    Some(Held {
        wait,
        input: text(Field::ToolInput),
        suggestions: text(Field::Suggestions),
        overflow: note
            .overflow
            .and_then(|raw| read::<Whole>(raw.get()))
            .map(|whole| whole.object),
    })
}

/// What is read from a tool's response, of whatever agent.
#[derive(Default, Deserialize)]
struct Response<'a> {
    /// Claude Code: the subagent that the call started.
    #[serde(rename = "agentId", borrow)]
    agent_id: Option<&'a RawValue>,
    /// Gemini CLI, which has no hook for failures.
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    /// Copilot CLI.
    #[serde(rename = "resultType", borrow)]
    result_type: Option<&'a RawValue>,
    #[serde(rename = "textResultForLlm", borrow)]
    result_text: Option<&'a RawValue>,
}

pub(super) fn ended(members: &Members<'_>, note: &Note<'_>) -> Option<HookBody> {
    let response: Response<'_> = members
        .raw(Field::ToolResponse)
        .and_then(|raw| read(raw.get()))
        .unwrap_or_default();
    let refused = response.result_type.and_then(text).filter(|kind| kind != "success");
    let outcome = if let Some(error) = response.error {
        ToolOutcome::Failed {
            error: message(error).unwrap_or_default(),
        }
    } else if let Some(kind) = refused {
        let words = response
            .result_text
            .and_then(message)
            .unwrap_or_else(|| kind.clone().into_owned());
        match &*kind {
            "denied" | "rejected" => ToolOutcome::Denied { reason: words },
            _ => ToolOutcome::Failed { error: words },
        }
    } else {
        ToolOutcome::Ok
    };
    Some(HookBody::ToolEnded {
        tool: tool(members, note)?,
        outcome,
        duration_ms: members.count(Field::Duration),
        spawned: response.agent_id.and_then(|id| text(id)?.parse::<SubagentId>().ok()),
    })
}

pub(super) fn failed(members: &Members<'_>, note: &Note<'_>) -> Option<HookBody> {
    let mut error = error(members);
    if members.is_true(Field::Interrupted) {
        error = if error.is_empty() {
            "interrupted".to_owned()
        } else {
            format!("interrupted: {error}")
        };
    }
    Some(HookBody::ToolEnded {
        tool: tool(members, note)?,
        outcome: ToolOutcome::Failed { error },
        duration_ms: members.count(Field::Duration),
        spawned: None,
    })
}
