//! The texts rules are written in, and what is wrong with one.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Most bytes that all texts of a policy may have together. It travels in one event and one bucket entry, whose limit is
/// 1 MiB, beside what else they hold, and twice in JSON's escapes at worst.
pub const SOURCES_BYTES_MAX: usize = 256 * 1024;

/// One text of rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its file name without folders; rules without an id of their own are named after it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Source {
    /// What the product that the rules come from would do, ready to be switched on: the defaults of the nine families.
    pub fn ccd() -> Self {
        Self {
            name: "ccd.cedar".to_owned(),
            text: include_str!("../defaults/ccd.cedar").to_owned(),
        }
    }
}

/// Why texts are no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// More than [`SOURCES_BYTES_MAX`].
    #[error("the rules have {size_bytes} bytes; the limit is {limit_bytes}")]
    TooLarge {
        /// Their size.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// Two texts have one name.
    #[error("two files are named {0:?}; rename one")]
    SameName(String),
    /// What is wrong, and where.
    #[error("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Faulty {
        /// At least one.
        faults: Vec<Fault>,
    },
}

/// Something wrong at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The text's name.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong, and what to do where that is known.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl Source {
    pub(crate) fn fault(&self, offset: usize, message: String) -> Fault {
        let (line, column) = self.place(offset);
        Fault {
            file: self.name.clone(),
            line,
            column,
            message,
        }
    }

    /// Line and column of a byte.
    pub(crate) fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }
}

/// The first control character that is no white space: such a one would be six bytes in JSON, and no rule needs it.
pub(crate) fn control_character(source: &Source) -> Option<Fault> {
    let allowed = |letter: &char| !letter.is_control() || matches!(letter, '\n' | '\r' | '\t');
    let place = source.text.char_indices().find(|(_, letter)| !allowed(letter))?.0;
    Some(source.fault(place, "a control character; take it out".to_owned()))
}

/// Refuses what is too large or named twice.
pub(crate) fn check(sources: &[Source]) -> Result<(), PolicyError> {
    let size_bytes = sources.iter().map(|source| source.text.len() + source.name.len()).sum();
    if size_bytes > SOURCES_BYTES_MAX {
        return Err(PolicyError::TooLarge {
            size_bytes,
            limit_bytes: SOURCES_BYTES_MAX,
        });
    }
    let twice = |source: &&Source| sources.iter().filter(|other| other.name == source.name).count() > 1;
    sources
        .iter()
        .find(twice)
        .map_or(Ok(()), |source| Err(PolicyError::SameName(source.name.clone())))
}

/// One name for the same rules, however their files are ordered and their lines end.
pub fn fingerprint(sources: &[Source]) -> String {
    let mut sorted: Vec<&Source> = sources.iter().collect();
    sorted.sort_by(|one, other| one.name.cmp(&other.name));
    let mut hash = Sha256::new();
    for source in sorted {
        hash.update(source.name.as_bytes());
        hash.update([0]);
        for line in source.text.trim_end().lines() {
            hash.update(line.trim_end().as_bytes());
            hash.update(b"\n");
        }
        hash.update([0]);
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
