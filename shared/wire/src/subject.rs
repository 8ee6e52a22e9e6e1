//! Subjects and filters: built and parsed here, and nowhere else.
//!
//! An event's subject has five tokens: two name the family, then kind, host and session:
//! `runtime.approval_required.permission_request.web-01.78e6edba-…`. Family first, so that one wildcard watches a family
//! (`runtime.approval_required.>`); identifiers last, so that one permission confines a host (`agent.*.*.web-01.>`).
//!
//! A [`Subject`] names one place and can be published to. A [`Filter`] may hold wildcards and can only be subscribed to.
//! They are different types, so that neither can be used for the other.

use crate::token;
use muster_domain::family::{EventType, Family, KindToken, UnknownType};
use muster_domain::names::{HostName, NameError, SessionId};
use std::fmt;

mod request;

pub use request::{Caller, Operation, Request, Role};

/// The prefix under which the hub republishes what it stored.
pub const STORED_PREFIX: &str = "stored";

/// Where one event is published.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Family and kind.
    pub event_type: EventType,
    /// The host it is about.
    pub host: Option<HostName>,
    /// The session it is about.
    pub session: Option<SessionId>,
}

/// Why a text is no event subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Not five tokens.
    #[error("{0:?} does not have five tokens")]
    Shape(String),
    /// The first three tokens name no event type.
    #[error(transparent)]
    Type(#[from] UnknownType),
    /// The host or session token was not made by us.
    #[error("token {0:?} is not an encoded name")]
    Token(String),
    /// The host or session it encodes is not legal.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Subject {
    /// The subject of an event.
    pub const fn new(event_type: EventType, host: Option<HostName>, session: Option<SessionId>) -> Self {
        Self {
            event_type,
            host,
            session,
        }
    }

    /// Reads a subject.
    ///
    /// # Errors
    /// [`SubjectError`] says which token is wrong.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let tokens: Vec<&str> = text.split('.').collect();
        let [area, topic, kind, host, session] = tokens[..] else {
            return Err(SubjectError::Shape(text.to_owned()));
        };
        let family = Family::ALL
            .iter()
            .copied()
            .find(|family| family.tokens() == (area, topic));
        let family = family.ok_or_else(|| UnknownType::Family(format!("{area}.{topic}")))?;
        let host = named(host)?.map(|name| HostName::new(&name)).transpose()?;
        let session = named(session)?.map(|name| SessionId::new(&name)).transpose()?;
        Ok(Self {
            event_type: EventType::of(family, kind)?,
            host,
            session,
        })
    }
}

fn named(text: &str) -> Result<Option<String>, SubjectError> {
    if text == token::NONE {
        return Ok(None);
    }
    token::decode(text)
        .map(Some)
        .ok_or_else(|| SubjectError::Token(text.to_owned()))
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (area, topic) = self.event_type.family().tokens();
        let host = self.host.as_ref().map_or(token::NONE, HostName::as_str);
        write!(f, "{area}.{topic}.{}.{host}.", self.event_type.kind())?;
        match &self.session {
            None => f.write_str(token::NONE),
            Some(session) => f.write_str(&token::encode(session.as_str())),
        }
    }
}

/// Whether `text` is the subject of an event of this type, about this host and session. Asked of every event of a replay, so
/// nothing is made for it.
pub(crate) fn is_of(text: &str, of: &EventType, host: Option<&HostName>, session: Option<&SessionId>) -> bool {
    let (area, topic) = of.family().tokens();
    let mut tokens = text.split('.');
    let family = tokens.next() == Some(area) && tokens.next() == Some(topic);
    let named = |token: Option<&str>, name: Option<&str>| match name {
        None => token == Some(token::NONE),
        Some(name) => token.is_some_and(|token| token::is_of(token, name)),
    };
    family
        && tokens.next() == Some(of.kind())
        && named(tokens.next(), host.map(HostName::as_str))
        && named(tokens.next(), session.map(SessionId::as_str))
        && tokens.next().is_none()
}

