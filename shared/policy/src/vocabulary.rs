//! A call in Cedar's words: who (`principal`), what (`action`), on what (`resource`), and everything else (`context`).

mod value;

use crate::class::{Classed, PATH_BYTES_MAX};
use crate::facts::Facts;
use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression};
use muster_domain::policy::ActionFamily;
use std::collections::{HashMap, HashSet};
use std::str::FromStr as _;

/// Every type a rule can name.
pub(crate) const TYPES: &[&str] = &["Session", "Agent", "Host", "Profile", "Label", "Action", "Path"];

/// Types are parsed once: reading a name costs more than asking fifty rules.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    session: EntityTypeName,
    agent: EntityTypeName,
    host: EntityTypeName,
    profile: EntityTypeName,
    label: EntityTypeName,
    action: EntityTypeName,
    path: EntityTypeName,
}

/// What is asked.
pub(crate) struct Question {
    /// The call as forbidding rules see it: in every family of its parts.
    pub(crate) any_part: Asked,
    /// The call as permitting rules see it: in its worst part's family only. None where that is its only one.
    worst_part: Option<Asked>,
    /// A text of the call is longer than rules may look into.
    pub(crate) withheld: bool,
}

impl Question {
    /// The call as permitting rules see it.
    pub(crate) fn worst_part(&self) -> &Asked {
        self.worst_part.as_ref().unwrap_or(&self.any_part)
    }
}

pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
}

/// A call that cannot be put in Cedar's words.
#[derive(Debug, thiserror::Error)]
#[error("the call cannot be put to the rules: {0}")]
pub(crate) struct Unspeakable(String);

impl Unspeakable {
    fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }

    /// A rule looked into a text that it is not shown.
    pub(crate) fn too_long() -> Self {
        let kib = value::TEXT_BYTES_MAX / 1024;
        Self(format!(
            "it has a text of more than {kib} KiB, which no rule looks into; make it several smaller calls"
        ))
    }

    /// Not all of the call was read.
    pub(crate) fn too_much() -> Self {
        Self("it says more than is read, or nests it too deep; make it several smaller calls".to_owned())
    }
}

impl Vocabulary {
    pub(crate) fn new() -> Self {
        let parsed = |name| EntityTypeName::from_str(name).expect("invariant: the names of TYPES are legal");
        Self {
            session: parsed("Session"),
            agent: parsed("Agent"),
            host: parsed("Host"),
            profile: parsed("Profile"),
            label: parsed("Label"),
            action: parsed("Action"),
            path: parsed("Path"),
        }
    }

    pub(crate) fn question(&self, facts: &Facts<'_>, classed: &Classed) -> Result<Question, Unspeakable> {
        let principal = uid(
            &self.session,
            if facts.session.is_empty() { "-" } else { facts.session },
        );
        let resource = uid(&self.path, &classed.path);
        let action = uid(&self.action, &action_name(facts.tool));
        let who = Entity::new(principal.clone(), principal_attributes(facts), self.groups(facts))
            .map_err(Unspeakable::new)?;
        let what = Entity::new_no_attrs(resource.clone(), self.folders(&classed.path));
        let context = context(facts, classed)?;
        let asked = |families: &[ActionFamily]| -> Result<Asked, Unspeakable> {
            let parents = families
                .iter()
                .map(|family| uid(&self.action, family.as_str()))
                .collect();
            let how = Entity::new_no_attrs(action.clone(), parents);
            Ok(Asked {
                request: Request::new(
                    principal.clone(),
                    action.clone(),
                    resource.clone(),
                    context.clone(),
                    None,
                )
                .map_err(Unspeakable::new)?,
                entities: Entities::from_entities([who.clone(), what.clone(), how], None).map_err(Unspeakable::new)?,
            })
        };
        let texts = [facts.tool, facts.cwd, &classed.path, facts.mode];
        Ok(Question {
            withheld: texts.into_iter().any(value::is_withheld) || value::withholds(facts.input),
            any_part: asked(&classed.families.iter().copied().collect::<Vec<_>>())?,
            worst_part: if classed.families.iter().eq([&classed.family]) {
                None
            } else {
                Some(asked(&[classed.family])?)
            },
        })
    }

    /// What the session is in.
    fn groups(&self, facts: &Facts<'_>) -> HashSet<EntityUid> {
        let named = [
            (&self.agent, facts.agent),
            (&self.agent, facts.subagent.unwrap_or_default()),
            (&self.host, facts.host),
            (&self.profile, facts.profile),
        ];
        let labels = facts.labels.iter().map(|label| (&self.label, label.as_str()));
        named
            .into_iter()
            .chain(labels)
            .filter(|(_, name)| !name.is_empty())
            .map(|(kind, name)| uid(kind, name))
            .collect()
    }

    /// Every folder a path is in.
    fn folders(&self, path: &str) -> HashSet<EntityUid> {
        /// Longer paths than any file system takes; what lies deeper is still in the folders up to here.
        const FOLDERS_MAX: usize = 256;
        let ends = path.match_indices('/').map(|(place, _)| &path[..place.max(1)]);
        ends.filter(|folder| *folder != path)
            .take(FOLDERS_MAX)
            .take_while(|folder| folder.len() <= PATH_BYTES_MAX)
            .map(|folder| uid(&self.path, folder))
            .collect()
    }
}

/// A tool whose name is a family's is told from the family.
fn action_name(tool: &str) -> String {
    if tool.parse::<ActionFamily>().is_ok() {
        format!("tool:{tool}")
    } else {
        tool.to_owned()
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn principal_attributes(facts: &Facts<'_>) -> HashMap<String, RestrictedExpression> {
    let labels = facts.labels.iter().map(|label| value::text(label));
    HashMap::from([
        ("session".to_owned(), value::text(facts.session)),
        ("agent".to_owned(), value::text(facts.agent)),
        ("subagent".to_owned(), value::text(facts.subagent.unwrap_or_default())),
        ("host".to_owned(), value::text(facts.host)),
        ("profile".to_owned(), value::text(facts.profile)),
        ("attended".to_owned(), RestrictedExpression::new_bool(facts.attended)),
        ("labels".to_owned(), RestrictedExpression::new_set(labels)),
    ])
}

/// Everything here is always there, so that only what lies below `input` needs `has`.
fn context(facts: &Facts<'_>, classed: &Classed) -> Result<Context, Unspeakable> {
    let texts = |texts: &std::collections::BTreeSet<String>| {
        RestrictedExpression::new_set(texts.iter().map(|text| value::text(text)))
    };
    let families = classed.families.iter().map(|family| value::text(family.as_str()));
    let input = value::record(facts.input).map_err(Unspeakable::new)?;
    Context::from_pairs([
        ("tool".to_owned(), value::text(facts.tool)),
        ("input".to_owned(), input),
        ("cwd".to_owned(), value::text(facts.cwd)),
        ("path".to_owned(), value::text(&classed.path)),
        ("mode".to_owned(), value::text(facts.mode)),
        ("family".to_owned(), value::text(classed.family.as_str())),
        ("families".to_owned(), RestrictedExpression::new_set(families)),
        ("commands".to_owned(), texts(&classed.commands)),
        ("words".to_owned(), texts(&classed.words)),
        ("programs".to_owned(), texts(&classed.programs)),
        ("dynamic".to_owned(), RestrictedExpression::new_bool(classed.dynamic)),
    ])
    .map_err(Unspeakable::new)
}
