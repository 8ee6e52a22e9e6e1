//! The top level of an agent's payload, read without trusting it.
//!
//! Agents agree on what they say and not on how they spell it; a field may come in a foreign type, twice, or under two
//! names. So the members that are known stay text until somebody asks for one, and asking cannot fail, only find nothing.
//! Where two spellings are present, the first one of the table wins.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

macro_rules! fields {
    ($($field:ident = $first:literal $(| $other:literal)*;)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Field { $($field,)+ }

        const FIELDS: usize = [$(Field::$field,)+].len();

        /// The field of this name, and whether it is the first spelling.
        pub(crate) fn field(name: &str) -> Option<(Field, bool)> {
            match name {
                $($first => Some((Field::$field, true)), $($other => Some((Field::$field, false)),)*)+
                _ => None,
            }
        }
    };
}

fields! {
    Event = "hook_event_name" | "hookEventName" | "hookName";
    LooseEvent = "event";
    Type = "type";
    Session = "session_id" | "sessionId" | "sessionID" | "conversation_id" | "thread_id" | "thread-id" | "threadId" | "session";
    Cwd = "cwd";
    NewCwd = "new_cwd" | "newCwd";
    Timestamp = "timestamp" | "ts";
    Prompt = "prompt_id" | "promptId" | "turn_id" | "turnId" | "generation_id";
    Subagent = "agent_id" | "agentId" | "agent";
    SubagentType = "agent_type" | "agentType" | "subagent_type";
    Model = "model";
    ToModel = "to_model" | "toModel";
    Mode = "permission_mode" | "permissionMode";
    Tool = "tool_name" | "tool" | "toolName";
    ToolInput = "tool_input" | "input" | "toolInput" | "toolArgs";
    ToolResponse = "tool_response" | "output" | "toolResponse" | "toolResult" | "tool_output";
    Call = "tool_use_id" | "toolUseId" | "callID" | "call_id";
    Duration = "duration_ms" | "durationMs";
    Text = "prompt" | "userPrompt" | "initialPrompt";
    SubmittedPrompt = "submitted_prompt";
    LastMessage = "last_assistant_message" | "lastAssistantMessage" | "last-assistant-message" | "prompt_response" | "promptResponse";
    Source = "source";
    Reason = "reason" | "stopReason";
    Error = "error";
    Interrupted = "is_interrupt" | "isInterrupt";
    Notification = "notification_type" | "notificationType";
    Message = "message";
    BackgroundTasks = "background_tasks" | "backgroundTasks";
    Status = "status";
    TokenUsage = "token_usage" | "usage";
    UsedTokens = "used_tokens" | "usedTokens";
    WindowTokens = "window_tokens" | "windowTokens";
    Suggestions = "permission_suggestions" | "permissionSuggestions";
    Muster = "muster";
}

/// The members that are known.
pub(crate) struct Members<'a>([Option<&'a RawValue>; FIELDS]);

impl<'a> Members<'a> {
    /// The members of a JSON object.
    pub(crate) fn read(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    pub(crate) fn raw(&self, field: Field) -> Option<&'a RawValue> {
        self.0[field as usize]
    }

    pub(crate) fn text(&self, field: Field) -> Option<Cow<'a, str>> {
        text(self.raw(field)?)
    }

    pub(crate) fn owned(&self, field: Field) -> Option<String> {
        self.text(field).map(Cow::into_owned)
    }

    /// The name in a field; `None` too where it is no legal name.
    pub(crate) fn name<T: std::str::FromStr>(&self, field: Field) -> Option<T> {
        self.text(field)?.parse().ok()
    }

    /// A count; fractions are cut off.
    pub(crate) fn count(&self, field: Field) -> Option<u64> {
        count(self.raw(field)?)
    }

    pub(crate) fn is_true(&self, field: Field) -> bool {
        self.raw(field).is_some_and(|raw| raw.get() == "true")
    }
}

/// The text of a JSON string.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = raw.get();
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(quoted).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The count of a JSON number.
pub(crate) fn count(raw: &RawValue) -> Option<u64> {
    let digits = raw.get().split('.').next()?;
    digits.parse().ok()
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut slots = [None; FIELDS];
        while let Some(Key(key)) = map.next_key()? {
            let Some((field, first)) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &'de RawValue = map.next_value()?;
            let slot = &mut slots[field as usize];
            if value.get() != "null" && (first || slot.is_none()) {
                *slot = Some(value);
            }
        }
        Ok(Members(slots))
    }
}

struct Key(Option<(Field, bool)>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(Key(field(name)))
            }
        }
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_spelling_wins_wherever_it_stands() {
        for json in [
            r#"{"tool_name":"Bash","tool":"x"}"#,
            r#"{"tool":"x","tool_name":"Bash"}"#,
        ] {
            let members = Members::read(json).unwrap();
            assert_eq!(members.text(Field::Tool).as_deref(), Some("Bash"));
        }
    }

    #[test]
    fn foreign_types_are_as_good_as_missing() {
        let json = r#"{"tool_name":{"a":1},"cwd":null,"duration_ms":12.7,"tool_use_id":3,"error":"a\n\u00e9"}"#;
        let members = Members::read(json).unwrap();
        assert_eq!(members.text(Field::Tool), None);
        assert_eq!(members.text(Field::Cwd), None);
        assert_eq!(members.text(Field::Call), None);
        assert_eq!(members.count(Field::Duration), Some(12));
        assert_eq!(members.text(Field::Error).as_deref(), Some("a\né"));
        assert!(Members::read("[]").is_err());
        assert!(Members::read("3").is_err());
    }
}
