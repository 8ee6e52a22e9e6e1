//! Some events that wait, side by side among those that are wanted.

use super::Gap;

/// One event or more, of which only the first and last place are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Where it began, also when part of it was taken.
    from: u64,
    /// Nothing of it that still waits is before this.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) events: u64,
    /// The last place of it that the log no longer holds. How many events went with it shows when the rest was read.
    hole: Option<u64>,
}

impl Run {
    pub(super) const fn of(seq: u64) -> Self {
        Self {
            from: seq,
            first: seq,
            last: seq,
            events: 1,
            hole: None,
        }
    }

    pub(super) const fn extend(&mut self, seq: u64) {
        self.last = seq;
        self.events += 1;
    }

    /// All of it, as missed.
    pub(super) fn gap(&self) -> Gap {
        Gap {
            first: if self.hole.is_some() { self.from } else { self.first },
            last: self.last,
            missed: self.events,
        }
    }

    /// The log begins here now.
    pub(super) fn discard(&mut self, first_seq: u64) {
        if self.first < first_seq {
            self.hole = Some(first_seq - 1);
            self.first = first_seq;
        }
    }

    /// One event of it is taken. At its end, gives what was in it and never came.
    pub(super) fn take(&mut self, seq: u64) -> Option<Gap> {
        self.events -= 1;
        self.first = seq + 1;
        (self.events == 0 || seq == self.last).then(|| Gap {
            first: self.from,
            last: self.hole.unwrap_or(seq - 1),
            missed: self.events,
        })
    }
}
