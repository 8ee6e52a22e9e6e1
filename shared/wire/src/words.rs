//! What an event says in words, for whoever searches them.
//!
//! The fold keeps a line of a prompt or a call; the log has them whole. Of each event that says anything to a reader the
//! words are taken here, whatever its agent calls them, and cut to a size that an index can hold for every event of the log.

use crate::data::turn::{Note, TurnEnd};
use crate::decode;
use crate::envelope::{DecodeError, Document};
use crate::members::{Field, Members};
use crate::text::{LINE_CHARS, first_line};
use muster_domain::fact::Recorded;
use muster_domain::family::{EventType, HookName, TurnKind};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Bytes that are kept of the words of one event: a long prompt, or what a command was given; not a whole file.
pub const WORDS_BYTES_MAX: usize = 4096;

/// Members of a tool's input that name the file it works on, the most telling first.
const FILES: &[&str] = &["file_path", "absolute_path", "notebook_path", "filePath", "path"];

/// Whose words they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WordsKind {
    /// Given to the agent.
    Prompt,
    /// A tool and what it was given.
    Tool,
    /// The agent's, at the end of its turn or in between.
    Message,
    /// What went wrong.
    Error,
}

impl WordsKind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Prompt, Self::Tool, Self::Message, Self::Error];

    /// The name, as in `prompt`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Tool => "tool",
            Self::Message => "message",
            Self::Error => "error",
        }
    }

    /// The kind of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for WordsKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an event says in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Whose they are.
    pub kind: WordsKind,
    /// The words, cut; of a call that ended well there are none.
    pub text: String,
    /// What a call was given.
    pub call: Option<CallWords>,
}

/// What a call was given, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallWords {
    /// Its tool and the texts of its input, cut.
    pub given: String,
    /// The file it works on.
    pub file: Option<String>,
}

/// What a message of the log says: to the fold, and in words.
///
/// # Errors
/// As [`decode::recorded`].
pub fn recorded(
    seq: u64,
    at: Timestamp,
    subject: &str,
    bytes: &[u8],
) -> Result<(Recorded, Option<Words>), DecodeError> {
    let (document, event_type) = Document::read_at(subject, bytes)?;
    let words = words(&event_type, document.data.get()).filter(|words| !words.is_empty());
    Ok((decode::recorded(seq, at, subject, bytes)?, words))
}

fn words(event_type: &EventType, data: &str) -> Option<Words> {
    if let EventType::AgentHook(name) = event_type {
        return of_hook(decode::moment(name), &Members::read(data).ok()?);
    }
    if *event_type == EventType::AgentTurn(TurnKind::Note) {
        let note: Note = serde_json::from_str(data).ok()?;
        return Some(Words::said(WordsKind::Message, &note.text));
    }
    if *event_type == EventType::AgentTurn(TurnKind::TurnEnd) {
        let end: TurnEnd = serde_json::from_str(data).ok()?;
        return (!end.ok).then(|| Words::said(WordsKind::Error, &end.result));
    }
    None
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most hooks say nothing in words, and so will new ones"
)]
fn of_hook(name: &HookName, members: &Members<'_>) -> Option<Words> {
    let error = || decode::error(members);
    match name {
        HookName::UserPromptSubmit => Some(Words::said(WordsKind::Prompt, &members.text(Field::Text)?)),
        HookName::PreToolUse => called(members, WordsKind::Tool, String::new()),
        HookName::PostToolUse => called(members, WordsKind::Tool, error()),
        HookName::PostToolUseFailure => called(members, WordsKind::Error, error()),
        HookName::Stop | HookName::SubagentStop => {
            Some(Words::said(WordsKind::Message, &members.text(Field::LastMessage)?))
        }
        HookName::StopFailure | HookName::ErrorRaised => Some(Words::said(WordsKind::Error, &error())),
        _ => None,
    }
}

