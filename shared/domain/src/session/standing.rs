//! What a session is doing, derived from all that is known of it.
//!
//! The questions are asked in this order, and the first answer holds: is it over; can anybody tell; does somebody have to
//! answer; is it compacting; is its newest turn going on. Nothing here looks at the order in which facts came, only at
//! the times they carry.

use super::joined::Joined;
use super::merge::{RACE, clearly_after, when};
use super::{Ask, Session, Turn};
use crate::host::{Host, HostState};
use crate::state::SessionState;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A state, why, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    /// The state.
    pub state: SessionState,
    /// Why, where there is more to say than the state does.
    pub reason: Option<Box<str>>,
    /// When the fact came that made it so.
    pub since: Timestamp,
}

impl Standing {
    pub(crate) const fn starting(since: Timestamp) -> Self {
        Self {
            state: SessionState::Starting,
            reason: None,
            since,
        }
    }

    fn new(state: SessionState, reason: Option<Box<str>>, since: Timestamp) -> Self {
        Self { state, reason, since }
    }
}

/// How a turn is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over<'a> {
    Stopped,
    Failed(&'a str),
    /// The session ended, or began again, without a word on the turn.
    Abandoned,
}

impl Session {
    pub(crate) fn derive(&self, host: Option<&Host>) -> Standing {
        if let Some(over) = self.over() {
            return over;
        }
        if let Some(unknown) = self.unknown(host) {
            return unknown;
        }
        let current = self.current();
        let stop = current.and_then(|turn| self.turn_over(&turn));
        let began = current.and_then(|turn| turn.began());
        if let Some(waiting) = self.waiting(current.and_then(|turn| turn.hook), stop, began) {
            return waiting;
        }
        let last_call = current.and_then(|turn| turn.hook).and_then(Turn::last_call);
        let closers = [began, stop.map(|(at, _)| at), last_call, self.started];
        if let Some(since) = self.compacting(closers.into_iter().flatten().max()) {
            return Standing::new(SessionState::Compacting, None, since);
        }
        let Some(turn) = current else {
            return Standing::starting(self.started.unwrap_or(self.first_seen));
        };
        let Some((at, over)) = stop else {
            return Standing::new(SessionState::Working, None, began.unwrap_or(self.first_seen));
        };
        if let Over::Failed(error) = over {
            return Standing::new(SessionState::Failed, Some(error.into()), at);
        }
        let going_on = turn
            .hook
            .and_then(|turn| turn.stopped.as_ref())
            .map_or(0, |stopped| stopped.value);
        let reason = match going_on {
            0 => None,
            1 => Some("1 background task goes on".into()),
            n => Some(format!("{n} background tasks go on").into()),
        };
        Standing::new(SessionState::Idle, reason, at)
    }

    /// Whether it is over, unless it began again since. With a carrier it goes on, whatever its agent says after a turn.
    fn over(&self) -> Option<Standing> {
        if self.carrier().is_some() {
            return None;
        }
        let began_after = |at: Timestamp| {
            self.started.is_some_and(|start| start > at)
                || self.prompted.is_some_and(|prompt| clearly_after(prompt, at))
        };
        if let Some(ended) = self.ended.as_ref().filter(|ended| !began_after(ended.at)) {
            return Some(Standing::new(SessionState::Stopped, ended.value.clone(), ended.at));
        }
        let process = self.processes.current();
        let exited = process.and_then(|process| process.exited.as_ref());
        if let Some(exited) = exited.filter(|exited| !began_after(exited.at)) {
            return Some(match exited.value {
                // Some agents never say that they end; a process that exits well did so on purpose.
                Some(0) => Standing::new(SessionState::Stopped, Some("exited".into()), exited.at),
                // It ended, and said how: that is not a loss.
                Some(status) if status > 0 => Standing::new(
                    SessionState::Stopped,
                    Some(format!("exited with status {status}").into()),
                    exited.at,
                ),
                Some(status) => Standing::new(
                    SessionState::Lost,
                    Some(format!("process exited with status {status}").into()),
                    exited.at,
                ),
                None => Standing::new(SessionState::Lost, Some("process is gone".into()), exited.at),
            });
        }
        let runs_since = |at| process.is_some_and(|process| process.started > Some(at) && process.exited.is_none());
        let lost = self.lost.as_ref()?;
        (!began_after(lost.at) && !runs_since(lost.at))
            .then(|| Standing::new(SessionState::Lost, Some(lost.value.clone()), lost.at))
    }

