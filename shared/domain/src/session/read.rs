//! What others may ask of a session.

use super::{Context, Session, Standing, clearly_after};
use crate::budget::Spent;
use crate::effect::Carrier;
use crate::fact::Usage;
use crate::host::Host;
use crate::memory::Compaction;
use crate::names::{AgentName, Profile, SubagentId, ToolCallId};
use crate::state::SessionState;
use crate::time::Timestamp;

/// The tool by which agents delegate, whatever its server is called.
const DELEGATE: &str = "agent_delegate";

/// What a session adds up to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) turns: u32,
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) subagents_running: u32,
}

impl Session {
    /// Derives anew what it is doing.
    pub(crate) fn settle(&mut self, host: Option<&Host>) {
        self.standing = self.derive(host);
    }

    /// What it is doing, why, and since when.
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The state that was last concluded of it in the log.
    pub const fn announced(&self) -> Option<SessionState> {
        self.announced
    }

    /// When anything was last heard of it.
    pub const fn last_seen(&self) -> Timestamp {
        self.last_seen
    }

    /// The product that runs it.
    pub fn agent(&self) -> Option<&AgentName> {
        self.agent.as_ref().map(|word| &word.value)
    }

    /// Who carries out what it is told.
    pub fn carrier(&self) -> Option<&Carrier> {
        self.carriers.current()
    }

