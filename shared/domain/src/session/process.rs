//! The processes a session ran in. The current one is the one watched last: what an older one does is no news.

use super::merge::{Latest, earliest, later};
use crate::fact::{ProcessFact, ProcessRef};
use crate::sorted::{Keyed, Sorted};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// How many are remembered: enough to tell a late exit of an old process from the death of the current one.
const REMEMBERED: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Process {
    key: ProcessRef,
    pub(crate) started: Option<Timestamp>,
    pub(crate) exited: Option<Latest<Option<i32>>>,
}

impl Keyed for Process {
    type Key = ProcessRef;
    fn compare(&self, key: &Self::Key) -> Ordering {
        self.key.cmp(key)
    }
}

impl Process {
    const fn new(key: ProcessRef) -> Self {
        Self {
            key,
            started: None,
            exited: None,
        }
    }

    fn order(&self) -> (Option<Timestamp>, Option<Timestamp>, &ProcessRef) {
        let exited = self.exited.as_ref().map(|exit| exit.at);
        (self.started, exited, &self.key)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Processes(Sorted<Process>);

impl Processes {
    pub(crate) fn note(&mut self, fact: &ProcessFact, at: Timestamp) {
        match fact {
            ProcessFact::Started(key) | ProcessFact::Carries { process: key, .. } => {
                earliest(&mut self.0.entry(key.clone(), Process::new).started, at);
            }
            ProcessFact::Exited { process, status } => {
                let known = self.0.entry(process.clone(), Process::new);
                later(&mut known.exited, at, *status);
            }
        }
        if self.0.len() > REMEMBERED
            && let Some(oldest) = self.0.iter().min_by_key(|process| process.order())
        {
            let key = oldest.key.clone();
            self.0.remove(&key);
        }
    }

    pub(crate) fn current(&self) -> Option<&Process> {
        self.0.iter().max_by_key(|process| process.order())
    }
}
