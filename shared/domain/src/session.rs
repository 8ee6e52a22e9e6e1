//! One conversation, made of whatever was heard of it.
//!
//! Everything kept here is a merge that does not depend on order (`merge`): sets by key, earliest beginnings, latest ends.
//! What the session *is doing* is never stored by an event; it is derived from all of that at once (`standing`). So
//! hooks may come late, twice, or in another order, and the answer is the same once they all came.
//!
//! Only what an agent leaves unnamed (a hook without a prompt id, a call without a call id) is placed by order.

mod ask;
mod carrier;
mod joined;
mod memory;
mod merge;
mod process;
mod read;
mod standing;
mod stream;
mod subagent;
mod tool;
mod turn;
mod watch;

use crate::budget::Spent;
use crate::fact::{Decision, Event, Fact, Hook, HookBody, Moment, ProcessFact, TurnFact, Usage};
use crate::fleet::{Applied, Planned, Why};
use crate::ids::EventId;
use crate::names::{AgentName, Profile, PromptId, SubagentId, ToolCallId};
use crate::sorted::Sorted;
use crate::state::SessionState;
use crate::time::Timestamp;
use carrier::Carriers;
use merge::{Latest, later, later_text, latest};
use process::Processes;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use stream::{RUNS_MAX, Run};
use subagent::Link;
use turn::TurnKey;

pub(crate) use ask::Ask;
pub(crate) use joined::Joined;
pub(crate) use memory::Memory;
pub(crate) use merge::clearly_after;
pub(crate) use standing::Over;
pub use standing::Standing;
pub(crate) use subagent::Subagent;
pub(crate) use tool::{End, Tool, ToolKey};
pub(crate) use turn::Turn;
use watch::Watch;
pub(crate) use watch::{How, Mark, PATIENT};

/// How many turns are kept; of older ones only counts are left.
pub(crate) const TURNS_MAX: usize = 32;
/// How many of the turns that only counts are left of are still recognised, so that a late hook does not revive one.
const FORGOTTEN_MAX: usize = 64;
/// How many subagents are remembered with the call that started them.
const LINKS_MAX: usize = 512;

/// Tokens that the context holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Context {
    /// Tokens in the context.
    pub used_tokens: u64,
    /// Tokens that fit.
    pub window_tokens: Option<u64>,
}

/// What is left of turns, and runs, that are no longer kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub(crate) struct Forgotten {
    pub(crate) turns: u32,
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) usage: Usage,
    pub(crate) cost_micros: Option<u64>,
    prints: VecDeque<u64>,
}

/// A beginning and an end, each the latest heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub(crate) struct Phase {
    began: Option<Timestamp>,
    ended: Option<Timestamp>,
}

/// One conversation of one agent on one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Session {
    pub(crate) first_seen: Timestamp,
    last_seen: Timestamp,
    /// The latest event of it: what a conclusion drawn without a new one is derived from.
    pub(crate) last_event: Latest<EventId>,
    agent: Option<Latest<AgentName>>,
    profile: Option<Latest<Profile>>,
    cwd: Option<Latest<Box<str>>>,
    model: Option<Latest<Box<str>>>,
    permission_mode: Option<Latest<Box<str>>>,
    context: Option<Latest<Context>>,
    /// When it last began, compaction not counted.
    started: Option<Timestamp>,
    ended: Option<Latest<Option<Box<str>>>>,
    prompted: Option<Timestamp>,
    compaction: Phase,
    awaited: Option<Latest<Box<str>>>,
    given: Option<Timestamp>,
    processes: Processes,
    silent: Option<Latest<Option<Box<str>>>>,
    lost: Option<Latest<Box<str>>>,
    announced: Option<SessionState>,
    turns: Sorted<Turn>,
    counted_turns: u32,
    links: Sorted<Link>,
    runs: Sorted<Run>,
    pub(crate) forgotten: Forgotten,
    standing: Standing,
    pub(crate) planned: Planned,
    /// What it spent, as far as budgets know.
    spent: Spent,
    #[serde(default)]
    pub(crate) memory: Memory,
    #[serde(default)]
    carriers: Carriers,
    /// Bytes that its tools put out, subagents' not counted: their context is their own.
    #[serde(default)]
    tool_output_bytes: u64,
    #[serde(default)]
    pub(crate) watch: Watch,
}

impl Session {
    pub(crate) fn first_seen(at: Timestamp, id: EventId) -> Self {
        Self {
            first_seen: at,
            last_seen: at,
            last_event: Latest { at, value: id },
            agent: None,
            profile: None,
            cwd: None,
            model: None,
            permission_mode: None,
            context: None,
            started: None,
            ended: None,
            prompted: None,
            compaction: Phase::default(),
            awaited: None,
            given: None,
            processes: Processes::default(),
            silent: None,
            lost: None,
            announced: None,
            turns: Sorted::default(),
            counted_turns: 0,
            links: Sorted::default(),
            runs: Sorted::default(),
            forgotten: Forgotten::default(),
            standing: Standing::starting(at),
            planned: Planned::default(),
            spent: Spent::default(),
            memory: Memory::default(),
            carriers: Carriers::default(),
            tool_output_bytes: 0,
            watch: Watch::default(),
        }
    }

