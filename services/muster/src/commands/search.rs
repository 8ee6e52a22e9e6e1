//! `muster search`: words in prompts, tool calls, messages and errors.

use crate::args::Global;
use crate::ask::{self, AskError, ask};
use crate::{format, hub, output};
use muster_domain::names::{AgentName, HostName};
use muster_domain::time::Timestamp;
use muster_wire::api::{Hit, Position, SessionsHits, SessionsSearchRequest};
use muster_wire::subject::Operation;
use muster_wire::words::WordsKind;
use std::process::ExitCode;

/// Characters of an id that are shown: enough to show the session by.
const ID_CHARS: usize = 8;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Words that all have to be there; '"in this order"' in quotes, 'begin*' for words that begin so
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,
    /// Only what was said since then: an age as in 15m, or a time
    #[arg(long, value_name = "WHEN", value_parser = format::moment_arg)]
    since: Option<Timestamp>,
    /// Only of this agent, as in claude-code
    #[arg(long)]
    agent: Option<AgentName>,
    /// Only prompt, tool, message or error
    #[arg(long, value_parser = kind)]
    kind: Option<WordsKind>,
    /// Only on this host
    #[arg(long)]
    host: Option<HostName>,
    /// Only of this session: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Rows at most; 50 without it
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("kinds are prompt, tool, message and error")]
struct NoKind;

fn kind(text: &str) -> Result<WordsKind, NoKind> {
    WordsKind::parse(text).ok_or(NoKind)
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let mut request = SessionsSearchRequest {
        query: args.text.join(" "),
        since: args.since,
        agent: args.agent,
        kind: args.kind,
        host: args.host,
        session: None,
        limit: args.limit,
    };
    if let Some(given) = &args.session {
        let named = ask::session(&bus, given, request.host.as_ref()).await;
        let (host, session) = named.map_err(AskError::fatal)?;
        (request.host, request.session) = (Some(host), Some(session));
    }
    let asked = ask(&bus, Operation::SessionsSearch, &request).await;
    let (at, found): (Position, SessionsHits) = asked.map_err(AskError::fatal)?;
    if global.json {
        output::json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    if found.hits.is_empty() {
        output::line("nothing found");
    }
    for hit in &found.hits {
        output::line(&shown(hit, format::now()));
    }
    if found.more {
        output::remark("there are more; --limit shows them");
    }
    if let Some(behind) = behind(at, &found) {
        output::remark(&behind);
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(hit: &Hit, now: Timestamp) -> String {
    let id: String = hit.session.as_str().chars().take(ID_CHARS).collect();
    let what = hit.tool.as_ref().map_or_else(
        || hit.kind.to_string(),
        |tool| format!("{} {}", hit.kind, format::shorten(tool, 24)),
    );
    let age = format::age(now, hit.at);
    let snippet = format::shorten(&hit.snippet, 200);
    format!("{age:>6}  {}  {id}  {what}: {snippet}", hit.host)
}

/// What was stored and is not in the index yet.
fn behind(at: Position, found: &SessionsHits) -> Option<String> {
    let behind = at.seq.saturating_sub(found.indexed.indexed_seq);
    (behind > 0).then(|| format!("the latest {behind} events are not in the index yet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_is_a_line_with_its_words_and_what_is_missing_is_said() {
        let found: SessionsHits = serde_json::from_value(serde_json::json!({
            "hits": [{
                "event_seq": 7, "at": "2026-11-21T11:10:00Z", "host": "web-01", "session": "78e6edba-fbb9", "agent": null,
                "kind": "error", "tool": "Bash", "snippet": "no such\n«lantern»", "score": 1.5
            }],
            "more": false, "indexed_seq": 8, "indexed_from": 1
        }))
        .unwrap();
        let now = muster_wire::time::parse("2026-11-21T11:12:00Z").unwrap();
        let line = shown(&found.hits[0], now);
        assert_eq!(
            line.trim_start(),
            "2m00s  web-01  78e6edba  error Bash: no such «lantern»"
        );
        let at = |seq| Position {
            seq,
            stream_created: now,
        };
        assert_eq!(behind(at(8), &found), None);
        assert_eq!(
            behind(at(10), &found).unwrap(),
            "the latest 2 events are not in the index yet"
        );
    }
}
