//! One enum of everything that can happen to the orchestrator.
//!
//! Every source becomes a variant and one loop handles them one after another, so no two parts ever disagree about what
//! came first. See `serve.rs` for the loop.

use crate::leadership::Term;
use muster_bus::kv::Watched;
use muster_bus::service::Incoming;
use muster_bus::{Refusal, StreamState};
use muster_domain::fact::Recorded;
use muster_domain::fleet::Fleet;
use muster_domain::ids::EventId;

/// What the loop is told.
pub(crate) enum Input {
    /// The log is followed from where this state ends.
    Restored {
        /// A snapshot, or nothing folded yet.
        fleet: Box<Fleet>,
        /// The log as it was found.
        log: StreamState,
        /// How many events it held after that state.
        behind: u64,
    },
    /// The next events of the log: as many as had arrived.
    Events {
        /// In order.
        events: Vec<Event>,
        /// How many the log held after them when they were read.
        behind: u64,
    },
    /// The log is not the one that was folded: recreated, or its tail is gone. Another state follows.
    LogReplaced(String),
    /// A host's presence changed.
    Presence(Watched),
    /// This instance was elected; it may write once it has folded its own election.
    Elected(Term),
    /// What became of what was given to the writer; or the term is over.
    Written(Result<Vec<Landed>, Deposed>),
    /// Somebody asks.
    Request(Box<Incoming>),
    /// Time passes: deadlines, snapshots, gauges.
    Tick,
}

/// An event of the log, read outside of the loop, which has no time to lose.
pub(crate) struct Event {
    /// Its sequence.
    pub(crate) seq: u64,
    /// What it says; none when it cannot be read.
    pub(crate) recorded: Option<Recorded>,
    /// W3C trace context of whoever published it.
    pub(crate) traceparent: Option<String>,
}

/// What became of one decision.
pub(crate) struct Landed {
    /// The event it would be.
    pub(crate) id: EventId,
    /// Its place in the log, which may be an old one: the same was decided before. Or why it has none and never will.
    pub(crate) at: Result<u64, Refusal>,
}

/// A term ended, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Deposed(pub(crate) String);
