//! The processes of a run: what happened to them, from what was known and one more look.
//!
//! Pure, so that everything that is an event is so by a rule that can be tested. A process is known by its number and its
//! start, so that a number given anew is another process, and one that outlived its parent is still the same.

use super::Observed;
use super::files::Files;
use super::snapshot::{Ended, Endpoint, FileKey, Process, Snapshot};
use super::sockets::{Ports, Sockets};
use super::teller::{Of, Teller};
use muster_domain::fact::ProcessRef;
use muster_domain::names::RunId;
use muster_domain::time::Timestamp;
use muster_wire::data::watch::{Categories, Category, Watched};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a run's processes.
pub(super) struct Tree {
    /// The command itself: its beginning and end are told by the run.
    root: ProcessRef,
    /// Files that the command was started with.
    given: BTreeSet<FileKey>,
    known: BTreeMap<ProcessRef, Known>,
    ports: Ports,
    teller: Teller,
}

/// A process that was seen.
struct Known {
    ppid: u32,
    command: String,
    program: Option<String>,
    /// Since when it runs what its parent does: until it was looked at again, it may be about to run something else, and
    /// nobody is told of a shell that every command is for a moment.
    forked: Option<Timestamp>,
    /// Its beginning was told, and so its end will be.
    told: bool,
    /// It ended.
    over: bool,
    files: Files,
    sockets: Sockets,
}

impl Tree {
    pub(super) fn new(run: RunId, categories: Categories, root: ProcessRef, given: BTreeSet<FileKey>) -> Self {
        Self {
            root,
            given,
            known: BTreeMap::new(),
            ports: Ports::default(),
            teller: Teller::new(run, categories),
        }
    }

    pub(super) fn watches(&self, category: Category) -> bool {
        self.teller.watched.categories.contains(category)
    }

    /// Whom to look at again: also those whose parent is gone.
    pub(super) fn processes(&self) -> impl Iterator<Item = &ProcessRef> {
        std::iter::once(&self.root).chain(self.known.keys())
    }