    /// Whether nobody can tell what it does: nothing was heard since it was given up, or since its host was.
    fn unknown(&self, host: Option<&Host>) -> Option<Standing> {
        let unknown = |reason, since| Standing::new(SessionState::Unknown, reason, since);
        if let Some(host) = host
            && host.since() > self.last_seen()
        {
            match host.state() {
                HostState::Lost => return Some(unknown(Some("host is lost".into()), host.since())),
                HostState::Removed => {
                    return Some(unknown(Some("host was removed".into()), host.since()));
                }
                HostState::Present | HostState::Stopping => {}
            }
        }
        let silent = self.silent.as_ref()?;
        (silent.at > self.heard(host)).then(|| unknown(silent.value.clone(), silent.at))
    }

    /// Whether a turn is over, and how.
    pub(crate) fn turn_over<'a>(&'a self, turn: &Joined<'a>) -> Option<(Timestamp, Over<'a>)> {
        if let Some(stop) = turn.stop() {
            let how = turn.failure().map_or(Over::Stopped, Over::Failed);
            return Some((stop, how));
        }
        let ended = when(self.ended.as_ref()).max(self.started);
        let cut_off = ended.filter(|at| *at > turn.last());
        if let Some(at) = cut_off {
            return Some((at, Over::Abandoned));
        }
        // A lone end began nothing and leaves nothing going on.
        (turn.began().is_none()).then(|| (turn.last(), Over::Stopped))
    }

    /// As [`Self::turn_over`], for a turn with or without a successor: an agent does one prompt at a time, so what has a
    /// successor, or outlived its session, was broken off.
    pub(crate) fn closed<'a>(&'a self, turn: &Joined<'a>, is_newest: bool) -> Option<(Timestamp, Over<'a>)> {
        let broken_off = !is_newest || self.standing.state.is_over();
        self.turn_over(turn)
            .or_else(|| broken_off.then(|| (turn.last(), Over::Abandoned)))
    }

    fn waiting(
        &self,
        current: Option<&Turn>,
        stop: Option<(Timestamp, Over<'_>)>,
        began: Option<Timestamp>,
    ) -> Option<Standing> {
        let asks = self.turns.iter().flat_map(|turn| {
            let is_current = current.is_some_and(|current| current.key == turn.key);
            let open =
                move |ask: &&Ask| (is_current || began.is_none_or(|began| ask.at() > began)) && self.open(turn, ask);
            turn.asks.iter().filter(open)
        });
        if let Some(ask) = asks.min_by_key(|ask| ask.at()) {
            let state = if ask.asks_user {
                SessionState::WaitingInput
            } else {
                SessionState::WaitingApproval
            };
            let reason = match &ask.summary {
                Some(summary) => format!("{}: {summary}", ask.tool()).into(),
                None => ask.tool().as_str().into(),
            };
            return Some(Standing::new(state, Some(reason), ask.at()));
        }
        if let Some(turn) = current.filter(|_| stop.is_none()) {
            let question = turn.tools.iter().filter(|tool| {
                let done = turn.done(tool.subagent.as_ref());
                tool.asks_user && tool.ended.is_none() && done < tool.started
            });
            if let Some(tool) = question.min_by_key(|tool| tool.started) {
                let since = tool.started.unwrap_or(turn.first);
                let reason = Some(tool.name().into());
                return Some(Standing::new(SessionState::WaitingInput, reason, since));
            }
        }
        let awaited = self.awaited.as_ref()?;
        let answered = [self.given, began, self.started]
            .into_iter()
            .flatten()
            .any(|at| at >= awaited.at)
            || stop.is_some_and(|(stop, _)| stop.after(RACE) >= awaited.at);
        (!answered).then(|| Standing::new(SessionState::WaitingInput, Some(awaited.value.clone()), awaited.at))
    }

    /// Whether a permission request still waits: nothing known since then says that it was answered.
    pub(crate) fn open(&self, turn: &Turn, ask: &Ask) -> bool {
        let at = ask.at();
        let since = |moment: Option<Timestamp>| moment.is_some_and(|moment| moment >= at);
        let stopped = turn.stop().is_some_and(|stop| stop.after(RACE) >= at);
        !stopped
            && ask.closed.is_none()
            && !since(self.started)
            && !since(turn.done(ask.subagent()))
            && !turn.tools.iter().any(|tool| since(tool.ended_at()) && ask.is_for(tool))
    }

    fn compacting(&self, closed: Option<Timestamp>) -> Option<Timestamp> {
        let began = self.compaction.began?;
        let ended = self.compaction.ended.is_some_and(|end| end.after(RACE) >= began);
        (!ended && closed.is_none_or(|closed| began > closed)).then_some(began)
    }
}
