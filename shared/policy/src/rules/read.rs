//! One text after the other into rules, keeping every fault with its place.

use super::heads::Heads;
use super::{Rule, annotations};
use crate::class;
use crate::source::{Fault, PolicyError, Source, control_character};
use crate::vocabulary;
use cedar_policy::ffi::DetailedError;
use cedar_policy::{ActionConstraint, Effect, Policy, PolicyId, PolicySet, PrincipalConstraint, ResourceConstraint};
use muster_domain::policy::{ActionFamily, Ruling};
use std::collections::BTreeMap;
use std::str::FromStr as _;

#[derive(Debug, Default)]
pub(super) struct Reader {
    read: Read,
    faults: Vec<Fault>,
}

#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) rules: BTreeMap<String, Rule>,
    pub(super) forbids: Heads,
    pub(super) permits: Heads,
    pub(super) warnings: Vec<String>,
}

impl Reader {
    pub(super) fn finish(self) -> Result<Read, PolicyError> {
        if self.faults.is_empty() {
            Ok(self.read)
        } else {
            Err(PolicyError::Faulty { faults: self.faults })
        }
    }

    pub(super) fn take(&mut self, source: &Source) {
        if let Some(fault) = control_character(source) {
            return self.faults.push(fault);
        }
        let set = match PolicySet::from_str(&source.text) {
            Ok(set) => set,
            Err(errors) => {
                self.faults
                    .extend(errors.iter().map(|error| syntax(source, &DetailedError::from(error))));
                return;
            }
        };
        if let Some(template) = set.templates().next() {
            let message = format!(
                "{} holds a slot (?principal or ?resource); rules are written out",
                template.id()
            );
            self.faults.push(source.fault(0, message));
        }
        // The reader numbers them in the order in which they stand.
        let mut policies: Vec<(usize, &Policy)> = set.policies().map(|policy| (number(policy.id()), policy)).collect();
        policies.sort_by_key(|(number, _)| *number);
        let mut from = 0;
        for (number, policy) in policies {
            let text = policy.to_cedar().unwrap_or_default();
            let offset = source
                .text
                .get(from..)
                .and_then(|rest| rest.find(&text))
                .map_or(from, |place| from + place);
            from = offset + text.len();
            self.take_rule(source, offset, number, policy);
        }
    }

    fn take_rule(&mut self, source: &Source, offset: usize, number: usize, policy: &Policy) {
        let wrong = |message| source.fault(offset, message);
        let annotations = match annotations::read(policy) {
            Ok(annotations) => annotations,
            Err(messages) => return self.faults.extend(messages.into_iter().map(wrong)),
        };
        let strangers = strangers(policy);
        if !strangers.is_empty() {
            return self.faults.extend(strangers.into_iter().map(wrong));
        }
        let stem = source.name.strip_suffix(".cedar").unwrap_or(&source.name);
        let id = annotations.id.unwrap_or_else(|| format!("{stem}:{}", number + 1));
        let (line, _) = source.place(offset);
        if let Some(other) = self.read.rules.get(&id) {
            let message = format!(
                "the rule {id:?} stands already at {}:{}; give one another @id",
                other.file, other.line
            );
            return self.faults.push(wrong(message));
        }
        let place = format!("{}:{line}", source.name);
        self.read
            .warnings
            .extend(doubts(policy).into_iter().map(|doubt| format!("{place}: {doubt}")));
        let set = match policy.effect() {
            Effect::Forbid => &mut self.read.forbids,
            Effect::Permit => &mut self.read.permits,
        };
        if let Err(error) = set.add(policy.new_id(PolicyId::new(&id))) {
            return self.faults.push(wrong(error.to_string()));
        }
        let order = self.read.rules.len();
        let rule = Rule {
            id: id.clone(),
            file: source.name.clone(),
            line,
            ruling: annotations.ruling,
            grant: annotations.grant,
            reason: annotations
                .reason
                .unwrap_or_else(|| reason(annotations.ruling).to_owned()),
            message: annotations.message,
            order,
        };
        self.read.rules.insert(id, rule);
    }
}

/// The code of a rule that gives none.
fn reason(ruling: Ruling) -> &'static str {
    match ruling {
        Ruling::Allow => "allowed_by_rule",
        Ruling::ApprovalRequired => "approval_required_by_rule",
        Ruling::EscalationRequired => "escalation_required_by_rule",
        Ruling::Deny => "denied_by_rule",
    }
}

fn syntax(source: &Source, error: &DetailedError) -> Fault {
    let label = error.source_locations.first();
    let expected = label.and_then(|label| label.label.as_deref());
    let parts = [Some(error.message.as_str()), expected, error.help.as_deref()];
    let message = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    source.fault(label.map_or(source.text.len(), |label| label.loc.start), message)
}

fn number(id: &PolicyId) -> usize {
    let text: &str = id.as_ref();
    text.strip_prefix("policy")
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Entity types that no call has, so that a rule naming one would never apply.
fn strangers(policy: &Policy) -> Vec<String> {
    let literals = policy
        .entity_literals()
        .into_iter()
        .map(|entity| entity.type_name().to_string());
    let is = [
        match policy.principal_constraint() {
            PrincipalConstraint::Is(kind) | PrincipalConstraint::IsIn(kind, _) => Some(kind.to_string()),
            PrincipalConstraint::Any | PrincipalConstraint::In(_) | PrincipalConstraint::Eq(_) => None,
        },
        match policy.resource_constraint() {
            ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) => Some(kind.to_string()),
            ResourceConstraint::Any | ResourceConstraint::In(_) | ResourceConstraint::Eq(_) => None,
        },
    ];
    literals
        .chain(is.into_iter().flatten())
        .filter(|kind| !vocabulary::TYPES.contains(&kind.as_str()))
        .map(|kind| format!("unknown type {kind}; known are {}", vocabulary::TYPES.join(", ")))
        .collect()
}

/// Actions that are neither a family nor a tool any known agent has.
fn doubts(policy: &Policy) -> Vec<String> {
    let actions = match policy.action_constraint() {
        ActionConstraint::Any => Vec::new(),
        ActionConstraint::In(actions) => actions,
        ActionConstraint::Eq(action) => vec![action],
    };
    let unknown = |name: &String| name.parse::<ActionFamily>().is_err() && !class::is_known_tool(name);
    actions
        .iter()
        .map(|action| AsRef::<str>::as_ref(action.id()).to_owned())
        .filter(unknown)
        .map(|name| {
            format!(
                "Action::{name:?} is neither a family nor a known tool; the rule applies to a tool of that very name"
            )
        })
        .collect()
}
