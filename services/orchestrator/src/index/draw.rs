//! What of an event is drawn into the index.

use muster_domain::fact::{Fact, HookBody, Recorded, ToolOutcome, TurnFact};
use muster_domain::time::Timestamp;
use muster_wire::words::{Words, WordsKind};
use uuid::Uuid;

/// A year. What an agent says beyond it is no duration, and must not spoil sums with others.
const DURATION_MS_MAX: u64 = 365 * 24 * 3600 * 1000;
/// More than any turn uses, and few enough that a million turns can be added up.
const TOKENS_MAX: u64 = 1_000_000_000_000;

/// An event of a session that says something, took time, or used tokens.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) id: Uuid,
    pub(super) at: Timestamp,
    pub(super) host: String,
    pub(super) session: String,
    pub(super) agent: Option<String>,
    pub(super) call: Option<Call>,
    pub(super) turn: Option<Turn>,
    words: Option<Words>,
}

/// A tool call that began or ended.
#[derive(Debug)]
pub(super) struct Call {
    /// The call's, where its agent names calls.
    pub(super) name: Option<String>,
    pub(super) tool: String,
    pub(super) file: Option<String>,
    pub(super) duration_ms: Option<i64>,
    pub(super) outcome: Outcome,
}

/// How far a call is. Stored as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Outcome {
    Running = 0,
    Ok = 1,
    Failed = 2,
    Denied = 3,
}

impl Outcome {
    pub(super) const fn is_over(self) -> bool {
        !matches!(self, Self::Running)
    }

    /// Whether it took any time of its own: one that was denied only waited.
    pub(super) const fn ran(self) -> bool {
        matches!(self, Self::Ok | Self::Failed)
    }
}

/// A printed turn that ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) ok: bool,
    /// Tokens that went in, cached ones included.
    pub(super) input: u64,
    pub(super) output: u64,
}

/// Words as they are searched.
pub(super) struct Said {
    pub(super) kind: WordsKind,
    pub(super) text: String,
}

/// The entry of an event; none where there is nothing to be drawn from it.
pub(super) fn entry(recorded: &Recorded, words: Option<Words>) -> Option<Entry> {
    let event = &recorded.event;
    let (call, turn) = match &event.fact {
        Fact::Hook(hook) => (call(&hook.body, words.as_ref()), None),
        Fact::Turn(fact) => (None, turn(fact)),
        Fact::Process(_) | Fact::Host(_) | Fact::Effect(_) | Fact::Decision(_) | Fact::Tombstone | Fact::Noted => {
            (None, None)
        }
    };
    if words.is_none() && call.is_none() && turn.is_none() {
        return None;
    }
    Some(Entry {
        seq: recorded.seq,
        id: event.id.as_uuid(),
        at: recorded.at,
        host: event.host.as_ref()?.as_str().to_owned(),
        session: event.session.as_ref()?.as_str().to_owned(),
        agent: event.agent.as_ref().map(|agent| agent.as_str().to_owned()),
        call,
        turn,
        words,
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other hooks are about no call, and so will new ones"
)]
fn call(body: &HookBody, words: Option<&Words>) -> Option<Call> {
    let (used, outcome, duration_ms) = match body {
        HookBody::ToolStarted(used) => (used, Outcome::Running, None),
        HookBody::ToolEnded {
            tool,
            outcome,
            duration_ms,
            ..
        } => {
            let outcome = match outcome {
                ToolOutcome::Ok => Outcome::Ok,
                ToolOutcome::Failed { .. } => Outcome::Failed,
                ToolOutcome::Denied { .. } => Outcome::Denied,
            };
            (tool, outcome, *duration_ms)
        }
        _ => return None,
    };
    Some(Call {
        name: used.call.as_ref().map(|call| call.as_str().to_owned()),
        tool: used.tool.as_str().to_owned(),
        file: words.and_then(|words| words.call.as_ref()?.file.clone()),
        duration_ms: duration_ms.map(|ms| i64::try_from(ms.min(DURATION_MS_MAX)).unwrap_or(i64::MAX)),
        outcome,
    })
}

fn turn(fact: &TurnFact) -> Option<Turn> {
    let TurnFact::Ended { ok, usage, .. } = fact else {
        return None;
    };
    let input = usage.input.saturating_add(usage.cache_read);
    Some(Turn {
        ok: *ok,
        input: input.saturating_add(usage.cache_creation).min(TOKENS_MAX),
        output: usage.output.min(TOKENS_MAX),
    })
}

impl Entry {
    /// What is searched of it. What a call was given is said once: when it begins, or when it ends and nobody heard it begin.
    pub(super) fn said(&self, began: bool) -> Option<Said> {
        let words = self.words.as_ref()?;
        let given = words.call.as_ref().filter(|_| !began).map(|call| call.given.as_str());
        let said: Vec<&str> = given
            .into_iter()
            .chain([words.text.as_str()])
            .filter(|text| !text.is_empty())
            .collect();
        let kind = match words.kind {
            WordsKind::Tool if !words.text.is_empty() => WordsKind::Error,
            kind @ (WordsKind::Prompt | WordsKind::Tool | WordsKind::Message | WordsKind::Error) => kind,
        };
        (!said.is_empty()).then(|| Said {
            kind,
            text: said.join(": "),
        })
    }
}
