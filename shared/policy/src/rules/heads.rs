//! Rules in groups of one head: who, what and on what a rule is about before its conditions.
//!
//! To ask a rule costs about a microsecond, however little it has to do with the call: Cedar puts its condition together
//! anew for each question. Most rules name a tool, a label or a folder in their heads, so whole groups can be passed over
//! that cannot apply. What a head means stays Cedar's: a group that may apply is asked in full, head and conditions.

use crate::vocabulary::Asked;
use cedar_policy::{
    ActionConstraint, Entities, EntityTypeName, EntityUid, Policy, PolicySet, PolicySetError, PrincipalConstraint,
    ResourceConstraint,
};
use std::collections::HashMap;

/// Rules of one effect.
#[derive(Debug, Default)]
pub(crate) struct Heads(HashMap<Head, PolicySet>);

/// What a rule is about.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Head {
    principal: One,
    /// None where any will do.
    actions: Option<Vec<EntityUid>>,
    resource: One,
}

/// What is asked of a principal or a resource.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct One {
    kind: Option<EntityTypeName>,
    /// It is this one, or in it. A head that has to be this one is taken for either: the rule itself knows better.
    within: Option<EntityUid>,
}

impl Heads {
    /// Adds a rule.
    ///
    /// # Errors
    /// As [`PolicySet::add`].
    pub(crate) fn add(&mut self, policy: Policy) -> Result<(), Box<PolicySetError>> {
        self.0
            .entry(Head::of(&policy))
            .or_default()
            .add(policy)
            .map_err(Box::new)
    }

    /// The groups that may apply.
    pub(crate) fn about<'a>(&'a self, asked: &'a Asked) -> impl Iterator<Item = &'a PolicySet> {
        let groups = self.0.iter().filter(|(head, _)| head.may_be(asked));
        groups.map(|(_, set)| set)
    }
}

impl Head {
    fn of(policy: &Policy) -> Self {
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any => One::default(),
            PrincipalConstraint::In(uid) | PrincipalConstraint::Eq(uid) => One::within(uid),
            PrincipalConstraint::Is(kind) => One::of_kind(kind),
            PrincipalConstraint::IsIn(kind, uid) => One::both(kind, uid),
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any => One::default(),
            ResourceConstraint::In(uid) | ResourceConstraint::Eq(uid) => One::within(uid),
            ResourceConstraint::Is(kind) => One::of_kind(kind),
            ResourceConstraint::IsIn(kind, uid) => One::both(kind, uid),
        };
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => None,
            ActionConstraint::In(actions) => Some(actions),
            ActionConstraint::Eq(action) => Some(vec![action]),
        };
        Self {
            principal,
            actions,
            resource,
        }
    }

    fn may_be(&self, asked: &Asked) -> bool {
        let Asked { request, entities } = asked;
        let any = |actions: &Vec<EntityUid>| actions.iter().any(|action| is_in(entities, request.action(), action));
        self.actions.as_ref().is_none_or(any)
            && self.principal.may_be(entities, request.principal())
            && self.resource.may_be(entities, request.resource())
    }
}

impl One {
    fn within(uid: EntityUid) -> Self {
        Self {
            kind: None,
            within: Some(uid),
        }
    }

    fn of_kind(kind: EntityTypeName) -> Self {
        Self {
            kind: Some(kind),
            within: None,
        }
    }

    fn both(kind: EntityTypeName, uid: EntityUid) -> Self {
        Self {
            kind: Some(kind),
            within: Some(uid),
        }
    }

    fn may_be(&self, entities: &Entities, uid: Option<&EntityUid>) -> bool {
        let of_kind = |kind: &EntityTypeName| uid.is_none_or(|uid| uid.type_name() == kind);
        self.kind.as_ref().is_none_or(of_kind) && self.within.as_ref().is_none_or(|place| is_in(entities, uid, place))
    }
}

