//! Which events a command shows, and how it shows them: what `tail` and `replay` share.

use crate::{ask, event_line, output};
use muster_bus::{Bus, Stored};
use muster_domain::family::{Family, KindToken};
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_wire::{Envelope, Filter};

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
    let area = Family::ALL.iter().find(|family| family.tokens().0 == text).copied();
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
            let of = Envelope::decode(&stored.payload)
                .ok()
                .and_then(|envelope| envelope.agent);
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
}