    /// The processes whose sockets have to be looked up.
    pub(super) fn asks<'a>(&self, processes: &'a [Process]) -> Vec<&'a Process> {
        let none = Sockets::default();
        let asks = |process: &&Process| {
            let known = self.known.get(&process.id).map_or(&none, |known| &known.sockets);
            known.asks(&process.sockets)
        };
        processes.iter().filter(asks).collect()
    }

    /// What happened since the last look, as this one shows it.
    pub(super) fn take(&mut self, snapshot: Snapshot) -> Vec<Observed> {
        self.teller.at = snapshot.at;
        let watched = &mut self.teller.watched;
        watched.unwatched = watched.unwatched.max(snapshot.unwatched);
        watched.unread = watched.unread.max(snapshot.unread);
        self.ports.note(&snapshot.endpoints);
        let there: BTreeSet<ProcessRef> = snapshot.processes.iter().map(|process| process.id.clone()).collect();
        for process in snapshot.processes {
            self.look(process, &snapshot.endpoints);
        }
        let gone: Vec<_> = self.known.extract_if(.., |id, _| !there.contains(id)).collect();
        for (id, mut known) in gone {
            self.end(&id, &mut known, Ended(None));
        }
        self.teller.take()
    }

    /// Observations in all, told or not.
    pub(super) const fn seen(&self) -> u64 {
        self.teller.watched.told + self.teller.watched.passed_over
    }

    /// Observations that nobody had room for are as good as not told.
    pub(super) fn lost(&mut self, observations: u64) {
        let watched = std::mem::take(&mut self.teller.watched);
        self.teller.watched = watched.without(observations);
    }

    /// What was watched in all.
    pub(super) fn watched(self) -> Watched {
        let alive = self.known.iter().filter(|(id, known)| **id != self.root && !known.over);
        Watched {
            running: alive.count() as u64,
            ..self.teller.watched
        }
    }

    fn look(&mut self, process: Process, endpoints: &BTreeMap<u64, Endpoint>) {
        let known = self.known.remove(&process.id);
        let is_new = known.is_none();
        let mut known = known.unwrap_or_else(|| self.meet(&process));
        let of = Of {
            id: &process.id,
            command: &process.command,
        };
        if known.forked.is_none() && known.runs_another(&process) {
            self.teller.executed(of, process.program.as_deref(), &known.command);
        }
        known.command.clone_from(&process.command);
        if process.ended.is_none() {
            known.program.clone_from(&process.program);
        }
        if !is_new || process.ended.is_some() {
            self.settle(&process.id, &mut known);
        }
        let changes = known.files.take(
            &process.files,
            |key| is_new && self.gives(&process, key),
            self.teller.at,
        );
        self.teller.changed(of, changes);
        let given = |inode| {
            is_new
                && self
                    .parent(&process)
                    .is_some_and(|parent| parent.sockets.contains(inode))
        };
        for endpoint in known.sockets.take(&process.sockets, endpoints, given) {
            let accepted = matches!(endpoint, Endpoint::Connected { local, .. } if self.ports.accepted(local.port()));
            if !accepted {
                self.teller.found(of, endpoint);
            }
        }
        if let Some(ended) = process.ended {
            self.end(&process.id, &mut known, ended);
        }
        self.known.insert(process.id, known);
    }

    fn meet(&mut self, process: &Process) -> Known {
        let parent = self.parent(process).and_then(|parent| parent.program.as_ref());
        let forked = parent.is_some() && parent == process.program.as_ref();
        let mut known = Known {
            ppid: process.ppid,
            command: process.command.clone(),
            program: process.program.clone(),
            forked: Some(self.teller.at),
            told: false,
            over: false,
            files: Files::default(),
            sockets: Sockets::default(),
        };
        if !forked {
            self.settle(&process.id, &mut known);
        }
        known
    }

    /// Tells of the beginning of a process, once it is known what it runs.
    fn settle(&mut self, id: &ProcessRef, known: &mut Known) {
        let Some(since) = known.forked.take().filter(|_| *id != self.root) else {
            return;
        };
        let of = Of {
            id,
            command: &known.command,
        };
        known.told = self.teller.began(of, since, known.ppid, known.program.as_deref());
    }

    /// Whether a process that is new may have the file from whoever started it. Of one whose parent is gone already, that may
    /// be anybody.
    fn gives(&self, process: &Process, key: &FileKey) -> bool {
        if process.id == self.root {
            return self.given.contains(key);
        }
        match self.parent(process) {
            Some(parent) => parent.files.gives(key),
            None => self.known.values().any(|known| known.files.gives(key)),
        }
    }

    fn parent(&self, process: &Process) -> Option<&Known> {
        let numbered = |start_ticks| ProcessRef {
            pid: process.ppid,
            start_ticks,
        };
        let latest = self.known.range(numbered(0)..=numbered(u64::MAX)).next_back();
        latest.map(|(_, known)| known)
    }

    fn end(&mut self, id: &ProcessRef, known: &mut Known, Ended(status): Ended) {
        if std::mem::replace(&mut known.over, true) {
            return;
        }
        self.settle(id, known);
        let of = Of {
            id,
            command: &known.command,
        };
        self.teller.changed(of, std::mem::take(&mut known.files).close());
        if known.told {
            self.teller.ended(of, known.ppid, status);
        } else if *id != self.root {
            self.teller.pass_over(Category::Lifecycle);
        }
    }
}

impl Known {
    /// Whether the process runs another program than before. Its name alone says so only where the file may not be known:
    /// programs change their names.
    fn runs_another(&self, now: &Process) -> bool {
        match (&self.program, &now.program) {
            // What ended runs nothing any more.
            _ if now.ended.is_some() => false,
            (Some(before), Some(now)) => before != now,
            (None, _) | (_, None) => self.command != now.command,
        }
    }
}

#[cfg(test)]
mod tests;
