//! Delegations: work that a session hands to a named agent, from the request to its end.
//!
//! A delegation is queued when the leader lets it, and joined to the one call that carries its id in the prompt; what became
//! of that call's run is what became of the delegation. Nothing is joined by time or by name alone: what cannot be joined
//! is, after a while, stale, which says that nobody knows. A stale one that is heard of after all ends as it ended.
//!
//! It never has more rights than its delegator: the agent runs within the delegator's own session, the permission mode that
//! session had is kept, and the host denies the calls of a delegated agent that runs under a mode which grants more.

mod conclude;
mod nesting;
mod words;

pub use conclude::{Delegating, Refusal, Wish, cancel, delegate};
pub(crate) use conclude::{catch_up, due, expire, react};
pub use nesting::next_depth;
pub use words::{DelegationFact, Settings, Status, Tier, UnknownTier};

use crate::circuit::Circuits;
use crate::fact::{Fact, HookBody, Moment};
use crate::fleet::SessionKey;
use crate::ids::DelegationId;
use crate::names::{SubagentId, SubagentName, ToolCallId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many that ended are kept, the latest.
const ENDED_MAX: usize = 1000;
/// How many calls that carry the id of none that is known are remembered: they overtook it.
const EARLY_MAX: usize = 256;
/// How many calls that name the same one.
const CALLS_MAX: usize = 8;

/// Work handed to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Delegation {
    /// The session that delegates.
    pub session: SessionKey,
    /// The delegation it is part of.
    pub parent: Option<DelegationId>,
    /// How many delegations it is nested in.
    pub depth: u32,
    /// Who shall do it.
    pub agent: SubagentName,
    /// Which kind of model shall.
    pub tier: Tier,
    /// What shall be done.
    pub task: Box<str>,
    /// The delegator's permission mode: it has no more rights than this.
    pub permission_mode: Option<Box<str>>,
    /// Who asked for it.
    pub by: Box<str>,
    /// The request that asked for it.
    pub request: Box<str>,
    /// How it stands, as the log says.
    pub status: Status,
    /// When it was queued.
    pub queued: Timestamp,
    /// Since when it stands so.
    pub since: Timestamp,
    /// The call that was made for it.
    pub call: Option<ToolCallId>,
    /// Why it ended so.
    pub reason: Option<Box<str>>,
}

/// A call that names a delegation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Call {
    /// When it was first heard of.
    first: Timestamp,
    session: SessionKey,
    agent: SubagentName,
    id: ToolCallId,
    /// The subagent that made it, and that one's kind.
    #[serde(default)]
    inside: Option<(SubagentId, Option<Box<str>>)>,
}

/// All delegations that are under way, and the latest that ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Delegations {
    all: BTreeMap<DelegationId, Delegation>,
    /// By the delegation they name, in the order they were first heard of: also before it was.
    calls: BTreeMap<DelegationId, Vec<Call>>,
}

impl Delegations {
    /// Takes in what was observed.
    pub(crate) fn observe(&mut self, recorded: Moment<'_>) {
        let Fact::Hook(hook) = &recorded.event.fact else {
            return;
        };
        let (HookBody::ToolStarted(used) | HookBody::ToolEnded { tool: used, .. }) = &hook.body else {
            return;
        };
        let named = hook
            .work
            .as_ref()
            .and_then(|work| Some((work.delegation?, &work.agent)));
        let (Some((id, agent)), Some(call), Some(host), Some(session)) =
            (named, &used.call, &recorded.event.host, &recorded.event.session)
        else {
            return;
        };
        let session = SessionKey {
            host: host.clone(),
            id: session.clone(),
        };
        let calls = self.calls.entry(id).or_default();
        match calls
            .iter_mut()
            .find(|known| known.session == session && known.id == *call)
        {
            Some(known) => known.first = known.first.min(recorded.at),
            None => calls.push(Call {
                first: recorded.at,
                session,
                agent: agent.clone(),
                id: call.clone(),
                inside: hook
                    .subagent
                    .clone()
                    .map(|subagent| (subagent, hook.subagent_type.as_deref().map(Into::into))),
            }),
        }
        calls.sort_unstable();
        calls.truncate(CALLS_MAX);
        self.forget_early();
    }