    pub(crate) fn apply(&mut self, recorded: Moment<'_>) -> Applied {
        let Moment { at, event, .. } = recorded;
        let word = Latest { at, value: event.id };
        if self.last_event < word {
            self.last_event = word;
        }
        match &event.fact {
            Fact::Decision(Decision::StateChanged { to, reason }) => {
                self.announced = Some(*to);
                if *to == SessionState::Unknown {
                    later(&mut self.silent, at, reason.as_deref().map(Into::into));
                }
                Applied::Changed
            }
            Fact::Decision(Decision::SessionLost { reason }) => {
                later(&mut self.lost, at, reason.as_str().into());
                Applied::Changed
            }
            Fact::Decision(Decision::Memory(fact)) => {
                self.memory.announced(fact, at);
                Applied::Changed
            }
            Fact::Hook(hook) => {
                self.heard_of(event, at);
                self.hook(hook, at)
            }
            Fact::Turn(fact) => {
                self.heard_of(event, at);
                self.printed(fact, at)
            }
            Fact::Process(fact) => {
                // A death is no sign of life, however late it is noticed.
                match fact {
                    ProcessFact::Started(_) => self.heard_of(event, at),
                    ProcessFact::Carries { process, carrier } => {
                        self.heard_of(event, at);
                        self.carriers.began(process, carrier, at);
                    }
                    ProcessFact::Exited { process, .. } => self.carriers.ended(process, at),
                }
                self.processes.note(fact, at);
                Applied::Changed
            }
            Fact::Noted => {
                self.heard_of(event, at);
                Applied::Changed
            }
            Fact::Host(_) | Fact::Effect(_) | Fact::Decision(_) | Fact::Tombstone => Applied::Ignored(Why::NoBearing),
        }
    }

    fn heard_of(&mut self, event: &Event, at: Timestamp) {
        self.first_seen = self.first_seen.min(at);
        self.last_seen = self.last_seen.max(at);
        note_name(&mut self.agent, at, event.agent.as_ref());
        note_name(&mut self.profile, at, event.profile.as_ref());
    }

    fn hook(&mut self, hook: &Hook, at: Timestamp) -> Applied {
        self.memory.hook(hook, at);
        self.watch.hook(hook, at);
        if hook.subagent.is_none() {
            self.tool_output_bytes = self.tool_output_bytes.saturating_add(hook.output_bytes);
            // A subagent may have a folder and a model of its own.
            let words = [
                (&mut self.cwd, &hook.cwd),
                (&mut self.model, &hook.model),
                (&mut self.permission_mode, &hook.permission_mode),
            ];
            for (slot, word) in words {
                if let Some(text) = word {
                    later_text(slot, at, text);
                }
            }
        }
        match &hook.body {
            // Compaction begins the context again, not the session.
            HookBody::SessionStarted { source } if source.as_deref() == Some("compact") => {
                latest(&mut self.compaction.ended, at);
            }
            HookBody::SessionStarted { .. } => latest(&mut self.started, at),
            HookBody::SessionEnded { reason } => {
                later(&mut self.ended, at, reason.as_deref().map(Into::into));
            }
            HookBody::CompactionStarted => latest(&mut self.compaction.began, at),
            HookBody::CompactionEnded => latest(&mut self.compaction.ended, at),
            HookBody::InputAwaited { reason } => later_text(&mut self.awaited, at, reason),
            HookBody::InputGiven => latest(&mut self.given, at),
            HookBody::CwdChanged { cwd } => later_text(&mut self.cwd, at, cwd),
            HookBody::PromptGiven { .. } => latest(&mut self.prompted, at),
            HookBody::ToolEnded {
                tool,
                spawned: Some(subagent),
                ..
            } => {
                if let Some(call) = &tool.call {
                    self.link(subagent, call);
                }
            }
            HookBody::ToolStarted(_)
            | HookBody::ToolEnded { .. }
            | HookBody::PermissionAsked(_)
            | HookBody::ToolsDone
            | HookBody::SubagentStarted
            | HookBody::SubagentStopped
            | HookBody::Stopped { .. }
            | HookBody::StopFailed { .. }
            | HookBody::Other => {}
        }
        if Turn::takes(&hook.body) {
            return self.turn_hook(hook, at);
        }
        Applied::Changed
    }

    fn turn_hook(&mut self, hook: &Hook, at: Timestamp) -> Applied {
        let key = self.turn_key(hook);
        if self.turns.get(&key).is_none() && self.forgotten.prints.contains(&crate::digest::of(&key)) {
            return Applied::Ignored(Why::Forgotten);
        }
        self.turns.entry(key, |key| Turn::new(key, at)).note(hook, at);
        if self.turns.len() > TURNS_MAX {
            self.forget_oldest_turn();
        }
        Applied::Changed
    }

