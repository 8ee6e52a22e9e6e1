//! What was said of sessions: each word by whom, the latest of each speaker counting.

use super::By;
use crate::fleet::SessionKey;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Bytes of a note: a page.
pub const NOTE_BYTES_MAX: usize = 4 * 1024;
/// Words about one session.
pub const SESSION_MAX: usize = 32;
/// Words about all of them.
pub const FEEDBACK_MAX: usize = 5000;
/// Bytes that they weigh: every instance keeps them, and a snapshot carries them.
pub const WEIGHT_MAX: usize = 4 * 1024 * 1024;
/// What a word weighs beside its note.
const WEIGHT_EACH: usize = 256;

/// From 1, which is worst, to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Score(u8);

/// A number that is no score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a score is 1, which is worst, to 5, not {0}")]
pub struct NoScore(u8);

impl TryFrom<u8> for Score {
    type Error = NoScore;

    fn try_from(score: u8) -> Result<Self, NoScore> {
        if (1..=5).contains(&score) {
            Ok(Self(score))
        } else {
            Err(NoScore(score))
        }
    }
}

impl From<Score> for u8 {
    fn from(score: Score) -> Self {
        score.0
    }
}

/// What kind of session it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// It did what it should.
    Good,
    /// It did not.
    Bad,
    /// Worth a look, for whatever reason.
    Interesting,
    /// It made, or met, a fault.
    Bug,
    /// It went well before.
    Regression,
}

impl Label {
    /// Every label.
    pub const ALL: &[Self] = &[Self::Good, Self::Bad, Self::Interesting, Self::Bug, Self::Regression];

    /// The name, as in `good`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Interesting => "interesting",
            Self::Bug => "bug",
            Self::Regression => "regression",
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one speaker says of a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Annotation {
    /// Its number.
    pub id: u64,
    /// Of which session.
    pub session: SessionKey,
    /// How good it was.
    pub score: Option<Score>,
    /// What kind it was.
    pub label: Option<Label>,
    /// In words.
    pub note: Option<Box<str>>,
    /// Who says it.
    pub by: By,
}

impl Annotation {
    /// Whether it says that something went wrong: a score of 1 or 2, or a label that does.
    pub fn is_bad(&self) -> bool {
        self.score.is_some_and(|score| score.0 <= 2)
            || matches!(self.label, Some(Label::Bad | Label::Bug | Label::Regression))
    }

    fn weight(&self) -> usize {
        WEIGHT_EACH + self.note.as_deref().map_or(0, str::len)
    }
}

/// What was said, and when.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Word {
    /// What was said.
    pub annotation: Annotation,
    /// When.
    pub at: Timestamp,
}

/// What was said of all sessions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Feedback {
    /// The latest last.
    #[serde(with = "crate::pairs")]
    said: BTreeMap<SessionKey, Vec<Word>>,
    /// The last number given.
    pub(super) counted: u64,
}

/// Whether nobody said anything else later who said this.
fn counts(words: &[Word], at: usize) -> bool {
    let by = &words[at].annotation.by;
    !words[at + 1..].iter().any(|later| later.annotation.by == *by)
}

impl Feedback {
    /// Every word, and whether it counts.
    pub fn all(&self) -> impl Iterator<Item = (&Word, bool)> {
        self.said.values().flat_map(|words| {
            let each = words.iter().enumerate();
            each.map(move |(at, word)| (word, counts(words, at)))
        })
    }

    /// The word of this number, and whether it counts.
    pub fn get(&self, id: u64) -> Option<(&Word, bool)> {
        self.all().find(|(word, _)| word.annotation.id == id)
    }

    /// What counts of what was said of this session.
    pub fn of<'a>(&'a self, key: &SessionKey) -> impl Iterator<Item = &'a Word> + use<'a> {
        let words = self.said.get(key).map(Vec::as_slice).unwrap_or_default();
        let each = words.iter().enumerate();
        each.filter(|(at, _)| counts(words, *at)).map(|(_, word)| word)
    }

    /// How many words there are, and what they weigh.
    pub(super) fn size(&self) -> (usize, usize) {
        let words = self.said.values().flatten();
        words.fold((0, 0), |(many, weight), word| {
            (many + 1, weight + word.annotation.weight())
        })
    }

    /// Whether somebody may still speak of this session: those who did may.
    pub(super) fn hears(&self, key: &SessionKey, by: &By) -> bool {
        let speakers = || self.of(key).map(|word| &word.annotation.by);
        speakers().count() < SESSION_MAX || speakers().any(|known| known == by)
    }

    /// How much more it would weigh with this.
    pub(super) fn weight_with(&self, annotation: &Annotation) -> (usize, usize) {
        let (many, weight) = self.size();
        (many + 1, weight + annotation.weight())
    }

    pub(super) fn take(&mut self, annotation: &Annotation, at: Timestamp) {
        self.counted = self.counted.max(annotation.id);
        let words = self.said.entry(annotation.session.clone()).or_default();
        words.push(Word {
            annotation: annotation.clone(),
            at,
        });
        if words.len() > SESSION_MAX {
            let spent = (0..words.len()).find(|at| !counts(words, *at));
            words.remove(spent.unwrap_or(0));
        }
    }

    pub(super) fn forget(&mut self, key: &SessionKey) {
        self.said.remove(key);
    }
}
