//! `muster sessions show`: one session, its turns, and what happened in each as a tree beside a waterfall.

use super::list::stated;
use crate::args::Global;
use crate::ask::{self, AskError, ask};
use crate::{format, hub, output};
use muster_bus::Bus;
use muster_domain::names::{HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::api::{ErrorKind, SessionDetail, SessionDetailRequest, SessionSummary, Span, Turn};
use muster_wire::subject::Operation;
use std::process::ExitCode;

/// Width of the waterfall, in characters: a tenth of a second of a two-second turn is still one of them.
const BAR: usize = 24;
/// Width of the tree with its names and summaries.
const TREE: usize = 56;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The session's id, or as much of its beginning as names one
    id: String,
    /// Its host, where several have the id
    #[arg(long)]
    host: Option<HostName>,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let detail = detail(&bus, &args).await.map_err(AskError::fatal)?;
    if global.json {
        output::json(&serde_json::json!({ "session": detail.session, "turns": detail.turns }))?;
    } else {
        output::line(&shown(&detail.session, &detail.turns, format::now()));
    }
    Ok(ExitCode::SUCCESS)
}

async fn detail(bus: &Bus, args: &Args) -> Result<SessionDetail, AskError> {
    let request = |id, host| SessionDetailRequest {
        id,
        host,
        after_seq: None,
        limit: Some(0),
    };
    if let Ok(id) = SessionId::new(&args.id) {
        match ask(bus, Operation::SessionsDetail, &request(id, args.host.clone())).await {
            Ok((_, detail)) => return Ok(detail),
            Err(AskError::Refused(error)) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let (host, id) = ask::session(bus, &args.id, args.host.as_ref()).await?;
    ask(bus, Operation::SessionsDetail, &request(id, Some(host)))
        .await
        .map(|(_, detail)| detail)
}

fn shown(session: &SessionSummary, turns: &[Turn], now: Timestamp) -> String {
    let agent = session.agent.as_ref().map_or("unknown agent", |agent| agent.as_str());
    let mut lines = vec![format!(
        "{id}  {host}  {agent}  {state} for {age}",
        id = session.id,
        host = session.host,
        state = stated(session),
        age = format::age(now, session.since)
    )];
    let of = |text: &Option<String>| format::shorten(text.as_deref().unwrap_or("-"), 60);
    lines.push(format!(
        "cwd {}  model {}  mode {}",
        of(&session.cwd),
        of(&session.model),
        of(&session.permission_mode)
    ));
    let context = match (session.context_tokens, session.window_tokens) {
        (Some(used), Some(window)) => format!(", {} of {} in context", format::count(used), format::count(window)),
        (Some(used), None) => format!(", {} in context", format::count(used)),
        (None, _) => String::new(),
    };
    lines.push(format!(
        "turns {}, tool calls {} ({} failed), tokens {}{context}, cost {}",
        session.turns,
        session.tool_calls,
        session.failures,
        format::count(session.tokens.total),
        format::usd(session.cost_usd)
    ));
    if session.truncated {
        lines.push("older turns are only counted; `muster replay --session` has their events".to_owned());
    }
    for turn in turns {
        lines.push(String::new());
        lines.push(heading(turn));
        let scale = Scale::of(turn, now);
        branch(&turn.spans, "", &scale, &mut lines);
        if turn.truncated > 0 {
            lines.push(format!("└─ {} more calls, only counted", turn.truncated));
        }
    }
    lines.join("\n")
}

fn heading(turn: &Turn) -> String {
    let mut parts = vec![format!("turn {}", turn.index + 1), turn.outcome.clone()];
    parts.extend(turn.duration_ms.map(format::duration));
    parts.extend(
        turn.tokens
            .map(|tokens| format!("{} tokens", format::count(tokens.total))),
    );
    parts.extend(turn.cost_usd.map(|cost| format::usd(Some(cost))));
    parts.extend(
        turn.result
            .as_deref()
            .filter(|result| *result != "success")
            .map(|result| format::shorten(result, 40)),
    );
    if !turn.tools.is_empty() {
        let tools: Vec<String> = turn.tools.iter().map(|(tool, n)| format!("{tool} {n}")).collect();
        parts.push(format::shorten(&tools.join(", "), 60));
    }
    parts.extend(
        turn.preview
            .as_deref()
            .map(|text| format!("\"{}\"", format::shorten(text, 60))),
    );
    parts.join("  ")
}

fn branch(spans: &[Span], stem: &str, scale: &Scale, lines: &mut Vec<String>) {
    for (place, span) in spans.iter().enumerate() {
        let last = place + 1 == spans.len();
        let (joint, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let mut tree = format!("{stem}{joint}{}", label(span));
        format::cut(&mut tree, TREE);
        let took = span.duration_ms.map_or_else(String::new, format::duration);
        let error = span
            .error
            .as_deref()
            .map_or_else(String::new, |error| format!("  {}", format::shorten(error, 60)));
        lines.push(format!(
            "{tree:TREE$}  {}  {took:>7}  {}{error}",
            scale.bar(span),
            span.outcome
        ));
        branch(&span.children, &format!("{stem}{below}"), scale, lines);
    }
}

fn label(span: &Span) -> String {
    let name = span.tool.as_deref().or(span.agent_type.as_deref()).unwrap_or("?");
    let name = format::shorten(name, 30);
    let summary = span
        .summary
        .as_deref()
        .map_or_else(String::new, |summary| format!(" {}", format::shorten(summary, TREE)));
    match span.kind.as_str() {
        "subagent" => format!("subagent {name}{summary}"),
        "permission" => format!("permission for {name}{summary}"),
        _ => format!("{name}{summary}"),
    }
}

/// The time a turn's waterfall covers.
struct Scale {
    start: i64,
    span: i64,
    now: i64,
}

impl Scale {
    fn of(turn: &Turn, now: Timestamp) -> Self {
        fn reach(spans: &[Span], ends: &mut (i64, i64)) {
            for span in spans {
                ends.0 = ends.0.min(span.start.as_millis());
                ends.1 = ends.1.max(span.end.unwrap_or(span.start).as_millis());
                reach(&span.children, ends);
            }
        }
        let running = turn.end.is_none();
        let mut ends = (
            turn.start.map_or(i64::MAX, Timestamp::as_millis),
            turn.end.map_or(i64::MIN, Timestamp::as_millis),
        );
        reach(&turn.spans, &mut ends);
        let (start, end) = ends;
        let end = if running { end.max(now.as_millis()) } else { end };
        Self {
            start,
            span: end.saturating_sub(start).max(1),
            now: now.as_millis(),
        }
    }

    fn bar(&self, span: &Span) -> String {
        let cell = |at: i64| {
            let part = at.saturating_sub(self.start).clamp(0, self.span) as f64 / self.span as f64;
            (part * BAR as f64) as usize
        };
        let running = span.outcome == "running";
        let end = span.end.map_or(
            if running { self.now } else { span.start.as_millis() },
            Timestamp::as_millis,
        );
        let from = cell(span.start.as_millis()).min(BAR - 1);
        let to = cell(end).clamp(from + 1, BAR);
        format!("{}{}{}", "·".repeat(from), "█".repeat(to - from), "·".repeat(BAR - to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(kind: &str, name: &str, from: u32, to: u32, children: Vec<serde_json::Value>) -> serde_json::Value {
        let at = |second: u32| format!("2026-11-21T12:00:{second:02}Z");
        let (tool, agent_type) = if kind == "subagent" {
            (None, Some(name))
        } else {
            (Some(name), None)
        };
        serde_json::json!({
            "kind": kind, "tool": tool, "agent_type": agent_type, "tool_use_id": "t", "agent_id": null, "start": at(from),
            "end": at(to), "duration_ms": (to - from) * 1000, "outcome": if name == "Edit" { "failed" } else { "ok" },
            "summary": "src/main.rs", "error": if name == "Edit" { Some("no such text") } else { None },
            "subtree_tool_calls": 1, "subtree_failures": 0, "subtree_subagents": 0, "children": children
        })
    }

    fn turn() -> Turn {
        let inner = span("tool", "Edit", 6, 9, vec![]);
        let task = span(
            "tool",
            "Task",
            4,
            10,
            vec![span("subagent", "Explore", 5, 10, vec![inner])],
        );
        serde_json::from_value(serde_json::json!({
            "key": "k", "index": 0, "prompt_id": null, "run": null, "run_index": null, "start": "2026-11-21T12:00:00Z",
            "end": "2026-11-21T12:00:12Z", "outcome": "ok", "duration_ms": 12000, "preview": "fix it", "tokens": null,
            "cost_usd": 0.5, "tools": {"Bash": 1}, "result": "success", "truncated": 0,
            "spans": [span("tool", "Bash", 0, 3, vec![]), task]
        }))
        .unwrap()
    }

    #[test]
    fn a_turn_is_a_tree_beside_a_waterfall() {
        let turn = turn();
        let mut lines = vec![heading(&turn)];
        branch(
            &turn.spans,
            "",
            &Scale::of(&turn, Timestamp::from_millis(0)),
            &mut lines,
        );
        let squeezed: Vec<String> = lines
            .iter()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            squeezed,
            [
                "turn 1 ok 12.0s $0.50 Bash 1 \"fix it\"",
                "├─ Bash src/main.rs ██████·················· 3.0s ok",
                "└─ Task src/main.rs ········████████████···· 6.0s ok",
                "└─ subagent Explore src/main.rs ··········██████████···· 5.0s ok",
                "└─ Edit src/main.rs ············██████······ 3.0s failed no such text",
            ]
        );
    }
}
