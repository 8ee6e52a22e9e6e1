//! Hooks of every agent into the shapes the fold knows.
//!
//! The vendors' differences are two tables: how fields are spelled ([`crate::members`]), and which name means what
//! ([`FOREIGN`]). What remains are the few places where the same name says something else. A tool's calls are in [`call`].

mod call;

use super::read;
use crate::members::{Field, Members, count, text};
use crate::text::{LINE_CHARS, REASON_CHARS, first_line, one_line};
use muster_domain::fact::{Fact, Hook, HookBody, ToolOutcome, TurnFact};
use muster_domain::family::HookName;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Names that agents other than Claude Code give to the same moments.
const FOREIGN: &[(&str, HookName)] = &[
    // Gemini CLI
    ("before_agent", HookName::UserPromptSubmit),
    ("after_agent", HookName::Stop),
    ("before_tool", HookName::PreToolUse),
    ("after_tool", HookName::PostToolUse),
    // Copilot CLI
    ("user_prompt_submitted", HookName::UserPromptSubmit),
    ("agent_stop", HookName::Stop),
    ("error_occurred", HookName::StopFailure),
    // Codex: a turn that was cancelled has no Stop
    ("interrupt", HookName::Stop),
    ("agent_turn_complete", HookName::Stop),
    // Cursor
    ("before_submit_prompt", HookName::UserPromptSubmit),
    // OpenClaw and Vibe, as kaizen took them
    ("command_new", HookName::SessionStart),
    ("message_received", HookName::UserPromptSubmit),
    ("command_stop", HookName::Stop),
    ("tool_start", HookName::PreToolUse),
    ("tool_end", HookName::PostToolUse),
];

/// Codex: the only word about a failed model call, which ends the turn without a Stop; and how full the context is.
const CODEX_MODEL_CALLED: &str = "post_model_request";

/// Tools whose call waits for the user's words.
const ASKING: &[&str] = &[
    "AskUserQuestion",
    "ExitPlanMode",
    "ask_user",
    "ask_user_question",
    "exit_plan_mode",
];

/// States of a background task that is over.
const OVER: &[&str] = &["completed", "failed", "killed", "stopped", "cancelled"];

/// What a hook says; `None` when its payload is no object.
pub(super) fn fact(name: &HookName, data: &str) -> Option<Fact> {
    let members = Members::read(data).ok()?;
    let note: Note<'_> = members
        .raw(Field::Muster)
        .and_then(|raw| read(raw.get()))
        .unwrap_or_default();
    let body = match context(name, &members) {
        Some(Said::Turn(fact)) => return Some(Fact::Turn(fact)),
        Some(Said::Hook(body)) => body,
        None => said(known(name), &members, &note).unwrap_or(HookBody::Other),
    };
    let model = if *name == HookName::PostModelSwitch {
        Field::ToModel
    } else {
        Field::Model
    };
    let work = if note.denied() {
        None
    } else {
        super::work::of(known(name), &members, &body).map(Box::new)
    };
    let output = members.raw(Field::ToolResponse).map(call::output);
    Some(Fact::Hook(Box::new(Hook {
        output,
        work,
        prompt: members.name(Field::Prompt),
        subagent: members.name(Field::Subagent),
        subagent_type: members.owned(Field::SubagentType),
        run: note.run.and_then(|run| text(run)?.parse().ok()),
        cwd: members.owned(Field::Cwd),
        model: members.owned(model),
        permission_mode: members.owned(Field::Mode),
        output_bytes: call::output_bytes(&members, &note, &body),
        body,
    })))
}

/// Ingest's notes, as far as they are read here.
#[derive(Default, Deserialize)]
struct Note<'a> {
    #[serde(borrow)]
    input_digest: Option<&'a RawValue>,
    #[serde(borrow)]
    run: Option<&'a RawValue>,
    #[serde(borrow)]
    wait_ms: Option<&'a RawValue>,
    #[serde(borrow)]
    overflow: Option<&'a RawValue>,
    #[serde(borrow)]
    verdict: Option<&'a RawValue>,
    #[serde(borrow)]
    optimized: Option<&'a RawValue>,
}

