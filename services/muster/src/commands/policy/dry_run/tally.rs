//! What rules would have changed, counted by rule.

use crate::format;
use muster_domain::policy::ActionFamily;
use muster_domain::time::Timestamp;
use muster_policy::Unevaluated;
use muster_wire::time;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What an agent is told about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    Nothing,
    Allow,
    Ask,
    Deny,
}

impl Told {
    fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// One call of the past, judged again.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    pub(super) host: String,
    pub(super) session: String,
    pub(super) tool: String,
    pub(super) what: String,
    /// Something before the policy decided it, and would again.
    pub(super) kept: bool,
    pub(super) was: Told,
    /// The rule that said so then.
    pub(super) was_by: Option<String>,
    pub(super) would: Told,
    /// The rule that says so now.
    pub(super) by: Option<String>,
    pub(super) family: ActionFamily,
    pub(super) unevaluated: Vec<Unevaluated>,
}

#[derive(Debug, Default)]
struct OfRule {
    applies: u64,
    changed: BTreeMap<(Told, Told), u64>,
    sessions: BTreeSet<(String, String)>,
    examples: Vec<Example>,
}

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    examples: usize,
    calls: u64,
    changed: u64,
    pub(super) unreadable: u64,
    rules: BTreeMap<String, OfRule>,
    families: BTreeMap<ActionFamily, u64>,
    unevaluated: BTreeMap<String, (u64, String)>,
}

/// What is printed.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(with = "time")]
    since: Timestamp,
    fingerprint: String,
    calls: u64,
    changed: u64,
    /// Messages that are no events of muster's.
    unreadable: u64,
    families: BTreeMap<ActionFamily, u64>,
    rules: Vec<RuleReport>,
    unevaluated: Vec<UnevaluatedReport>,
}

#[derive(Debug, Serialize)]
struct RuleReport {
    rule: String,
    /// Calls that it decides now, or decided then.
    applies: u64,
    changed: u64,
    sessions: usize,
    changes: Vec<Change>,
    examples: Vec<Example>,
}

#[derive(Debug, Serialize)]
struct Change {
    was: Told,
    would: Told,
    calls: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Example {
    seq: u64,
    #[serde(with = "time")]
    at: Timestamp,
    host: String,
    session: String,
    tool: String,
    what: String,
    was: Told,
    would: Told,
}

#[derive(Debug, Serialize)]
struct UnevaluatedReport {
    rule: String,
    calls: u64,
    error: String,
}

impl Tally {
    pub(super) fn new(examples: usize) -> Self {
        Self {
            examples,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, call: Call) {
        self.calls += 1;
        *self.families.entry(call.family).or_default() += 1;
        for one in call.unevaluated {
            let (calls, error) = self.unevaluated.entry(one.rule).or_default();
            *calls += 1;
            *error = one.error;
        }
        let changed = call.was != call.would && !call.kept;
        self.changed += u64::from(changed);
        // A call that no rule decides any more is the old rule's to show.
        let Some(rule) = call.by.or(call.was_by.filter(|_| !call.kept)) else {
            return;
        };
        let of_rule = self.rules.entry(rule).or_default();
        of_rule.applies += 1;
        if !changed {
            return;
        }
        *of_rule.changed.entry((call.was, call.would)).or_default() += 1;
        of_rule.sessions.insert((call.host.clone(), call.session.clone()));
        if of_rule.examples.len() < self.examples {
            of_rule.examples.push(Example {
                seq: call.seq,
                at: call.at,
                host: call.host,
                session: call.session,
                tool: call.tool,
                what: call.what,
                was: call.was,
                would: call.would,
            });
        }
    }

    pub(super) fn report(self, since: Timestamp, fingerprint: &str) -> Report {
        let rule = |(rule, of_rule): (String, OfRule)| RuleReport {
            rule,
            applies: of_rule.applies,
            changed: of_rule.changed.values().sum(),
            sessions: of_rule.sessions.len(),
            changes: of_rule
                .changed
                .into_iter()
                .map(|((was, would), calls)| Change { was, would, calls })
                .collect(),
            examples: of_rule.examples,
        };
        let mut rules: Vec<RuleReport> = self.rules.into_iter().map(rule).collect();
        rules.sort_by(|one, other| (other.changed, &one.rule).cmp(&(one.changed, &other.rule)));
        let unevaluated = self.unevaluated.into_iter();
        Report {
            since,
            fingerprint: fingerprint.to_owned(),
            calls: self.calls,
            changed: self.changed,
            unreadable: self.unreadable,
            families: self.families,
            rules,
            unevaluated: unevaluated
                .map(|(rule, (calls, error))| UnevaluatedReport { rule, calls, error })
                .collect(),
        }
    }
}

impl Report {
    pub(super) fn shown(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} tool calls since {}: {} would have gone differently",
            format::count(self.calls),
            time::format(self.since),
            format::count(self.changed),
        )];
        for rule in &self.rules {
            lines.push(String::new());
            lines.push(format!(
                "{}: applies to {}, changes {} in {} sessions",
                rule.rule,
                format::count(rule.applies),
                format::count(rule.changed),
                rule.sessions
            ));
            for change in &rule.changes {
                let (was, would) = (change.was.as_str(), change.would.as_str());
                lines.push(format!("  {was} -> {would}: {}", format::count(change.calls)));
            }
            for example in &rule.examples {
                let (at, session) = (format::clock(example.at), format::shorten(&example.session, 8));
                lines.push(format!("    {at} {} {session} {}", example.host, example.what));
            }
        }
        for one in &self.unevaluated {
            lines.push(format!(
                "rule {} could not be evaluated for {} calls: {}",
                one.rule, one.calls, one.error
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(was: Told, would: Told, by: Option<&str>, was_by: Option<&str>) -> Call {
        Call {
            seq: 1,
            at: Timestamp::default(),
            host: "web-01".to_owned(),
            session: "s1".to_owned(),
            tool: "Bash".to_owned(),
            what: "Bash: x".to_owned(),
            kept: false,
            was,
            was_by: was_by.map(str::to_owned),
            would,
            by: by.map(str::to_owned),
            family: ActionFamily::LocalExecution,
            unevaluated: Vec::new(),
        }
    }

    #[test]
    fn what_changes_is_counted_under_the_rule_that_changes_it() {
        let mut tally = Tally::new(1);
        tally.add(call(Told::Nothing, Told::Nothing, None, None));
        tally.add(call(Told::Nothing, Told::Deny, Some("new"), None));
        tally.add(call(Told::Ask, Told::Deny, Some("new"), Some("old")));
        tally.add(call(Told::Ask, Told::Nothing, None, Some("old")));
        tally.add(call(Told::Deny, Told::Deny, Some("same"), Some("same")));
        let held = Call {
            kept: true,
            ..call(Told::Deny, Told::Nothing, None, Some("a hold"))
        };
        tally.add(held);
        let report = tally.report(Timestamp::default(), "f");
        assert_eq!((report.calls, report.changed), (6, 3));
        let rules: Vec<_> = report
            .rules
            .iter()
            .map(|rule| (rule.rule.as_str(), rule.applies, rule.changed))
            .collect();
        assert_eq!(rules, [("new", 2, 2), ("old", 1, 1), ("same", 1, 0)]);
        assert_eq!(report.rules[0].examples.len(), 1);
        assert!(report.shown()[0].contains("3 would have gone differently"));
    }
}
