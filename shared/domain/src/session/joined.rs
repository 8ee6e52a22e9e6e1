//! A turn as a whole: what hooks tell of it joined to what its process printed.

use super::Session;
use super::merge::clearly_after;
use super::stream::{Run, StreamTurn};
use super::turn::{Turn, TurnKey};
use crate::time::Timestamp;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Joined<'a> {
    pub(crate) hook: Option<&'a Turn>,
    pub(crate) stream: Option<(&'a Run, &'a StreamTurn)>,
}

impl<'a> Joined<'a> {
    pub(crate) fn began(&self) -> Option<Timestamp> {
        let hook = self.hook.and_then(|turn| turn.began);
        hook.or_else(|| self.stream.and_then(|(_, turn)| turn.began()))
    }

    fn order(&self) -> (Option<Timestamp>, Timestamp, Option<&'a TurnKey>, u32) {
        let printed = self.stream.map(|(_, turn)| turn);
        let ended = printed.and_then(|turn| turn.ended.as_ref().map(|end| end.at));
        let first = self.hook.map(|turn| turn.first).or(ended);
        (
            self.began(),
            first.unwrap_or_default(),
            self.hook.map(|turn| &turn.key),
            printed.map_or(0, |turn| turn.index),
        )
    }

    /// The stop that stands, of those that were told: one that the agent went on after does not.
    pub(crate) fn stop(&self) -> Option<Timestamp> {
        let told = self.hook.and_then(Turn::stop);
        let printed = self.stream.and_then(|(_, turn)| turn.ended.as_ref()).map(|end| end.at);
        let stop = told.max(printed)?;
        let went_on = self.hook.is_some_and(|turn| turn.went_on_after(stop));
        (!went_on).then_some(stop)
    }

    /// Why it failed, if it did.
    pub(crate) fn failure(&self) -> Option<&'a str> {
        let hook = self.hook.and_then(|turn| {
            let failed = turn.failed.as_ref()?;
            let recovered = turn
                .stopped
                .as_ref()
                .is_some_and(|stopped| clearly_after(stopped.at, failed.at));
            (!recovered).then_some(&*failed.value)
        });
        let printed = || {
            let end = self.stream.and_then(|(_, turn)| turn.ended.as_ref())?;
            (!end.ok).then_some(&*end.result)
        };
        hook.or_else(printed)
    }

    /// When anything of it was last heard.
    pub(crate) fn last(&self) -> Timestamp {
        let printed = self.stream.and_then(|(_, turn)| {
            let ended = turn.ended.as_ref().map(|end| end.at);
            ended.max(turn.began())
        });
        let told = self.hook.map(|turn| turn.last);
        told.max(printed).unwrap_or_default()
    }
}

impl Session {
    /// Its turns, oldest first.
    pub(crate) fn joined(&self) -> Vec<Joined<'_>> {
        let mut told: Vec<&Turn> = self.turns.iter().collect();
        told.sort_by_key(|turn| turn.order());
        let mut all = Vec::with_capacity(told.len());
        let mut of_run: Vec<(&str, u32)> = self
            .runs
            .iter()
            .map(|run| (run.id.as_str(), run.forgotten_hook_turns))
            .collect();
        let mut taken = std::collections::BTreeSet::new();
        for turn in told {
            let run = turn.run.as_ref().and_then(|run| self.runs.get(run));
            let stream = run.filter(|_| turn.given.is_some()).and_then(|run| {
                let (_, next) = of_run.iter_mut().find(|(id, _)| *id == run.id.as_str())?;
                let index = *next;
                *next += 1;
                let stream = run.turns.get(&index)?;
                taken.insert((run.id.as_str(), index));
                Some((run, stream))
            });
            all.push(Joined {
                hook: Some(turn),
                stream,
            });
        }
        for run in self.runs.iter() {
            for turn in run.turns.iter() {
                if !taken.contains(&(run.id.as_str(), turn.index)) {
                    all.push(Joined {
                        hook: None,
                        stream: Some((run, turn)),
                    });
                }
            }
        }
        all.sort_by(|a, b| a.order().cmp(&b.order()));
        all
    }

    /// The turn that began last.
    pub(crate) fn current(&self) -> Option<Joined<'_>> {
        if self.runs.len() == 0 {
            // The common case, once for each event: no need to put all turns in order to find the last one.
            return self.newest().map(|turn| Joined {
                hook: Some(turn),
                stream: None,
            });
        }
        self.joined().pop()
    }
}
