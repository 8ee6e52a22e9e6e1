//! The tool call in a hook, whichever agent it came from.

use crate::members::{Field, field};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A tool call, as far as rules may ask about it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall<'a> {
    /// The tool, as its agent names it.
    pub tool: &'a str,
    /// What it is called with; null where that is not said.
    pub input: Cow<'a, Value>,
    /// The call, where its agent names calls.
    pub call: Option<&'a str>,
    /// The working folder; empty where that is not said.
    pub cwd: &'a str,
    /// The agent's permission mode; empty where that is not said.
    pub mode: &'a str,
    /// The named subagent that makes the call.
    pub subagent: Option<&'a str>,
}

impl<'a> ToolCall<'a> {
    /// Reads a hook's payload; `None` where it names no tool.
    pub fn read(payload: &'a Map<String, Value>) -> Option<Self> {
        let text = |wanted| find(payload, wanted).and_then(Value::as_str);
        let input = match find(payload, Field::ToolInput) {
            // Some agents send what their model wrote: JSON in a text.
            Some(Value::String(text)) => Cow::Owned(serde_json::from_str(text).unwrap_or(Value::Null)),
            Some(value) => Cow::Borrowed(value),
            None => Cow::Owned(Value::Null),
        };
        Some(Self {
            tool: text(Field::Tool)?,
            call: text(Field::Call),
            input,
            cwd: text(Field::Cwd).unwrap_or_default(),
            mode: text(Field::Mode).unwrap_or_default(),
            subagent: text(Field::SubagentType),
        })
    }
}

/// The member that holds a field; of several spellings the first of the table.
fn find(payload: &Map<String, Value>, wanted: Field) -> Option<&Value> {
    let mut found = None;
    for (name, value) in payload {
        match field(name) {
            Some((this, true)) if this == wanted && !value.is_null() => return Some(value),
            Some((this, false)) if this == wanted && !value.is_null() => found = found.or(Some(value)),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(payload: &Value) -> (String, Value) {
        let call = ToolCall::read(payload.as_object().unwrap()).unwrap();
        (call.tool.to_owned(), call.input.into_owned())
    }

    #[test]
    fn every_agents_spelling_is_one_call() {
        let expected = ("bash".to_owned(), json!({"command": "ls"}));
        for payload in [
            json!({"tool_name": "bash", "tool_input": {"command": "ls"}}),
            json!({"toolName": "bash", "toolArgs": {"command": "ls"}}),
            json!({"tool": "bash", "input": {"command": "ls"}}),
            json!({"tool": "bash", "toolArgs": "{\"command\": \"ls\"}"}),
            json!({"tool": "other", "tool_name": "bash", "input": 3, "tool_input": {"command": "ls"}}),
        ] {
            assert_eq!(read(&payload), expected, "{payload}");
        }
    }

    #[test]
    fn what_is_not_said_is_empty() {
        let payload = json!({"tool_name": "Bash", "tool_input": null, "cwd": 3, "permission_mode": "plan"});
        let call = ToolCall::read(payload.as_object().unwrap()).unwrap();
        assert_eq!(
            (call.cwd, call.mode, call.subagent, &*call.input),
            ("", "plan", None, &Value::Null)
        );
        assert_eq!(ToolCall::read(json!({"tool_name": 3}).as_object().unwrap()), None);
    }
}
