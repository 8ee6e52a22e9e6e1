//! Values, as they are written.

use super::field::{Kind, Shape};
use super::moment;
use crate::state::SessionState;
use crate::time::Timestamp;
use std::fmt;
use std::time::Duration;

/// What a field is held against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Text(Box<str>),
    State(SessionState),
    Kind(Kind),
    Number(u64),
    /// Millionths of a US dollar.
    Usd(u64),
    Span(Duration),
    At(Timestamp),
    Ago(Duration),
}

/// Units of time, the largest first: a span is written in the largest that leaves nothing over.
const UNITS: &[(&str, u64)] = &[
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// kaizen's states, in the words of this fleet.
const STATES: &[(&str, &[SessionState])] = &[
    (
        "running",
        &[SessionState::Starting, SessionState::Working, SessionState::Compacting],
    ),
    ("waiting", &[SessionState::WaitingApproval, SessionState::WaitingInput]),
    (
        "done",
        &[SessionState::Stopped, SessionState::Failed, SessionState::Lost],
    ),
];

/// The values that a word stands for; none when it is no value of this shape.
pub(super) fn read(shape: Shape, word: &str) -> Vec<Value> {
    let one = match shape {
        Shape::Text | Shape::Path => (!word.is_empty()).then(|| Value::Text(word.into())),
        Shape::State => return states(word),
        Shape::Kind => {
            let kind = Kind::ALL.iter().find(|kind| kind.as_str() == word);
            kind.copied().map(Value::Kind)
        }
        Shape::Number => number(word).map(Value::Number),
        Shape::Usd => micros(word).map(Value::Usd),
        Shape::Span => span(word).map(Value::Span),
        Shape::Moment => moment::parse(word)
            .map(Value::At)
            .or_else(|| span(word).map(Value::Ago)),
    };
    one.into_iter().collect()
}

fn states(word: &str) -> Vec<Value> {
    let one = SessionState::ALL.iter().find(|state| state.as_str() == word);
    let several = STATES.iter().find(|(name, _)| *name == word).map(|(_, states)| *states);
    let states = one.map_or(several.unwrap_or_default(), std::slice::from_ref);
    states.iter().copied().map(Value::State).collect()
}

fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

fn number(text: &str) -> Option<u64> {
    let (number, times) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 1000),
        b'm' => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    digits(number)?.checked_mul(times)
}

fn micros(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.len() > 6 {
        return None;
    }
    let places = u32::try_from(6 - fraction.len()).ok()?;
    let fraction = digits(fraction)? * 10_u64.pow(places);
    digits(whole)?.checked_mul(1_000_000)?.checked_add(fraction)
}

fn span(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit);
    let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(digits(count)?.checked_mul(*ms)?))
}

/// Whether a text has to be quoted to be read as itself.
fn needs_quotes(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\\');
    text.starts_with(['=', '!', '<', '>', '~']) || text.chars().any(odd)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) if needs_quotes(text) => {
                write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Self::Text(text) => f.write_str(text),
            Self::State(state) => f.write_str(state.as_str()),
            Self::Kind(kind) => f.write_str(kind.as_str()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Usd(micros) => {
                let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
                f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
            }
            Self::Span(span) | Self::Ago(span) => {
                let ms = span.as_millis();
                let exact = |(_, unit): &&(&str, u64)| ms % u128::from(*unit) == 0 && ms > 0;
                let (name, unit) = UNITS.iter().find(exact).unwrap_or(&("s", 1000));
                write!(f, "{}{name}", ms / u128::from(*unit))
            }
            Self::At(at) => f.write_str(&moment::format(*at)),
        }
    }
}