    /// Takes in a decision.
    pub(crate) fn fold(&mut self, fact: &DelegationFact, at: Timestamp) {
        let change = |this: &mut Self, id: &DelegationId, status, call: Option<&ToolCallId>, reason: Option<&str>| {
            if let Some(delegation) = this.all.get_mut(id) {
                (delegation.status, delegation.since) = (status, at);
                delegation.reason = reason.map(Into::into);
                if let Some(call) = call {
                    delegation.call = Some(call.clone());
                }
            }
        };
        match fact {
            DelegationFact::Queued { id, delegation } => {
                let mut delegation = (**delegation).clone();
                (delegation.queued, delegation.since) = (at, at);
                self.all.entry(*id).or_insert(delegation);
            }
            DelegationFact::Running { id, call } => change(self, id, Status::Running, Some(call), None),
            DelegationFact::Ended {
                id,
                status,
                call,
                reason,
            } => change(self, id, *status, call.as_ref(), reason.as_deref()),
            DelegationFact::Refused { .. } => {}
        }
        self.forget_ended();
    }

    fn forget_ended(&mut self) {
        let over = self.all.iter().filter(|(_, delegation)| !delegation.status.is_open());
        if over.clone().count() > ENDED_MAX
            && let Some(oldest) = over
                .min_by_key(|(id, delegation)| (delegation.since, **id))
                .map(|(id, _)| *id)
        {
            self.all.remove(&oldest);
            self.calls.remove(&oldest);
        }
    }

    fn forget_early(&mut self) {
        if self.calls.len() <= self.all.len() + EARLY_MAX {
            return;
        }
        let early = self.calls.iter().filter(|(id, _)| !self.all.contains_key(id));
        let first = |calls: &[Call]| calls.first().map(|call| call.first);
        if let Some(oldest) = early.min_by_key(|(id, calls)| (first(calls), **id)).map(|(id, _)| *id) {
            self.calls.remove(&oldest);
        }
    }

    /// All that are known, oldest first where their ids are times.
    pub const fn all(&self) -> &BTreeMap<DelegationId, Delegation> {
        &self.all
    }

    /// The delegation of this id.
    pub fn get(&self, id: DelegationId) -> Option<&Delegation> {
        self.all.get(&id)
    }

    /// Those of a session that are under way.
    pub fn active(&self, session: &SessionKey) -> usize {
        let of = self.all.values().filter(|delegation| delegation.session == *session);
        of.filter(|delegation| delegation.status.is_open()).count()
    }

    /// The first call that was made for it: of its agent, within its own session.
    fn call_of(&self, id: DelegationId, delegation: &Delegation) -> Option<&ToolCallId> {
        let own = |call: &&Call| call.session == delegation.session && call.agent == delegation.agent;
        self.calls.get(&id)?.iter().find(own).map(|call| &call.id)
    }

    /// The subagent that made its call; none where the main thread did, or nobody yet.
    fn made_inside(&self, id: DelegationId, delegation: &Delegation) -> Option<nesting::Inside<'_>> {
        let call = self.call_of(id, delegation)?;
        let calls = self.calls.get(&id)?.iter();
        let (subagent, kind) = calls
            .filter(|known| known.id == *call)
            .find_map(|known| known.inside.as_ref())?;
        Some((subagent, kind.as_deref()))
    }

    /// How it stands by what was observed: the status, the call, and why; `None` while nothing is known of it.
    fn observed(&self, id: DelegationId, delegation: &Delegation, circuits: &Circuits) -> Option<DelegationFact> {
        let call = self.call_of(id, delegation)?;
        let ended = |status, reason: Option<&str>| DelegationFact::Ended {
            id,
            status,
            call: Some(call.clone()),
            reason: reason.map(Into::into),
        };
        Some(match circuits.outcome(&delegation.agent, &delegation.session, call) {
            None => DelegationFact::Running { id, call: call.clone() },
            Some(Ok(())) => ended(Status::Completed, None),
            Some(Err(None)) => ended(Status::Cancelled, Some("the call was refused or interrupted")),
            Some(Err(Some(error))) => ended(Status::Failed, Some(error)),
        })
    }
}
