//! Which sessions deserve to be kept, and why: what went wrong in them, as far as anybody or anything says so.

use crate::alert::Rule;
use crate::fleet::{Fleet, SessionKey};
use crate::time::Timestamp;
use crate::view;
use std::collections::{BTreeMap, BTreeSet};

/// Why a session deserves it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// So many said that something went wrong.
    BadFeedback(u32),
    /// So many of its latest turns failed.
    FailedTurns(u32),
    /// This alert was raised of it.
    Alert(Rule),
}

/// A session that deserves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Which.
    pub session: SessionKey,
    /// Why.
    pub signs: BTreeSet<Sign>,
    /// When the latest of that was.
    pub at: Timestamp,
}

/// Sessions that deserve to be kept and are not, with signs since then: those with the most signs first, and of as many the
/// latest. Nothing is made of them here.
pub fn mine(fleet: &Fleet, since: Option<Timestamp>) -> Vec<Proposal> {
    let reviews = fleet.reviews();
    let kept: BTreeSet<&SessionKey> = reviews.cases().files().map(|file| &file.opening.session).collect();
    let recent = |at: Timestamp| since.is_none_or(|since| at >= since);
    let alerts = alerts(fleet);
    let mut proposals = Vec::new();
    for (key, session) in fleet.sessions().iter().filter(|(key, _)| !kept.contains(key)) {
        let bad = reviews.feedback().of(key).filter(|word| word.annotation.is_bad());
        let bad: Vec<Timestamp> = bad.map(|word| word.at).filter(|at| recent(*at)).collect();
        let failed: Vec<Timestamp> = view::failed(session).filter(|at| recent(*at)).collect();
        let raised = alerts.get(key).into_iter().flatten().filter(|(_, at)| recent(*at));
        let mut proposal = Proposal {
            session: key.clone(),
            signs: BTreeSet::new(),
            at: Timestamp::default(),
        };
        for (rule, at) in raised {
            proposal.signs.insert(Sign::Alert(*rule));
            proposal.at = proposal.at.max(*at);
        }
        for (times, sign) in [(bad, Sign::BadFeedback as fn(u32) -> Sign), (failed, Sign::FailedTurns)] {
            if let Some(last) = times.iter().max() {
                proposal
                    .signs
                    .insert(sign(u32::try_from(times.len()).unwrap_or(u32::MAX)));
                proposal.at = proposal.at.max(*last);
            }
        }
        if !proposal.signs.is_empty() {
            proposals.push(proposal);
        }
    }
    proposals.sort_by_key(|one| std::cmp::Reverse((one.signs.len(), one.at)));
    proposals
}

/// Alerts of sessions, those that are over too as far as they are remembered, and when each was raised.
fn alerts(fleet: &Fleet) -> BTreeMap<SessionKey, Vec<(Rule, Timestamp)>> {
    let alerts = fleet.alerts();
    let all = alerts
        .standing()
        .values()
        .chain(alerts.ended().map(|ended| &ended.alert));
    let mut by_session: BTreeMap<SessionKey, Vec<(Rule, Timestamp)>> = BTreeMap::new();
    for alert in all {
        let key = alert.host.clone().zip(alert.session.clone());
        // Whoever merely waits did nothing wrong.
        let rule = alert.rule.filter(|rule| *rule != Rule::Waiting);
        if let (Some((host, id)), Some(rule)) = (key, rule) {
            let key = SessionKey { host, id };
            by_session.entry(key).or_default().push((rule, alert.raised));
        }
    }
    by_session
}
