//! A call against the rules.
//!
//! Forbidding rules are asked first, and the strictest that applies decides; allowing ones only count where none forbids.
//! A forbidding rule sees every family of the call's parts, a permitting one the worst only: `git commit && git push` is
//! caught by a rule about either, and let through only by one about pushing.
//!
//! Failing closed: a forbidding rule that cannot be evaluated (it names a member the input lacks, say) counts as one that
//! applies where the call is destructive; elsewhere it is left out and reported, and no permit grants anything meanwhile.
//! So does every forbidding rule for a call that says more than is read ([`Classed::unread`]), and one that looks into a text
//! longer than rules are shown, whatever the call does.

#[cfg(test)]
mod tests;

use crate::class::{Classed, classify};
use crate::facts::Facts;
use crate::rules::{Heads, Policies, Rule};
use crate::vocabulary::{Asked, Question, Unspeakable};
use cedar_policy::{AuthorizationError, EvaluationError};
use muster_domain::policy::{ActionFamily, Ruling};
use serde::{Deserialize, Serialize};

/// The code of a verdict that stands because a rule could not be evaluated.
pub const FAILED_CLOSED: &str = "rule_evaluation_failed";

/// What the rules say about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What is decided.
    pub decision: Ruling,
    /// An allow that also answers the agent's own question.
    pub grant: bool,
    /// The code for programs.
    pub reason_code: String,
    /// The sentence for people and models.
    pub message: String,
    /// The rules that say so, the one that decided first.
    pub rules: Vec<String>,
    /// The call's family.
    pub family: ActionFamily,
    /// Which rules were asked.
    pub fingerprint: String,
}

/// A rule that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unevaluated {
    /// Which.
    pub rule: String,
    /// Why.
    pub error: String,
}

/// Everything that asking found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The call's family and what led to it.
    pub classed: Classed,
    /// `None` where no rule applies.
    pub verdict: Option<Verdict>,
    /// Rules that could not be evaluated.
    pub unevaluated: Vec<Unevaluated>,
}

/// A rule that failed.
#[derive(Debug, Clone)]
struct Failed<'a> {
    rule: &'a Rule,
    error: String,
    /// It counts as one that applies, whatever the call does.
    closed: bool,
}

impl Policies {
    /// What the rules say; `None` where none applies.
    pub fn evaluate(&self, facts: &Facts<'_>) -> Option<Verdict> {
        if self.rules.is_empty() {
            return None;
        }
        self.examine(facts).verdict
    }

    /// What the rules say, with how they came to it.
    pub fn examine(&self, facts: &Facts<'_>) -> Examined {
        self.look(facts, classify(facts))
    }

    /// As [`Policies::examine`], for an action whose family is known.
    pub fn examine_as(&self, facts: &Facts<'_>, family: ActionFamily) -> Examined {
        self.look(facts, classify(facts).known_as(family))
    }

    fn look(&self, facts: &Facts<'_>, classed: Classed) -> Examined {
        let question = if classed.unread {
            Err(Unspeakable::too_much())
        } else {
            self.vocabulary.question(facts, &classed)
        };
        let (verdict, unevaluated) = match question {
            Ok(question) => self.answer(&question, &classed),
            Err(error) => {
                let forbids = self.rules.values().filter(|rule| rule.ruling > Ruling::Allow);
                let error = error.to_string();
                let failed = |rule| Failed {
                    rule,
                    error: error.clone(),
                    closed: false,
                };
                let unevaluated: Vec<_> = forbids.map(failed).collect();
                (self.strictest(&[], &unevaluated, &classed), reported(&unevaluated))
            }
        };
        Examined {
            classed,
            verdict,
            unevaluated,
        }
    }

    fn answer(&self, question: &Question, classed: &Classed) -> (Option<Verdict>, Vec<Unevaluated>) {
        let (forbidding, failed) = self.applying(&self.forbids, &question.any_part, question.withheld);
        if let Some(verdict) = self.strictest(&forbidding, &failed, classed) {
            return (Some(verdict), reported(&failed));
        }
        let (allowing, also_failed) = self.applying(&self.permits, question.worst_part(), question.withheld);
        let verdict = (!allowing.is_empty()).then(|| {
            let grant = failed.is_empty() && allowing.iter().any(|rule| rule.grant);
            let mut ordered = allowing;
            ordered.sort_by_key(|rule| (!rule.grant, rule.order));
            self.verdict(Ruling::Allow, &ordered, classed, None).granting(grant)
        });
        let unevaluated = [reported(&failed), reported(&also_failed)].concat();
        (verdict, unevaluated)
    }

