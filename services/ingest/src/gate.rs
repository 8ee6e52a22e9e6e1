//! What this host says of a tool call before it runs: holds first, then circuits, then a delegator's rights, then the policy.
//!
//! Judging reads nothing but the rules that were followed and the call itself. Where no rule speaks, nothing is said and
//! the agent decides as it always did.

mod circuit;
mod labels;
mod policy;
mod rights;

use crate::edge::{Edge, Rules};
use crate::observation::Observation;
pub(crate) use labels::Labels;
use muster_bus::Bus;
use muster_domain::family::{EventType, HookName};
use muster_domain::hold::{Mode, Whom};
use muster_domain::names::{HostName, Profile};
use muster_domain::time::Timestamp;
use muster_wire::data::hook::{Verdict, VerdictBy, VerdictKind};
use muster_wire::edge::Hold;
use muster_wire::{decode, time};
pub(crate) use policy::InForce;
use rights::Rights;
use std::sync::Arc;
use std::time::SystemTime;

/// Judges calls, and remembers what labels sessions carry.
#[derive(Clone)]
pub(crate) struct Gate {
    host: HostName,
    profile: Profile,
    edge: Edge,
    labels: Arc<Labels>,
    rights: Arc<Rights>,
    /// Where is asked what cannot be known here.
    bus: Option<Bus>,
}

impl Gate {
    pub(crate) fn new(host: HostName, profile: Profile, edge: Edge) -> Self {
        Self {
            host,
            profile,
            edge,
            labels: Arc::default(),
            rights: Arc::default(),
            bus: None,
        }
    }

    /// The gate that knows these labels of sessions from before.
    pub(crate) fn knowing(self, labels: Labels) -> Self {
        let labels = Arc::new(labels);
        Self { labels, ..self }
    }

    /// The gate that asks the orchestrator where it has to.
    pub(crate) fn asking(self, bus: Bus) -> Self {
        Self { bus: Some(bus), ..self }
    }

    /// What the orchestrator has to say of a call that nothing here denies. Nearly always there is nothing to ask.
    pub(crate) async fn ask(&self, observation: &mut Observation) -> Option<Verdict> {
        let bus = self.bus.as_ref().filter(|_| starts_a_tool(&observation.event_type))?;
        let rules = self.edge.rules();
        let verdict = circuit::probe(bus, &self.host, &rules, observation).await?;
        observation.notes.verdict = Some(verdict.clone());
        Some(verdict)
    }

    /// What the rules say of this hook, if they say anything. It is noted beside the payload, and so is whether an operator
    /// said that the session's user is away: the log shows what was enforced. Call this before the observation is
    /// written, and answer after.
    pub(crate) fn judge(&self, observation: &mut Observation) -> Option<Verdict> {
        self.labels
            .remember(observation.session.as_ref(), &observation.notes.labels);
        let starts = starts_a_tool(&observation.event_type);
        self.rights.remember(observation, starts);
        let exceeded = starts.then(|| self.rights.exceeded(observation)).flatten();
        let rules = self.edge.rules();
        if !rules.speak() {
            observation.notes.verdict.clone_from(&exceeded);
            return exceeded;
        }
        let remembered = self.labels.of(observation.session.as_ref());
        let whom = Whom {
            host: &self.host,
            session: observation.session.as_ref(),
            agent: observation.agent.as_ref(),
            labels: &observation.notes.labels,
            remembered: remembered.as_deref(),
        };
        let now = now();
        let away = order(&rules, Mode::Away, &whom, now).is_some();
        let verdict = starts
            .then(|| {
                let policy = || {
                    rules
                        .policy
                        .as_ref()?
                        .judge(observation, &whom, away, self.profile.as_str())
                };
                held(&rules, &whom, now)
                    .or_else(|| circuit::cooling(&rules, observation, now))
                    .or(exceeded)
                    .or_else(policy)
            })
            .flatten();
        observation.notes.away = away;
        observation.notes.verdict.clone_from(&verdict);
        verdict
    }
}

