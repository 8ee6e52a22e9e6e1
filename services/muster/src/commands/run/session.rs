//! What a wrapped run says, as events of a session.
//!
//! The session's name comes with the agent's first lines. What is said before is held back until then; a command that
//! names none gets one after a while, so that a silent one is seen too; or when it ends, or once it has printed more than
//! anybody prints before that.

use super::process::Started;
use super::watching::Observed;
use muster_domain::effect::ActionKind;
use muster_domain::family::{EventType, LifecycleKind, OutputKind};
use muster_domain::names::{RunId, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::RawData;
use muster_wire::data::Payload as _;
use muster_wire::data::process::Process;
use muster_wire::data::turn::OutputLine;
use muster_wire::data::watch::Watched;
use muster_wire::stream::StreamTurns;

/// Events held back before the session names itself: the hooks of a start print a line or two each.
const HELD_MAX: usize = 256;
/// What is seen of its processes before that. It is no reason for a name: an agent opens hundreds of files first.
const HELD_SEEN_MAX: usize = 1024;

/// Something to report.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) event_type: EventType,
    pub(super) session: SessionId,
    pub(super) time: Timestamp,
    pub(super) data: RawData,
}

/// A wrapped run.
pub(super) struct Session {
    run: RunId,
    turns: StreamTurns,
    lines: u64,
    /// The name given before the agent gave one, or in its place.
    given: Option<SessionId>,
    /// What it does of what its session is told.
    carries: &'static [ActionKind],
    held: Vec<(EventType, Timestamp, RawData)>,
    /// The same of what was seen, and how much found no room.
    held_seen: Vec<Observed>,
    seen_lost: u64,
}

impl Session {
    pub(super) fn new(run: RunId) -> Self {
        Self {
            turns: StreamTurns::new(run.clone()),
            run,
            lines: 0,
            given: None,
            carries: &[],
            held: Vec::new(),
            held_seen: Vec::new(),
            seen_lost: 0,
        }
    }

    /// A run whose session was named for it, and which carries out what that is told.
    pub(super) fn of(run: RunId, session: SessionId, carries: &'static [ActionKind]) -> Self {
        Self {
            given: Some(session),
            carries,
            ..Self::new(run)
        }
    }

    /// The next turn is `from` somebody, while `unread` more prompts wait.
    pub(super) fn prompted(&mut self, from: &str, unread: u64) {
        self.turns.prompted(from, unread);
    }

    /// The command runs.
    pub(super) fn started(&mut self, process: &Started) -> Vec<Said> {
        let data = self.process(process, None, None);
        self.say(vec![(EventType::ProcessLifecycle(LifecycleKind::Started), data)])
    }

    /// The command printed a line.
    pub(super) fn line(&mut self, line: &str) -> Vec<Said> {
        self.lines += 1;
        let printed = OutputLine::new(self.run.clone(), self.lines, line).to_raw();
        let mut all = vec![(EventType::AgentOutput(OutputKind::Stream), printed)];
        all.extend(
            self.turns
                .line(line)
                .into_iter()
                .map(|(kind, data)| (EventType::AgentTurn(kind), data)),
        );
        self.say(all)
    }

    /// Something was seen of the command's processes.
    pub(super) fn observed(&mut self, observed: Observed) -> Vec<Said> {
        if self.held_seen.len() < HELD_SEEN_MAX {
            self.held_seen.push(observed);
        } else {
            self.seen_lost += 1;
        }
        self.say(Vec::new())
    }

    /// The command ended, and this was watched of it.
    pub(super) fn ended(&mut self, process: &Started, status: i32, watched: Option<Watched>) -> Vec<Said> {
        if self.name().is_none() {
            self.mint();
        }
        let unfinished = self.turns.finish("process exited");
        let mut all: Vec<_> = unfinished
            .into_iter()
            .map(|(kind, data)| (EventType::AgentTurn(kind), data))
            .collect();
        all.push((
            EventType::ProcessLifecycle(LifecycleKind::Exited),
            self.process(
                process,
                Some(status),
                watched.map(|watched| watched.without(self.seen_lost)),
            ),
        ));
        self.say(all)
    }

    /// Whether what is said goes out.
    pub(super) fn is_named(&self) -> bool {
        self.name().is_some()
    }

    /// Gives it a name, and says what waited for one.
    pub(super) fn name_it(&mut self) -> Vec<Said> {
        self.mint();
        self.say(Vec::new())
    }

