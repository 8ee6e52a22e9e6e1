//! Puts what was seen into events, of which there are so many at most.

use super::Observed;
use super::files::Change;
use super::snapshot::Endpoint;
use muster_domain::fact::ProcessRef;
use muster_domain::family::{EventType, FileKind, LifecycleKind, NetworkKind, ProcessKind};
use muster_domain::names::RunId;
use muster_domain::time::Timestamp;
use muster_wire::data::Payload;
use muster_wire::data::watch::{
    Categories, Category, Descendant, Executed, FileLeft, FileOpened, FileRenamed, FileWritten, Seen, Socket, Watched,
};
use std::time::Duration;

/// Observations of a run that are told at once: the start of an agent, which opens hundreds of files within a second, is
/// told whole.
pub(super) const OBSERVATIONS_MAX: u32 = 500;
/// After how long there is room for another one: 5 a second, which an agent with its tools stays below, and a build of
/// hundreds of short processes a second does not. At 600 bytes each it is 260 MB a day of a run that is always at it, so
/// that no run drives what others did out of the log.
pub(super) const REFILLED_EVERY: Duration = Duration::from_millis(200);
/// Characters of a path that are told.
const PATH_CHARS_MAX: usize = 1024;

pub(super) struct Teller {
    run: RunId,
    pub(super) watched: Watched,
    /// When what is told was seen.
    pub(super) at: Timestamp,
    room: u32,
    /// Since when it was not refilled.
    refilled: Timestamp,
    out: Vec<Observed>,
}

/// Of which process something is told.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) id: &'a ProcessRef,
    pub(super) command: &'a str,
}

impl Teller {
    pub(super) fn new(run: RunId, categories: Categories) -> Self {
        Self {
            run,
            watched: Watched {
                categories,
                ..Watched::default()
            },
            at: Timestamp::default(),
            room: OBSERVATIONS_MAX,
            refilled: Timestamp::default(),
            out: Vec::new(),
        }
    }

    /// What was told since this was asked last.
    pub(super) fn take(&mut self) -> Vec<Observed> {
        std::mem::take(&mut self.out)
    }

    /// Something is not told that would have been.
    pub(super) fn pass_over(&mut self, category: Category) {
        if self.watched.categories.contains(category) {
            self.watched.passed_over += 1;
        }
    }

    /// Whether it was told.
    pub(super) fn began(&mut self, of: Of<'_>, since: Timestamp, ppid: u32, program: Option<&str>) -> bool {
        let descendant = Descendant {
            process: self.seen(of),
            ppid,
            program: program.map(bounded),
            status: None,
        };
        let event_type = EventType::ProcessLifecycle(LifecycleKind::DescendantStarted);
        let told = self.tell(Category::Lifecycle, event_type, &descendant);
        if let Some(observed) = self.out.last_mut().filter(|_| told) {
            observed.time = since;
        }
        told
    }

    pub(super) fn ended(&mut self, of: Of<'_>, ppid: u32, status: Option<i32>) {
        let descendant = Descendant {
            process: self.seen(of),
            ppid,
            program: None,
            status,
        };
        let event_type = EventType::ProcessLifecycle(LifecycleKind::DescendantExited);
        self.tell(Category::Lifecycle, event_type, &descendant);
    }

    pub(super) fn executed(&mut self, of: Of<'_>, program: Option<&str>, before: &str) {
        let executed = Executed {
            process: self.seen(of),
            program: program.map(bounded),
            before: before.to_owned(),
        };
        let event_type = EventType::ProcessProcess(ProcessKind::Exec);
        self.tell(Category::Process, event_type, &executed);
    }

    pub(super) fn changed(&mut self, of: Of<'_>, changes: Vec<Change>) {
        for change in changes {
            let process = self.seen(of);
            match change {
                Change::Opened(key, path) => {
                    let (path, flags) = (bounded(&path), key.access.flags());
                    self.file(FileKind::Open, &FileOpened { process, path, flags });
                }
                Change::Written(path, byte_count) => {
                    let path = bounded(&path);
                    let written = FileWritten {
                        process,
                        path,
                        byte_count,
                    };
                    self.file(FileKind::Write, &written);
                }
                Change::Closed(path) => {
                    let path = bounded(&path);
                    self.file(FileKind::Close, &FileLeft { process, path });
                }
                Change::Unlinked(path) => {
                    let path = bounded(&path);
                    self.file(FileKind::Unlink, &FileLeft { process, path });
                }
                Change::Renamed(from, to) => {
                    let (from, to) = (bounded(&from), bounded(&to));
                    self.file(FileKind::Rename, &FileRenamed { process, from, to });
                }
            }
        }
    }

    pub(super) fn found(&mut self, of: Of<'_>, endpoint: Endpoint) {
        let (kind, address, local) = match endpoint {
            Endpoint::Listening(address) => (NetworkKind::Listen, address, None),
            Endpoint::Connected { local, remote } => (NetworkKind::Connect, remote, Some(local)),
        };
        let process = self.seen(of);
        let socket = Socket {
            process,
            address,
            local,
        };
        self.tell(Category::Network, EventType::ProcessNetwork(kind), &socket);
    }

    fn file(&mut self, kind: FileKind, data: &impl Payload) {
        self.tell(Category::File, EventType::ProcessFile(kind), data);
    }

    fn tell(&mut self, category: Category, event_type: EventType, data: &impl Payload) -> bool {
        if !self.watched.categories.contains(category) {
            return false;
        }
        self.refill();
        if self.room == 0 {
            self.watched.passed_over += 1;
            return false;
        }
        self.room -= 1;
        self.watched.told += 1;
        self.out.push(Observed {
            event_type,
            time: self.at,
            data: data.to_raw(),
        });
        true
    }

    fn refill(&mut self) {
        let gained = self.at.since(self.refilled).as_millis() / REFILLED_EVERY.as_millis();
        let gained = u32::try_from(gained).unwrap_or(u32::MAX);
        self.room = self.room.saturating_add(gained).min(OBSERVATIONS_MAX);
        self.refilled = if self.room == OBSERVATIONS_MAX {
            self.at
        } else {
            self.refilled.after(REFILLED_EVERY.saturating_mul(gained))
        };
    }

    fn seen(&self, of: Of<'_>) -> Seen {
        Seen {
            pid: of.id.pid,
            start_ticks: of.id.start_ticks,
            command: of.command.to_owned(),
            run: self.run.clone(),
        }
    }
}

fn bounded(path: &str) -> String {
    path.chars().take(PATH_CHARS_MAX).collect()
}