/// As agents name the hook before a tool.
const BEFORE_TOOL: &[&str] = &[
    "PreToolUse",
    "preToolUse",
    "pre_tool_use",
    "BeforeTool",
    "beforeShellExecution",
    "beforeMCPExecution",
    "beforeReadFile",
];

/// The hook before a tool that an input which cannot be read seems to be of.
fn seems_to_start_a_tool(hint: Option<&str>, bytes: &[u8]) -> Option<&'static str> {
    let mut names = BEFORE_TOOL.iter().copied();
    match hint {
        Some(hint) => names.find(|name| *name == hint),
        None => names.find(|name| {
            let quoted = [b"\"", name.as_bytes(), b"\""].concat();
            bytes.windows(quoted.len()).any(|part| part == quoted)
        }),
    }
}

fn starts_a_tool(event_type: &EventType) -> bool {
    matches!(event_type, EventType::AgentHook(hook) if *decode::moment(hook) == HookName::PreToolUse)
}

impl Rules {
    /// Whether any rule is set.
    fn speak(&self) -> bool {
        self.holds.as_ref().is_some_and(|holds| !holds.holds.is_empty())
            || self
                .circuits
                .as_ref()
                .is_some_and(|circuits| !circuits.circuits.is_empty())
            || self.policy.as_ref().is_some_and(|policy| policy.speaks())
    }
}

fn now() -> Timestamp {
    time::from_system(SystemTime::now())
}

fn held(rules: &Rules, whom: &Whom<'_>, now: Timestamp) -> Option<Verdict> {
    let hold = order(rules, Mode::Hold, whom, now)?;
    Some(Verdict {
        decision: VerdictKind::Deny,
        by: VerdictBy::Hold,
        reason: reason(hold),
        rule: Some(hold.id.to_string()),
    })
}

/// The first order of this mode that is for `whom` and has not ended.
fn order<'a>(rules: &'a Rules, mode: Mode, whom: &Whom<'_>, now: Timestamp) -> Option<&'a Hold> {
    rules
        .holds
        .as_ref()?
        .holds
        .iter()
        .find(|hold| hold.mode == mode && hold.expires_at.is_none_or(|at| now < at) && hold.selector.matches(whom))
}

impl Gate {
    /// What is said of an input that cannot be read, and before which hook. Where tools are held or rules are in force, it may
    /// be a call that must not run, and nobody can say.
    pub(crate) fn of_unreadable(&self, hint: Option<&str>, bytes: &[u8]) -> Option<(&'static str, Verdict)> {
        let (rules, now) = (self.edge.rules(), now());
        let in_force = |hold: &Hold| {
            hold.mode == Mode::Hold && hold.expires_at.is_none_or(|at| now < at) && hold.selector.reaches(&self.host)
        };
        let by = if rules
            .holds
            .as_ref()
            .is_some_and(|holds| holds.holds.iter().any(in_force))
        {
            VerdictBy::Hold
        } else if rules.policy.as_ref().is_some_and(|policy| policy.speaks()) {
            VerdictBy::Policy
        } else {
            return None;
        };
        let hook = seems_to_start_a_tool(hint, bytes)?;
        let reason = "This call cannot be read (it is not JSON, too deep or too large), and rules are in force on this host \
                      that might deny it. Do not retry it as it is.";
        let verdict = Verdict {
            decision: VerdictKind::Deny,
            by,
            reason: reason.to_owned(),
            rule: None,
        };
        Some((hook, verdict))
    }
}

/// What the agent is told. It reads this as the result of its call, so it says that trying again is of no use.
fn reason(hold: &Hold) -> String {
    let why = hold.reason.as_deref().unwrap_or("no reason was given");
    let until = hold.expires_at.map_or_else(
        || "until it is released".to_owned(),
        |at| format!("until {}", time::format(at)),
    );
    format!(
        "Held by {}: {why}. No tool may run for {} {until}; do not retry, tell the user.",
        hold.by, hold.selector
    )
}

#[cfg(test)]
mod tests;
