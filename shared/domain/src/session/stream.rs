//! Turns as a wrapped process prints them: what they cost, and how they ended.
//!
//! Lines name no prompt. A run's turns are numbered, and joined to the turns its hooks tell of by that order.

use super::merge::earliest;
use crate::fact::{TurnFact, Usage};
use crate::names::RunId;
use crate::sorted::{Keyed, Sorted};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// How many turns of a run are kept singly, and how many runs.
const TURNS_MAX: usize = 32;
pub(crate) const RUNS_MAX: usize = 32;

/// How a printed turn ended. Of two words the later counts, which is why the time comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct StreamEnd {
    pub(crate) at: Timestamp,
    pub(crate) ok: bool,
    pub(crate) result: Box<str>,
    pub(crate) duration_ms: Option<u64>,
    pub(crate) run_cost_micros: Option<u64>,
    usage: (u64, u64, u64, u64),
    pub(crate) tools: BTreeMap<Box<str>, u64>,
}

impl StreamEnd {
    pub(crate) const fn usage(&self) -> Usage {
        let (input, output, cache_read, cache_creation) = self.usage;
        Usage {
            input,
            output,
            cache_read,
            cache_creation,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct StreamTurn {
    pub(crate) index: u32,
    began: Option<Timestamp>,
    pub(crate) ended: Option<StreamEnd>,
}

impl Keyed for StreamTurn {
    type Key = u32;
    fn compare(&self, key: &Self::Key) -> Ordering {
        self.index.cmp(key)
    }
}

impl StreamTurn {
    /// When it began: a printed end proves a beginning.
    pub(crate) fn began(&self) -> Option<Timestamp> {
        self.began.or(self.ended.as_ref().map(|end| end.at))
    }
}

/// One wrapped process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    /// When anything of it was last heard.
    pub(crate) last: Timestamp,
    /// Its cost so far: it only grows.
    pub(crate) cost_micros: Option<u64>,
    pub(crate) turns: Sorted<StreamTurn>,
    /// Printed turns below this index are only counted.
    pub(crate) kept_from: u32,
    /// Tokens of those.
    forgotten_usage: Usage,
    /// What the run had cost when the last of those ended.
    forgotten_cost_micros: u64,
    /// Turns told by its hooks that are only counted by now.
    pub(crate) forgotten_hook_turns: u32,
}

impl Keyed for Run {
    type Key = RunId;
    fn compare(&self, key: &Self::Key) -> Ordering {
        self.id.cmp(key)
    }
}

impl Run {
    pub(crate) fn new(id: RunId) -> Self {
        Self {
            id,
            last: Timestamp::default(),
            cost_micros: None,
            turns: Sorted::default(),
            kept_from: 0,
            forgotten_usage: Usage::default(),
            forgotten_cost_micros: 0,
            forgotten_hook_turns: 0,
        }
    }

    /// Takes in that turn `index` began or ended; `false` when the turn is only counted by now.
    pub(crate) fn note(&mut self, index: u32, fact: &TurnFact, at: Timestamp) -> bool {
        if index < self.kept_from {
            return false;
        }
        self.last = self.last.max(at);
        let turn = self.turns.entry(index, |index| StreamTurn {
            index,
            began: None,
            ended: None,
        });
        if let TurnFact::Ended {
            ok,
            result,
            duration_ms,
            usage,
            run_cost_micros,
            tools,
            ..
        } = fact
        {
            let end = StreamEnd {
                at,
                ok: *ok,
                result: result.as_str().into(),
                duration_ms: *duration_ms,
                run_cost_micros: *run_cost_micros,
                usage: (usage.input, usage.output, usage.cache_read, usage.cache_creation),
                tools: tools.iter().map(|(tool, n)| (tool.as_str().into(), *n)).collect(),
            };
            if turn.ended.as_ref().is_none_or(|known| *known < end) {
                turn.ended = Some(end);
            }
            self.cost_micros = self.cost_micros.max(*run_cost_micros);
        } else {
            earliest(&mut turn.began, at);
        }
        self.forget_beyond();
        true
    }

    fn forget_beyond(&mut self) {
        while self.turns.len() > TURNS_MAX {
            let Some(turn) = self.turns.pop_first() else {
                return;
            };
            self.kept_from = turn.index.saturating_add(1);
            if let Some(end) = turn.ended {
                self.forgotten_usage = self.forgotten_usage.plus(end.usage());
                self.forgotten_cost_micros = self.forgotten_cost_micros.max(end.run_cost_micros.unwrap_or(0));
            }
        }
    }

    /// Tokens of all its turns.
    pub(crate) fn usage(&self) -> Usage {
        self.turns
            .iter()
            .filter_map(|turn| turn.ended.as_ref())
            .fold(self.forgotten_usage, |sum, end| sum.plus(end.usage()))
    }

    /// When its kept turns ended, and what each cost where that is known.
    pub(crate) fn costs(&self) -> impl Iterator<Item = (Timestamp, u64)> {
        let ends = self.turns.iter().filter_map(|turn| turn.ended.as_ref());
        let told = ends.filter_map(|end| Some((end.at, end.run_cost_micros?)));
        told.scan(self.forgotten_cost_micros, |before, (at, so_far)| {
            let cost = so_far.saturating_sub(*before);
            *before = so_far.max(*before);
            Some((at, cost))
        })
    }

    /// What one turn cost: the run's cost at its end, less what the run had cost by then.
    pub(crate) fn cost_of(&self, index: u32) -> Option<u64> {
        let at = |turn: &StreamTurn| turn.ended.as_ref().and_then(|end| end.run_cost_micros);
        let cost = self.turns.get(&index).and_then(at)?;
        let before = self
            .turns
            .iter()
            .filter(|turn| turn.index < index)
            .filter_map(at)
            .max()
            .unwrap_or(self.forgotten_cost_micros);
        Some(cost.saturating_sub(before))
    }
}
