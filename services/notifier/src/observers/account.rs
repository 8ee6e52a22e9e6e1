//! What one observer was given, what it missed, and what waits for it: pure, so that its numbers can be proved.
//!
//! Every event that an observer wants is offered once, in the order of the log, and ends as delivered or as missed; until
//! then it waits. So `delivered + missed + pending` is the number of events that were offered, whatever happens in between.
//! Only places in the log are kept, never events: the log is the buffer.
//!
//! What waits stands in *runs*. Where the oldest may be dropped a run is one event, so that it is known exactly which are
//! gone. Where nothing is dropped what waits has no limit but the log's own, and a run stands for up to [`RUN_EVENTS`].
//!
//! Nothing here checks who calls: whoever holds the attachment takes, and whoever counts offers, in any order.

mod counters;
mod gap;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use counters::Counters;
pub(crate) use gap::Gap;

use run::Run;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Events that one run stands for at most, where nothing is dropped: a day of 100 events a second is 2 MiB.
const RUN_EVENTS: u64 = 128;

/// What happens when more waits than an observer has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Backpressure {
    /// The oldest are dropped, counted and told; the newest are kept.
    #[default]
    DropOldest,
    /// Nothing is dropped; this observer falls behind in the log.
    Block,
}

/// What is on its way to the client, so not delivered yet and no longer dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct InHand {
    event: Option<u64>,
    gap: Option<Gap>,
}

/// What was counted before a restart: what is found again may be less, because the log aged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Before {
    seen: u64,
    pending: u64,
    /// How much of it was found so far.
    found: u64,
}

impl Before {
    const fn not_found(&self) -> u64 {
        self.pending.saturating_sub(self.found)
    }
}

/// An observer's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    backpressure: Backpressure,
    capacity: u64,
    waiting: VecDeque<Run>,
    waiting_events: u64,
    in_hand: InHand,
    /// Everything up to here was offered, if it was wanted.
    seen: u64,
    /// The last event that was handed over.
    handed: u64,
    delivered: u64,
    missed: u64,
    /// Missed, and not told yet.
    untold: Option<Gap>,
    before: Option<Before>,
}

impl Account {
    /// As it was kept. What waited is offered again, from [`Self::settled`] on.
    pub(crate) fn restore(backpressure: Backpressure, capacity: u32, kept: &Counters) -> Self {
        Self {
            backpressure,
            capacity: u64::from(capacity),
            waiting: VecDeque::new(),
            waiting_events: 0,
            in_hand: InHand::default(),
            seen: kept.settled,
            handed: kept.handed,
            delivered: kept.delivered,
            missed: kept.missed,
            untold: kept.untold,
            before: (kept.pending > 0).then_some(Before {
                seen: kept.at_seq,
                pending: kept.pending,
                found: 0,
            }),
        }
    }

    /// The log is another: what waited will never come, and places begin anew.
    pub(crate) fn restart(&mut self) {
        let lost = self.pending() + self.before.as_ref().map_or(0, Before::not_found);
        *self = Self {
            backpressure: self.backpressure,
            capacity: self.capacity,
            waiting: VecDeque::new(),
            waiting_events: 0,
            in_hand: InHand::default(),
            seen: 0,
            handed: 0,
            delivered: self.delivered,
            missed: self.missed + lost,
            untold: None,
            before: None,
        };
    }

    /// Everything up to here was offered, if it was wanted.
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether everything that was counted before a restart was counted again.
    pub(crate) const fn is_whole(&self) -> bool {
        self.before.is_none()
    }

    /// The last event that was handed over.
    pub(crate) const fn handed(&self) -> u64 {
        self.handed
    }

    /// Everything wanted up to here was delivered or missed.
    pub(crate) fn settled(&self) -> u64 {
        match (self.in_hand.event, self.waiting.front()) {
            (Some(seq), _) => seq - 1,
            (None, Some(run)) => run.first - 1,
            (None, None) => self.seen,
        }
    }

    fn pending(&self) -> u64 {
        self.waiting_events + u64::from(self.in_hand.event.is_some())
    }

    /// The numbers, as they are kept and shown.
    pub(crate) fn counters(&self) -> Counters {
        let mut counters = Counters {
            delivered: self.delivered,
            missed: self.missed,
            pending: self.pending(),
            at_seq: self.seen,
            settled: self.settled(),
            handed: self.handed,
            untold: self.untold,
        };
        if let Some(seq) = self.in_hand.event.filter(|_| self.has_no_room_for_it()) {
            counters.missed += 1;
            counters.pending -= 1;
            counters.settled = self.waiting.front().map_or(self.seen, |run| run.first - 1);
            counters.untold = Gap::merge(counters.untold, Some(Gap::of(seq)));
        }
        counters.untold = Gap::merge(self.in_hand.gap, counters.untold);
        if let Some(before) = &self.before {
            counters.pending += before.not_found();
            counters.at_seq = counters.at_seq.max(before.seen);
        }
        counters
    }

