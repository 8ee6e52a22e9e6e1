//! One observer in this process: its record as it was last heard of, and its account as it was counted since.
//!
//! Whoever serves the client counts; while that is another notifier, this one only shows what it hears. When nobody is
//! attached every notifier counts for itself, from what is kept: they come to the same numbers, because the log is the same.

use super::account::{Account, Gap, Taken};
use super::record::{Log, Record};
use super::registration::{Wish, WishError};
use crate::select::Selection;
use crate::stream::frame::Frame;
use crate::stream::outlet::Gone;
use muster_domain::time::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use uuid::Uuid;

/// Who an observer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Free,
    Claimed(Uuid),
    /// Somebody took it away.
    Unregistered,
    /// Nobody came by for too long.
    Expired,
}

/// An observer.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) id: Uuid,
    pub(crate) selection: Selection,
    /// This notifier.
    notifier: Uuid,
    standing: watch::Sender<Standing>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    record: Record,
    revision: u64,
    /// When the record was last seen to change: by this clock alone, so that no two have to agree.
    heard: Instant,
    account: Account,
    log: Log,
    /// The attachment that this process serves.
    here: Option<Uuid>,
    /// Whether another notifier serves its client, and so counts.
    elsewhere: bool,
}

impl State {
    /// Somebody else wrote this. True when there is something to count again.
    fn follow(&mut self, record: &Record) -> bool {
        self.here = None;
        self.account.release();
        let was = std::mem::replace(&mut self.elsewhere, record.claim.is_some());
        let differs = record.log != self.log || record.counters.delivered != self.account.counters().delivered;
        if self.elsewhere || was || differs {
            self.account = record.account();
            self.log = record.log.clone();
        }
        !self.elsewhere && (was || differs)
    }
}

