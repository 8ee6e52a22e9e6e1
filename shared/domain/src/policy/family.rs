//! What an action does to the world, in nine families, and what each gets when nobody wrote a rule about it.
//!
//! The families and their defaults are ccd's. They are ordered by how much they can break, so that an action of several
//! parts belongs to its worst part's family.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What is decided about an action; ordered from the loosest to the strictest, so that the greatest of several wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// It may happen.
    Allow,
    /// Somebody has to approve it first.
    ApprovalRequired,
    /// It needs more than an approval: somebody has to look at what is going on.
    EscalationRequired,
    /// It may not happen.
    Deny,
}

/// What an action does; ordered from what breaks least to what breaks most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionFamily {
    /// It only looks.
    ReadOnly,
    /// It makes a place of its own to work in: a worktree, a branch, a container.
    LocalIsolation,
    /// It changes files or runs programs where it works.
    LocalExecution,
    /// It makes local work final: commits, merges, tags.
    LocalFinalize,
    /// It changes what agents remember in later sessions.
    DurableMemoryMutation,
    /// It changes a queue that others work from: issues, reviews, tickets.
    SharedQueueMutation,
    /// It makes something visible or effective elsewhere: pushes, releases, deployments.
    PublishExternal,
    /// It changes what protects: credentials, agents' settings, pipelines, the system's configuration.
    ProtectedSurfaceMutation,
    /// It destroys what cannot be had back, or forces its way.
    RepairDestructive,
}

impl ActionFamily {
    /// Every family.
    pub const ALL: [Self; 9] = [
        Self::ReadOnly,
        Self::LocalIsolation,
        Self::LocalExecution,
        Self::LocalFinalize,
        Self::DurableMemoryMutation,
        Self::SharedQueueMutation,
        Self::PublishExternal,
        Self::ProtectedSurfaceMutation,
        Self::RepairDestructive,
    ];

    /// The family's name, as rules, requests and events spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::LocalIsolation => "local_isolation",
            Self::LocalExecution => "local_execution",
            Self::LocalFinalize => "local_finalize",
            Self::DurableMemoryMutation => "durable_memory_mutation",
            Self::SharedQueueMutation => "shared_queue_mutation",
            Self::PublishExternal => "publish_external",
            Self::ProtectedSurfaceMutation => "protected_surface_mutation",
            Self::RepairDestructive => "repair_destructive",
        }
    }

    /// ccd's answer where no rule gives one, and the code that says why.
    pub fn default_ruling(self) -> (Ruling, &'static str) {
        match self {
            Self::ReadOnly => (Ruling::Allow, "read_only_allowed"),
            Self::LocalIsolation => (Ruling::Allow, "local_isolation_allowed"),
            Self::LocalExecution => (Ruling::Allow, "local_execution_allowed"),
            Self::LocalFinalize => (Ruling::ApprovalRequired, "finalize_requires_approval"),
            Self::DurableMemoryMutation => (Ruling::ApprovalRequired, "durable_memory_requires_approval"),
            Self::SharedQueueMutation => (Ruling::ApprovalRequired, "shared_queue_requires_approval"),
            Self::PublishExternal => (Ruling::ApprovalRequired, "publish_requires_approval"),
            Self::ProtectedSurfaceMutation => (Ruling::ApprovalRequired, "protected_surface_requires_approval"),
            Self::RepairDestructive => (Ruling::Deny, "repair_destructive_denied"),
        }
    }
}

/// A name that is none of the nine families.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no action family; the nine are read_only, local_isolation, local_execution, local_finalize, durable_memory_mutation, shared_queue_mutation, publish_external, protected_surface_mutation, repair_destructive"
)]
pub struct UnknownFamily(pub String);

impl FromStr for ActionFamily {
    type Err = UnknownFamily;

    fn from_str(name: &str) -> Result<Self, UnknownFamily> {
        Self::ALL
            .into_iter()
            .find(|family| family.as_str() == name)
            .ok_or_else(|| UnknownFamily(name.to_owned()))
    }
}

impl fmt::Display for ActionFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Ruling {
    /// The ruling's name, as rules, requests and events spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::ApprovalRequired => "approval_required",
            Self::EscalationRequired => "escalation_required",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_read_as_it_is_written() {
        for family in ActionFamily::ALL {
            assert_eq!(family.as_str().parse(), Ok(family));
        }
        assert!("destructive".parse::<ActionFamily>().is_err());
    }

    #[test]
    fn the_strictest_ruling_is_the_greatest() {
        assert!(Ruling::Deny > Ruling::EscalationRequired);
        assert!(Ruling::EscalationRequired > Ruling::ApprovalRequired);
        assert!(Ruling::ApprovalRequired > Ruling::Allow);
    }

    #[test]
    fn without_rules_work_goes_on_and_destruction_does_not() {
        let ruling = |family: ActionFamily| family.default_ruling().0;
        let allowed: Vec<_> = ActionFamily::ALL
            .into_iter()
            .filter(|family| ruling(*family) == Ruling::Allow)
            .collect();
        assert_eq!(
            allowed,
            [
                ActionFamily::ReadOnly,
                ActionFamily::LocalIsolation,
                ActionFamily::LocalExecution
            ]
        );
        assert_eq!(ruling(ActionFamily::RepairDestructive), Ruling::Deny);
    }
}
