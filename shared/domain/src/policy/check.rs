//! What is answered where somebody asks whether an action may happen.
//!
//! In this order: what stops a session altogether, then the rules, then what its family gets where no rule speaks. An
//! action that only looks is stopped by a rule that names it, and by nothing else.

use super::{ActionFamily, Ruling};
use crate::fleet::Fleet;
use crate::host::HostState;
use crate::names::SessionId;
use crate::time::Timestamp;

/// What stops a session altogether.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// An escalation waits for somebody.
    BlockingEscalation,
    /// An autonomous session's lease ended.
    StaleAutonomousSession,
}

/// What the rules said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What is decided.
    pub ruling: Ruling,
    /// The code.
    pub reason: String,
}

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// What stops the session.
    Session,
    /// A rule.
    Rule,
    /// The family's default.
    Default,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What is decided.
    pub ruling: Ruling,
    /// The code.
    pub reason: String,
    /// Who decided.
    pub by: Speaker,
}

/// What stops this session altogether: that something blocking waits for somebody in its work, or that its work is leased
/// to a program which does not keep the lease.
pub fn blocked(fleet: &Fleet, session: &SessionId, now: Timestamp) -> Option<Blocked> {
    let place = fleet.leases().of(session)?;
    if place.guards.is_blocked() {
        return Some(Blocked::BlockingEscalation);
    }
    let lease = place.lease.as_ref()?;
    let host = lease.host.as_ref().and_then(|host| fleet.hosts().get(host));
    let stale = lease.is_stale(now, host.is_some_and(|host| host.state() == HostState::Lost));
    (lease.owner_kind.is_autonomous() && stale).then_some(Blocked::StaleAutonomousSession)
}

/// Whether an action of this family may happen.
pub fn check(family: ActionFamily, blocked: Option<Blocked>, rules: Option<Said>) -> Checked {
    let looks = family == ActionFamily::ReadOnly;
    if let Some(blocked) = blocked.filter(|_| !looks) {
        let reason = match blocked {
            Blocked::BlockingEscalation => "blocking_escalation_active",
            Blocked::StaleAutonomousSession => "stale_autonomous_session",
        };
        return Checked {
            ruling: Ruling::EscalationRequired,
            reason: reason.to_owned(),
            by: Speaker::Session,
        };
    }
    if let Some(said) = rules {
        return Checked {
            ruling: said.ruling,
            reason: said.reason,
            by: Speaker::Rule,
        };
    }
    let (ruling, reason) = family.default_ruling();
    Checked {
        ruling,
        reason: reason.to_owned(),
        by: Speaker::Default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(ruling: Ruling) -> Option<Said> {
        Some(Said {
            ruling,
            reason: "rule".to_owned(),
        })
    }

    #[test]
    fn what_only_looks_is_stopped_by_a_rule_alone() {
        for blocked in [
            None,
            Some(Blocked::BlockingEscalation),
            Some(Blocked::StaleAutonomousSession),
        ] {
            let looked = check(ActionFamily::ReadOnly, blocked, None);
            assert_eq!(
                (looked.ruling, looked.reason.as_str()),
                (Ruling::Allow, "read_only_allowed")
            );
            assert_eq!(
                check(ActionFamily::ReadOnly, blocked, said(Ruling::Deny)).by,
                Speaker::Rule
            );
        }
    }

    #[test]
    fn what_stops_a_session_comes_before_the_rules() {
        for (blocked, reason) in [
            (Blocked::BlockingEscalation, "blocking_escalation_active"),
            (Blocked::StaleAutonomousSession, "stale_autonomous_session"),
        ] {
            let checked = check(ActionFamily::LocalExecution, Some(blocked), said(Ruling::Allow));
            assert_eq!(
                (checked.ruling, checked.reason.as_str()),
                (Ruling::EscalationRequired, reason)
            );
        }
    }

    #[test]
    fn where_no_rule_speaks_the_family_decides() {
        for family in ActionFamily::ALL {
            let checked = check(family, None, None);
            assert_eq!((checked.ruling, checked.reason.as_str()), family.default_ruling());
            assert_eq!(check(family, None, said(Ruling::Allow)).ruling, Ruling::Allow);
        }
    }
}