    fn process(&self, process: &Started, status: Option<i32>, watched: Option<Watched>) -> RawData {
        Process {
            pid: process.pid,
            start_ticks: process.start_ticks,
            command: Some(process.command.clone()),
            status,
            run: Some(self.run.clone()),
            carries: self.carries.iter().map(ToString::to_string).collect(),
            watched,
            session_process: true,
        }
        .to_raw()
    }

    fn say(&mut self, all: Vec<(EventType, RawData)>) -> Vec<Said> {
        let time = crate::format::now();
        self.held
            .extend(all.into_iter().map(|(event_type, data)| (event_type, time, data)));
        if self.name().is_none() && self.held.len() > HELD_MAX {
            self.mint();
        }
        let Some(session) = self.name().cloned() else {
            return Vec::new();
        };
        let said = |(event_type, time, data)| Said {
            event_type,
            session: session.clone(),
            time,
            data,
        };
        let seen = self.held_seen.drain(..);
        let seen = seen.map(|seen| (seen.event_type, seen.time, seen.data));
        self.held.drain(..).chain(seen).map(said).collect()
    }

    /// A name once given stays: half a run under another would be no run.
    fn name(&self) -> Option<&SessionId> {
        self.given.as_ref().or_else(|| self.turns.session())
    }

    fn mint(&mut self) {
        self.given = SessionId::new(self.run.as_str()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> Started {
        Started {
            pid: 7,
            start_ticks: 70,
            command: "agent".to_owned(),
        }
    }

    fn types(said: &[Said]) -> Vec<String> {
        said.iter().map(|said| said.event_type.to_string()).collect()
    }

    #[test]
    fn what_comes_before_the_session_has_a_name_is_held_back() {
        let mut session = Session::new(RunId::new("r1").unwrap());
        assert!(session.started(&process()).is_empty());
        assert!(session.line("warming up").is_empty());
        let said = session.line(r#"{"type":"system","subtype":"init","session_id":"s1","cwd":"/w","model":"m"}"#);
        let expected = [
            "process.lifecycle.started",
            "agent.output.stream",
            "agent.output.stream",
            "agent.turn.turn_start",
            "agent.turn.model_changed",
        ];
        assert_eq!(types(&said), expected);
        assert!(said.iter().all(|said| said.session.as_str() == "s1"));
        let said = session.ended(&process(), 0, None);
        assert_eq!(types(&said), ["agent.turn.turn_end", "process.lifecycle.exited"]);
    }

    #[test]
    fn a_command_that_names_no_session_gets_one() {
        let mut session = Session::new(RunId::new("r1").unwrap());
        session.started(&process());
        assert!(session.line("hello").is_empty());
        let said = session.ended(&process(), -9, None);
        let expected = [
            "process.lifecycle.started",
            "agent.output.stream",
            "process.lifecycle.exited",
        ];
        assert_eq!(types(&said), expected);
        assert!(said[2].data.get().contains(r#""status":-9"#));
        assert_eq!(said[0].session.as_str(), "r1");
    }

    #[test]
    fn a_silent_command_is_told_of_once_it_is_given_a_name() {
        let mut session = Session::new(RunId::new("r1").unwrap());
        session.started(&process());
        assert!(!session.is_named());
        assert_eq!(types(&session.name_it()), ["process.lifecycle.started"]);
        assert!(session.is_named());
    }

    #[test]
    fn what_is_seen_before_names_no_session_and_what_found_no_room_is_said_at_the_end() {
        let mut session = Session::new(RunId::new("r1").unwrap());
        session.started(&process());
        let seen = || Observed {
            event_type: EventType::ProcessLifecycle(LifecycleKind::DescendantStarted),
            time: Timestamp::default(),
            data: muster_wire::data::Empty {}.to_raw(),
        };
        for _ in 0..HELD_SEEN_MAX + 2 {
            assert!(session.observed(seen()).is_empty());
        }
        let said = session.name_it();
        assert_eq!(said.len(), 1 + HELD_SEEN_MAX);
        assert_eq!(
            types(&said)[..2],
            ["process.lifecycle.started", "process.lifecycle.descendant_started"]
        );
        assert_eq!(session.observed(seen()).len(), 1);
        let watched = Watched {
            told: 2000,
            ..Watched::default()
        };
        let said = session.ended(&process(), 0, Some(watched));
        let told = said[0].data.get();
        assert!(told.contains(r#""told":1998,"passed_over":2"#), "{told}");
    }

    #[test]
    fn endless_text_is_not_held_back_for_ever() {
        let mut session = Session::new(RunId::new("r1").unwrap());
        let said: Vec<Said> = (0..=HELD_MAX).flat_map(|_| session.line("x")).collect();
        assert_eq!(said.len(), HELD_MAX + 1);
    }
}