    /// An event that is wanted.
    pub(crate) fn offer(&mut self, seq: u64) {
        if seq <= self.seen {
            return;
        }
        self.compare(seq);
        self.seen = seq;
        if let Some(before) = &mut self.before {
            before.found += 1;
        }
        self.waiting_events += 1;
        match (self.backpressure, self.waiting.back_mut()) {
            (Backpressure::Block, Some(run)) if run.events < RUN_EVENTS => run.extend(seq),
            (Backpressure::Block | Backpressure::DropOldest, _) => self.waiting.push_back(Run::of(seq)),
        }
        self.make_room();
    }

    /// An event that is not.
    pub(crate) fn pass(&mut self, seq: u64) {
        if seq > self.seen {
            self.compare(seq);
            self.seen = seq;
        }
    }

    /// The log no longer holds what is before this place. What nobody saw of it cannot be counted, only told.
    pub(crate) fn discard(&mut self, first_seq: u64) {
        if self.seen + 1 < first_seq {
            let unseen = Gap {
                first: self.seen + 1,
                last: first_seq - 1,
                missed: 0,
            };
            self.compare(first_seq - 1);
            self.seen = first_seq - 1;
            self.untold = Gap::merge(self.untold, Some(unseen));
        }
        while let Some(run) = self.waiting.front().copied().filter(|run| run.last < first_seq) {
            self.waiting.pop_front();
            self.miss(run.gap());
        }
        if let Some(run) = self.waiting.front_mut() {
            run.discard(first_seq);
        }
    }

    /// The client's reader has come to this event, which is wanted: whether it is to be sent, and what to tell before it.
    pub(crate) fn take(&mut self, seq: u64) -> Option<Taken> {
        // Whoever sends may be ahead of whoever counts.
        self.offer(seq);
        // The log has holes where something was deleted from it.
        while let Some(run) = self.waiting.front().copied().filter(|run| run.last < seq) {
            self.waiting.pop_front();
            self.miss(run.gap());
        }
        let run = self.waiting.front_mut().filter(|run| run.first <= seq)?;
        let left = run.take(seq);
        self.waiting_events -= 1;
        if let Some(gone) = left {
            self.waiting.pop_front();
            self.miss(gone);
        }
        self.in_hand = InHand {
            event: Some(seq),
            gap: self.untold.take(),
        };
        Some(Taken { gap: self.in_hand.gap })
    }

    /// What was missed and not told yet is about to be.
    pub(crate) fn tell(&mut self) -> Option<Gap> {
        self.in_hand.gap = Gap::merge(self.in_hand.gap, self.untold.take());
        self.in_hand.gap
    }

    /// The client was told.
    pub(crate) fn told(&mut self) {
        self.in_hand.gap = None;
    }

    /// The client was given the event in hand.
    pub(crate) fn hand_over(&mut self) {
        if let Some(seq) = self.in_hand.event.take() {
            self.delivered += 1;
            self.handed = seq;
        }
    }

    /// The client has everything up to here: what was missed and not told was not missed, then. What waits is taken as ever.
    pub(crate) fn acknowledge(&mut self, seq: u64) {
        if let Some(gap) = self.untold.take_if(|gap| gap.last <= seq) {
            self.missed -= gap.missed;
            self.delivered += gap.missed;
        }
    }

    /// The client is gone: what was on its way waits again, as long as there is room.
    pub(crate) fn release(&mut self) {
        let stays_out = self.has_no_room_for_it();
        let InHand { event, gap } = std::mem::take(&mut self.in_hand);
        self.untold = Gap::merge(gap, self.untold);
        if let Some(seq) = event {
            self.waiting_events += 1;
            if stays_out {
                self.miss(Gap::of(seq));
            } else {
                self.waiting.push_front(Run::of(seq));
            }
        }
        self.make_room();
    }

    /// Whether younger ones than the event in hand had to go already: were it put back, it would be the oldest of too many.
    const fn has_no_room_for_it(&self) -> bool {
        matches!(self.backpressure, Backpressure::DropOldest) && self.untold.is_some()
    }

    fn make_room(&mut self) {
        if self.backpressure == Backpressure::Block {
            return;
        }
        while self.waiting_events > self.capacity {
            let Some(run) = self.waiting.pop_front() else { return };
            self.miss(run.gap());
        }
    }

    fn miss(&mut self, gap: Gap) {
        if gap.missed > 0 {
            self.waiting_events -= gap.missed;
            self.missed += gap.missed;
            self.untold = Gap::merge(self.untold, Some(gap));
        }
    }

    /// Once everything that was seen before a restart is seen again: what is not there any more was missed.
    fn compare(&mut self, seq: u64) {
        let Some(before) = self.before.take_if(|before| seq > before.seen) else {
            return;
        };
        if before.not_found() == 0 {
            return;
        }
        let last = self.waiting.front().map_or(before.seen, |run| run.first - 1);
        let gone = Gap {
            first: last.min(self.handed + 1),
            last,
            missed: before.not_found(),
        };
        self.missed += gone.missed;
        self.untold = Gap::merge(self.untold, Some(gone));
    }
}

/// An event is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// To be told before it.
    pub(crate) gap: Option<Gap>,
}
