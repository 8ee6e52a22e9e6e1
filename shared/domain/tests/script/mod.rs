//! Given/when/then for the fold: events are told in the words of a story, each a second after the one before.

#![expect(dead_code, reason = "each test binary uses its own part of the vocabulary")]
#![expect(clippy::unwrap_used, reason = "the names in a story are legal")]

use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::fact::{
    Decision, Event, Fact, Held, Hook, HookBody, HostFact, InputDigest, Origin, ProcessFact, ProcessRef, Recorded,
    RunTurn, ToolOutcome, ToolUse, TurnFact, Usage,
};
use muster_domain::family::EventType;
use muster_domain::fleet::{Applied, Fleet, SessionKey, Settings};
use muster_domain::ids::{EventId, InstanceId, ProducerId};
use muster_domain::names::{HostName, PromptId, RunId, SessionId, SubagentId, ToolCallId, ToolName};
use muster_domain::overlay::Overlay;
use muster_domain::react;
use muster_domain::session::Session;
use muster_domain::state::SessionState;
use muster_domain::time::Timestamp;
use muster_domain::view::{self, SessionView, TurnView};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

pub(crate) const HOST: &str = "web-01";
pub(crate) const SESSION: &str = "s1";

pub(crate) fn id(n: u64) -> EventId {
    EventId::from_uuid(Uuid::from_u128(0xE0_0000_0000_0000 + u128::from(n)))
}

pub(crate) fn spool(n: u64) -> ProducerId {
    ProducerId::from_uuid(Uuid::from_u128(u128::from(n)))
}

pub(crate) fn ms(at: i64) -> Timestamp {
    Timestamp::from_millis(at)
}

