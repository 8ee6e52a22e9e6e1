//! One event in one line, for people who watch.

use crate::{escape, format};
use muster_bus::Stored;
use muster_domain::approval::AskEnd;
use muster_domain::effect::{Carrier, End, Receipt, Word};
use muster_domain::fact::{Fact, Hook, HookBody, HostFact, ProcessFact, ToolOutcome, ToolUse, TurnFact};
use muster_wire::{Envelope, decode};
use serde::Deserialize;

/// Characters of what an event says: with what stands before it, a wide terminal's line.
const SUMMARY: usize = 100;
/// Characters of a session's id: enough to tell those apart that are seen together.
const SESSION: usize = 8;

/// Time, sequence, host, session, type, and what it says.
pub(crate) fn of(stored: &Stored) -> String {
    let head = format!("{} {:>7}", format::clock(stored.at), stored.seq);
    match stored.envelope() {
        Ok(envelope) => format!("{head} {}", body(&envelope)),
        Err(error) => format!(
            "{head} {} cannot be read: {error}",
            format::shorten(stored.subject_text(), 80)
        ),
    }
}

fn body(envelope: &Envelope) -> String {
    let host = envelope.host.as_ref().map_or("-", |host| host.as_str());
    let session = envelope.session.as_ref().map_or("-", |session| session.as_str());
    let session: String = session.chars().take(SESSION).collect();
    let session = escape::unsafe_characters(&session);
    let line = format!(
        "{host:10} {session:SESSION$} {:32} {}",
        envelope.event_type.to_string(),
        says(envelope)
    );
    line.trim_end().to_owned()
}

fn says(envelope: &Envelope) -> String {
    let event = decode::event(envelope);
    let text = match event.fact {
        Fact::Hook(hook) => of_hook(&hook),
        Fact::Turn(fact) => of_turn(&fact),
        Fact::Process(ProcessFact::Started(process)) => format!("pid {}", process.pid),
        Fact::Process(ProcessFact::Carries { process, carrier }) => {
            format!("pid {}, carries out {}", process.pid, kinds(&carrier))
        }
        Fact::Process(ProcessFact::Exited { process, status }) => {
            let status = status.map_or_else(|| "gone".to_owned(), |status| format!("status {status}"));
            format!("pid {} {status}", process.pid)
        }
        Fact::Host(HostFact::Started { version, .. }) => format!("ingest {version}"),
        Fact::Host(HostFact::Degraded { reason }) => reason,
        Fact::Host(HostFact::Recovered | HostFact::Stopping | HostFact::Capability) => String::new(),
        Fact::Tombstone => "refused by the hub; parked on its host".to_owned(),
        Fact::Effect(receipt) => of_receipt(receipt),
        Fact::Decision(_) | Fact::Noted => of_ours(envelope),
    };
    format::shorten(&text, SUMMARY)
}

fn kinds(carrier: &Carrier) -> String {
    let kinds: Vec<&str> = carrier.can.iter().map(|kind| kind.as_str()).collect();
    kinds.join(", ")
}

fn of_receipt(receipt: Receipt) -> String {
    match receipt.word {
        Word::Ended(End::Failed { reason, detail }) => detail.map_or_else(
            || format!("effect {} {reason}", receipt.id),
            |detail| format!("effect {} {reason}: {detail}", receipt.id),
        ),
        Word::Accepted | Word::Ended(End::Done) => format!("effect {}", receipt.id),
    }
}

fn of_hook(hook: &Hook) -> String {
    let said = match &hook.body {
        HookBody::SessionStarted { source } => source.clone().unwrap_or_default(),
        HookBody::SessionEnded { reason } => reason.clone().unwrap_or_default(),
        HookBody::PromptGiven { preview } => preview.as_deref().map_or_else(String::new, |text| format!("{text:?}")),
        HookBody::ToolStarted(tool) | HookBody::PermissionAsked(tool) => of_tool(tool),
        HookBody::ToolEnded {
            tool,
            outcome,
            duration_ms,
            ..
        } => {
            let took = duration_ms.map_or_else(String::new, |ms| format!(" {}", format::duration(ms)));
            let how = match outcome {
                ToolOutcome::Ok => "ok".to_owned(),
                ToolOutcome::Failed { error } => format!("failed: {error}"),
                ToolOutcome::Denied { reason } => format!("denied: {reason}"),
            };
            format!("{}{took} {how}", of_tool(tool))
        }
        HookBody::StopFailed { error } => error.clone(),
        HookBody::InputAwaited { reason } => reason.clone(),
        HookBody::CwdChanged { cwd } => cwd.clone(),
        HookBody::ToolsDone
        | HookBody::SubagentStarted
        | HookBody::SubagentStopped
        | HookBody::Stopped { .. }
        | HookBody::CompactionStarted
        | HookBody::CompactionEnded
        | HookBody::InputGiven
        | HookBody::Other => String::new(),
    };
    match &hook.subagent {
        Some(id) => format!("[{}] {said}", hook.subagent_type.as_deref().unwrap_or(id.as_str())),
        None => said,
    }
}

fn of_tool(tool: &ToolUse) -> String {
    tool.summary
        .as_deref()
        .map_or_else(|| tool.tool.to_string(), |summary| format!("{} {summary}", tool.tool))
}

