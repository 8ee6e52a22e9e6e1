//! A delegated agent has no more rights than who delegated to it.
//!
//! An agent's own definition may give it a permission mode that grants more than the session's. Whoever delegates would then
//! hand out rights that it does not have. So a session's mode is remembered from its main thread, and once the session
//! makes a call that names a delegation, no agent of that kind runs a tool there under a mode that grants more. What
//! cannot be seen here is not enforced: an agent whose hooks tell no mode, and calls made before this program started.

use crate::observation::Observation;
use muster_domain::names::SessionId;
use muster_wire::agent_call::AgentCall;
use muster_wire::call::ToolCall;
use muster_wire::data::hook::{Verdict, VerdictBy, VerdictKind};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Sessions remembered; the longest known is forgotten first. A hundred bytes each.
const SESSIONS_MAX: usize = 4096;

/// Permission modes, by what runs without anybody being asked: each grants more than those before it. A call that would be
/// asked about is refused under `dontAsk`, so it grants no more than `default`.
const MODES: &[&[&str]] = &[
    &["plan"],
    &["default", "dontAsk"],
    &["acceptEdits"],
    &["auto"],
    &["bypassPermissions"],
];

fn rank(mode: &str) -> Option<usize> {
    MODES.iter().position(|alike| alike.contains(&mode))
}

/// What sessions may, and to which kinds of agents they delegated.
#[derive(Default)]
pub(super) struct Rights(Mutex<Known>);

#[derive(Default)]
struct Known {
    of: HashMap<SessionId, Session>,
    order: VecDeque<SessionId>,
}

#[derive(Default)]
struct Session {
    /// The main thread's mode, as it last told it.
    mode: Option<String>,
    delegated: BTreeSet<String>,
}

impl Rights {
    /// Remembers what this hook tells.
    pub(super) fn remember(&self, observation: &Observation, starts_a_tool: bool) {
        let Some(session) = &observation.session else {
            return;
        };
        let mode = text(observation, "permission_mode").filter(|_| text(observation, "agent_id").is_none());
        let delegated = starts_a_tool.then(|| delegated(observation)).flatten();
        if mode.is_none() && delegated.is_none() {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.of.contains_key(session) {
            known.order.push_back(session.clone());
        }
        let own = known.of.entry(session.clone()).or_default();
        if let Some(mode) = mode.filter(|mode| own.mode.as_deref() != Some(mode)) {
            own.mode = Some(mode.to_owned());
        }
        own.delegated.extend(delegated);
        if known.order.len() > SESSIONS_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.of.remove(&oldest);
        }
    }

    /// Denies a delegated agent's call that its delegator's mode does not cover.
    pub(super) fn exceeded(&self, observation: &Observation) -> Option<Verdict> {
        text(observation, "agent_id")?;
        let (kind, mode) = (text(observation, "agent_type")?, text(observation, "permission_mode")?);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = known.of.get(observation.session.as_ref()?)?;
        let ceiling = session.mode.as_deref().filter(|_| session.delegated.contains(kind))?;
        (rank(mode)? > rank(ceiling)?).then(|| Verdict {
            decision: VerdictKind::Deny,
            by: VerdictBy::Delegation,
            reason: format!(
                "agent `{kind}` runs under the permission mode `{mode}`, and whoever delegated to it has `{ceiling}`: a \
                 delegated agent has no more rights than its delegator. Do without this call, or tell the user."
            ),
            rule: Some(kind.to_owned()),
        })
    }
}

fn text<'a>(observation: &'a Observation, member: &str) -> Option<&'a str> {
    observation.data.get(member)?.as_str()
}

/// The kind of agent that this call delegates to.
fn delegated(observation: &Observation) -> Option<String> {
    let call = ToolCall::read(&observation.data)?;
    let AgentCall { agent, delegation } = AgentCall::of(call.tool, &call.input)?;
    delegation.map(|_| agent.to_string())
}
