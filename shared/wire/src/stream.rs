//! Turns out of the lines an agent prints: a small machine, fed one line at a time.
//!
//! Three dialects are read: Claude Code's stream-json, Gemini CLI's, and `codex exec --json`. They differ in names and agree
//! in shape: something begins, tools are called, something ends with a count of tokens. What is not understood yields
//! nothing; the line itself is kept elsewhere.

mod line;

use crate::data::Payload;
use crate::data::turn::{
    Link, ModelChanged, Note, StatusChanged, TokenUsage, TokenUsageChanged, TurnEnd, TurnStart, TurnState,
    TurnStateChanged,
};
use crate::envelope::RawData;
use line::{Line, Message};
use muster_domain::family::TurnKind;
use muster_domain::names::{RunId, SessionId};
use std::collections::{BTreeMap, BTreeSet};

/// What one line said, ready for envelopes.
pub type Said = Vec<(TurnKind, RawData)>;

/// The turns of one wrapped run.
#[derive(Debug)]
pub struct StreamTurns {
    run: RunId,
    session: Option<SessionId>,
    cwd: Option<String>,
    model: Option<String>,
    window_tokens: Option<u64>,
    state: TurnState,
    next_index: u32,
    turn: Option<Turn>,
    /// Who gives the next prompt, and how many more wait.
    prompt: Option<(String, u64)>,
    /// The last model call that was measured, and what its context held.
    measured: Option<(String, TokenUsage)>,
}

/// The turn under way.
#[derive(Debug, Default)]
struct Turn {
    index: u32,
    tools: BTreeMap<String, u64>,
    /// Calls counted; an agent may print one several times.
    calls: BTreeSet<String>,
}

impl StreamTurns {
    /// The turns of a run that has printed nothing yet.
    pub const fn new(run: RunId) -> Self {
        Self {
            run,
            session: None,
            cwd: None,
            model: None,
            window_tokens: None,
            state: TurnState::Idle,
            next_index: 0,
            turn: None,
            prompt: None,
            measured: None,
        }
    }

    /// The session, once a line named it.
    pub const fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// Working directory, once a line named it.
    pub fn cwd(&self) -> Option<&str> {
        self.cwd.as_deref()
    }

    /// The next turn is `from` somebody, while `unread` more prompts wait.
    pub fn prompted(&mut self, from: &str, unread: u64) {
        self.prompt = Some((from.to_owned(), unread));
    }