    /// The rules of an effect that apply, and those that could not be evaluated.
    fn applying(&self, rules: &Heads, asked: &Asked, withheld: bool) -> (Vec<&Rule>, Vec<Failed<'_>>) {
        let (mut applying, mut failed) = (Vec::new(), Vec::new());
        let rule = |id: &cedar_policy::PolicyId| self.rules.get(AsRef::<str>::as_ref(id));
        for set in rules.about(asked) {
            let response = self.authorizer.is_authorized(&asked.request, set, &asked.entities);
            let diagnostics = response.diagnostics();
            failed.extend(diagnostics.errors().filter_map(|error| {
                let AuthorizationError::PolicyEvaluationError(error) = error;
                let rule = rule(error.policy_id())?;
                // What stands for a text that is not shown is no text.
                let closed = withheld && matches!(error.inner(), EvaluationError::TypeError(_));
                let error = if closed {
                    Unspeakable::too_long().to_string()
                } else {
                    error.inner().to_string()
                };
                Some(Failed { rule, error, closed })
            }));
            applying.extend(diagnostics.reason().filter_map(rule));
        }
        failed.sort_by_key(|failed| failed.rule.order);
        (applying, failed)
    }

    /// What forbidding rules come to, those that failed among them where the call is destructive.
    fn strictest(&self, applying: &[&Rule], failed: &[Failed<'_>], classed: &Classed) -> Option<Verdict> {
        let closed = classed.family == ActionFamily::RepairDestructive;
        let failed: Vec<_> = failed.iter().filter(|failed| closed || failed.closed).collect();
        let mut counted: Vec<&Rule> = applying.to_vec();
        counted.extend(failed.iter().map(|failed| failed.rule));
        // The strictest, then one that truly applies, then the earliest.
        let has_failed = |rule: &Rule| failed.iter().any(|other| other.rule.id == rule.id);
        counted.sort_by_key(|rule| (std::cmp::Reverse(rule.ruling), has_failed(rule), rule.order));
        let first = counted.first()?;
        let error = failed
            .iter()
            .find(|failed| failed.rule.id == first.id)
            .map(|failed| failed.error.as_str());
        Some(self.verdict(first.ruling, &counted, classed, error))
    }

    fn verdict(&self, decision: Ruling, rules: &[&Rule], classed: &Classed, error: Option<&str>) -> Verdict {
        let first = rules.first();
        let reason = first.map_or("", |rule| rule.reason.as_str());
        let named = first.map_or("", |rule| rule.id.as_str());
        let message = match (error, first.and_then(|rule| rule.message.clone())) {
            (Some(error), _) => format!("{} (rule {named} could not be evaluated: {error})", sentence(decision)),
            (None, Some(message)) => message,
            (None, None) => format!("{} (rule {named}: {reason})", sentence(decision)),
        };
        Verdict {
            decision,
            grant: false,
            reason_code: if error.is_some() {
                FAILED_CLOSED.to_owned()
            } else {
                reason.to_owned()
            },
            message,
            rules: rules.iter().map(|rule| rule.id.clone()).collect(),
            family: classed.family,
            fingerprint: self.fingerprint().to_owned(),
        }
    }
}

impl Verdict {
    fn granting(self, grant: bool) -> Self {
        Self { grant, ..self }
    }
}

fn sentence(decision: Ruling) -> &'static str {
    match decision {
        Ruling::Allow => "Allowed by policy",
        Ruling::ApprovalRequired => "Policy asks for an approval",
        Ruling::EscalationRequired => "Policy asks for somebody to look at this first",
        Ruling::Deny => "Denied by policy",
    }
}

fn reported(failed: &[Failed<'_>]) -> Vec<Unevaluated> {
    let one = |failed: &Failed<'_>| Unevaluated {
        rule: failed.rule.id.clone(),
        error: failed.error.clone(),
    };
    failed.iter().map(one).collect()
}
