//! Texts into rules.
//!
//! A rule is one Cedar policy. `forbid` denies, unless `@decision` makes it ask for an approval or an escalation; `permit`
//! allows, and with `@grant("true")` takes the place of the agent's own question. What an annotation says is checked here,
//! once, so that a misspelt one is refused instead of having no effect.

mod annotations;
mod heads;
mod read;

#[cfg(test)]
mod tests;

use crate::source::{PolicyError, Source, check, fingerprint};
use crate::vocabulary::Vocabulary;
use cedar_policy::Authorizer;
pub(crate) use heads::Heads;
use muster_domain::policy::Ruling;
use std::collections::BTreeMap;

/// One rule, besides when it applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its `@id`, else the file's name and its number in it.
    pub id: String,
    /// The text it stands in.
    pub file: String,
    /// Where, from 1.
    pub line: usize,
    /// What it decides.
    pub ruling: Ruling,
    /// An allowing rule that also answers the agent's own question.
    pub grant: bool,
    /// The code for programs.
    pub reason: String,
    /// The sentence for people and models.
    pub message: Option<String>,
    /// Place among all rules; of two equally strict ones the earlier speaks.
    pub(crate) order: usize,
}

/// Rules, ready to be asked.
#[derive(Debug)]
pub struct Policies {
    pub(crate) rules: BTreeMap<String, Rule>,
    pub(crate) forbids: Heads,
    pub(crate) permits: Heads,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) authorizer: Authorizer,
    fingerprint: String,
    warnings: Vec<String>,
}

impl Policies {
    /// Reads texts.
    ///
    /// # Errors
    /// [`PolicyError`] names every place that is wrong, as far as the reader got.
    pub fn parse(sources: &[Source]) -> Result<Self, PolicyError> {
        check(sources)?;
        let mut reader = read::Reader::default();
        for source in sources {
            reader.take(source);
        }
        let read = reader.finish()?;
        Ok(Self {
            rules: read.rules,
            forbids: read.forbids,
            permits: read.permits,
            vocabulary: Vocabulary::new(),
            authorizer: Authorizer::new(),
            fingerprint: fingerprint(sources),
            warnings: read.warnings,
        })
    }

    /// One name for these rules.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The rules, by id.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// What is legal and probably not meant.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
