//! Secrets do not leave the host: they are taken out before anything is written to disk.
//!
//! Two ways in: a text that *looks* like a secret, wherever it stands, as a key too ([`patterns`]), and any text under a
//! key that *says* it is one. What is found becomes `[redacted:<kind>]`, which holds no quote and no backslash, so that
//! JSON kept inside a string stays JSON. A payload without secrets is neither copied nor changed.

mod patterns;
#[cfg(test)]
mod tests;

use patterns::{PATTERNS, Rule};
use regex::{Captures, Regex, RegexSet};
use serde_json::{Map, Value};

/// What stands for a text whose key said that it is secret.
const BY_KEY: &str = "[redacted:key]";

/// Shorter texts hold no secret worth the name: the shortest pattern needs more.
const TEXT_BYTES_MIN: usize = 8;

/// All patterns, compiled once.
#[derive(Debug)]
pub(crate) struct Redactor {
    any: RegexSet,
    rules: Vec<(Regex, Rule)>,
}

impl Redactor {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// None that a test would not show first: the patterns are constants.
    pub(crate) fn new() -> Result<Self, regex::Error> {
        let compile = |rule: &Rule| Regex::new(rule.pattern).map(|regex| (regex, *rule));
        Ok(Self {
            any: RegexSet::new(PATTERNS.iter().map(|rule| rule.pattern))?,
            rules: PATTERNS.iter().map(compile).collect::<Result<_, _>>()?,
        })
    }

    /// Takes the secrets out of every text in `value`; returns how many there were.
    pub(crate) fn redact(&self, value: &mut Value) -> u64 {
        match value {
            Value::String(text) => self.redact_in(text),
            Value::Array(items) => items.iter_mut().map(|item| self.redact(item)).sum(),
            Value::Object(members) => {
                let texts: u64 = members
                    .iter_mut()
                    .map(|(key, value)| {
                        let named = if says_secret(key) { hide(value) } else { 0 };
                        named + self.redact(value)
                    })
                    .sum();
                texts + self.redact_keys(members)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }

    /// Takes the secrets out of the keys themselves. Two keys that become the same are numbered, so that neither loses what
    /// is under it.
    fn redact_keys(&self, members: &mut Map<String, Value>) -> u64 {
        if !members.keys().any(|key| self.any.is_match(key)) {
            return 0;
        }
        let mut found = 0;
        for (mut key, value) in std::mem::take(members) {
            found += self.redact_in(&mut key);
            let mut free = key.clone();
            let mut number = 1;
            while members.contains_key(&free) {
                number += 1;
                free = format!("{key} {number}");
            }
            members.insert(free, value);
        }
        found
    }

    fn redact_in(&self, text: &mut String) -> u64 {
        if text.len() < TEXT_BYTES_MIN {
            return 0;
        }
        let hits = self.any.matches(text);
        let mut found = 0;
        for (regex, rule) in hits.iter().filter_map(|index| self.rules.get(index)) {
            let replaced = regex.replace_all(text, |captures: &Captures<'_>| {
                let whole = captures.get(0).map_or("", |m| m.as_str());
                let part = |name| captures.name(name).map_or("", |m| m.as_str());
                let secret = captures.name("secret").map_or(whole, |m| m.as_str());
                if !(rule.plausible)(secret) {
                    return whole.to_owned();
                }
                found += 1;
                format!("{}[redacted:{}]{}", part("before"), rule.kind, part("after"))
            });
            if let std::borrow::Cow::Owned(replaced) = replaced {
                *text = replaced;
            }
        }
        found
    }
}

/// Replaces the texts directly under a key that says they are secret.
fn hide(value: &mut Value) -> u64 {
    match value {
        Value::String(text) if !text.is_empty() && text != BY_KEY => {
            BY_KEY.clone_into(text);
            1
        }
        Value::Array(items) => items.iter_mut().filter(|item| item.is_string()).map(hide).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => 0,
    }
}

/// Key names that hold secrets, without case and separators; a longer name that ends in one is one too.
const SECRET_KEYS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "authorization",
    "cookie",
    "connectionstring",
];

fn says_secret(key: &str) -> bool {
    SECRET_KEYS.iter().any(|name| {
        let mut letters = key.bytes().rev().filter(|b| !matches!(b, b'_' | b'-' | b'.'));
        name.bytes()
            .rev()
            .all(|b| letters.next().is_some_and(|l| l.eq_ignore_ascii_case(&b)))
    })
}
