//! One enum of everything that can happen to the orchestrator.
//!
//! Every source becomes a variant and one loop handles them one after another, so no two parts ever disagree about what
//! came first. See `control.rs` for the loop.

use crate::leadership::Term;
use muster_bus::kv::Watched;
use muster_bus::read::Stored;
use muster_bus::service::Incoming;

/// What the loop is told.
pub(crate) enum Input {
    /// The next event of the log.
    Event {
        /// It.
        stored: Stored,
        /// How many the log held after it when it was read.
        behind: u64,
    },
    /// The log is not the one that was folded: recreated, or its tail is gone.
    LogReplaced(String),
    /// A host's presence changed.
    Presence(Watched),
    /// This instance was elected; it may write once it has folded its own election.
    Elected(Term),
    /// What was given to the writer is stored, or the term is over.
    Written(Result<(), Deposed>),
    /// Somebody asks.
    Request(Incoming),
    /// The earliest deadline of the state has come.
    Deadline,
    /// Time to look whether a snapshot is due.
    Snapshot,
    /// Shut down.
    Drain,
}

/// A term ended, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Deposed(pub(crate) String);
