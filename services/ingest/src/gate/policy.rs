//! The rules that an operator activated, ready to be asked.
//!
//! They are read when they arrive, not when a call comes. A host that was told of rules it cannot read, and has none it
//! read before, knows one thing: somebody meant something. It asks about what is destructive and lets the rest pass. A
//! host that was never told of any rules says nothing.

use crate::observation::Observation;
use muster_domain::hold::Whom;
use muster_domain::policy::{ActionFamily, Ruling};
use muster_policy::{Facts, Policies, PolicyError, Source, classify};
use muster_wire::call::ToolCall;
use muster_wire::data::hook::{Verdict, VerdictBy, VerdictKind};
use muster_wire::edge::Policy;
use std::collections::BTreeMap;

/// What this host knows about the policy.
#[derive(Debug)]
pub(crate) enum InForce {
    /// Rules to ask.
    Rules(Box<Policies>),
    /// There are rules, and they cannot be read here.
    Unread,
}

impl InForce {
    /// Reads a document.
    ///
    /// # Errors
    /// [`PolicyError`]: the leader checked them, so this host is likely older than the leader.
    pub(crate) fn read(document: &Policy) -> Result<Self, PolicyError> {
        let source = |source: &muster_wire::edge::Source| Source {
            name: source.name.clone(),
            text: source.text.clone(),
        };
        let sources: Vec<Source> = document.sources.iter().map(source).collect();
        Policies::parse(&sources).map(|policies| Self::Rules(Box::new(policies)))
    }

    /// Whether there is anything to ask.
    pub(super) fn speaks(&self) -> bool {
        match self {
            Self::Rules(policies) => policies.rules().next().is_some(),
            Self::Unread => true,
        }
    }

    /// What is said of a call. An allow that grants nothing is silence: the agent decides as it always did.
    pub(super) fn judge(
        &self,
        observation: &Observation,
        whom: &Whom<'_>,
        away: bool,
        profile: &str,
    ) -> Option<Verdict> {
        let call = ToolCall::read(&observation.data)?;
        let labels = carried(whom);
        let facts = Facts {
            host: whom.host.as_str(),
            agent: whom.agent.map_or("", |agent| agent.as_str()),
            subagent: call.subagent,
            session: whom.session.map_or("", |session| session.as_str()),
            profile,
            labels: &labels,
            attended: observation.notes.attended == Some(true) && !away,
            mode: call.mode,
            cwd: call.cwd,
            tool: call.tool,
            input: &call.input,
        };
        let (decision, reason, rule) = match self {
            Self::Rules(policies) => {
                let verdict = policies.evaluate(&facts)?;
                let decision = match verdict.decision {
                    Ruling::Deny => VerdictKind::Deny,
                    Ruling::ApprovalRequired | Ruling::EscalationRequired => VerdictKind::Ask,
                    Ruling::Allow if verdict.grant => VerdictKind::Allow,
                    Ruling::Allow => return None,
                };
                (decision, verdict.message, verdict.rules.into_iter().next())
            }
            Self::Unread if classify(&facts).family == ActionFamily::RepairDestructive => {
                let reason =
                    "This destroys something, and this host cannot read the rules in force: upgrade its muster";
                (VerdictKind::Ask, reason.to_owned(), None)
            }
            Self::Unread => return None,
        };
        Some(Verdict {
            decision,
            by: VerdictBy::Policy,
            reason,
            rule,
        })
    }
}

/// A session's labels as rules name them: `key=value`.
fn carried(whom: &Whom<'_>) -> Vec<String> {
    let mut pairs: BTreeMap<&str, &str> = BTreeMap::new();
    for labels in whom.remembered.into_iter().chain([whom.labels]) {
        pairs.extend(labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    }
    pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
}
