//! The state as people and programs read it.
//!
//! Views are made on demand from the state and hold nothing of their own. What the fold keeps apart for the sake of order
//! (calls, asks, subagents) is one tree of spans here.

mod span;
mod stats;
mod summary;
mod turn;

pub use span::{Outcome, SpanKind, SpanView, Totals};
pub use stats::{Covered, Spread, TurnFilter, TurnStats, turn_stats};
pub use summary::{Sum, Summary, summary};
pub(crate) use turn::failed;
pub use turn::{TurnView, turns};

use crate::alert::RuleSet;
use crate::fact::Usage;
use crate::fleet::{Fleet, SessionKey};
use crate::host::{Host, HostState};
use crate::ids::InstanceId;
use crate::names::{AgentName, HostName, Profile, SessionId};
use crate::session::{Context, Session};
use crate::state::SessionState;
use crate::time::Timestamp;

/// A session, in one line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Its id on its host.
    pub id: SessionId,
    /// Its host.
    pub host: HostName,
    /// The product that runs it.
    pub agent: Option<AgentName>,
    /// Its profile.
    pub profile: Option<Profile>,
    /// What it does.
    pub state: SessionState,
    /// Why, where there is more to say.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// When it was first heard of.
    pub started: Timestamp,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// Its working directory.
    pub cwd: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its permission mode.
    pub permission_mode: Option<String>,
    /// How many turns it had.
    pub turns: u32,
    /// How many tool calls.
    pub tool_calls: u64,
    /// How many of those failed.
    pub failures: u64,
    /// What its wrapped runs cost, in millionths of a US dollar.
    pub cost_micros: Option<u64>,
    /// Tokens of its printed turns.
    pub tokens: Usage,
    /// Tokens that its context holds.
    pub context: Option<Context>,
    /// Subagents at work.
    pub subagents_running: u32,
    /// Delegations of it that are under way.
    pub active_delegations: u32,
    /// Rules whose alerts about it stand.
    pub alerts: RuleSet,
    /// Its oldest turns are only counted.
    pub truncated: bool,
}

/// A host, in one line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    /// Its name.
    pub name: HostName,
    /// Whether it can be counted on to report.
    pub state: HostState,
    /// Since when.
    pub since: Timestamp,
    /// The version of its ingest.
    pub version: Option<String>,
    /// The running instance of its ingest.
    pub instance: Option<InstanceId>,
    /// What is wrong with it, while something is.
    pub degraded: Option<String>,
    /// When it last reported anything.
    pub last_seen: Timestamp,
    /// Sessions known on it.
    pub sessions: u32,
    /// Those that are not over.
    pub live: u32,
}

/// The session of this key.
pub fn session(fleet: &Fleet, key: &SessionKey) -> Option<SessionView> {
    fleet.session(key).map(|session| line(fleet, key, session))
}

/// All sessions, in the order of their keys.
pub fn sessions(fleet: &Fleet) -> impl Iterator<Item = SessionView> + '_ {
    fleet.sessions().iter().map(|(key, session)| line(fleet, key, session))
}

/// The host of this name.
pub fn host(fleet: &Fleet, name: &HostName) -> Option<HostView> {
    let (name, host) = fleet.hosts().get_key_value(name)?;
    Some(host_line(fleet, name, host))
}

/// All hosts, in the order of their names.
pub fn hosts(fleet: &Fleet) -> impl Iterator<Item = HostView> + '_ {
    fleet.hosts().iter().map(|(name, host)| host_line(fleet, name, host))
}

fn line(fleet: &Fleet, key: &SessionKey, session: &Session) -> SessionView {
    let standing = session.standing();
    let counts = session.counts();
    let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
    SessionView {
        id: key.id.clone(),
        host: key.host.clone(),
        agent: session.agent().cloned(),
        profile: session.profile().cloned(),
        state: standing.state,
        reason: owned(standing.reason.as_deref()),
        since: standing.since,
        started: session.first_seen,
        last_seen: session.last_seen(),
        cwd: owned(session.cwd()),
        model: owned(session.model()),
        permission_mode: owned(session.permission_mode()),
        turns: counts.turns,
        tool_calls: counts.calls,
        failures: counts.failures,
        cost_micros: session.cost_micros(),
        tokens: session.usage(),
        context: session.context(),
        subagents_running: counts.subagents_running,
        active_delegations: u32::try_from(fleet.delegations().active(key)).unwrap_or(u32::MAX),
        alerts: session.watch.standing(),
        truncated: session.forgotten.turns > 0,
    }
}

fn host_line(fleet: &Fleet, name: &HostName, host: &Host) -> HostView {
    let (mut sessions, mut live) = (0, 0);
    for (_, session) in fleet.sessions_of(name) {
        sessions += 1;
        live += u32::from(!session.standing().state.is_over());
    }
    HostView {
        name: name.clone(),
        state: host.state(),
        since: host.since(),
        version: host.version().map(ToOwned::to_owned),
        instance: host.instance(),
        degraded: host.degraded().map(ToOwned::to_owned),
        last_seen: host.last_seen(),
        sessions,
        live,
    }
}
