//! Sessions that are kept for somebody: open until it is said how that ended, and remembered for a while then.

use super::{By, Change, Label};
use crate::fleet::SessionKey;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Bytes of a reason, or of a note at the end.
pub const REASON_BYTES_MAX: usize = 1024;
/// How many may be open.
pub const OPEN_MAX: usize = 1000;
/// How many may be open of one session.
pub const OPEN_OF_SESSION_MAX: usize = 8;
/// How many that are not are remembered; older ones are in the log.
pub const CLOSED_MAX: usize = 500;

/// A session that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Opening {
    /// Its number.
    pub id: u64,
    /// Which session.
    pub session: SessionKey,
    /// Why.
    pub reason: Box<str>,
    /// What kind of session it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// Who keeps it.
    pub by: By,
}

/// That it need not be open any longer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Closing {
    /// Its number.
    pub id: u64,
    /// Who says so.
    pub by: By,
    /// In words.
    pub note: Option<Box<str>>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was put away.
    Archived,
    /// Somebody looked at it.
    Resolved,
    /// Nobody need look at it.
    Dismissed,
}

impl How {
    /// What ends so.
    pub const fn kept(self) -> Kept {
        match self {
            Self::Archived => Kept::Case,
            Self::Resolved | Self::Dismissed => Kept::Review,
        }
    }

    pub(super) const fn closed(self, closing: Closing) -> Change {
        match self {
            Self::Archived => Change::CaseArchived(closing),
            Self::Resolved => Change::Resolved(closing),
            Self::Dismissed => Change::Dismissed(closing),
        }
    }
}

/// What for a session is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// To be found again.
    Case,
    /// To be looked at.
    Review,
}

impl Kept {
    pub(super) const fn opened(self, opening: Opening) -> Change {
        match self {
            Self::Case => Change::CaseCreated(opening),
            Self::Review => Change::Queued(opening),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Case => "case",
            Self::Review => "review",
        })
    }
}

/// An end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct End {
    /// How.
    pub how: How,
    /// By whom.
    pub by: By,
    /// In words.
    pub note: Option<Box<str>>,
    /// When.
    pub at: Timestamp,
}

/// A session that is, or was, kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct File {
    /// Which, and why.
    pub opening: Opening,
    /// Since when.
    pub at: Timestamp,
    /// How it ended; none while it is open.
    pub end: Option<End>,
}

/// Sessions that are kept, by number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Docket {
    #[serde(with = "crate::pairs")]
    files: BTreeMap<u64, File>,
    /// The last number given.
    pub(super) counted: u64,
}

impl Docket {
    /// All that are open, and those that are remembered, by number.
    pub fn files(&self) -> impl DoubleEndedIterator<Item = &File> {
        self.files.values()
    }

    /// The one of this number.
    pub fn get(&self, id: u64) -> Option<&File> {
        self.files.get(&id)
    }

    pub(super) fn is_open(&self) -> impl Iterator<Item = &File> {
        self.files.values().filter(|file| file.end.is_none())
    }

    pub(super) fn open(&mut self, opening: &Opening, at: Timestamp) {
        self.counted = self.counted.max(opening.id);
        self.files.entry(opening.id).or_insert_with(|| File {
            opening: opening.clone(),
            at,
            end: None,
        });
    }

    /// The first end counts.
    pub(super) fn close(&mut self, closing: &Closing, how: How, at: Timestamp) {
        if let Some(file @ File { end: None, .. }) = self.files.get_mut(&closing.id) {
            file.end = Some(End {
                how,
                by: closing.by.clone(),
                note: closing.note.clone(),
                at,
            });
        }
        let ended = |(id, file): (&u64, &File)| Some((file.end.as_ref()?.at, *id));
        if self.files.iter().filter_map(ended).count() > CLOSED_MAX
            && let Some((_, oldest)) = self.files.iter().filter_map(ended).min()
        {
            self.files.remove(&oldest);
        }
    }
}
