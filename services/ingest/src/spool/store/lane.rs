//! The statements of each lane. Tables cannot be parameters, and a statement spelled out is prepared once.

use super::Lane;

impl Lane {
    pub(in crate::spool) fn table(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Transcript => "transcript",
        }
    }

    /// As stored: never renumber.
    pub(in crate::spool) fn code(self) -> i64 {
        match self {
            Self::Events => 0,
            Self::Transcript => 1,
        }
    }

    pub(in crate::spool) fn insert(self) -> &'static str {
        match self {
            Self::Events => "insert into events values (?, ?, ?)",
            Self::Transcript => "insert into transcript values (?, ?, ?)",
        }
    }

    pub(in crate::spool) fn read(self) -> &'static str {
        match self {
            Self::Events => "select seq, bytes from events where seq >= ? order by seq",
            Self::Transcript => "select seq, bytes from transcript where seq >= ? order by seq",
        }
    }

    pub(in crate::spool) fn replace(self) -> &'static str {
        match self {
            Self::Events => "update events set seq = ?2, bytes = ?3 where seq = ?1",
            Self::Transcript => "update transcript set seq = ?2, bytes = ?3 where seq = ?1",
        }
    }

    pub(in crate::spool) fn trim(self) -> &'static str {
        match self {
            Self::Events => "delete from events where seq <= ?",
            Self::Transcript => "delete from transcript where seq <= ?",
        }
    }
}
