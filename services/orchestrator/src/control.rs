//! The loop's memory, and what each input does to it. Synchronous: whatever takes time is handed to a part that does it.
//!
//! Every instance folds all the time; only the leader decides. A term passes through three steps: elected, caught up with
//! its own election, leading. What was decided and not yet read back from the log lies in the overlay, so that the same
//! decision is not made twice; with the term, the overlay goes too, and the log says what became of it.

use crate::election;
use crate::inbox::Landed;
use crate::leadership::Term;
use muster_bus::Outgoing;
use muster_bus::kv::{Entry, Watched};
use muster_bus::msg_id::Secret;
use muster_domain::conclusion::Draft;
use muster_domain::due::{Presence, due, expire, presence};
use muster_domain::fact::Recorded;
use muster_domain::fleet::Fleet;
use muster_domain::hold;
use muster_domain::ids::EventId;
use muster_domain::names::HostName;
use muster_domain::overlay::Overlay;
use muster_domain::react::{catch_up, react};
use muster_domain::time::Timestamp;
use muster_wire::edge::{self, Applied};
use muster_wire::limits;
use std::collections::{BTreeMap, VecDeque};
use tracing::Span;

/// Whether this instance decides.
enum Role {
    /// Another one does, or nobody.
    Standby,
    /// Elected; its own election is not folded yet.
    Elected(Term),
    /// Deciding.
    Leading(Term),
}

/// What the loop knows.
pub(crate) struct Control {
    fleet: Fleet,
    role: Role,
    overlay: Overlay,
    /// What this instance signs its decisions with.
    name: String,
    secret: Secret,
    /// Decided, in order, and not given to the writer yet.
    queue: VecDeque<Outgoing>,
    /// Whether a batch is with the writer.
    writing: bool,
    /// Hosts whose presence key is alive.
    present: BTreeMap<HostName, Applied>,
    /// Whether every live key has been seen since the watch began.
    presence_known: bool,
}

impl Control {
    pub(crate) fn new(fleet: Fleet, name: String, secret: Secret) -> Self {
        Self {
            fleet,
            role: Role::Standby,
            overlay: Overlay::new(),
            name,
            secret,
            queue: VecDeque::new(),
            writing: false,
            present: BTreeMap::new(),
            presence_known: false,
        }
    }

    pub(crate) const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What was decided and is not read back yet.
    pub(crate) const fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// Decides what was asked for, all of it or nothing; gives the last event that follows.
    ///
    /// # Errors
    /// [`TooLarge`] when the log would not take it.
    pub(crate) fn command(&mut self, drafts: Vec<Draft>) -> Result<Option<EventId>, TooLarge> {
        let written = self.written_down(drafts);
        if let Some(large) = written.iter().find(|decided| decided.is_too_large()) {
            return Err(TooLarge(large.outgoing.payload.len()));
        }
        Ok(self.queue_all(written))
    }

    pub(crate) const fn is_leading(&self) -> bool {
        matches!(self.role, Role::Leading(_))
    }

    /// Decisions that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The log's next event. What is decided because of it is decided within `span`.
    pub(crate) fn event(&mut self, recorded: &Recorded, span: impl FnOnce() -> Span) {
        let applied = self.fleet.apply(recorded);
        self.overlay.folded(recorded);
        if let Role::Elected(_) = self.role {
            self.begin_when_caught_up();
        } else if self.is_leading() && applied.counted() {
            let drafts = react(&self.fleet, &self.overlay, recorded);
            if !drafts.is_empty() {
                let _ = span().in_scope(|| self.decide(drafts));
            }
        }
    }

    /// This instance was elected.
    pub(crate) fn elected(&mut self, term: Term) {
        self.role = Role::Elected(term);
        self.overlay = Overlay::new();
        self.queue.clear();
        self.writing = false;
        self.begin_when_caught_up();
    }

    /// The term is over, and with it goes its writer's channel. What was decided in it and stored comes back through the log.
    pub(crate) fn deposed(&mut self, why: &str) {
        tracing::info!(reason = why, "standing by");
        self.role = Role::Standby;
        self.overlay = Overlay::new();
        self.queue.clear();
        self.writing = false;
    }

    /// The state is another one, of another log perhaps.
    pub(crate) fn restored(&mut self, fleet: Fleet) {
        self.fleet = fleet;
    }

    /// What became of the writer's batch; gives those that will not be read any more: what was refused, and what the log held
    /// before it was written again.
    pub(crate) fn written(&mut self, landed: Vec<Landed>) -> Vec<Landed> {
        self.writing = false;
        let watermark = self.fleet.watermark();
        let mut over = landed;
        over.retain(|landed| landed.at.as_ref().is_ok_and(|seq| *seq <= watermark) || landed.at.is_err());
        over.iter().for_each(|landed| self.overlay.withdraw(landed.id));
        self.hand_over();
        over
    }