fn called(members: &Members<'_>, kind: WordsKind, text: String) -> Option<Words> {
    let tool = members.text(Field::Tool)?;
    let input = members.raw(Field::ToolInput).map(|raw| raw.get());
    let input: Value = input
        .and_then(|input| serde_json::from_str(input).ok())
        .unwrap_or_default();
    let file = FILES.iter().find_map(|name| input.get(name)?.as_str());
    let mut given = tool.into_owned();
    texts(&input, &mut given);
    cut(&mut given);
    Some(Words {
        text,
        call: Some(CallWords {
            file: file.and_then(|file| first_line(file, 8 * LINE_CHARS)),
            given,
        }),
        kind,
    })
}

/// The texts of a JSON value, in their order, until there are enough.
fn texts(value: &Value, into: &mut String) {
    if into.len() >= WORDS_BYTES_MAX {
        return;
    }
    match value {
        Value::String(text) => {
            into.push(' ');
            into.push_str(text);
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, into)),
        Value::Object(members) => members.values().for_each(|value| texts(value, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(WORDS_BYTES_MAX));
}

impl Words {
    fn said(kind: WordsKind, words: &str) -> Self {
        let text = words[..words.floor_char_boundary(WORDS_BYTES_MAX)].to_owned();
        Self { kind, text, call: None }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.call.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, data: &str) -> Option<Words> {
        words(&EventType::parse(kind).unwrap(), data)
    }

    fn text(kind: &str, data: &str) -> (WordsKind, String) {
        let words = of(kind, data).unwrap();
        (words.kind, words.text)
    }

    #[test]
    fn prompts_messages_notes_and_errors_are_taken_whole_whatever_the_agent_calls_them() {
        let long = r"fix the build\nand the docs";
        for (kind, data) in [
            ("agent.hook.user_prompt_submit", format!(r#"{{"prompt":"{long}"}}"#)),
            ("agent.hook.before_agent", format!(r#"{{"prompt":"{long}"}}"#)),
        ] {
            assert_eq!(
                text(kind, &data),
                (WordsKind::Prompt, "fix the build\nand the docs".to_owned())
            );
        }
        let said = (WordsKind::Message, "all green".to_owned());
        assert_eq!(
            text("agent.hook.stop", r#"{"last_assistant_message":"all green"}"#),
            said
        );
        assert_eq!(text("agent.turn.note", r#"{"text":"all green"}"#), said);
        let failed = (WordsKind::Error, "overloaded".to_owned());
        assert_eq!(text("agent.hook.stop_failure", r#"{"error":"overloaded"}"#), failed);
        assert_eq!(of("agent.hook.stop", "{}"), None);
        assert_eq!(of("agent.hook.notification", r#"{"message":"hello"}"#), None);
    }

    #[test]
    fn a_call_says_its_tool_the_texts_of_its_input_and_its_file() {
        let data = r#"{"tool_name":"Edit","tool_input":{"file_path":"/src/a.rs","edits":[{"new":"let x"},{"n":1}]}}"#;
        let call = of("agent.hook.pre_tool_use", data).unwrap().call.unwrap();
        assert_eq!(call.file.as_deref(), Some("/src/a.rs"));
        let mut words: Vec<&str> = call.given.split(' ').collect();
        words.sort_unstable();
        assert_eq!(words, ["/src/a.rs", "Edit", "let", "x"]);
        let failed = data.replace("\"tool_name\"", "\"error\":\"no such file\",\"tool_name\"");
        let words = of("agent.hook.post_tool_use_failure", &failed).unwrap();
        assert_eq!((words.kind, words.text.as_str()), (WordsKind::Error, "no such file"));
    }

    #[test]
    fn words_are_cut_between_characters() {
        let data = format!(r#"{{"prompt":"{}"}}"#, "é".repeat(WORDS_BYTES_MAX));
        assert_eq!(text("agent.hook.user_prompt_submit", &data).1.len(), WORDS_BYTES_MAX);
        let data = format!(r#"{{"tool_name":"x","tool_input":"{}"}}"#, "é".repeat(WORDS_BYTES_MAX));
        let call = of("agent.hook.pre_tool_use", &data).unwrap().call.unwrap();
        assert!(call.given.len() <= WORDS_BYTES_MAX);
    }
}
