//! Questions about sessions, in a line of text: `agent=claude-code errors>2 cost_usd>=0.5 path~muster`.
//!
//! Terms are joined by AND; values with commas between them are alternatives. A query is read once, whole, and every word
//! of it is checked: a field that does not exist, a state that no session can be in, an operator that means nothing for a
//! number are refused with their place, so that no answer is empty by a slip of the pen. What a read query says is
//! written again the same way ([`std::fmt::Display`]), so it can be kept, shown and compared as text.

mod field;
mod moment;
mod parse;
mod row;
mod value;

pub use field::{Field, Kind};
pub use parse::{QueryError, Wrong};
pub use row::{Opinion, Row};

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use value::Value;

/// How long a query may be.
pub const QUERY_BYTES_MAX: usize = 1024;
/// How many terms it may have.
pub const TERMS_MAX: usize = 16;
/// How many alternatives a term may have.
pub const VALUES_MAX: usize = 16;

/// Which sessions. One without terms admits all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Query {
    terms: Vec<Term>,
}

/// One thing that a session must be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Term {
    field: Field,
    operator: Operator,
    values: Vec<Value>,
}

/// What a field is held against its values by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operator {
    Is,
    IsNot,
    More,
    AtLeast,
    Less,
    AtMost,
    Contains,
}

impl Operator {
    /// The longer before what they begin with.
    const ALL: &[Self] = &[
        Self::IsNot,
        Self::AtLeast,
        Self::AtMost,
        Self::Is,
        Self::More,
        Self::Less,
        Self::Contains,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Is => "=",
            Self::IsNot => "!=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Contains => "~",
        }
    }
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// [`QueryError`], with the place of what is wrong.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        parse::query(text)
    }

    /// Whether the session of this row is meant. Spans of time, as in `last_seen>=24h`, are counted back from `now`.
    pub fn matches(&self, row: &Row<'_>, now: Timestamp) -> bool {
        self.terms.iter().all(|term| term.admits(row, now))
    }
}

impl Term {
    /// What is not known of a session is none of the values, so only `!=` admits it.
    fn admits(&self, row: &Row<'_>, now: Timestamp) -> bool {
        let found = row.any(self.field, |known| {
            let mut values = self.values.iter();
            values.any(|value| known.meets(self.operator, value, now))
        });
        found != (self.operator == Operator::IsNot)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, term) in self.terms.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{}{}", term.field.as_str(), term.operator.as_str())?;
            for (place, value) in term.values.iter().enumerate() {
                let comma = if place == 0 { "" } else { "," };
                write!(f, "{comma}{value}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Query {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        Self::parse(text)
    }
}