impl Observed {
    /// # Errors
    /// When the record asks for what this version does not know.
    pub(crate) fn new(record: Record, revision: u64, notifier: Uuid) -> Result<Self, WishError> {
        let elsewhere = record.claim.as_ref().is_some_and(|claim| claim.notifier != notifier);
        Ok(Self {
            id: record.id,
            selection: record.wish.selection()?,
            notifier,
            standing: watch::Sender::new(standing(&record)),
            state: Mutex::new(State {
                account: record.account(),
                log: record.log.clone(),
                record,
                revision,
                heard: Instant::now(),
                here: None,
                elsewhere,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is what this asks for.
    pub(crate) fn is_of(&self, wish: &Wish) -> bool {
        self.state().record.wish == *wish
    }

    /// Places of the log that may be kept for it.
    pub(crate) fn events_kept(&self) -> u64 {
        self.state().record.wish.events_kept()
    }

    /// The record with the present numbers, and the revision it would replace.
    pub(crate) fn present(&self) -> (Record, u64) {
        let state = self.state();
        let record = Record {
            counters: state.account.counters(),
            log: state.log.clone(),
            ..state.record.clone()
        };
        (record, state.revision)
    }

    /// The hub has this now. True when there is something to count again.
    pub(crate) fn adopt(&self, record: Record, revision: u64) -> bool {
        let mut state = self.state();
        if revision <= state.revision {
            return false;
        }
        state.revision = revision;
        state.heard = Instant::now();
        // A claim of this notifier is served here, or about to be.
        let ours = record
            .claim
            .as_ref()
            .is_some_and(|claim| claim.notifier == self.notifier);
        let recount = !ours && state.follow(&record);
        self.standing.send_if_modified(|now| {
            let before = std::mem::replace(now, standing(&record));
            before != *now
        });
        state.record = record;
        recount
    }

    /// This process wrote it.
    pub(crate) fn wrote(&self, record: Record, revision: u64) {
        let mut state = self.state();
        if revision < state.revision {
            return;
        }
        state.revision = revision;
        state.heard = Instant::now();
        self.standing.send_replace(standing(&record));
        state.record = record;
    }

    /// It is no more.
    pub(crate) fn end(&self, why: Standing) {
        self.standing.send_replace(why);
    }

    /// Until this claim counts no more, and what counts instead.
    pub(crate) async fn over(&self, claim: Uuid) -> Standing {
        let mut standing = self.standing.subscribe();
        // The sender lives in `self`.
        standing
            .wait_for(|now| *now != Standing::Claimed(claim))
            .await
            .map_or(Standing::Expired, |now| *now)
    }

    /// Since when somebody is attached, unless they were not heard of for so long.
    pub(crate) fn attached_since(&self, lapses: Duration) -> Option<Timestamp> {
        let state = self.state();
        let claim = state.record.claim.as_ref()?;
        let alive = if claim.notifier == self.notifier {
            state.here == Some(claim.id)
        } else {
            state.heard.elapsed() < lapses
        };
        alive.then_some(claim.since)
    }

    /// Counts here again if whoever counted elsewhere was not heard of for so long.
    pub(crate) fn lapse(&self, lapses: Duration) -> bool {
        let mut state = self.state();
        let lapsed = state.elsewhere && state.heard.elapsed() >= lapses;
        if lapsed {
            state.elsewhere = false;
            state.account = state.record.account();
            state.log = state.record.log.clone();
        }
        lapsed
    }

    /// Whether it is time to write: while somebody is attached whenever the numbers changed, and at least each `alive` and
    /// well before it would expire; otherwise when they changed and were not written for `idle`.
    pub(crate) fn is_due(&self, alive: Duration, idle: Duration) -> bool {
        let state = self.state();
        let since = state.heard.elapsed();
        let alive = alive.min(state.record.wish.lifetime() / 3);
        let changed = || state.account.counters() != state.record.counters;
        match state.here {
            Some(here) => state.record.is_claimed_by(here) && (since >= alive || changed()),
            None => !state.elsewhere && state.account.is_whole() && since >= idle && changed(),
        }
    }

    /// Everything up to here was counted; nothing when another notifier counts.
    pub(crate) fn counted(&self) -> Option<u64> {
        let state = self.state();
        (!state.elsewhere).then(|| state.account.seen())
    }

    /// Everything wanted up to here was delivered or missed.
    pub(crate) fn settled(&self) -> u64 {
        self.state().account.settled()
    }

    /// The log that the numbers are of.
    pub(crate) fn log(&self) -> Timestamp {
        self.state().log.created
    }

    /// The numbers are of another log from now on.
    pub(crate) fn restart(&self, created: Timestamp) {
        let mut state = self.state();
        state.account.restart();
        state.log = Log {
            created,
            from_seq: 1,
            replaced: true,
        };
    }

    /// The next event of the log, for whoever counts.
    pub(crate) fn see(&self, frame: &Frame) {
        let mut state = self.state();
        if state.elsewhere {
            return;
        }
        if self.selection.wants(frame.subject.as_ref(), || frame.head()) {
            state.account.offer(frame.seq);
        } else {
            state.account.pass(frame.seq);
        }
    }

    /// The log begins here now.
    pub(crate) fn discard(&self, first_seq: u64) {
        let mut state = self.state();
        if !state.elsewhere {
            state.account.discard(first_seq);
        }
    }

    /// This process serves the claim from now on. True when there is something to count again.
    pub(crate) fn attach(&self, claim: Uuid) -> bool {
        let mut state = self.state();
        if !state.record.is_claimed_by(claim) {
            return false;
        }
        state.account.release();
        state.here = Some(claim);
        std::mem::take(&mut state.elsewhere)
    }

    /// This process serves the claim no more.
    pub(crate) fn detach(&self, claim: Uuid) {
        let mut state = self.state();
        if state.here == Some(claim) {
            state.here = None;
            state.account.release();
        }
    }

    /// Changes the account on behalf of a claim, as long as it counts.
    fn held<T>(&self, claim: Uuid, change: impl FnOnce(&mut State) -> T) -> Result<T, Gone> {
        let mut state = self.state();
        let is_held = state.here == Some(claim) && state.record.is_claimed_by(claim);
        if is_held { Ok(change(&mut state)) } else { Err(Gone) }
    }

    pub(crate) fn take(&self, claim: Uuid, seq: u64) -> Result<Option<Taken>, Gone> {
        self.held(claim, |state| state.account.take(seq))
    }

    pub(crate) fn tell(&self, claim: Uuid) -> Result<Option<Gap>, Gone> {
        self.held(claim, |state| state.account.tell())
    }

    pub(crate) fn told(&self, claim: Uuid) -> Result<(), Gone> {
        self.held(claim, |state| state.account.told())
    }

    pub(crate) fn hand_over(&self, claim: Uuid) -> Result<(), Gone> {
        self.held(claim, |state| state.account.hand_over())
    }

    /// Whether the client has to hear that the log is another; it is about to.
    pub(crate) fn tell_replaced(&self, claim: Uuid) -> Result<bool, Gone> {
        self.held(claim, |state| std::mem::take(&mut state.log.replaced))
    }

    /// The client has everything up to `seq`, it says. What was handed over before, and where it may begin at the earliest.
    pub(crate) fn acknowledge(&self, claim: Uuid, seq: u64) -> Result<(u64, u64), Gone> {
        self.held(claim, |state| {
            state.account.acknowledge(seq);
            (state.account.handed(), state.log.from_seq)
        })
    }
}

const fn standing(record: &Record) -> Standing {
    match &record.claim {
        _ if record.unregistered => Standing::Unregistered,
        Some(claim) => Standing::Claimed(claim.id),
        None => Standing::Free,
    }
}