pub(crate) fn host_name(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

pub(crate) fn key(host: &str, session: &str) -> SessionKey {
    SessionKey {
        host: host_name(host),
        id: SessionId::new(session).unwrap(),
    }
}

/// A fact with the type of event that carries it.
pub(crate) fn typed(fact: &Fact) -> EventType {
    EventType::parse(match fact {
        Fact::Hook(_) | Fact::Noted | Fact::Tombstone => "agent.hook.pre_tool_use",
        Fact::Turn(_) => "agent.turn.turn_end",
        Fact::Process(_) => "process.lifecycle.exited",
        Fact::Host(_) => "host.status.started",
        Fact::Effect(_) => "agent.effect.done",
        Fact::Decision(_) => "runtime.status.state_changed",
    })
    .unwrap()
}

pub(crate) fn event(n: u64, host: &str, session: Option<&str>, fact: Fact) -> Event {
    Event {
        id: id(n),
        event_type: typed(&fact),
        host: Some(host_name(host)),
        session: session.map(|session| SessionId::new(session).unwrap()),
        agent: None,
        profile: None,
        origin: None,
        fact,
    }
}

pub(crate) fn hook(prompt: Option<&str>, body: HookBody) -> Hook {
    Hook {
        prompt: prompt.map(|prompt| PromptId::new(prompt).unwrap()),
        body,
        ..Hook::default()
    }
}

pub(crate) fn subagent(id: &str) -> SubagentId {
    SubagentId::new(id).unwrap()
}

pub(crate) fn call(id: &str) -> ToolCallId {
    ToolCallId::new(id).unwrap()
}

pub(crate) fn in_subagent(subagent: &str, hook: Hook) -> Hook {
    Hook {
        subagent: Some(self::subagent(subagent)),
        subagent_type: Some("Explore".to_owned()),
        ..hook
    }
}

pub(crate) fn used(tool: &str, call: Option<&str>) -> ToolUse {
    ToolUse {
        tool: ToolName::new(tool).unwrap(),
        call: call.map(self::call),
        input: InputDigest(tool.len() as u64),
        summary: Some(format!("uses {tool}")),
        asks_user: tool == "AskUserQuestion",
        held: None,
    }
}

pub(crate) fn prompt() -> HookBody {
    HookBody::PromptGiven {
        preview: Some("fix the build".to_owned()),
    }
}

pub(crate) fn start(tool: &str, call: &str) -> HookBody {
    HookBody::ToolStarted(used(tool, Some(call)))
}

pub(crate) fn end(tool: &str, call: &str) -> HookBody {
    HookBody::ToolEnded {
        tool: used(tool, Some(call)),
        outcome: ToolOutcome::Ok,
        duration_ms: Some(40),
        spawned: None,
    }
}

pub(crate) fn fail(tool: &str, call: &str) -> HookBody {
    HookBody::ToolEnded {
        tool: used(tool, Some(call)),
        outcome: ToolOutcome::Failed {
            error: "exit code 1".to_owned(),
        },
        duration_ms: Some(11),
        spawned: None,
    }
}

pub(crate) fn spawned(tool: &str, call: &str, subagent: &str) -> HookBody {
    HookBody::ToolEnded {
        tool: used(tool, Some(call)),
        outcome: ToolOutcome::Ok,
        duration_ms: None,
        spawned: Some(self::subagent(subagent)),
    }
}

pub(crate) fn ask(tool: &str) -> HookBody {
    HookBody::PermissionAsked(used(tool, None))
}

/// As [`used`], with a hook that its host holds for so many milliseconds.
fn held(tool: &str, call: Option<&str>, wait_ms: u64) -> ToolUse {
    let held = Held {
        wait: Duration::from_millis(wait_ms),
        input: Some(format!(r#"{{"command":"uses {tool}"}}"#).into()),
        suggestions: None,
        overflow: None,
    };
    ToolUse {
        held: Some(Box::new(held)),
        ..used(tool, call)
    }
}

pub(crate) fn held_ask(tool: &str, wait_ms: u64) -> HookBody {
    HookBody::PermissionAsked(held(tool, None, wait_ms))
}

pub(crate) fn held_start(tool: &str, call: &str, wait_ms: u64) -> HookBody {
    HookBody::ToolStarted(held(tool, Some(call), wait_ms))
}

pub(crate) const fn stop() -> HookBody {
    HookBody::Stopped { background_tasks: 0 }
}

pub(crate) fn session_start(source: &str) -> HookBody {
    HookBody::SessionStarted {
        source: Some(source.to_owned()),
    }
}

pub(crate) fn session_end() -> HookBody {
    HookBody::SessionEnded {
        reason: Some("other".to_owned()),
    }
}

pub(crate) fn run(run: &str) -> RunId {
    RunId::new(run).unwrap()
}

pub(crate) const fn process(pid: u32) -> ProcessRef {
    ProcessRef { pid, start_ticks: 7 }
}

pub(crate) fn run_turn(run: &str, index: u32) -> RunTurn {
    RunTurn {
        run: self::run(run),
        index,
    }
}

pub(crate) fn turn_ended(run: &str, index: u32, ok: bool, run_cost_micros: u64) -> TurnFact {
    TurnFact::Ended {
        turn: run_turn(run, index),
        ok,
        result: if ok { "success" } else { "error_max_turns" }.to_owned(),
        duration_ms: Some(900),
        usage: Usage {
            input: 10,
            output: 5,
            ..Usage::default()
        },
        run_cost_micros: Some(run_cost_micros),
        tools: BTreeMap::from([("Bash".to_owned(), 2)]),
    }
}

/// A log as it is written, and the fleet that folds it.
pub(crate) struct Script {
    pub(crate) fleet: Fleet,
    pub(crate) overlay: Overlay,
    pub(crate) now: i64,
    pub(crate) seq: u64,
    /// Milliseconds from one event to the next.
    pace: i64,
    counts: BTreeMap<u64, u64>,
    pub(crate) drafts: Vec<Draft>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            fleet: Fleet::new(Settings::default()),
            overlay: Overlay::new(),
            now: 1_000_000,
            seq: 0,
            pace: 1000,
            counts: BTreeMap::new(),
            drafts: Vec::new(),
        }
    }
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Everything told from now on is told in one batch.
    pub(crate) fn at_once(&mut self) -> &mut Self {
        self.pace = 0;
        self
    }

    /// Tells an event, one second after the last.
    pub(crate) fn tell(&mut self, mut event: Event) -> Recorded {
        self.now += self.pace;
        self.seq += 1;
        event.id = id(self.seq);
        if !matches!(event.fact, Fact::Decision(_)) {
            let count = self.counts.entry(1).or_default();
            *count += 1;
            event.origin = Some(Origin {
                producer: spool(1),
                seq: *count,
            });
        }
        let recorded = Recorded {
            seq: self.seq,
            at: ms(self.now),
            event,
        };
        assert_eq!(self.fold(&recorded), Applied::Changed, "{recorded:?}");
        recorded
    }

    pub(crate) fn fold(&mut self, recorded: &Recorded) -> Applied {
        let applied = self.fleet.apply(recorded);
        self.overlay.folded(recorded);
        self.drafts = react::react(&self.fleet, &self.overlay, recorded);
        applied
    }

    pub(crate) fn fact(&mut self, fact: Fact) -> &mut Self {
        self.tell(event(0, HOST, Some(SESSION), fact));
        self
    }

    pub(crate) fn hook(&mut self, hook: Hook) -> &mut Self {
        self.fact(Fact::Hook(Box::new(hook)))
    }

    /// A hook of a prompt.
    pub(crate) fn on(&mut self, prompt: &str, body: HookBody) -> &mut Self {
        self.hook(hook(Some(prompt), body))
    }

    /// A hook of no prompt.
    pub(crate) fn off(&mut self, body: HookBody) -> &mut Self {
        self.hook(hook(None, body))
    }

    pub(crate) fn process(&mut self, fact: ProcessFact) -> &mut Self {
        self.fact(Fact::Process(fact))
    }

    pub(crate) fn turn(&mut self, fact: TurnFact) -> &mut Self {
        self.fact(Fact::Turn(fact))
    }

    pub(crate) fn host(&mut self, fact: HostFact) -> &mut Self {
        self.tell(event(0, HOST, None, Fact::Host(fact)));
        self
    }

    pub(crate) fn concluded(&mut self, decision: Decision) -> &mut Self {
        self.tell(event(0, HOST, None, Fact::Decision(decision)));
        self
    }

    pub(crate) fn decided(&mut self, decision: Decision) -> &mut Self {
        self.fact(Fact::Decision(decision))
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, seconds: i64) -> &mut Self {
        self.now += seconds * 1000;
        self
    }

    /// Writes what was drafted to the log.
    pub(crate) fn write(&mut self, drafts: Vec<Draft>) {
        for draft in drafts {
            let decision = match draft.conclusion {
                Conclusion::StateChanged { to, reason, .. } => Decision::StateChanged { to, reason },
                Conclusion::SessionLost { reason } => Decision::SessionLost { reason },
                Conclusion::Alert(fact) => Decision::Alert(fact),
                Conclusion::Memory(fact) => Decision::Memory(fact),
                Conclusion::Approval(fact) => Decision::Approval(fact),
                Conclusion::Lease(fact) => Decision::Lease(Box::new(fact)),
                Conclusion::Policy(fact) => Decision::Policy(fact),
                Conclusion::Hold(change) => Decision::Hold(change),
                Conclusion::Budget(change) => Decision::Budget(change),
                Conclusion::HostAdded => Decision::HostAdded,
                Conclusion::HostLost => Decision::HostLost,
                Conclusion::HostReturned => Decision::HostReturned,
                Conclusion::Circuit(change) => Decision::Circuit(change),
                Conclusion::Delegation(fact) => Decision::Delegation(fact),
                Conclusion::Effect(fact) => Decision::Effect(fact),
                Conclusion::Message(fact) => Decision::Message(fact),
                Conclusion::WorkMemory(fact) => Decision::WorkMemory(fact),
                Conclusion::Review(fact) => Decision::Review(fact),
                Conclusion::Context(fact) => Decision::Context(fact),
                Conclusion::Checkpoint(fact) => Decision::Checkpoint(fact),
                Conclusion::Experiment(fact) => Decision::Experiment(fact),
            };
            let session = draft.session.as_ref().map(SessionId::as_str);
            let event = event(0, HOST, session, Fact::Decision(decision));
            self.tell(Event {
                host: draft.host,
                ..event
            });
        }
    }

    /// Leads: writes what was drafted, and what follows from that, until nothing does.
    pub(crate) fn lead(&mut self, drafts: Vec<Draft>) -> Vec<Draft> {
        let mut written = Vec::new();
        let mut waiting = std::collections::VecDeque::new();
        let mut drafts = drafts;
        loop {
            // All of it is on its way before any of it is read back.
            for draft in drafts {
                let place = self.seq + 1 + waiting.len() as u64;
                self.overlay.published(id(place), &draft);
                waiting.push_back(draft);
            }
            let Some(draft) = waiting.pop_front() else {
                return written;
            };
            self.write(vec![draft.clone()]);
            written.push(draft);
            drafts = std::mem::take(&mut self.drafts);
        }
    }

    /// Leads on from what was told last.
    pub(crate) fn follow(&mut self) -> Vec<Draft> {
        let drafts = std::mem::take(&mut self.drafts);
        self.lead(drafts)
    }

    pub(crate) fn session(&self) -> &Session {
        self.fleet.session(&key(HOST, SESSION)).unwrap()
    }

    pub(crate) fn view(&self) -> SessionView {
        view::session(&self.fleet, &key(HOST, SESSION)).unwrap()
    }

    pub(crate) fn turns(&self) -> Vec<TurnView> {
        view::turns(self.session())
    }

    /// Then it does this.
    #[track_caller]
    pub(crate) fn then(&mut self, state: SessionState) -> &mut Self {
        let standing = self.session().standing();
        assert_eq!(standing.state, state, "{standing:?}");
        self
    }

    #[track_caller]
    pub(crate) fn because(&mut self, reason: &str) -> &mut Self {
        assert_eq!(self.session().standing().reason.as_deref(), Some(reason));
        self
    }
}

pub(crate) fn started_host() -> HostFact {
    HostFact::Started {
        version: "0.1.0".to_owned(),
        instance: InstanceId::from_uuid(Uuid::from_u128(9)),
    }
}