impl Note<'_> {
    /// Whether the host said that the call may not run: then it never does.
    fn denied(&self) -> bool {
        #[derive(Deserialize)]
        struct Verdict<'a> {
            #[serde(borrow)]
            decision: Option<&'a RawValue>,
        }
        let verdict = self.verdict.and_then(|raw| read::<Verdict<'_>>(raw.get()));
        verdict
            .and_then(|verdict| verdict.decision)
            .is_some_and(|decision| decision.get() == "\"deny\"")
    }
}

/// The moment that a hook marks, by the name Claude Code gives it; a name that nobody translates stands for itself.
pub fn known(name: &HookName) -> &HookName {
    let HookName::Other(token) = name else {
        return name;
    };
    FOREIGN
        .iter()
        .find(|(foreign, _)| *foreign == token.as_str())
        .map_or(name, |(_, known)| known)
}

enum Said {
    Turn(TurnFact),
    Hook(HookBody),
}

/// Hooks that say how full the context is, or that a model's call failed for good.
fn context(name: &HookName, members: &Members<'_>) -> Option<Said> {
    if *name == HookName::TokenUsageUpdate {
        let used_tokens = members.count(Field::UsedTokens)?;
        let window_tokens = members.count(Field::WindowTokens);
        return Some(Said::Turn(TurnFact::ContextChanged {
            used_tokens,
            window_tokens,
        }));
    }
    if name.as_str() != CODEX_MODEL_CALLED {
        return None;
    }
    if members.text(Field::Status)? == "failed" {
        return Some(Said::Hook(HookBody::StopFailed { error: error(members) }));
    }
    let usage: Total<'_> = read(members.raw(Field::TokenUsage)?.get())?;
    let used_tokens = count(usage.total_tokens?)?;
    Some(Said::Turn(TurnFact::ContextChanged {
        used_tokens,
        window_tokens: None,
    }))
}

#[derive(Deserialize)]
struct Total<'a> {
    #[serde(borrow)]
    total_tokens: Option<&'a RawValue>,
}

fn said(name: &HookName, members: &Members<'_>, note: &Note<'_>) -> Option<HookBody> {
    Some(match name {
        HookName::SessionStart => HookBody::SessionStarted {
            source: members.owned(Field::Source),
        },
        HookName::SessionEnd => HookBody::SessionEnded {
            reason: members.owned(Field::Reason),
        },
        HookName::UserPromptSubmit => prompt(members)?,
        HookName::PreToolUse => call::started(call::tool(members, note)?, note),
        HookName::PostToolUse => call::ended(members, note)?,
        HookName::PostToolUseFailure => call::failed(members, note)?,
        HookName::PermissionDenied => HookBody::ToolEnded {
            tool: call::tool(members, note)?,
            outcome: ToolOutcome::Denied {
                reason: members
                    .text(Field::Reason)
                    .and_then(|text| one_line(&text, REASON_CHARS))
                    .unwrap_or_default(),
            },
            duration_ms: None,
            spawned: None,
        },
        HookName::PostToolBatch => HookBody::ToolsDone,
        HookName::PermissionRequest => HookBody::PermissionAsked(call::tool(members, note)?),
        HookName::SubagentStart => {
            members.raw(Field::Subagent)?;
            HookBody::SubagentStarted
        }
        HookName::SubagentStop | HookName::SubagentStopFailure => {
            members.raw(Field::Subagent)?;
            HookBody::SubagentStopped
        }
        HookName::Stop => HookBody::Stopped {
            background_tasks: background_tasks(members),
        },
        HookName::StopFailure => HookBody::StopFailed { error: error(members) },
        HookName::PreCompact => HookBody::CompactionStarted,
        HookName::PostCompact => HookBody::CompactionEnded,
        HookName::Notification => notification(members)?,
        HookName::Elicitation => HookBody::InputAwaited {
            reason: "elicitation".to_owned(),
        },
        HookName::ElicitationResult | HookName::PermissionGranted => HookBody::InputGiven,
        HookName::CwdChanged => HookBody::CwdChanged {
            cwd: members.owned(Field::NewCwd).or_else(|| members.owned(Field::Cwd))?,
        },
        HookName::Setup
        | HookName::UserPromptExpansion
        | HookName::MessageDisplay
        | HookName::PreModelSwitch
        | HookName::PostModelSwitch
        | HookName::TeammateIdle
        | HookName::TaskCreated
        | HookName::TaskCompleted
        | HookName::ConfigChange
        | HookName::InstructionsLoaded
        | HookName::FileChanged
        | HookName::DirectoryAdded
        | HookName::WorktreeCreate
        | HookName::WorktreeRemove
        | HookName::TokenUsageUpdate
        | HookName::TaskUpdated
        | HookName::TaskStopped
        | HookName::McpServerConnected
        | HookName::McpServerDisconnected
        | HookName::ErrorRaised
        | HookName::SkillActivated
        | HookName::Other(_) => return None,
    })
}

