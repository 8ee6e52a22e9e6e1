//! Reading a query, and saying what is wrong with one.

use super::field::Field;
use super::value::{self, Value};
use super::{Operator, QUERY_BYTES_MAX, Query, TERMS_MAX, Term, VALUES_MAX};

/// A text that is no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {}: {wrong}", .position + 1)]
pub struct QueryError {
    /// Where: characters before it.
    pub position: usize,
    /// What.
    pub wrong: Wrong,
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is longer than any question.
    #[error("the query has {0} bytes; the limit is {QUERY_BYTES_MAX}")]
    TooLong(usize),
    /// It has too many terms.
    #[error("the query has more than {TERMS_MAX} terms")]
    TooManyTerms,
    /// One of its terms has too many alternatives.
    #[error("the term has more than {VALUES_MAX} values")]
    TooManyValues,
    /// A term has no operator.
    #[error("{0:?} is no term; write FIELD OPERATOR VALUE without spaces between, as in errors>2")]
    NoOperator(String),
    /// Nothing is known of sessions by this name.
    #[error("no field {name:?}; fields are {}", names())]
    UnknownField {
        /// The name.
        name: String,
    },
    /// The operator means nothing for this field.
    #[error("{field} does not take {operator}, but {}", operators(*.field))]
    NotForThis {
        /// The field.
        field: Field,
        /// The operator.
        operator: &'static str,
    },
    /// The value is none of this field's.
    #[error("{word:?} is no value of {field}, which is {}", .field.shape().example())]
    BadValue {
        /// The field.
        field: Field,
        /// What stands there.
        word: String,
    },
    /// Of several values the order means nothing.
    #[error("{field}{operator} takes one value; several are alternatives for =, != and ~")]
    OneValue {
        /// The field.
        field: Field,
        /// The operator.
        operator: &'static str,
    },
    /// A quoted value goes on to the end.
    #[error("the quotes are not closed")]
    OpenQuotes,
    /// Something follows a quoted value.
    #[error("{0:?} follows the quotes; a comma or a space has to")]
    AfterQuotes(char),
}

fn names() -> String {
    let names: Vec<&str> = Field::ALL.iter().map(|field| field.as_str()).collect();
    names.join(", ")
}

fn operators(field: Field) -> String {
    let names: Vec<&str> = field.shape().operators().iter().map(|one| one.as_str()).collect();
    names.join(", ")
}

pub(super) fn query(text: &str) -> Result<Query, QueryError> {
    let mut reader = Reader { text, rest: text };
    if text.len() > QUERY_BYTES_MAX {
        return Err(reader.wrong(Wrong::TooLong(text.len())));
    }
    let mut terms = Vec::new();
    loop {
        reader.rest = reader.rest.trim_start();
        if reader.rest.is_empty() {
            return Ok(Query { terms });
        }
        if terms.len() == TERMS_MAX {
            return Err(reader.wrong(Wrong::TooManyTerms));
        }
        terms.push(reader.term()?);
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn wrong(&self, wrong: Wrong) -> QueryError {
        let read = &self.text[..self.text.len() - self.rest.len()];
        QueryError {
            position: read.chars().count(),
            wrong,
        }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn term(&mut self) -> Result<Term, QueryError> {
        let field = self.field()?;
        let Some(operator) = Operator::ALL
            .iter()
            .copied()
            .find(|operator| self.rest.starts_with(operator.as_str()))
        else {
            return Err(self.wrong(Wrong::NoOperator(field.as_str().to_owned())));
        };
        if !field.shape().operators().contains(&operator) {
            let operator = operator.as_str();
            return Err(self.wrong(Wrong::NotForThis { field, operator }));
        }
        self.take(operator.as_str().len());
        let values = self.values(field, operator)?;
        Ok(Term {
            field,
            operator,
            values,
        })
    }

    fn field(&mut self) -> Result<Field, QueryError> {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let name = &self.rest[..end.unwrap_or(self.rest.len())];
        let word = || self.rest.split_whitespace().next().unwrap_or_default().to_owned();
        let follows = &self.rest[name.len()..];
        if name.is_empty() || !follows.starts_with(['=', '!', '<', '>', '~']) {
            return Err(self.wrong(Wrong::NoOperator(word())));
        }
        let Some(field) = Field::named(name) else {
            let name = name.to_owned();
            return Err(self.wrong(Wrong::UnknownField { name }));
        };
        self.take(name.len());
        Ok(field)
    }

    fn values(&mut self, field: Field, operator: Operator) -> Result<Vec<Value>, QueryError> {
        let mut values = Vec::new();
        loop {
            let here = Self { ..*self };
            let word = self.word(field)?;
            let read = value::read(field.shape(), &word);
            if read.is_empty() {
                return Err(here.wrong(Wrong::BadValue { field, word }));
            }
            values.extend(read);
            if values.len() > VALUES_MAX {
                return Err(here.wrong(Wrong::TooManyValues));
            }
            if !self.rest.starts_with(',') {
                break;
            }
            self.take(1);
            if !matches!(operator, Operator::Is | Operator::IsNot | Operator::Contains) {
                let operator = operator.as_str();
                return Err(self.wrong(Wrong::OneValue { field, operator }));
            }
        }
        Ok(values)
    }

    /// One value as it was meant, its quotes taken off.
    fn word(&mut self, field: Field) -> Result<String, QueryError> {
        if !self.rest.starts_with('"') {
            let end = self
                .rest
                .find(|c: char| c.is_whitespace() || matches!(c, ',' | '"' | '\\'));
            let end = end.unwrap_or(self.rest.len());
            let bare = &self.rest[..end];
            let ends = self.rest[end..].chars().next();
            if bare.starts_with(['=', '!', '<', '>', '~']) || matches!(ends, Some('"' | '\\')) {
                let word = self.rest.split_whitespace().next().unwrap_or_default().to_owned();
                return Err(self.wrong(Wrong::BadValue { field, word }));
            }
            return Ok(self.take(end).to_owned());
        }
        let quoted = Self { ..*self };
        self.take(1);
        let mut word = String::new();
        let mut escaped = false;
        for (at, c) in self.rest.char_indices() {
            match c {
                _ if escaped => {
                    word.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.take(at + 1);
                    return match self.rest.chars().next() {
                        Some(c) if c != ',' && !c.is_whitespace() => Err(self.wrong(Wrong::AfterQuotes(c))),
                        _ => Ok(word),
                    };
                }
                _ => word.push(c),
            }
        }
        Err(quoted.wrong(Wrong::OpenQuotes))
    }
}
