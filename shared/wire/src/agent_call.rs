//! A call of the tool that starts a subagent: which one, and for which delegation.
//!
//! Whoever delegates puts the delegation's id into the prompt, on a line of its own. That is an exact key: the call that
//! carries it is the delegation's, and no other one is ever taken for it.

use crate::members::text;
use muster_domain::ids::DelegationId;
use muster_domain::names::SubagentName;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// How the line begins that names a delegation.
pub const DELEGATION_LINE: &str = "muster-delegation:";

/// Tools that start a subagent: Claude Code's, by its new and its old name, and `OpenCode`'s.
const TOOLS: &[&str] = &["Agent", "Task", "task"];
/// Who works where the call names nobody: Claude Code's own choice.
const UNNAMED: &str = "general-purpose";

/// A call that starts a subagent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCall {
    /// Which agent.
    pub agent: SubagentName,
    /// For which delegation.
    pub delegation: Option<DelegationId>,
}

impl AgentCall {
    /// Reads a tool's input; `None` when the tool starts no subagent.
    pub fn read(tool: &str, input: Option<&RawValue>) -> Option<Self> {
        #[derive(Deserialize, Default)]
        struct Input<'a> {
            #[serde(borrow)]
            subagent_type: Option<&'a RawValue>,
            #[serde(borrow)]
            prompt: Option<&'a RawValue>,
        }
        if !TOOLS.contains(&tool) {
            return None;
        }
        let input: Input<'_> = input
            .and_then(|input| serde_json::from_str(input.get()).ok())
            .unwrap_or_default();
        let (name, prompt) = (input.subagent_type.and_then(text), input.prompt.and_then(text));
        Self::named(name.as_deref(), prompt.as_deref())
    }

    /// The same from an input that was read already.
    pub fn of(tool: &str, input: &Value) -> Option<Self> {
        let text = |member: &str| input.get(member).and_then(Value::as_str);
        TOOLS
            .contains(&tool)
            .then(|| Self::named(text("subagent_type"), text("prompt")))?
    }

    fn named(agent: Option<&str>, prompt: Option<&str>) -> Option<Self> {
        Some(Self {
            agent: SubagentName::new(agent.unwrap_or(UNNAMED)).ok()?,
            delegation: prompt.and_then(delegation),
        })
    }
}

/// The one delegation that a prompt names; of two, neither.
fn delegation(prompt: &str) -> Option<DelegationId> {
    let mut named = prompt
        .lines()
        .filter_map(|line| line.trim().strip_prefix(DELEGATION_LINE)?.trim().parse().ok());
    let first = named.next()?;
    named.all(|other| other == first).then_some(first)
}

/// The line that names a delegation.
pub fn delegation_line(id: DelegationId) -> String {
    format!("{DELEGATION_LINE} {id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    fn read(tool: &str, input: &Value) -> Option<AgentCall> {
        let read = AgentCall::read(tool, Some(&serde_json::value::to_raw_value(input).unwrap()));
        assert_eq!(read, AgentCall::of(tool, input));
        read
    }

    #[test]
    fn a_call_names_its_agent_or_means_the_general_one() {
        let named = read("Task", &json!({"subagent_type": "Explore", "prompt": "look"})).unwrap();
        assert_eq!((named.agent.as_str(), named.delegation), ("Explore", None));
        assert_eq!(read("Agent", &json!({})).unwrap().agent.as_str(), "general-purpose");
        assert_eq!(
            AgentCall::read("Agent", None).unwrap().agent.as_str(),
            "general-purpose"
        );
        assert_eq!(read("Bash", &json!({"subagent_type": "Explore"})), None);
        assert_eq!(read("Agent", &json!({"subagent_type": ""})), None);
    }

    #[test]
    fn a_delegation_is_read_from_a_line_of_its_own() {
        let id = DelegationId::from_uuid(Uuid::from_u128(7));
        let of = |prompt: String| read("Agent", &json!({"prompt": prompt})).unwrap().delegation;
        assert_eq!(of(format!("review it\n  {}\nthanks", delegation_line(id))), Some(id));
        assert_eq!(of(format!("about {} no line of its own", delegation_line(id))), None);
        assert_eq!(of("muster-delegation: soon".to_owned()), None);
        let other = DelegationId::from_uuid(Uuid::from_u128(8));
        assert_eq!(of(format!("{}\n{}", delegation_line(id), delegation_line(other))), None);
    }
}