/// Qwen Code says it again after every round of tools, with nothing in it: that is no prompt.
fn prompt(members: &Members<'_>) -> Option<HookBody> {
    let prompt = members.text(Field::Text);
    let again = prompt.as_deref() == Some("") && members.raw(Field::SubmittedPrompt).is_none();
    (!again).then(|| HookBody::PromptGiven {
        preview: prompt.and_then(|text| first_line(&text, LINE_CHARS)),
    })
}

pub(crate) fn error(members: &Members<'_>) -> String {
    members.raw(Field::Error).and_then(message).unwrap_or_default()
}

/// The words of an error, which is a text or an object with a message.
fn message(error: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Worded<'a> {
        #[serde(borrow)]
        message: Option<&'a RawValue>,
    }
    let words = text(error).or_else(|| text(read::<Worded<'_>>(error.get())?.message?))?;
    one_line(&words, REASON_CHARS)
}

fn background_tasks(members: &Members<'_>) -> u32 {
    #[derive(Deserialize)]
    struct Task<'a> {
        #[serde(borrow)]
        status: Option<&'a RawValue>,
    }
    let tasks: Vec<Task<'_>> = members
        .raw(Field::BackgroundTasks)
        .and_then(|raw| read(raw.get()))
        .unwrap_or_default();
    let over = |task: &Task<'_>| {
        task.status
            .and_then(text)
            .is_some_and(|status| OVER.contains(&&*status))
    };
    u32::try_from(tasks.iter().filter(|task| !over(task)).count()).unwrap_or(u32::MAX)
}

/// Of notifications, those about dialogs are the only word there is; a permission has a hook of its own.
fn notification(members: &Members<'_>) -> Option<HookBody> {
    let kind = members.owned(Field::Notification)?;
    match kind.as_str() {
        "elicitation_dialog" | "elicitation_url_dialog" | "agent_needs_input" => Some(HookBody::InputAwaited {
            reason: members
                .text(Field::Message)
                .and_then(|text| first_line(&text, LINE_CHARS))
                .unwrap_or(kind),
        }),
        "elicitation_complete" | "elicitation_response" => Some(HookBody::InputGiven),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(data: &str) -> HookBody {
        match fact(&HookName::PreToolUse, data) {
            Some(Fact::Hook(hook)) => hook.body,
            other => panic!("no hook: {other:?}"),
        }
    }

    #[test]
    fn a_call_that_its_host_denied_is_over() {
        let denied = r#"{"tool_name":"Bash","tool_use_id":"t1","tool_input":{"command":"ls"},"muster":{"verdict":{"decision":"deny","by":"hold","reason":"Held by operator op-anna: a deploy runs."}}}"#;
        let HookBody::ToolEnded {
            outcome: ToolOutcome::Denied { reason },
            ..
        } = body(denied)
        else {
            panic!("it is not over");
        };
        assert_eq!(reason, "Held by operator op-anna: a deploy runs.");
        for other in ["allow", "ask", "a word of a newer version"] {
            let asked = denied.replace("deny\"", &format!("{other}\""));
            assert!(matches!(body(&asked), HookBody::ToolStarted(_)), "{other}");
        }
    }
}
