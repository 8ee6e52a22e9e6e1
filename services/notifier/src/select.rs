//! Which events somebody wants: the same words for a stream's query and a webhook's configuration.
//!
//! What is not restricted matches anything; several values of one key are alternatives; keys restrict together. Family,
//! kind, host and session stand in the subject, so the hub can do that part when the past is read. Agent and profile stand
//! in the envelope, which is opened only for those who ask about them.

use crate::stream::frame::Head;
use muster_domain::family::{Family, KindToken};
use muster_domain::names::{AgentName, HostName, NameError, Profile, SessionId};
use muster_wire::topology::{EVENTS, stream_of};
use muster_wire::{Filter, Subject};
use std::collections::BTreeSet;
use std::str::FromStr;

/// Filters given to the hub for one reader at most. Beyond it the hub would compare each event with more subjects than
/// sending it costs, so the remaining keys are compared here only.
const FILTERS_MAX: usize = 32;

/// Why a selection is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectError {
    /// The vocabulary is closed, so a word outside it is a mistake and not an empty answer.
    #[error("no family {given:?}; there are {}", known_families())]
    Family { given: String },
    #[error("{family} is not in the log of events; printed lines are read with `muster tail --transcript`")]
    Elsewhere { family: Family },
    #[error("{given:?} is no kind; kinds are snake_case, as in pre_tool_use")]
    Kind { given: String },
    #[error(transparent)]
    Name(#[from] NameError),
}

/// What is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    families: BTreeSet<Family>,
    kinds: BTreeSet<KindToken>,
    hosts: BTreeSet<HostName>,
    sessions: BTreeSet<SessionId>,
    agents: BTreeSet<AgentName>,
    profiles: BTreeSet<Profile>,
}

impl Selection {
    /// Restricts by one key of a query; its value may hold several, separated by commas. False when this is no such key.
    pub(crate) fn restrict(&mut self, key: &str, value: &str) -> Result<bool, SelectError> {
        let mut values = value.split(',').map(str::trim).filter(|value| !value.is_empty());
        match key {
            "family" => values.try_for_each(|value| self.family(value))?,
            "kind" => values.try_for_each(|value| self.kind(value))?,
            "host" => add(&mut self.hosts, values)?,
            "session" => add(&mut self.sessions, values)?,
            "agent" => add(&mut self.agents, values)?,
            "profile" => add(&mut self.profiles, values)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Also this family, or all of an area: `runtime.status`, `runtime.*`.
    pub(crate) fn family(&mut self, given: &str) -> Result<(), SelectError> {
        let in_log = |family: &Family| stream_of(*family) == EVENTS;
        let unknown = || SelectError::Family {
            given: given.to_owned(),
        };
        if let Some(area) = given.strip_suffix(".*") {
            let before = self.families.len();
            let of_area = Family::ALL.iter().copied().filter(|family| family.tokens().0 == area);
            self.families.extend(of_area.filter(in_log));
            return if self.families.len() > before {
                Ok(())
            } else {
                Err(unknown())
            };
        }
        let family = Family::parse(given).map_err(|_| unknown())?;
        if !in_log(&family) {
            return Err(SelectError::Elsewhere { family });
        }
        self.families.insert(family);
        Ok(())
    }

    /// Also this kind.
    pub(crate) fn kind(&mut self, given: &str) -> Result<(), SelectError> {
        let kind = KindToken::parse(given).ok_or_else(|| SelectError::Kind {
            given: given.to_owned(),
        })?;
        self.kinds.insert(kind);
        Ok(())
    }

    /// Also this host.
    pub(crate) fn host(&mut self, given: &str) -> Result<(), SelectError> {
        self.hosts.insert(HostName::new(given)?);
        Ok(())
    }

    /// The families it names; empty for any.
    pub(crate) const fn families(&self) -> &BTreeSet<Family> {
        &self.families
    }

    /// What the hub is asked for: these together pass everything that is wanted, and perhaps more. They do not overlap,
    /// which the hub insists on.
    pub(crate) fn filters(&self) -> Vec<Filter> {
        let all = vec![Filter::all()];
        let all = multiply(all, &self.families, |filter, family| filter.family(*family));
        let all = multiply(all, &self.kinds, |filter, kind| filter.kind(kind.clone()));
        let all = multiply(all, &self.hosts, |filter, host| filter.host(host.clone()));
        let all = multiply(all, &self.sessions, |filter, session| filter.session(session.clone()));
        if all == [Filter::all()] { Vec::new() } else { all }
    }

    /// Whether an event is wanted. A subject of a later version that is not understood passes where nothing is restricted.
    pub(crate) fn wants<'a>(&self, subject: Option<&Subject>, head: impl FnOnce() -> &'a Head) -> bool {
        let Some(subject) = subject else {
            return *self == Self::default();
        };
        self.wants_subject(subject) && (self.agents.is_empty() && self.profiles.is_empty() || self.wants_head(head()))
    }

    /// The part of it that the subject decides.
    pub(crate) fn wants_subject(&self, subject: &Subject) -> bool {
        let kind = subject.event_type.kind();
        any_or(&self.families, |family| *family == subject.event_type.family())
            && any_or(&self.kinds, |wanted| wanted.as_str() == kind)
            && any_or(&self.hosts, |host| Some(host) == subject.host.as_ref())
            && any_or(&self.sessions, |session| Some(session) == subject.session.as_ref())
    }

    fn wants_head(&self, head: &Head) -> bool {
        any_or(&self.agents, |agent| Some(agent.as_str()) == head.agent.as_deref())
            && any_or(&self.profiles, |profile| {
                Some(profile.as_str()) == head.profile.as_deref()
            })
    }
}

fn any_or<T>(wanted: &BTreeSet<T>, matches: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(matches)
}

fn add<'a, T: Ord + FromStr<Err = NameError>>(
    set: &mut BTreeSet<T>,
    values: impl Iterator<Item = &'a str>,
) -> Result<(), SelectError> {
    for value in values {
        set.insert(value.parse()?);
    }
    Ok(())
}