    fn turn_key(&mut self, hook: &Hook) -> TurnKey {
        if let Some(prompt) = &hook.prompt {
            return TurnKey::Prompt(prompt.clone());
        }
        if matches!(hook.body, HookBody::PromptGiven { .. }) {
            return self.next_counted();
        }
        let call = if let HookBody::ToolEnded { tool, .. } = &hook.body {
            tool.call.clone().map(ToolKey::Named)
        } else {
            None
        };
        let holds = |turn: &&Turn| call.as_ref().is_some_and(|call| turn.tools.get(call).is_some());
        let turn = self.turns.iter().find(holds).or_else(|| self.newest());
        match turn.map(|turn| turn.key.clone()) {
            Some(key) => key,
            None => self.next_counted(),
        }
    }

    fn next_counted(&mut self) -> TurnKey {
        let key = TurnKey::Counted(self.counted_turns);
        self.counted_turns += 1;
        key
    }

    fn forget_oldest_turn(&mut self) {
        let Some(key) = self
            .turns
            .iter()
            .min_by_key(|turn| turn.order())
            .map(|turn| turn.key.clone())
        else {
            return;
        };
        let Some(turn) = self.turns.remove(&key) else {
            return;
        };
        self.forgotten.turns += 1;
        self.forgotten.calls += turn.calls();
        self.forgotten.failures += turn.failures();
        self.forgotten.prints.push_back(crate::digest::of(&key));
        if self.forgotten.prints.len() > FORGOTTEN_MAX {
            self.forgotten.prints.pop_front();
        }
        if turn.given.is_some()
            && let Some(run) = turn.run.and_then(|run| self.runs.get_mut(&run))
        {
            run.forgotten_hook_turns += 1;
        }
    }

    fn link(&mut self, subagent: &SubagentId, call: &ToolCallId) {
        let link = self.links.entry(subagent.clone(), |subagent| Link {
            subagent,
            call: call.clone(),
        });
        if *call < link.call {
            link.call = call.clone();
        }
        self.links.keep_last(LINKS_MAX);
    }

    fn printed(&mut self, fact: &TurnFact, at: Timestamp) -> Applied {
        let turn = match fact {
            TurnFact::Started { turn, cwd } => {
                if let Some(cwd) = cwd {
                    later_text(&mut self.cwd, at, cwd);
                }
                turn
            }
            TurnFact::Ended { turn, .. } => turn,
            TurnFact::ModelChanged { model } => {
                later_text(&mut self.model, at, model);
                return Applied::Changed;
            }
            TurnFact::ContextChanged {
                used_tokens,
                window_tokens,
            } => {
                let context = Context {
                    used_tokens: *used_tokens,
                    window_tokens: *window_tokens,
                };
                later(&mut self.context, at, context);
                self.memory.measured(at, *used_tokens);
                self.watch.measured(at, *used_tokens);
                return Applied::Changed;
            }
            TurnFact::StateChanged { compacting } => {
                self.memory.compacting(*compacting, at);
                let Phase { began, ended } = &mut self.compaction;
                latest(if *compacting { began } else { ended }, at);
                return Applied::Changed;
            }
            TurnFact::SubagentLinked { subagent, call } => {
                self.link(subagent, call);
                return Applied::Changed;
            }
            TurnFact::Retried => {
                self.watch.turned_away(at);
                return Applied::Changed;
            }
            TurnFact::AskEnded { .. } => return Applied::Changed,
        };
        let noted = self.runs.entry(turn.run.clone(), Run::new).note(turn.index, fact, at);
        if self.runs.len() > RUNS_MAX {
            self.forget_oldest_run();
        }
        if noted {
            Applied::Changed
        } else {
            Applied::Ignored(Why::Forgotten)
        }
    }

    fn forget_oldest_run(&mut self) {
        let oldest = self.runs.iter().min_by_key(|run| (run.last, &run.id));
        let Some(key) = oldest.map(|run| run.id.clone()) else {
            return;
        };
        if let Some(run) = self.runs.remove(&key) {
            self.forgotten.usage = self.forgotten.usage.plus(run.usage());
            self.forgotten.cost_micros = read::add(self.forgotten.cost_micros, run.cost_micros);
        }
    }

    pub(crate) fn newest(&self) -> Option<&Turn> {
        self.turns.iter().max_by_key(|turn| turn.order())
    }
}

/// The key of a turn as people see it.
pub(crate) fn turn_name(key: &TurnKey) -> (String, Option<PromptId>) {
    match key {
        TurnKey::Prompt(prompt) => (prompt.to_string(), Some(prompt.clone())),
        TurnKey::Counted(n) => (format!("#{n}"), None),
    }
}

fn note_name<T: Ord + Clone>(slot: &mut Option<Latest<T>>, at: Timestamp, name: Option<&T>) {
    let Some(name) = name else {
        return;
    };
    match slot {
        Some(known) if known.value == *name => known.at = known.at.max(at),
        Some(_) | None => later(slot, at, name.clone()),
    }
}
