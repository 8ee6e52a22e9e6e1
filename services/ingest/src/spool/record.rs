//! The nouns of the spool: what lies in it, in which lane, and what it says about itself.

use std::time::{Duration, SystemTime};

use muster_domain::ids::ProducerId;

/// Which of the producer's two counts a record belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// What state is folded from.
    Events,
    /// Bulky output lines, from which nothing is folded.
    Transcript,
}

/// Who may use the last `reserve_bytes` of the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    Low,
    /// Lifecycle and approvals: losing them would lose the session, not a detail of it.
    High,
}

/// The place of a record in the history of its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub producer: ProducerId,
    /// From 1, per lane, without holes.
    pub seq: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub seq: u64,
    pub bytes: Vec<u8>,
}

/// Something set aside for people: a record the hub refused for good, or an input that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    pub id: u64,
    /// `None` for an input that never became a record.
    pub record: Option<(Lane, Origin)>,
    pub at: SystemTime,
    pub reason: String,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct Options {
    /// Pages in use on disk beyond which everything is refused. The write-ahead log (up to 8 MiB) comes on top.
    pub max_bytes: u64,
    /// The part of `max_bytes` only [`Priority::High`] may use.
    pub reserve_bytes: u64,
    /// How long an acked record is kept; longer than the hub's fsync interval (2 min by default), unless it syncs always.
    pub retain_after_ack: Duration,
    /// Unreadable inputs kept; the oldest makes room.
    pub raw_max_count: u64,
    /// Bytes of unreadable inputs kept; the oldest makes room.
    pub raw_max_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            reserve_bytes: 64 << 20,
            retain_after_ack: Duration::from_secs(150),
            raw_max_count: 256,
            raw_max_bytes: 16 << 20,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneStats {
    pub records: u64,
    /// Records the hub has not acked.
    pub owed: u64,
    /// Age of the oldest owed record.
    pub oldest_owed: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    pub used_bytes: u64,
    pub max_bytes: u64,
    pub events: LaneStats,
    pub transcript: LaneStats,
    /// Records the hub refused for good.
    pub parked: u64,
    /// Unreadable inputs at hand.
    pub raw: u64,
    /// Unreadable inputs that made room for newer ones, since open.
    pub raw_dropped: u64,
    /// Appends refused because the spool was full, since open.
    pub refused: u64,
}

impl Lane {
    pub(super) const ALL: [Self; 2] = [Self::Events, Self::Transcript];

    pub(super) fn index(self) -> usize {
        match self {
            Self::Events => 0,
            Self::Transcript => 1,
        }
    }
}