fn multiply<T>(filters: Vec<Filter>, by: &BTreeSet<T>, narrow: impl Fn(Filter, &T) -> Filter) -> Vec<Filter> {
    if by.is_empty() || filters.len() * by.len() > FILTERS_MAX {
        return filters;
    }
    filters
        .iter()
        .flat_map(|filter| by.iter().map(|value| narrow(filter.clone(), value)))
        .collect()
}

fn known_families() -> String {
    let known: Vec<&str> = Family::ALL
        .iter()
        .filter(|family| stream_of(**family) == EVENTS)
        .map(|family| family.as_str())
        .collect();
    known.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Query<'a> = &'a [(&'a str, &'a str)];

    fn selection(query: Query<'_>) -> Selection {
        let mut selection = Selection::default();
        for (key, value) in query {
            assert_eq!(selection.restrict(key, value), Ok(true), "{key}");
        }
        selection
    }

    fn wants(selection: &Selection, subject: &str, agent: &str) -> bool {
        let head = Head {
            agent: Some(agent.to_owned()),
            profile: Some("default".to_owned()),
        };
        selection.wants(Subject::parse(subject).ok().as_ref(), || &head)
    }

    #[test]
    fn keys_restrict_together_and_values_are_alternatives() {
        let cases: &[(Query<'_>, &str, bool)] = &[
            (&[], "agent.hook.stop.web-01.s1", true),
            (&[("family", "agent.hook")], "agent.hook.stop.web-01.s1", true),
            (&[("family", "runtime.*")], "agent.hook.stop.web-01.s1", false),
            (&[("family", "runtime.*")], "runtime.host.lost.web-01.-", true),
            (&[("family", "runtime.*,agent.hook")], "agent.hook.stop.web-01.s1", true),
            (
                &[("kind", "stop"), ("kind", "session_end")],
                "agent.hook.session_end.web-01.s1",
                true,
            ),
            (
                &[("kind", "stop"), ("host", "web-02")],
                "agent.hook.stop.web-01.s1",
                false,
            ),
            (&[("host", "web-02, web-01")], "agent.hook.stop.web-01.s1", true),
            (&[("host", "web-01")], "runtime.leader.elected.-.-", false),
            (&[("session", "s1")], "agent.hook.stop.web-01.s1", true),
            (&[("session", "s2")], "agent.hook.stop.web-01.s1", false),
            (&[("agent", "claude-code")], "agent.hook.stop.web-01.s1", true),
            (&[("agent", "codex")], "agent.hook.stop.web-01.s1", false),
            (&[("profile", "other")], "agent.hook.stop.web-01.s1", false),
        ];
        for (query, subject, expected) in cases {
            assert_eq!(
                wants(&selection(query), subject, "claude-code"),
                *expected,
                "{query:?} {subject}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_passes_only_where_nothing_is_restricted() {
        assert!(wants(&Selection::default(), "agent.brand_new.kind.-.-", "a"));
        assert!(!wants(
            &selection(&[("host", "web-01")]),
            "agent.brand_new.kind.web-01.-",
            "a"
        ));
    }

    #[test]
    fn a_word_outside_the_vocabulary_is_refused_by_name() {
        let mut selection = Selection::default();
        let text = selection.restrict("family", "agent.hok").unwrap_err().to_string();
        assert!(
            text.starts_with("no family \"agent.hok\"; there are agent.hook, agent.turn,"),
            "{text}"
        );
        assert!(!text.contains("agent.output"), "{text}");
        assert!(selection.restrict("family", "nothing.*").is_err());
        assert!(
            selection
                .restrict("family", "agent.output")
                .unwrap_err()
                .to_string()
                .contains("--transcript")
        );
        assert!(selection.restrict("kind", "Stop").is_err());
        assert!(selection.restrict("host", "web.01").is_err());
        assert_eq!(selection.restrict("colour", "red"), Ok(false));
    }

    #[test]
    fn the_hub_is_asked_for_as_little_as_it_can_select() {
        let texts = |query: &[(&str, &str)]| -> Vec<String> {
            selection(query).filters().iter().map(ToString::to_string).collect()
        };
        assert!(texts(&[]).is_empty());
        assert!(texts(&[("agent", "codex")]).is_empty());
        assert_eq!(
            texts(&[("family", "agent.hook"), ("host", "a,b")]),
            ["agent.hook.*.a.*", "agent.hook.*.b.*"]
        );
        let hosts: Vec<String> = (0..40).map(|n| format!("h{n}")).collect();
        assert_eq!(
            texts(&[("family", "agent.hook"), ("host", &hosts.join(","))]),
            ["agent.hook.*.*.*"]
        );
    }
}