/// Whether `uid` is `place` or in it; so it is where nobody knows what it is.
fn is_in(entities: &Entities, uid: Option<&EntityUid>, place: &EntityUid) -> bool {
    uid.is_none_or(|uid| uid == place || entities.is_ancestor_of(place, uid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::classify;
    use crate::facts::Facts;
    use crate::vocabulary::Vocabulary;
    use cedar_policy::{Authorizer, Effect, PolicyId};
    use serde_json::json;
    use std::collections::BTreeSet;

    const PRINCIPALS: &[&str] = &[
        "principal",
        "principal == Session::\"s1\"",
        "principal == Session::\"s2\"",
        "principal in Session::\"s1\"",
        "principal in Label::\"team=a\"",
        "principal in Label::\"team=b\"",
        "principal in Host::\"web-01\"",
        "principal == Host::\"web-01\"",
        "principal in Agent::\"reviewer\"",
        "principal is Session",
        "principal is Host",
        "principal is Session in Host::\"web-01\"",
        "principal is Session in Host::\"web-02\"",
        "principal is Host in Host::\"web-01\"",
    ];
    const ACTIONS: &[&str] = &[
        "action",
        "action == Action::\"Bash\"",
        "action == Action::\"Edit\"",
        "action in Action::\"Bash\"",
        "action in Action::\"publish_external\"",
        "action == Action::\"publish_external\"",
        "action in [Action::\"Read\", Action::\"local_execution\"]",
        "action in []",
    ];
    const RESOURCES: &[&str] = &[
        "resource",
        "resource == Path::\"/home/dev/app\"",
        "resource in Path::\"/home\"",
        "resource in Path::\"/srv\"",
        "resource == Path::\"/home\"",
        "resource is Path",
        "resource is Path in Path::\"/\"",
        "resource is Host",
    ];

    /// Every head there is, asked in groups and asked at once.
    #[test]
    fn nothing_is_passed_over_that_applies() {
        let (mut groups, mut all) = (Heads::default(), PolicySet::new());
        for principal in PRINCIPALS {
            for action in ACTIONS {
                for resource in RESOURCES {
                    let text = format!("forbid({principal}, {action}, {resource});");
                    let policy = Policy::parse(Some(PolicyId::new(&text)), &text).expect(&text);
                    assert_eq!(policy.effect(), Effect::Forbid);
                    all.add(policy.clone()).expect("added");
                    groups.add(policy).expect("added");
                }
            }
        }
        let labels = ["team=a".to_owned()];
        let calls = [
            ("Bash", json!({"command": "git push"})),
            ("Bash", json!({"command": "cargo test"})),
            ("Read", json!({"file_path": "/srv/app/secret"})),
            ("Edit", json!({"file_path": "/home/dev/app/a.rs"})),
            ("publish_external", json!({})),
        ];
        for (tool, input) in &calls {
            let facts = Facts {
                host: "web-01",
                agent: "claude-code",
                subagent: Some("reviewer"),
                session: "s1",
                cwd: "/home/dev/app",
                labels: &labels,
                ..Facts::of_call(tool, input)
            };
            let question = Vocabulary::new()
                .question(&facts, &classify(&facts))
                .expect("a question");
            let asked = &question.any_part;
            let applying = |set: &PolicySet| -> BTreeSet<String> {
                let response = Authorizer::new().is_authorized(&asked.request, set, &asked.entities);
                assert_eq!(response.diagnostics().errors().count(), 0);
                response.diagnostics().reason().map(ToString::to_string).collect()
            };
            let grouped: BTreeSet<String> = groups.about(asked).flat_map(applying).collect();
            let at_once = applying(&all);
            assert_eq!(grouped, at_once, "{tool} {input}");
            assert!(!grouped.is_empty());
            // And most that does not is.
            let looked_at: usize = groups.about(asked).map(|set| set.policies().count()).sum();
            assert!(looked_at < all.policies().count() / 2, "{tool} {input}: {looked_at}");
        }
    }
}
