//! Which events a command shows, and how it shows them: what `tail` and `replay` share.

use crate::{ask, event_line, output};
use muster_bus::{Bus, Stored};
use muster_domain::family::{EventType, Family, KindToken};
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_runtime::exit::Failure;
use muster_wire::Filter;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Selection {
    /// Only this family, as in agent.hook, or all families of an area, as in runtime
    #[arg(long, value_parser = families)]
    family: Option<Families>,
    /// Only this kind, as in pre_tool_use
    #[arg(long, value_parser = kind)]
    kind: Option<KindToken>,
    /// Only this host
    #[arg(long)]
    host: Option<HostName>,
    /// Only this session: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only of this agent, as in claude-code
    #[arg(long)]
    agent: Option<AgentName>,
}

#[derive(Debug, Clone, Copy)]
enum Families {
    One(Family),
    Area(Family),
}

#[derive(Debug, thiserror::Error)]
#[error("families are {0}; their first words name all that begin with them")]
struct NoFamily(String);

#[derive(Debug, thiserror::Error)]
#[error("a kind is written in lower case with underscores, as in pre_tool_use")]
struct NoKind;

fn families(text: &str) -> Result<Families, NoFamily> {
    if let Ok(family) = Family::parse(text) {
        return Ok(Families::One(family));
    }
    let area = area(text).next();
    let names = || {
        Family::ALL
            .iter()
            .map(|family| family.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    area.map(Families::Area).ok_or_else(|| NoFamily(names()))
}

fn kind(text: &str) -> Result<KindToken, NoKind> {
    KindToken::parse(text).ok_or(NoKind)
}

impl Families {
    fn all(self) -> Vec<Family> {
        match self {
            Self::One(family) => vec![family],
            Self::Area(family) => area(family.tokens().0).collect(),
        }
    }
}

fn area(name: &str) -> impl Iterator<Item = Family> {
    Family::ALL
        .iter()
        .copied()
        .filter(move |family| family.tokens().0 == name)
}

/// Whether events of this kind can come: a filter that nothing passes would be waited on for ever.
///
/// A family that grows takes any kind where it is named alone; among several, a kind that nobody knows is a slip.
fn check_kind(families: &[Family], kind: &str) -> Result<(), Failure> {
    let takes = |family: &&Family| EventType::of(**family, kind).is_ok();
    let known: BTreeSet<String> = EventType::known()
        .iter()
        .filter(|known| families.contains(&known.family()))
        .map(|known| known.kind().to_owned())
        .collect();
    if known.contains(kind) || (families.len() == 1 && families.iter().any(|family| takes(&family))) {
        return Ok(());
    }
    let growing: Vec<&str> = families.iter().filter(takes).map(|family| family.as_str()).collect();
    let more = if growing.is_empty() {
        String::new()
    } else {
        format!(
            "; for a kind that is not known yet name its family, --family {}",
            growing.join(" or ")
        )
    };
    let of = if let [family] = families {
        format!(" of {family}")
    } else {
        String::new()
    };
    let known = known.into_iter().collect::<Vec<_>>().join(" ");
    Err(Failure::Usage(format!(
        "{kind:?} is no kind{of}; kinds are {known}{more}"
    )))
}

/// Events to show.
pub(crate) struct Selected {
    pub(crate) filter: Filter,
    agent: Option<AgentName>,
}

impl Selection {
    /// Whether a session is named.
    pub(crate) const fn names_session(&self) -> bool {
        self.session.is_some()
    }

    /// What can be told to be wrong before anybody is asked.
    ///
    /// # Errors
    /// [`Failure::Usage`].
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let families = self.family.map_or_else(|| Family::ALL.to_vec(), Families::all);
        if let Some(session) = &self.session {
            SessionId::new(session).map_err(|error| Failure::Usage(format!("--session {session:?}: {error}")))?;
        }
        self.kind
            .as_ref()
            .map_or(Ok(()), |kind| check_kind(&families, kind.as_str()))
    }

    /// Resolves the session's beginning where somebody knows it; else it is taken for the whole id.
    ///
    /// # Errors
    /// When the id could not be any session's.
    pub(crate) async fn resolve(self, bus: &Bus) -> anyhow::Result<Selected> {
        let mut filter = match self.family {
            None => Filter::all(),
            Some(Families::One(family)) => Filter::all().family(family),
            Some(Families::Area(family)) => Filter::all().area(family),
        };
        if let Some(kind) = self.kind {
            filter = filter.kind(kind);
        }
        if let Some(given) = &self.session {
            let known = ask::session(bus, given, self.host.as_ref()).await;
            let session = match known {
                Ok((_, session)) => session,
                Err(_) => SessionId::new(given)?,
            };
            filter = filter.session(session);
        }
        if let Some(host) = self.host {
            filter = filter.host(host);
        }
        Ok(Selected {
            filter,
            agent: self.agent,
        })
    }
}

impl Selected {
    /// Prints an event that is among those to show: for programs whole, as it is stored.
    pub(crate) fn print(&self, stored: &Stored, json: bool) {
        if let Some(agent) = &self.agent {
            let of = stored.envelope().ok().and_then(|envelope| envelope.agent);
            if of.as_ref() != Some(agent) {
                return;
            }
        }
        if json {
            output::raw_line(&stored.payload);
        } else {
            output::line(&event_line::of(stored));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_one_or_all_of_an_area() {
        assert!(matches!(
            families("agent.hook").unwrap(),
            Families::One(Family::AgentHook)
        ));
        assert!(matches!(families("runtime").unwrap(), Families::Area(family) if family.tokens().0 == "runtime"));
        assert!(
            families("agent.nothing")
                .unwrap_err()
                .to_string()
                .contains("agent.turn")
        );
        assert!(kind("PreToolUse").is_err());
    }

    #[test]
    fn a_kind_that_cannot_come_is_refused_with_those_that_can() {
        let of = |family: Option<&str>, kind: &str| {
            let families = family.map_or_else(|| Family::ALL.to_vec(), |name| families(name).unwrap().all());
            check_kind(&families, kind).map_err(|error| error.to_string())
        };
        for (family, kind) in [
            (None, "pre_tool_use"),
            (Some("agent"), "turn_end"),
            (Some("runtime.circuit"), "opened"),
            (Some("agent.hook"), "brand_new_hook"),
        ] {
            assert_eq!(of(family, kind), Ok(()), "{family:?} {kind}");
        }
        let error = of(Some("runtime.circuit"), "open").unwrap_err();
        assert_eq!(
            error,
            "\"open\" is no kind of runtime.circuit; kinds are closed half_opened opened"
        );
        let error = of(Some("runtime.circuit"), "pre_tool_use").unwrap_err();
        assert!(!error.contains("--family"), "{error}");
        for family in [None, Some("agent")] {
            let error = of(family, "pre_tool_us").unwrap_err();
            assert!(
                error.contains(" pre_tool_use ") && error.contains("--family agent.hook"),
                "{error}"
            );
        }
    }
}
