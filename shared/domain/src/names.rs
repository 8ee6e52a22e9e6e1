//! Names that come from outside, checked once and then shared: each is a key in many places.
//!
//! A [`HostName`] is always safe as one subject token. The others may hold any printable text (agents choose them): where
//! they become a token, the contract crate encodes them reversibly.

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest host name, in bytes: a DNS label's limit (RFC 1035), so that a short hostname always fits.
pub const HOST_NAME_BYTES_MAX: usize = 63;
/// Longest free name (session, agent, profile, tool …), in bytes. A subject stays under NATS's recommended 256 bytes even
/// when every byte of a UUID-sized session id needs escaping; longer ids still work and only make longer subjects.
pub const FREE_NAME_BYTES_MAX: usize = 200;

/// Longest name of a workspace, in bytes: a path of Linux may have 4096, and none that people work in has this many.
pub const WORKSPACE_BYTES_MAX: usize = 1024;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("{what} is empty")]
    Empty {
        /// Which name.
        what: &'static str,
    },
    /// More bytes than the limit.
    #[error("{what} has {size_bytes} bytes; the limit is {limit_bytes}")]
    TooLong {
        /// Which name.
        what: &'static str,
        /// Its size.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// A character that the name may not hold.
    #[error("{what} holds {found:?}; {rule}")]
    Forbidden {
        /// Which name.
        what: &'static str,
        /// The first character that is not allowed.
        found: char,
        /// What is allowed.
        rule: &'static str,
    },
}

fn bounded<'a>(what: &'static str, text: &'a str, limit_bytes: usize) -> Result<&'a str, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > limit_bytes {
        return Err(NameError::TooLong {
            what,
            size_bytes: text.len(),
            limit_bytes,
        });
    }
    Ok(text)
}

/// Reads a name without a copy of its text before it is checked: a replay reads some for each event.
struct Checked<T>(&'static str, fn(&str) -> Result<T, NameError>);

impl<T> Visitor<'_> for Checked<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and takes it as a name.
            ///
            /// # Errors
            /// [`NameError`] says which rule was broken.
            pub fn new(text: &str) -> Result<Self, NameError> {
                $check($what, text).map(|text| Self(text.into()))
            }

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Checked($what, Self::new))
            }
        }
    };
}

fn host<'a>(what: &'static str, text: &'a str) -> Result<&'a str, NameError> {
    let text = bounded(what, text, HOST_NAME_BYTES_MAX)?;
    match text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || *c == '-' || *c == '_'))
    {
        Some(found) => Err(NameError::Forbidden {
            what,
            found,
            rule: "letters, digits, - and _ are allowed",
        }),
        None if text == "-" => Err(NameError::Forbidden {
            what,
            found: '-',
            rule: "a lone - stands for no host",
        }),
        None => Ok(text),
    }
}

fn free<'a>(what: &'static str, text: &'a str) -> Result<&'a str, NameError> {
    printable(what, text, FREE_NAME_BYTES_MAX)
}

fn printable<'a>(what: &'static str, text: &'a str, limit_bytes: usize) -> Result<&'a str, NameError> {
    let text = bounded(what, text, limit_bytes)?;
    match text.chars().find(|c| c.is_control()) {
        Some(found) => Err(NameError::Forbidden {
            what,
            found,
            rule: "control characters are not allowed",
        }),
        None => Ok(text),
    }
}

name! {
    /// A machine that runs agents. Always one subject token.
    HostName, "host name", host
}
name! {
    /// One conversation of one agent on one host, as the agent named it.
    SessionId, "session id", free
}
name! {
    /// The product that runs (`claude-code`, `codex`, …).
    AgentName, "agent name", free
}
name! {
    /// The configuration profile a session runs under; `default` where nothing else is said.
    Profile, "profile", free
}
name! {
    /// A prompt of a session, as the agent named it: what one turn is keyed by.
    PromptId, "prompt id", free
}
name! {
    /// One tool call, as the agent named it (`tool_use_id`).
    ToolCallId, "tool call id", free
}
name! {
    /// One subagent of a session (`agent_id`).
    SubagentId, "subagent id", free
}
name! {
    /// A kind of subagent (`Explore`, `code-reviewer`): what circuits and delegations go by.
    SubagentName, "subagent name", free
}
name! {
    /// A tool (`Bash`, `Write`, `mcp__server__tool`, …).
    ToolName, "tool name", free
}
name! {
    /// One wrapped process: what joins a run's printed lines to the hooks that its process fired.
    RunId, "run id", free
}

fn workspace<'a>(what: &'static str, text: &'a str) -> Result<&'a str, NameError> {
    printable(what, text, WORKSPACE_BYTES_MAX)
}

name! {
    /// What is worked on: a folder, a repository, or any other name that all who work on it agree on.
    Workspace, "workspace", workspace
}

impl HostName {
    /// The nearest host name to what a machine calls itself: other characters become `-`, and it is cut to the limit.
    ///
    /// # Errors
    /// [`NameError::Empty`] when nothing is left.
    pub fn from_hostname(text: &str) -> Result<Self, NameError> {
        let keep = |c: char| {
            if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
                c
            } else {
                '-'
            }
        };
        let token: String = text.trim().chars().map(keep).take(HOST_NAME_BYTES_MAX).collect();
        Self::new(token.trim_matches('-'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_one_subject_token() {
        assert!(HostName::new("web-01").is_ok());
        for bad in ["", "-", "web.01", "web 01", "wéb", "a>b", "*"] {
            assert!(HostName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_machine_name_is_turned_into_a_host_name() {
        assert_eq!(
            HostName::from_hostname("build7.example.org").unwrap().as_str(),
            "build7-example-org"
        );
        assert!(HostName::from_hostname(" \n").is_err());
    }

    #[test]
    fn free_names_refuse_control_characters_and_excess() {
        assert!(SessionId::new("a b/ü").is_ok());
        assert!(SessionId::new("a\nb").is_err());
        assert!(SessionId::new(&"x".repeat(FREE_NAME_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn an_error_says_what_is_allowed() {
        let text = HostName::new("a.b").unwrap_err().to_string();
        assert_eq!(text, "host name holds '.'; letters, digits, - and _ are allowed");
    }
}