    /// Takes a line.
    pub fn line(&mut self, line: &str) -> Said {
        let mut said = Said::new();
        if let Ok(line) = serde_json::from_str::<Line<'_>>(line) {
            self.take(&line, &mut said);
        }
        said
    }

    /// The process is gone: a turn that it was in has ended without a result.
    pub fn finish(&mut self, result: &str) -> Said {
        let mut said = Said::new();
        if self.turn.is_some() {
            self.end(&mut said, self.ending(false, result.to_owned()));
        }
        said
    }

    fn take(&mut self, line: &Line<'_>, said: &mut Said) {
        if let Some(session) = line.session() {
            self.session = Some(session);
        }
        match (&*line.kind, line.subtype.as_deref()) {
            ("system", Some("init")) | ("init", _) => self.init(line, said),
            ("system", Some("task_started")) => link(line, said),
            ("system", Some("status")) => self.compaction(line.status.as_deref() == Some("compacting"), said),
            ("system", Some("compact_boundary")) => {
                self.compaction(false, said);
                if let Some(used_tokens) = line.compact_metadata.as_ref().and_then(|compact| compact.post_tokens) {
                    self.context(used_tokens, TokenUsage::default(), said);
                }
            }
            ("system", Some("api_retry")) => push(
                said,
                TurnKind::StatusChanged,
                &StatusChanged::of_agent(StatusChanged::RETRYING.to_owned()),
            ),
            ("assistant", _) => self.assistant(line, said),
            ("tool_use", _) => {
                if let Some((name, id)) = line.tool_name.as_deref().zip(line.tool_id.as_deref()) {
                    self.call(name, id, said);
                }
            }
            ("result", _) => self.result(line, said),
            ("turn.started", _) => self.begin(said),
            ("item.started" | "item.completed", _) => {
                if let Some(item) = &line.item
                    && item.is_call()
                {
                    self.call(&item.kind, &item.id, said);
                }
            }
            ("turn.completed", _) => {
                let usage = line.usage().unwrap_or_default();
                let ending = TurnEnd {
                    usage,
                    ..self.ending(true, "success".to_owned())
                };
                self.end(said, ending);
            }
            ("turn.failed", _) => self.end(said, self.ending(false, "error".to_owned())),
            _ => {}
        }
    }

    fn init(&mut self, line: &Line<'_>, said: &mut Said) {
        if let Some(cwd) = &line.cwd {
            self.cwd = Some(cwd.clone().into_owned());
        }
        self.begin(said);
        if let Some(model) = line.model.as_deref()
            && self.model.as_deref() != Some(model)
        {
            self.model = Some(model.to_owned());
            push(
                said,
                TurnKind::ModelChanged,
                &ModelChanged {
                    model: model.to_owned(),
                },
            );
        }
    }

    fn begin(&mut self, said: &mut Said) {
        if self.turn.is_some() {
            return;
        }
        let index = self.next_index;
        self.next_index += 1;
        self.turn = Some(Turn {
            index,
            ..Turn::default()
        });
        self.state = TurnState::Thinking;
        let (from, unread) = self.prompt.take().unzip();
        let start = TurnStart {
            run: self.run.clone(),
            index,
            cwd: self.cwd.clone(),
            from,
            unread,
        };
        push(said, TurnKind::TurnStart, &start);
    }

    fn assistant(&mut self, line: &Line<'_>, said: &mut Said) {
        let Some(message) = line.message() else {
            return;
        };
        self.begin(said);
        for block in &message.content {
            if let Some((name, id)) = block.call() {
                self.call(name, id, said);
            }
        }
        // A subagent's context is its own.
        if line.parent_tool_use_id.is_none() {
            self.measure(&message, said);
        }
    }

    /// One model call is printed as several lines; the first one has its input, and that is what fills the context.
    fn measure(&mut self, message: &Message<'_>, said: &mut Said) {
        let (Some(id), Some(usage)) = (message.id.as_deref(), message.usage) else {
            return;
        };
        if self.measured.as_ref().is_some_and(|(known, _)| known == id) {
            return;
        }
        self.measured = Some((id.to_owned(), usage));
        self.context(in_context(usage), usage, said);
    }

    fn call(&mut self, name: &str, id: &str, said: &mut Said) {
        self.begin(said);
        if let Some(turn) = &mut self.turn
            && turn.calls.insert(id.to_owned())
        {
            *turn.tools.entry(name.to_owned()).or_default() += 1;
        }
    }

    fn result(&mut self, line: &Line<'_>, said: &mut Said) {
        let result = result_class(line);
        let ok = result == "success";
        let ending = TurnEnd {
            duration_ms: line.duration_ms(),
            num_turns: line.num_turns,
            usage: line.usage().unwrap_or_default(),
            run_cost_usd: line.total_cost_usd,
            stop_reason: line.stop_reason.as_deref().map(ToOwned::to_owned),
            terminal_reason: line.terminal_reason.as_deref().map(ToOwned::to_owned),
            ..self.ending(ok, result.to_owned())
        };
        self.window_tokens = line.window_tokens(self.model.as_deref()).or(self.window_tokens);
        let usage = ending.usage;
        self.end(said, ending);
        if let Some((_, last)) = &self.measured {
            self.context(in_context(*last), usage, said);
        }
    }

    /// The end of the turn under way; a result without a beginning ends a turn that nobody saw.
    fn ending(&self, ok: bool, result: String) -> TurnEnd {
        TurnEnd {
            run: self.run.clone(),
            index: self.turn.as_ref().map_or(self.next_index, |turn| turn.index),
            ok,
            result,
            duration_ms: None,
            num_turns: None,
            usage: TokenUsage::default(),
            run_cost_usd: None,
            tools: self.turn.as_ref().map(|turn| turn.tools.clone()).unwrap_or_default(),
            stop_reason: None,
            terminal_reason: None,
        }
    }

    fn end(&mut self, said: &mut Said, ending: TurnEnd) {
        self.turn = None;
        self.next_index = ending.index + 1;
        self.state = TurnState::Idle;
        push(said, TurnKind::TurnEnd, &ending);
    }

    fn compaction(&mut self, compacting: bool, said: &mut Said) {
        let was = self.state == TurnState::Compacting;
        if was == compacting {
            return;
        }
        self.state = if compacting {
            TurnState::Compacting
        } else {
            TurnState::Thinking
        };
        push(
            said,
            TurnKind::TurnStateChanged,
            &TurnStateChanged { state: self.state },
        );
    }

    fn context(&self, used_tokens: u64, usage: TokenUsage, said: &mut Said) {
        let window_tokens = self.window_tokens;
        push(
            said,
            TurnKind::TokenUsageChanged,
            &TokenUsageChanged {
                used_tokens,
                window_tokens,
                usage,
            },
        );
    }
}

const fn in_context(usage: TokenUsage) -> u64 {
    usage
        .input_tokens
        .saturating_add(usage.cache_read_input_tokens)
        .saturating_add(usage.cache_creation_input_tokens)
        .saturating_add(usage.output_tokens)
}

fn link(line: &Line<'_>, said: &mut Said) {
    let Some(link) = line.subagent() else {
        return;
    };
    let text = line.description.as_deref().unwrap_or("subagent started").to_owned();
    push(
        said,
        TurnKind::Note,
        &Note {
            text,
            link: Some(Link {
                agent_id: link.0,
                tool_use_id: link.1,
            }),
        },
    );
}

/// How a turn ended, in a word. Claude Code calls a turn that its model's provider refused a success, and an error besides;
/// then the class is why.
fn result_class<'a>(line: &'a Line<'_>) -> &'a str {
    let class = line.subtype.as_deref().or(line.status.as_deref()).unwrap_or("success");
    match line.terminal_reason.as_deref() {
        _ if class != "success" || line.is_error != Some(true) => class,
        _ if line.api_error_status == Some(429) => "rate_limit",
        Some("completed") | None => "error",
        Some(reason) => reason,
    }
}

fn push(said: &mut Said, kind: TurnKind, payload: &impl Payload) {
    said.push((kind, payload.to_raw()));
}

#[cfg(test)]
mod tests;
