//! How far the work got, and until when it may stay there.
//!
//! An ingest that cannot be reached must not cost the agent more than a moment, and one that was
//! reached not more than the budget. Only where it says that it holds the call is it waited for as
//! long as a person may take. So the deadline depends on the stage.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For a first connection: a live ingest accepts within a millisecond, a restarting one is back
/// within this, and an agent feels no more than a stutter when neither is there.
pub(crate) const CONNECT: Duration = Duration::from_millis(500);

/// For the first frame of ingest on a connection, which it sends before any work.
const GREETING: Duration = Duration::from_secs(2);

/// In the order of their happening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    ReadingInput,
    Connecting,
    AwaitingGreeting,
    /// Ingest has greeted once; kept through reconnects.
    AwaitingAnswer,
    /// Ingest has said once that it holds the call; kept through reconnects.
    Held,
    Finished,
}

#[derive(Clone)]
pub(crate) struct Progress {
    end: Instant,
    held_end: Instant,
    reached: Arc<Mutex<(Stage, Instant)>>,
}

impl Progress {
    pub(crate) fn new(started: Instant, budget: Duration, wait: Option<Duration>) -> Self {
        Self {
            end: started + budget,
            held_end: started + wait.unwrap_or(budget),
            reached: Arc::new(Mutex::new((Stage::ReadingInput, started))),
        }
    }

    /// Moves on to `stage`; never back, so that a reconnect keeps the longer patience.
    pub(crate) fn reach(&self, stage: Stage) {
        let mut reached = self.reached();
        if reached.0 < stage {
            *reached = (stage, Instant::now());
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        self.reached().0
    }

    /// From here on the answer is printed and nothing is bounded any more. Blocks for good once
    /// the watchdog is ending the process, so that there is never half an answer.
    pub(crate) fn finish(&self) {
        self.reach(Stage::Finished);
    }

    /// When the present stage ends; `None` after the last.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline_of(*self.reached())
    }

    /// How long to wait before looking again; `None` when there is nothing left to watch. A stage
    /// never ends sooner than [`CONNECT`] after it began, so looking that often misses no
    /// deadline, and the work need not wake its watcher at every step.
    pub(crate) fn next_look(&self) -> Option<Duration> {
        let reached = *self.reached();
        let left = self.deadline_of(reached)?.saturating_duration_since(Instant::now());
        Some(match reached.0 {
            Stage::AwaitingAnswer | Stage::Held | Stage::Finished => left,
            Stage::ReadingInput | Stage::Connecting | Stage::AwaitingGreeting => left.min(CONNECT),
        })
    }

    /// Calls `end` when the time is up, and lets the work get no further meanwhile.
    pub(crate) fn if_overdue(&self, end: impl FnOnce(Stage)) {
        let reached = self.reached();
        if self
            .deadline_of(*reached)
            .is_some_and(|deadline| deadline <= Instant::now())
        {
            end(reached.0);
        }
    }

    fn deadline_of(&self, (stage, since): (Stage, Instant)) -> Option<Instant> {
        match stage {
            Stage::ReadingInput | Stage::AwaitingAnswer => Some(self.end),
            Stage::Connecting => Some(self.end.min(since + CONNECT)),
            Stage::AwaitingGreeting => Some(self.end.min(since + GREETING)),
            Stage::Held => Some(self.held_end),
            Stage::Finished => None,
        }
    }

    fn reached(&self) -> MutexGuard<'_, (Stage, Instant)> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadingInput => "reading the agent's input",
            Self::Connecting => "connecting to ingest",
            Self::AwaitingGreeting => "waiting for ingest to greet",
            Self::AwaitingAnswer => "waiting for ingest to answer",
            Self::Held => "waiting for somebody to decide",
            Self::Finished => "printing the answer",
        })
    }
}