fn of_turn(fact: &TurnFact) -> String {
    match fact {
        TurnFact::Started { turn, .. } => format!("turn {}", turn.index + 1),
        TurnFact::Ended {
            turn,
            ok,
            result,
            duration_ms,
            usage,
            run_cost_micros,
            ..
        } => {
            let took = duration_ms.map_or_else(String::new, |ms| format!(" {}", format::duration(ms)));
            let cost = run_cost_micros.map_or_else(String::new, |micros| {
                format!(" {}", format::usd(Some(micros as f64 / 1e6)))
            });
            let how = if *ok { "ok" } else { result.as_str() };
            format!(
                "turn {} {how}{took} {} tokens{cost}",
                turn.index + 1,
                format::count(usage.total())
            )
        }
        TurnFact::ModelChanged { model } => model.clone(),
        TurnFact::ContextChanged {
            used_tokens,
            window_tokens,
        } => match window_tokens {
            Some(window) => format!("{} of {} tokens", format::count(*used_tokens), format::count(*window)),
            None => format!("{} tokens", format::count(*used_tokens)),
        },
        TurnFact::StateChanged { compacting } => if *compacting { "compacting" } else { "working" }.to_owned(),
        TurnFact::Retried => "the model is asked again".to_owned(),
        TurnFact::SubagentLinked { subagent, .. } => format!("subagent {subagent}"),
        TurnFact::AskEnded { end, reason, .. } => {
            let how = match end {
                AskEnd::Answered => "permission answered at the terminal",
                AskEnd::Released => "no longer waits for permission",
            };
            reason
                .as_deref()
                .map_or_else(|| how.to_owned(), |reason| format!("{how}: {reason}"))
        }
    }
}

/// What muster's own payloads say, by the members that they share.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ours {
    from: Option<String>,
    to: Option<String>,
    reason: Option<String>,
    summary: Option<String>,
    text: Option<String>,
    target: Option<String>,
    error: Option<String>,
    version: Option<String>,
    line: Option<Line>,
    asked: Option<Asked>,
    resolution: Option<Resolution>,
}

/// What somebody is asked.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    tool_name: String,
    summary: Option<String>,
}

/// Whose answer it was.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Resolution {
    by: By,
    reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct By {
    kind: String,
    name: Option<String>,
}

/// A printed line: the agent's JSON, or its text.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    #[serde(rename = "type")]
    kind: Option<String>,
    subtype: Option<String>,
    text: Option<String>,
}

fn of_ours(envelope: &Envelope) -> String {
    let ours: Ours = serde_json::from_str(envelope.data.get()).unwrap_or_default();
    let change = ours
        .to
        .map(|to| format!("{} → {to}", ours.from.as_deref().unwrap_or("new")));
    let line = ours.line.map(|line| match (line.kind, line.text) {
        (Some(kind), _) => format!("{kind} {}", line.subtype.unwrap_or_default()),
        (None, text) => text.unwrap_or_default(),
    });
    let asked = ours
        .asked
        .map(|asked| format!("{} {}", asked.tool_name, asked.summary.unwrap_or_default()));
    let resolution = ours.resolution.map(|resolution| {
        let by = format!("by {}", resolution.by.name.unwrap_or(resolution.by.kind));
        resolution
            .reason
            .map_or_else(|| by.clone(), |reason| format!("{by}: {reason}"))
    });
    let parts = [
        change,
        asked,
        resolution,
        ours.target,
        ours.summary,
        ours.text,
        line,
        ours.reason,
        ours.error,
        ours.version,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::family::EventType;

    fn line(kind: &str, data: serde_json::Value) -> String {
        let document = serde_json::json!({
            "specversion": "1.0", "id": "0198f3c2-0000-7000-8000-000000000001", "source": "/hosts/web-01/ingest", "type": kind,
            "subject": "78e6edba-fbb9", "time": "2026-11-21T12:00:00Z", "datacontenttype": "application/json",
            "dataschema": format!("urn:muster:{}:1", EventType::parse(kind).unwrap().family()), "host": "web-01", "data": data
        });
        let envelope = Envelope::decode(document.to_string().as_bytes()).unwrap();
        body(&envelope).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_line_says_what_waits_and_who_answered() {
        let asked = serde_json::json!({"asked": {"tool_name": "Bash", "summary": "make deploy"}});
        assert!(line("runtime.approval_required.permission_request", asked).ends_with("Bash make deploy"));
        let by = serde_json::json!({"kind": "operator", "name": "op-anna"});
        let denied = serde_json::json!({"resolution": {"outcome": "denied", "by": by, "reason": "not on Friday"}});
        assert!(line("runtime.approval_resolved.denied", denied).ends_with("by op-anna: not on Friday"));
        let expired = serde_json::json!({"resolution": {"outcome": "expired", "by": {"kind": "deadline"}}});
        assert!(line("runtime.approval_resolved.expired", expired).ends_with("by deadline"));
    }

    #[test]
    fn a_line_says_what_the_event_is_about() {
        let call =
            serde_json::json!({"tool_name": "Bash", "tool_input": {"command": "cargo test"}, "tool_use_id": "t"});
        assert_eq!(
            line("agent.hook.pre_tool_use", call),
            "web-01 78e6edba agent.hook.pre_tool_use Bash cargo test"
        );
        let change = serde_json::json!({"from": "working", "to": "idle", "reason": null});
        assert_eq!(
            line("runtime.status.state_changed", change),
            "web-01 78e6edba runtime.status.state_changed working → idle"
        );
        let printed = serde_json::json!({"run": "r", "n": 1, "line": {"text": "hello\u{7}"}});
        assert_eq!(
            line("agent.output.stream", printed),
            "web-01 78e6edba agent.output.stream hello\\u{7}"
        );
        let call =
            serde_json::json!({"tool_name": "Bash", "tool_input": {"command": "run \u{202e}hs.a"}, "tool_use_id": "t"});
        assert_eq!(
            line("agent.hook.permission_request", call),
            "web-01 78e6edba agent.hook.permission_request Bash run \\u{202e}hs.a"
        );
    }
}
