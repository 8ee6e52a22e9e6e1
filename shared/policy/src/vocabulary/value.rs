//! A tool's input as a Cedar value.
//!
//! Built by hand instead of by Cedar's own JSON reader: that one takes `{"__entity": …}` for an entity, and what a model
//! writes must stay data. Cedar has no null and no fractions: a null is left out, a number that is no 64-bit integer
//! becomes its text.
//!
//! A rule's `like` costs as much as the text is long, for each rule. So a text over [`TEXT_BYTES_MAX`] is not shown: in its
//! place stands an empty record. It equals no text that a rule names, which is true of what is that long, and a rule that
//! looks into it fails, which `evaluate` counts as a rule that applies.

use cedar_policy::{ExpressionConstructionError, RestrictedExpression};
use serde_json::Value;

/// What lies deeper in an input is left out: Cedar walks values recursively.
const DEPTH_MAX: usize = 32;

/// Bytes of one text that rules may look into: more than a command or a path ever has, and than most files.
pub(crate) const TEXT_BYTES_MAX: usize = 64 * 1024;

pub(super) fn text(text: &str) -> RestrictedExpression {
    if is_withheld(text) {
        return RestrictedExpression::new_record([]).expect("invariant: no name is there twice");
    }
    RestrictedExpression::new_string(text.to_owned())
}

/// Whether rules are not shown a text.
pub(super) const fn is_withheld(text: &str) -> bool {
    text.len() > TEXT_BYTES_MAX
}

/// Whether rules are not shown all texts of an input.
pub(super) fn withholds(input: &Value) -> bool {
    match input {
        Value::String(text) => is_withheld(text),
        Value::Array(values) => values.iter().any(withholds),
        Value::Object(members) => members.values().any(withholds),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// An input as a record; one that is no object is a record without members.
pub(super) fn record(input: &Value) -> Result<RestrictedExpression, ExpressionConstructionError> {
    match expression(input, 0)? {
        Some(record) if input.is_object() => Ok(record),
        _ => RestrictedExpression::new_record([]),
    }
}

fn expression(value: &Value, depth: usize) -> Result<Option<RestrictedExpression>, ExpressionConstructionError> {
    if depth > DEPTH_MAX {
        return Ok(None);
    }
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Bool(yes) => RestrictedExpression::new_bool(*yes),
        Value::Number(number) => match number.as_i64() {
            Some(number) => RestrictedExpression::new_long(number),
            None => RestrictedExpression::new_string(number.to_string()),
        },
        Value::String(string) => text(string),
        Value::Array(values) => {
            let mut found = Vec::with_capacity(values.len());
            for value in values {
                found.extend(expression(value, depth + 1)?);
            }
            RestrictedExpression::new_set(found)
        }
        Value::Object(members) => {
            let mut found = Vec::with_capacity(members.len());
            for (name, value) in members {
                found.extend(expression(value, depth + 1)?.map(|value| (name.clone(), value)));
            }
            RestrictedExpression::new_record(found)?
        }
    }))
}
