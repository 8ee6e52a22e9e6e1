//! What queries are asked of.

use super::Operator;
use super::field::{Field, Kind};
use super::value::Value;
use crate::fleet::{Fleet, SessionKey};
use crate::names::AgentName;
use crate::review::{Label, Reviews};
use crate::session::{Joined, Session, Turn};
use crate::state::SessionState;
use crate::time::Timestamp;
use std::time::Duration;

/// A session, and what somebody said of it.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// Which session.
    pub key: &'a SessionKey,
    /// What is known of it.
    pub session: &'a Session,
    /// What was said of it.
    pub feedback: Vec<Opinion<'a>>,
}

/// What somebody said of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opinion<'a> {
    /// A label.
    pub label: Option<&'a str>,
    /// A score.
    pub score: Option<u8>,
}

/// One thing that is known of a field.
pub(super) enum Known<'a> {
    Text(&'a str),
    /// What is below a folder is in it.
    Path(&'a str),
    State(SessionState),
    Kind(Kind),
    Number(u64),
    Usd(u64),
    Span(Duration),
    Moment(Timestamp),
}

impl<'a> Row<'a> {
    /// A session of the fleet, with what counts of what was said of it.
    pub fn of(fleet: &'a Fleet, key: &'a SessionKey, session: &'a Session) -> Self {
        Self::reviewed(fleet.reviews(), key, session)
    }

    /// As [`Row::of`], where there is no fleet to ask: a session that is just being forgotten.
    pub(crate) fn reviewed(reviews: &'a Reviews, key: &'a SessionKey, session: &'a Session) -> Self {
        let words = reviews.feedback().of(key).map(|word| &word.annotation);
        let opinions = words.map(|said| Opinion {
            label: said.label.map(Label::as_str),
            score: said.score.map(u8::from),
        });
        Self {
            key,
            session,
            feedback: opinions.collect(),
        }
    }

    /// Whether anything that is known of the field passes; nothing is looked up that the field does not need.
    pub(super) fn any(&self, field: Field, mut passes: impl FnMut(Known<'_>) -> bool) -> bool {
        let session = self.session;
        let mut text = |text: Option<&str>| text.is_some_and(|text| passes(Known::Text(text)));
        match field {
            Field::Agent => text(session.agent().map(AgentName::as_str)),
            Field::Model => text(session.model()),
            Field::Host => text(Some(self.key.host.as_str())),
            Field::Session => text(Some(self.key.id.as_str())),
            Field::Tool => session.tools_called().any(|name| text(Some(name))),
            Field::Prompt => session.prompts().any(|line| text(Some(line))),
            Field::FeedbackLabel => self.feedback.iter().any(|said| text(said.label)),
            Field::FeedbackScore => {
                let mut scores = self.feedback.iter().filter_map(|said| said.score);
                scores.any(|score| passes(Known::Number(score.into())))
            }
            Field::State => passes(Known::State(session.standing().state)),
            Field::Kind => {
                let turns = session.joined();
                turns.iter().flat_map(kinds).any(|kind| passes(Known::Kind(kind)))
            }
            Field::Path => {
                let mut paths = session.cwd().into_iter().chain(session.paths_named());
                paths.any(|path| passes(Known::Path(path)))
            }
            Field::Turns => passes(Known::Number(session.counts().turns.into())),
            Field::ToolCalls => passes(Known::Number(session.calls().0)),
            Field::Errors => passes(Known::Number(session.calls().1)),
            Field::TokensTotal => passes(Known::Number(session.usage().total())),
            Field::TokensIn => {
                let usage = session.usage();
                let read = usage.input.saturating_add(usage.cache_read);
                passes(Known::Number(read.saturating_add(usage.cache_creation)))
            }
            Field::TokensOut => passes(Known::Number(session.usage().output)),
            Field::CostUsd => session.cost_micros().is_some_and(|micros| passes(Known::Usd(micros))),
            Field::Duration => passes(Known::Span(session.last_seen().since(session.first_seen))),
            Field::Started => passes(Known::Moment(session.first_seen)),
            Field::LastSeen => passes(Known::Moment(session.last_seen())),
        }
    }
}

fn kinds(turn: &Joined<'_>) -> impl Iterator<Item = Kind> + use<> {
    let printed = turn.stream.and_then(|(_, stream)| stream.ended.as_ref());
    let told = |has: fn(&Turn) -> bool| turn.hook.is_some_and(has);
    let had = [
        (told(|turn| turn.given.is_some()), Kind::Prompt),
        (
            told(|turn| turn.calls() > 0) || printed.is_some_and(|end| !end.tools.is_empty()),
            Kind::Tool,
        ),
        (told(|turn| turn.asks.len() > 0), Kind::Permission),
        (told(|turn| turn.subagents.len() > 0), Kind::Subagent),
        (
            told(|turn| turn.failures() > 0) || turn.failure().is_some(),
            Kind::Error,
        ),
    ];
    had.into_iter().filter_map(|(had, kind)| had.then_some(kind))
}

impl Known<'_> {
    /// Whether this is what the value says, by the operator; that it is *not* is for the whole term to say.
    pub(super) fn meets(&self, operator: Operator, value: &Value, now: Timestamp) -> bool {
        match (self, value) {
            (Self::Text(known), Value::Text(text)) if operator == Operator::Contains => contains(known, text),
            (Self::Path(known), Value::Text(text)) if operator == Operator::Contains => contains(known, text),
            (Self::Text(known), Value::Text(text)) => *known == &**text,
            (Self::Path(known), Value::Text(folder)) => below(known, folder),
            (Self::State(known), Value::State(state)) => known == state,
            (Self::Kind(known), Value::Kind(kind)) => known == kind,
            (Self::Number(known), Value::Number(number)) => operator.orders(known, number),
            (Self::Usd(known), Value::Usd(micros)) => operator.orders(known, micros),
            (Self::Span(known), Value::Span(span)) => operator.orders(known, span),
            (Self::Moment(known), Value::At(at)) => operator.orders(&known.as_millis(), &at.as_millis()),
            (Self::Moment(known), Value::Ago(span)) => {
                let back = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
                operator.orders(&known.as_millis(), &now.as_millis().saturating_sub(back))
            }
            _ => false,
        }
    }
}

impl Operator {
    fn orders<T: Ord>(self, known: &T, value: &T) -> bool {
        match self {
            Self::Is | Self::IsNot | Self::Contains => known == value,
            Self::More => known > value,
            Self::AtLeast => known >= value,
            Self::Less => known < value,
            Self::AtMost => known <= value,
        }
    }
}

/// Whatever the case of letters.
fn contains(known: &str, text: &str) -> bool {
    known.to_lowercase().contains(&text.to_lowercase())
}

fn below(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
