//! What ingest must know of a hook before it can be an event.
//!
//! Only the limits, the addressee and the few fields that edge rules look at; the payload itself stays as it came. Agents
//! differ in where they put the hook's name: in the payload, or (Copilot CLI) only in how the hook was installed.

use crate::limits::{BODY_BYTES_MAX, JSON_DEPTH_MAX};
use crate::members::{Field, Members};
use crate::time;
use muster_domain::family::HookName;
use muster_domain::names::{NameError, SessionId, SubagentId, ToolCallId, ToolName};
use muster_domain::time::Timestamp;
use serde_json::value::RawValue;

/// A hook as an agent sent it.
#[derive(Debug, Clone)]
pub struct Incoming<'a> {
    /// The whole payload.
    pub text: &'a str,
    /// The hook's name as the agent wrote it.
    pub name: String,
    /// The hook.
    pub hook: HookName,
    /// The session it is about.
    pub session: SessionId,
    /// Working directory.
    pub cwd: Option<String>,
    /// When it happened, where the agent says.
    pub time: Option<Timestamp>,
    /// The tool it is about.
    pub tool: Option<ToolName>,
    /// The call, where the agent names calls.
    pub call: Option<ToolCallId>,
    /// The subagent it happened in.
    pub subagent: Option<SubagentId>,
    /// What the tool was given.
    pub tool_input: Option<&'a RawValue>,
    /// What the tool gave back.
    pub tool_response: Option<&'a RawValue>,
}

/// Why bytes are no hook.
#[derive(Debug, thiserror::Error)]
pub enum Reject {
    /// More than ingest takes.
    #[error("{size_bytes} bytes are over the limit of {BODY_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
    },
    /// Not text.
    #[error("the payload is not UTF-8 at byte {at}")]
    NotUtf8 {
        /// The first byte that is none.
        at: usize,
    },
    /// Nested too deep.
    #[error("the payload is nested deeper than {JSON_DEPTH_MAX}")]
    TooDeep,
    /// Not JSON.
    #[error("the payload is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// JSON, but no object.
    #[error("the payload is not a JSON object")]
    NotAnObject,
    /// No hook is named.
    #[error("no hook is named: send `hook_event_name`, or name it where the hook is installed")]
    MissingEvent,
    /// The hook's name has no letter or digit in it.
    #[error("{0:?} is no hook name")]
    BadEvent(String),
    /// No session is named.
    #[error("no session is named: send `session_id`")]
    MissingSession,
    /// The session's name is not legal.
    #[error(transparent)]
    BadSession(#[from] NameError),
}

impl<'a> Incoming<'a> {
    /// Reads a payload; `hint` names the hook where the payload does not.
    ///
    /// # Errors
    /// [`Reject`] says what is wrong with it.
    pub fn read(bytes: &'a [u8], hint: Option<&str>) -> Result<Self, Reject> {
        if bytes.len() > BODY_BYTES_MAX {
            return Err(Reject::TooLarge {
                size_bytes: bytes.len(),
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| Reject::NotUtf8 {
            at: error.valid_up_to(),
        })?;
        if !check_depth(bytes, JSON_DEPTH_MAX) {
            return Err(Reject::TooDeep);
        }
        let members = Members::read(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Reject::NotAnObject,
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => Reject::NotJson(error),
        })?;
        let name = members
            .owned(Field::Event)
            .or_else(|| hint.map(ToOwned::to_owned))
            .or_else(|| members.owned(Field::LooseEvent))
            .or_else(|| members.owned(Field::Type))
            .ok_or(Reject::MissingEvent)?;
        let hook = HookName::from_agent(&name).ok_or_else(|| Reject::BadEvent(name.clone()))?;
        let session = SessionId::new(&members.text(Field::Session).ok_or(Reject::MissingSession)?)?;
        Ok(Self {
            hook,
            session,
            cwd: members.owned(Field::Cwd),
            time: moment(&members),
            tool: members.name(Field::Tool),
            call: members.name(Field::Call),
            subagent: members.name(Field::Subagent),
            tool_input: members.raw(Field::ToolInput),
            tool_response: members.raw(Field::ToolResponse),
            text,
            name,
        })
    }
}

/// RFC 3339, or milliseconds since the epoch.
fn moment(members: &Members<'_>) -> Option<Timestamp> {
    if let Some(text) = members.text(Field::Timestamp) {
        return time::parse(&text);
    }
    i64::try_from(members.count(Field::Timestamp)?)
        .ok()
        .map(Timestamp::from_millis)
}

/// Whether brackets nest at most `max` deep; strings do not count. Says nothing else about the bytes.
pub fn check_depth(bytes: &[u8], max: usize) -> bool {
    let mut depth = 0_usize;
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => {
                        bytes.next();
                    }
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_key_styles_and_a_hint_name_the_hook() {
        let claude = br#"{"session_id":"s","hook_event_name":"FileChanged","event":"change"}"#;
        assert_eq!(Incoming::read(claude, None).unwrap().hook, HookName::FileChanged);
        let copilot = br#"{"sessionId":"s","timestamp":1795267134318,"toolName":"bash","toolArgs":{"command":"ls"}}"#;
        let read = Incoming::read(copilot, Some("preToolUse")).unwrap();
        assert_eq!((read.hook, read.name.as_str()), (HookName::PreToolUse, "preToolUse"));
        assert_eq!(read.time.map(Timestamp::as_millis), Some(1_795_267_134_318));
        assert_eq!(read.tool_input.map(RawValue::get), Some(r#"{"command":"ls"}"#));
        let trusty = br#"{"session_id":"s","event":"PermissionGranted","tool":"Bash"}"#;
        assert_eq!(Incoming::read(trusty, None).unwrap().hook, HookName::PermissionGranted);
    }

    #[test]
    fn what_is_no_hook_is_refused_by_name() {
        let read = |bytes: &[u8]| Incoming::read(bytes, None).map(|_| ()).unwrap_err();
        assert!(matches!(read(b"\xff{}"), Reject::NotUtf8 { at: 0 }));
        assert!(matches!(read(b"{\"a\":"), Reject::NotJson(_)));
        assert!(matches!(read(b"{} {}"), Reject::NotJson(_)));
        assert!(matches!(read(b""), Reject::NotJson(_)));
        assert!(matches!(read(b"[1]"), Reject::NotAnObject));
        assert!(matches!(read(b"\"a\""), Reject::NotAnObject));
        assert!(matches!(read(br#"{"session_id":"s"}"#), Reject::MissingEvent));
        assert!(matches!(
            read(br#"{"event":"??","session_id":"s"}"#),
            Reject::BadEvent(_)
        ));
        assert!(matches!(read(br#"{"event":"Stop"}"#), Reject::MissingSession));
        assert!(matches!(
            read(br#"{"event":"Stop","session_id":7}"#),
            Reject::MissingSession
        ));
        assert!(matches!(
            read(br#"{"event":"Stop","session_id":"a\nb"}"#),
            Reject::BadSession(_)
        ));
        assert!(matches!(read(&vec![b' '; BODY_BYTES_MAX + 1]), Reject::TooLarge { .. }));
        let deep = format!(r#"{{"event":"Stop","session_id":"s","x":{}}}"#, "[".repeat(200));
        assert!(matches!(read(deep.as_bytes()), Reject::TooDeep));
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert!(check_depth(br#"{"a":"[[[[\"[["}"#, 1));
        assert!(check_depth(b"[[[]],[[]]]", 3));
        assert!(!check_depth(b"[[[]],[[]]]", 2));
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Incoming::read(&bytes, None);
            let _ = check_depth(&bytes, 3);
        }
    }
}