    /// Time passes, which alone can be news.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        if self.is_leading() && due(&self.fleet).is_some_and(|at| at <= now) {
            let _ = self.decide(expire(&self.fleet, &self.overlay, now));
        }
    }

    /// A host's presence key appeared, changed, or is gone.
    pub(crate) fn presence(&mut self, watched: Watched) {
        match watched {
            Watched::Current => {
                self.presence_known = true;
                self.compare_presence();
            }
            Watched::Entry(entry) => {
                if let Some(host) = self.record_presence(&entry)
                    && self.is_leading()
                    && self.presence_known
                {
                    self.decide_presence(&host);
                }
            }
        }
    }

    fn record_presence(&mut self, entry: &Entry) -> Option<HostName> {
        let host = HostName::new(&entry.key).ok()?;
        match &entry.value {
            Some(card) => {
                // What else a host tells of itself in the key is for `doctor`.
                let applied = serde_json::from_slice(card).unwrap_or_default();
                self.present.insert(host.clone(), applied);
            }
            None => {
                self.present.remove(&host);
            }
        }
        Some(host)
    }

    fn decide_presence(&mut self, host: &HostName) {
        let there = if self.present.contains_key(host) {
            Presence::Present
        } else {
            Presence::Gone
        };
        let mut drafts: Vec<Draft> = presence(&self.fleet, &self.overlay, host, there).into_iter().collect();
        if let Some(seq) = self.enforced(host, edge::HOLDS) {
            drafts.extend(hold::confirm(&self.fleet, &self.overlay, host, seq));
        }
        let _ = self.decide(drafts);
    }

    /// Up to which place in this log a host says that it enforces a document of the edge.
    fn enforced(&self, host: &HostName, document: &str) -> Option<u64> {
        let Role::Leading(term) = &self.role else {
            return None;
        };
        let mark = self.present.get(host)?.edge.get(document)?;
        (mark.stream_created == term.log).then_some(mark.seq)
    }

    /// Every host that is known or there: for the start of a term, and after presence was out of sight.
    fn compare_presence(&mut self) {
        if !(self.is_leading() && self.presence_known) {
            return;
        }
        let mut hosts: Vec<HostName> = self.fleet.hosts().keys().cloned().collect();
        hosts.extend(
            self.present
                .keys()
                .filter(|host| !self.fleet.hosts().contains_key(*host))
                .cloned(),
        );
        for host in &hosts {
            self.decide_presence(host);
        }
    }

    fn begin_when_caught_up(&mut self) {
        let Role::Elected(term) = &self.role else {
            return;
        };
        if self.fleet.watermark() < term.fence {
            return;
        }
        if let Role::Elected(term) = std::mem::replace(&mut self.role, Role::Standby) {
            tracing::info!(seq = self.fleet.watermark(), "leading");
            self.role = Role::Leading(term);
        }
        let _ = self.decide(catch_up(&self.fleet, &self.overlay));
        self.compare_presence();
    }

    fn decide(&mut self, drafts: Vec<Draft>) -> Option<EventId> {
        let mut written = self.written_down(drafts);
        written.retain(|decided| {
            let fits = !decided.is_too_large();
            if !fits {
                let subject = &decided.outgoing.subject;
                tracing::error!(%subject, "a decision is too large to be stored");
            }
            fits
        });
        self.queue_all(written)
    }

    fn written_down(&self, drafts: Vec<Draft>) -> Vec<Decided> {
        let write = |draft| match election::decided(&self.name, &self.secret, &draft) {
            Ok((id, outgoing)) => Some(Decided { draft, id, outgoing }),
            Err(error) => {
                tracing::error!(%error, "a decision could not be written down");
                None
            }
        };
        drafts.into_iter().filter_map(write).collect()
    }

    fn queue_all(&mut self, written: Vec<Decided>) -> Option<EventId> {
        let mut last = None;
        for Decided { draft, id, outgoing } in written {
            self.overlay.published(id, &draft);
            self.queue.push_back(outgoing);
            last = Some(id);
        }
        self.hand_over();
        last
    }

    /// Gives the writer what waits, if it has nothing.
    fn hand_over(&mut self) {
        let Role::Leading(term) = &self.role else {
            return;
        };
        if self.writing || self.queue.is_empty() {
            return;
        }
        let many = self.queue.len().min(limits::BATCH_MESSAGES_MAX);
        let batch: Vec<Outgoing> = self.queue.drain(..many).collect();
        // The writer holds at most one batch and has none now; a closed channel means that the term is ending.
        self.writing = term.writes.try_send(batch).is_ok();
    }
}

/// What was asked for would be an event of this many bytes.
pub(crate) struct TooLarge(pub(crate) usize);

/// A draft, and the event it becomes.
struct Decided {
    draft: Draft,
    id: EventId,
    outgoing: Outgoing,
}

impl Decided {
    fn is_too_large(&self) -> bool {
        self.outgoing.payload.len() > limits::DECISION_BYTES_MAX
    }
}
