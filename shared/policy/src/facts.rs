//! What is judged: one tool call, by whom, where.

use serde_json::Value;

/// One tool call and what is known about who makes it.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The host it happens on.
    pub host: &'a str,
    /// The product that runs: `claude-code`, `codex`, …
    pub agent: &'a str,
    /// The named subagent the call is made by, if it is one.
    pub subagent: Option<&'a str>,
    /// The conversation; empty where nobody knows.
    pub session: &'a str,
    /// The profile the host's agents run under.
    pub profile: &'a str,
    /// The host's labels.
    pub labels: &'a [String],
    /// Whether somebody is known to be there. Unknown is no.
    pub attended: bool,
    /// The agent's permission mode, as it names it.
    pub mode: &'a str,
    /// The working folder; empty where nobody knows.
    pub cwd: &'a str,
    /// The tool, as its agent names it.
    pub tool: &'a str,
    /// What the tool is called with.
    pub input: &'a Value,
}

impl<'a> Facts<'a> {
    /// A call of which nothing but itself is known.
    pub fn of_call(tool: &'a str, input: &'a Value) -> Self {
        Self {
            host: "",
            agent: "",
            subagent: None,
            session: "",
            profile: "default",
            labels: &[],
            attended: false,
            mode: "",
            cwd: "",
            tool,
            input,
        }
    }

    /// The first of `keys` whose value is a text.
    pub(crate) fn text(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.input.get(key)?.as_str())
    }
}