/// Which events somebody wants to see. What is not set matches anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Filter {
    area: Option<&'static str>,
    topic: Option<&'static str>,
    kind: Option<KindToken>,
    host: Option<HostName>,
    session: Option<SessionId>,
}

impl Filter {
    /// Every event.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only one family.
    #[must_use]
    pub const fn family(mut self, family: Family) -> Self {
        let (area, topic) = family.tokens();
        self.area = Some(area);
        self.topic = Some(topic);
        self
    }

    /// Only families of one area: the first token, as in `agent.*`.
    #[must_use]
    pub const fn area(mut self, family: Family) -> Self {
        self.area = Some(family.tokens().0);
        self
    }

    /// Only one kind.
    #[must_use]
    pub fn kind(mut self, kind: KindToken) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Only one host.
    #[must_use]
    pub fn host(mut self, host: HostName) -> Self {
        self.host = Some(host);
        self
    }

    /// Only one session.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Whether an event of this subject passes.
    pub fn matches(&self, subject: &Subject) -> bool {
        let (area, topic) = subject.event_type.family().tokens();
        self.area.is_none_or(|wanted| wanted == area)
            && self.topic.is_none_or(|wanted| wanted == topic)
            && self
                .kind
                .as_ref()
                .is_none_or(|wanted| wanted.as_str() == subject.event_type.kind())
            && self
                .host
                .as_ref()
                .is_none_or(|wanted| Some(wanted) == subject.host.as_ref())
            && self
                .session
                .as_ref()
                .is_none_or(|wanted| Some(wanted) == subject.session.as_ref())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_ref().map_or("*", KindToken::as_str);
        let host = self.host.as_ref().map_or("*", HostName::as_str);
        write!(
            f,
            "{}.{}.{kind}.{host}.",
            self.area.unwrap_or("*"),
            self.topic.unwrap_or("*")
        )?;
        match &self.session {
            None => f.write_str("*"),
            Some(session) => f.write_str(&token::encode(session.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn web() -> HostName {
        HostName::new("web-01").unwrap()
    }

    #[test]
    fn a_subject_reads_as_documented() {
        let subject = Subject::new(
            EventType::parse("runtime.approval_required.permission_request").unwrap(),
            Some(web()),
            Some(SessionId::new("78e6edba-fbb9").unwrap()),
        );
        assert_eq!(
            subject.to_string(),
            "runtime.approval_required.permission_request.web-01.78e6edba-fbb9"
        );
    }

    #[test]
    fn every_known_type_makes_a_subject_that_reads_back() {
        for event_type in EventType::known() {
            let subject = Subject::new(event_type, None, None);
            assert_eq!(Subject::parse(&subject.to_string()), Ok(subject));
        }
    }

    #[test]
    fn filters_are_the_recipes_observers_use() {
        assert_eq!(Filter::all().to_string(), "*.*.*.*.*");
        assert_eq!(Filter::all().host(web()).to_string(), "*.*.*.web-01.*");
        assert_eq!(
            Filter::all().family(Family::RuntimeStatus).to_string(),
            "runtime.status.*.*.*"
        );
        assert_eq!(
            Filter::all().area(Family::AgentHook).host(web()).to_string(),
            "agent.*.*.web-01.*"
        );
    }

    #[test]
    fn foreign_subjects_are_refused() {
        for text in [
            "",
            "a.b",
            "agent.hook.stop.web-01",
            "agent.hook.stop.web-01.s.x",
            "agent.nope.stop.-.-",
            "agent.hook.stop.web-01.*",
        ] {
            assert!(Subject::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn subjects_survive_their_text(session in "[^\\p{C}]{1,40}", host in "[a-zA-Z0-9_]{1,20}", pick in any::<prop::sample::Index>()) {
            let known = EventType::known();
            let subject = Subject::new(
                known[pick.index(known.len())].clone(),
                Some(HostName::new(&host).unwrap()),
                Some(SessionId::new(&session).unwrap()),
            );
            let text = subject.to_string();
            prop_assert_eq!(text.split('.').count(), 5);
            prop_assert_eq!(Subject::parse(&text), Ok(subject));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,60}") {
            let _ = Subject::parse(&text);
        }
    }
}
