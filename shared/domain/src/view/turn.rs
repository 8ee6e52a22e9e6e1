//! One turn, from both sources: times and spans from hooks, tokens and cost from what was printed.

use super::span::{Outcome, SpanView, tree};
use crate::fact::{RunTurn, Usage};
use crate::names::PromptId;
use crate::session::{Joined, Over, Session, turn_name};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// A turn of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnView {
    /// Its key in the session: the prompt's id, else `#` and its place.
    pub key: String,
    /// The prompt.
    pub prompt: Option<PromptId>,
    /// The turn of a wrapped run that it is.
    pub run: Option<RunTurn>,
    /// Its place in the session, from 0.
    pub index: u32,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub state: Outcome,
    /// The agent's own measure in milliseconds, or end less start.
    pub duration_ms: Option<u64>,
    /// The first line of the prompt, shortened.
    pub preview: Option<String>,
    /// Tokens.
    pub usage: Option<Usage>,
    /// What it cost, in millionths of a US dollar.
    pub cost_micros: Option<u64>,
    /// Tool calls, by tool.
    pub tools: BTreeMap<String, u64>,
    /// The agent's result class, or its error class.
    pub result: Option<String>,
    /// Tool calls beyond those that have a span.
    pub truncated: u64,
    /// What happened in it, by time.
    pub spans: Vec<SpanView>,
}

/// The turns of a session that are kept, oldest first.
pub fn turns(session: &Session) -> Vec<TurnView> {
    let joined = session.joined();
    let last = joined.len().saturating_sub(1);
    joined
        .iter()
        .enumerate()
        .map(|(at, turn)| TurnView {
            spans: turn
                .hook
                .map(|hook| tree(session, hook, session.closed(turn, at == last).map(|(at, _)| at)))
                .unwrap_or_default(),
            ..view(session, turn, at, at == last)
        })
        .collect()
}

/// As [`turns`], without what happened in each: for those who only count.
pub(super) fn bare(session: &Session) -> Vec<TurnView> {
    let joined = session.joined();
    let last = joined.len().saturating_sub(1);
    let turns = joined.iter().enumerate();
    turns.map(|(at, turn)| view(session, turn, at, at == last)).collect()
}

/// When those of its kept turns that failed were over.
pub(crate) fn failed(session: &Session) -> impl Iterator<Item = Timestamp> {
    let failed = bare(session).into_iter().filter(|turn| turn.state == Outcome::Failed);
    failed.filter_map(|turn| turn.ended.or(turn.started))
}

fn view(session: &Session, turn: &Joined<'_>, at: usize, is_last: bool) -> TurnView {
    let over = session.closed(turn, is_last);
    let printed = turn.stream.map(|(_, stream)| stream);
    let end = printed.and_then(|stream| stream.ended.as_ref());
    let (key, prompt) = match (turn.hook, turn.stream) {
        (Some(hook), _) => turn_name(&hook.key),
        (None, Some((run, stream))) => (format!("{}#{}", run.id, stream.index), None),
        (None, None) => (String::new(), None),
    };
    let started = turn.began();
    let ended = over.map(|(at, _)| at);
    let elapsed = || {
        let span = ended?.since(started?);
        u64::try_from(span.as_millis()).ok()
    };
    TurnView {
        key,
        prompt,
        run: turn.stream.map(|(run, stream)| RunTurn {
            run: run.id.clone(),
            index: stream.index,
        }),
        index: session.forgotten.turns + u32::try_from(at).unwrap_or(u32::MAX),
        started,
        ended,
        state: match over.map(|(_, how)| how) {
            None => Outcome::Running,
            Some(Over::Stopped) => Outcome::Ok,
            Some(Over::Failed(_)) => Outcome::Failed,
            Some(Over::Abandoned) => Outcome::Abandoned,
        },
        duration_ms: end.and_then(|end| end.duration_ms).or_else(elapsed),
        preview: turn
            .hook
            .and_then(|hook| hook.given.as_ref())
            .and_then(|(_, preview)| preview.as_deref())
            .map(ToOwned::to_owned),
        usage: end.map(|end| end.usage()),
        cost_micros: turn.stream.and_then(|(run, stream)| run.cost_of(stream.index)),
        tools: tool_counts(turn),
        result: turn.failure().or(end.map(|end| &*end.result)).map(ToOwned::to_owned),
        truncated: turn.hook.map_or(0, |hook| u64::from(hook.uncounted_calls)),
        spans: Vec::new(),
    }
}

/// What was printed counts every call; hooks are asked where nothing was.
fn tool_counts(turn: &Joined<'_>) -> BTreeMap<String, u64> {
    let printed = turn.stream.and_then(|(_, stream)| stream.ended.as_ref());
    if let Some(end) = printed.filter(|end| !end.tools.is_empty()) {
        return end.tools.iter().map(|(tool, n)| (tool.to_string(), *n)).collect();
    }
    let mut counts = BTreeMap::new();
    for tool in turn.hook.iter().flat_map(|hook| hook.tools.iter()) {
        *counts.entry(tool.name().to_owned()).or_default() += 1;
    }
    counts
}
