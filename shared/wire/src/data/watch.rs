//! What `muster run` sees of the processes that it launched: `process.lifecycle.descendant_*`, `process.process.exec`,
//! `process.file.*` and `process.network.*`.
//!
//! All of it is seen in samples, so a payload says what was found and no more: the bytes that an offset shows, the name
//! that a file has lost, but not who took it. Arguments are never read: they may hold secrets.

use muster_domain::names::RunId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// What is watched: one family of events, in the words of the option `--watch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Descendants that begin and end.
    Lifecycle,
    /// Programs that take another's place in a process.
    Process,
    /// Files that are opened, written, closed, unlinked and renamed.
    File,
    /// Connections made and listened for.
    Network,
}

impl Category {
    /// Every category.
    pub const ALL: [Self; 4] = [Self::Lifecycle, Self::Process, Self::File, Self::Network];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lifecycle => "lifecycle",
            Self::Process => "process",
            Self::File => "file",
            Self::Network => "network",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The categories that a run watches.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Categories(BTreeSet<Category>);

/// A word that is no category.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot be watched; name some of lifecycle, process, file, network, with commas between, or all, or none"
)]
pub struct UnknownCategory(String);

impl Categories {
    /// Whether this one is watched.
    pub fn contains(&self, category: Category) -> bool {
        self.0.contains(&category)
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Category> for Categories {
    fn from_iter<I: IntoIterator<Item = Category>>(categories: I) -> Self {
        Self(categories.into_iter().collect())
    }
}

impl FromStr for Categories {
    type Err = UnknownCategory;

    fn from_str(text: &str) -> Result<Self, UnknownCategory> {
        let category = |word: &str| {
            let known = Category::ALL.into_iter().find(|known| known.as_str() == word);
            known.ok_or_else(|| UnknownCategory(word.to_owned()))
        };
        match text {
            "all" => Ok(Category::ALL.into_iter().collect()),
            "none" => Ok(Self::default()),
            words => words.split(',').map(|word| category(word.trim())).collect(),
        }
    }
}

/// The process that something was seen of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Process id in the pid namespace of `muster run`.
    pub pid: u32,
    /// Start in clock ticks since boot: with `pid`, one process and no later one.
    pub start_ticks: u64,
    /// The program's name as the kernel keeps it, 15 bytes at most.
    pub command: String,
    /// The run that launched it.
    pub run: RunId,
}

/// `descendant_started` and `descendant_exited`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descendant {
    /// Which one.
    #[serde(flatten)]
    pub process: Seen,
    /// Its parent, as it was seen first.
    pub ppid: u32,
    /// The program's file, where it may be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// How it ended: exit status, or the negative number of the signal. Only its parent is told that for sure; here it is
    /// known where the parent had not asked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
}

/// `exec`: another program runs in a process that was known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// The process, with the new program's name.
    #[serde(flatten)]
    pub process: Seen,
    /// The new program's file, where it may be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The name of the program before.
    pub before: String,
}

/// How a file was opened, as far as the kernel keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenFlag {
    /// To read.
    Read,
    /// To write.
    Write,
    /// What is written goes to the end.
    Append,
}

/// `open`: a process has a file open that it had not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOpened {
    /// Whose descriptor it is.
    #[serde(flatten)]
    pub process: Seen,
    /// The file's name.
    pub path: String,
    /// How.
    pub flags: Vec<OpenFlag>,
}

/// `write`: a descriptor that only writes has moved on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWritten {
    /// Whose descriptor it is.
    #[serde(flatten)]
    pub process: Seen,
    /// The file's name.
    pub path: String,
    /// By how many bytes, where the offset shows it: not for the first write at the end of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byte_count: Option<u64>,
}

/// `close` and `unlink`: a process has a file open no more; a file that a process has open lost its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLeft {
    /// Whose descriptor it is, or was. Who unlinked the file is not known.
    #[serde(flatten)]
    pub process: Seen,
    /// The file's name.
    pub path: String,
}

/// `rename`: a file that a process has open has another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRenamed {
    /// Whose descriptor it is. Who renamed the file is not known.
    #[serde(flatten)]
    pub process: Seen,
    /// The name before.
    pub from: String,
    /// The name now.
    pub to: String,
}

/// `listen` and `connect`, over TCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// Whose socket it is.
    #[serde(flatten)]
    pub process: Seen,
    /// Where it listens, or what it is connected to.
    pub address: SocketAddr,
    /// The near end of a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<SocketAddr>,
}

/// What a run watched, and how much of it is not told: part of its `exited`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Watched {
    /// What was watched.
    pub categories: Categories,
    /// Observations that were told.
    pub told: u64,
    /// Those that were not, because there were too many.
    #[serde(default, skip_serializing_if = "none")]
    pub passed_over: u64,
    /// Descendants that nobody looked at, because there were too many: the most that were seen at once.
    #[serde(default, skip_serializing_if = "none")]
    pub unwatched: u64,
    /// Descriptors that nobody looked at, because there were too many or they may not be read: the most at once.
    #[serde(default, skip_serializing_if = "none")]
    pub unread: u64,
    /// Descendants that run on.
    #[serde(default, skip_serializing_if = "none")]
    pub running: u64,
}

impl Watched {
    /// The same where so many of the observations told were lost on their way.
    #[must_use]
    pub fn without(mut self, observations: u64) -> Self {
        self.told = self.told.saturating_sub(observations);
        self.passed_over += observations;
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn none(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_words_with_commas_between() {
        let some: Categories = "file, lifecycle".parse().unwrap();
        assert_eq!(some, [Category::Lifecycle, Category::File].into_iter().collect());
        assert_eq!(
            "all".parse::<Categories>().unwrap(),
            Category::ALL.into_iter().collect()
        );
        assert!("none".parse::<Categories>().unwrap().is_empty());
        for wrong in ["", "files", "file,", "all,file", "File"] {
            let refused = wrong.parse::<Categories>().unwrap_err().to_string();
            assert!(refused.contains("lifecycle, process, file, network"), "{refused}");
        }
    }

    #[test]
    fn a_category_is_written_as_it_is_asked_for() {
        for category in Category::ALL {
            let written = serde_json::to_value(category).unwrap();
            assert_eq!(written, category.as_str());
        }
    }
}