    /// Its profile.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref().map(|word| &word.value)
    }

    /// Its working directory.
    pub fn cwd(&self) -> Option<&str> {
        self.cwd.as_ref().map(|word| &*word.value)
    }

    /// Its model.
    pub fn model(&self) -> Option<&str> {
        self.model.as_ref().map(|word| &*word.value)
    }

    /// Its permission mode.
    pub fn permission_mode(&self) -> Option<&str> {
        self.permission_mode.as_ref().map(|word| &*word.value)
    }

    /// Tokens that its context holds.
    pub fn context(&self) -> Option<Context> {
        self.context.as_ref().map(|word| word.value)
    }

    /// Its last compaction that was announced.
    pub const fn compaction(&self) -> Option<Compaction> {
        self.memory.compacted()
    }

    /// Whether nothing happened since its last compaction, so that another one would find nothing.
    pub(crate) fn is_compact(&self) -> bool {
        let turn = self.current().map(|turn| turn.last());
        let last = turn.max(self.prompted);
        let after = |compaction: Compaction| last.is_some_and(|last| clearly_after(last, compaction.ended));
        self.memory.compacted().is_some_and(|compaction| !after(compaction))
    }

    /// Tokens of all its printed turns.
    pub fn usage(&self) -> Usage {
        self.runs
            .iter()
            .fold(self.forgotten.usage, |sum, run| sum.plus(run.usage()))
    }

    /// What all its wrapped runs cost, in millionths of a US dollar.
    pub fn cost_micros(&self) -> Option<u64> {
        self.runs
            .iter()
            .fold(self.forgotten.cost_micros, |sum, run| add(sum, run.cost_micros))
    }

    /// When it was first heard of.
    pub const fn known_since(&self) -> Timestamp {
        self.first_seen
    }

    /// When it began: its last start where that is known, else the first that was heard of it.
    pub fn began(&self) -> Timestamp {
        self.started.unwrap_or(self.first_seen)
    }

    /// Bytes that its tools put out.
    pub const fn tool_output_bytes(&self) -> u64 {
        self.tool_output_bytes
    }

    /// What each kept turn of its runs cost, where that is known, by when it ended.
    pub(crate) fn turn_costs(&self) -> Vec<(Timestamp, u64)> {
        let mut costs: Vec<_> = self.runs.iter().flat_map(super::stream::Run::costs).collect();
        costs.sort_unstable();
        costs
    }

    /// When a prompt was last given to it.
    pub(crate) const fn prompted(&self) -> Option<Timestamp> {
        self.prompted
    }

    /// Its tool calls, and those that failed: what [`Self::counts`] says of them, without putting its turns in order.
    pub(crate) fn calls(&self) -> (u64, u64) {
        let kept = self.turns.iter().map(|turn| (turn.calls(), turn.failures()));
        let forgotten = (self.forgotten.calls, self.forgotten.failures);
        kept.fold(forgotten, |sum, turn| (sum.0 + turn.0, sum.1 + turn.1))
    }

    /// Tools that its latest turns called: what hooks tell, and what was printed.
    pub(crate) fn tools_called(&self) -> impl Iterator<Item = &str> {
        let told = self
            .turns
            .iter()
            .flat_map(|turn| turn.tools.iter().map(super::Tool::name));
        let turns = self.runs.iter().flat_map(|run| run.turns.iter());
        let printed = turns.filter_map(|turn| turn.ended.as_ref());
        told.chain(printed.flat_map(|end| end.tools.keys().map(|tool| &**tool)))
    }

    /// First lines of the prompts of its latest turns.
    pub(crate) fn prompts(&self) -> impl Iterator<Item = &str> {
        self.turns.iter().filter_map(|turn| turn.given.as_ref()?.1.as_deref())
    }

    /// Files that calls of its latest turns named: a call is told in one line, and one that names a file is nothing else.
    pub(crate) fn paths_named(&self) -> impl Iterator<Item = &str> {
        let lines = self.turns.iter().flat_map(|turn| turn.tools.iter());
        let lines = lines.filter_map(super::Tool::summary);
        lines.filter(|line| line.contains('/') && !line.contains(char::is_whitespace))
    }

    /// A kept call of these digests, in words.
    pub(crate) fn call_in_words(&self, what: u32) -> Option<String> {
        let mut calls = self.turns.iter().flat_map(|turn| turn.tools.iter());
        let call = calls.find(|tool| super::watch::what(tool.name(), tool.input) == what)?;
        Some(match call.summary() {
            Some(summary) => format!("{}: {summary}", call.name()),
            None => call.name().to_owned(),
        })
    }

    /// What it spent.
    pub const fn spent(&self) -> Spent {
        self.spent
    }

    /// Counts anew what it spent; what it was and what it is, where that changed.
    pub(crate) fn recount(&mut self) -> Option<(Spent, Spent)> {
        let calls = self.turns.iter().map(super::Turn::calls).sum::<u64>();
        let spent = Spent {
            usd_micros: self.cost_micros().unwrap_or(0),
            tokens: self.usage().total(),
            calls: self.forgotten.calls + calls,
        };
        let before = std::mem::replace(&mut self.spent, spent);
        (before != spent).then_some((before, spent))
    }

    /// The call that started a subagent.
    pub(crate) fn starter_of(&self, subagent: &SubagentId) -> Option<&ToolCallId> {
        self.links.get(subagent).map(|link| &link.call)
    }

    /// The subagents that are delegating right now, and their kinds.
    pub(crate) fn delegating(&self) -> impl Iterator<Item = (&SubagentId, Option<&str>)> {
        let under_way = |tool: &&super::Tool| tool.ended.is_none() && tool.name().ends_with(DELEGATE);
        self.turns.iter().flat_map(move |turn| {
            let calls = turn.tools.iter().filter(under_way);
            calls.filter_map(|tool| {
                let id = tool.subagent.as_ref()?;
                let known = turn.subagents.get(id);
                Some((id, known.and_then(|subagent| subagent.kind.as_deref())))
            })
        })
    }

    /// When anything was last heard of it, or its host last came back: silence counts from there.
    pub(crate) fn heard(&self, host: Option<&Host>) -> Timestamp {
        host.map_or(self.last_seen, |host| self.last_seen.max(host.present_since))
    }

    /// Whether its death would be noticed: its current process is known and runs.
    pub(crate) fn watched(&self) -> bool {
        self.processes
            .current()
            .is_some_and(|process| process.started.is_some() && process.exited.is_none())
    }

    /// What it adds up to, turns that are no longer kept included.
    pub(crate) fn counts(&self) -> Counts {
        let turns = self.joined();
        let newest = turns.len().saturating_sub(1);
        let mut counts = Counts {
            turns: self.forgotten.turns + u32::try_from(turns.len()).unwrap_or(u32::MAX),
            calls: self.forgotten.calls,
            failures: self.forgotten.failures,
            subagents_running: 0,
        };
        for (at, joined) in turns.iter().enumerate() {
            let Some(turn) = joined.hook else {
                continue;
            };
            counts.calls += turn.calls();
            counts.failures += turn.failures();
            if self.standing.state.is_over() || (self.closed(joined, at == newest).is_some() && !turn.left_tasks()) {
                continue;
            }
            let running = turn.subagents.iter().filter(|s| s.over().is_none());
            counts.subagents_running += u32::try_from(running.count()).unwrap_or(u32::MAX);
        }
        counts
    }
}

/// The sum of what is known.
pub(super) fn add(sum: Option<u64>, more: Option<u64>) -> Option<u64> {
    match (sum, more) {
        (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
        (sum, more) => sum.or(more),
    }
}
