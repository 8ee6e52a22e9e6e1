//! How the runs of one agent went, each counted once.
//!
//! A run is told by its call and by its subagent, in either order, and a failed call does not say which subagent was its
//! own. So what is kept is every witness's latest word, and the runs are derived from all of them at once:
//! - A subagent and a call that are known to belong together are one run.
//! - Of what is left in a session, failed calls and failed subagents are the same runs seen from two sides, so the
//!   longer of the two lists is how many failed. A call that failed before its subagent began has no other side.
//!
//! That is a function of the set of words, whatever order they came in.

use crate::fleet::SessionKey;
use crate::ids::EventId;
use crate::names::{PromptId, SessionId, SubagentId, ToolCallId};
use crate::session::clearly_after;
use crate::sorted::{Keyed, Sorted};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

/// How many witnesses of one agent are remembered; the latest are.
const WORDS_MAX: usize = 256;
/// How long they are: failures that are a day apart are not in a row.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// How many subagents are remembered with their call, over all sessions.
const LINKS_MAX: usize = 4096;

/// Who tells of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Witness {
    Call(ToolCallId),
    Subagent(SubagentId),
    /// The session's own main thread, which runs as a named agent.
    Turn(PromptId),
    /// The agent names neither: each event is a run of its own.
    Event(EventId),
}

/// How it went. Of two words at once the worse one counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Outcome {
    Dropped,
    Done,
    Failed(Box<str>),
}

/// A witness and its latest word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Word {
    session: SessionKey,
    witness: Witness,
    at: Timestamp,
    outcome: Outcome,
}

impl Keyed for Word {
    type Key = (SessionKey, Witness);
    fn compare(&self, (session, witness): &Self::Key) -> Ordering {
        self.session.cmp(session).then_with(|| self.witness.cmp(witness))
    }
}

/// Which call started which subagent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Link {
    session: SessionKey,
    subagent: SubagentId,
    call: ToolCallId,
    at: Timestamp,
}

impl Keyed for Link {
    type Key = (SessionKey, SubagentId);
    fn compare(&self, (session, subagent): &Self::Key) -> Ordering {
        self.session.cmp(session).then_with(|| self.subagent.cmp(subagent))
    }
}

/// Which subagents belong to which calls, of all sessions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Links(Sorted<Link>);

impl Links {
    pub(super) fn note(&mut self, session: &SessionKey, subagent: &SubagentId, call: &ToolCallId, at: Timestamp) {
        let key = (session.clone(), subagent.clone());
        let link = self.0.entry(key, |(session, subagent)| Link {
            session,
            subagent,
            call: call.clone(),
            at,
        });
        link.at = link.at.max(at);
        if *call < link.call {
            link.call = call.clone();
        }
        if self.0.len() > LINKS_MAX
            && let Some(oldest) = self
                .0
                .iter()
                .min_by_key(|link| (link.at, &link.session, &link.subagent))
        {
            let key = (oldest.session.clone(), oldest.subagent.clone());
            self.0.remove(&key);
        }
    }

    fn call_of(&self, session: &SessionKey, subagent: &SubagentId) -> Option<&ToolCallId> {
        let key = (session.clone(), subagent.clone());
        self.0.get(&key).map(|link| &link.call)
    }
}

/// A failure: when, and in what words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Failure<'a> {
    pub(super) at: Timestamp,
    pub(super) error: &'a str,
}

/// How the runs went: all failures, and the last success.
#[derive(Debug, Default)]
pub(super) struct Runs<'a> {
    failures: Vec<Failure<'a>>,
    done: Option<Timestamp>,
}

impl<'a> Runs<'a> {
    fn failed(&mut self, at: Timestamp, error: &'a str) {
        self.failures.push(Failure { at, error });
    }

    fn done(&mut self, at: Timestamp) {
        self.done = self.done.max(Some(at));
    }

    /// The failures since the last success and since `since`, the oldest first.
    pub(super) fn in_a_row(mut self, since: Option<Timestamp>) -> Vec<Failure<'a>> {
        let after = self.done.max(since);
        self.failures
            .retain(|failure| after.is_none_or(|after| failure.at > after));
        self.failures.sort_unstable();
        self.failures
    }
}

/// How one run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    Dropped,
    Done,
    Failed(&'a str),
}

/// The words of all witnesses of one agent's runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Ledger(Sorted<Word>);

impl Ledger {
    /// Takes in a word.
    pub(super) fn note(&mut self, session: &SessionKey, witness: Witness, at: Timestamp, outcome: Outcome) {
        let key = (session.clone(), witness);
        let word = self.0.entry(key, |(session, witness)| Word {
            session,
            witness,
            at,
            outcome: outcome.clone(),
        });
        if (word.at, &word.outcome) < (at, &outcome) {
            (word.at, word.outcome) = (at, outcome);
        }
        self.forget();
    }

    fn forget(&mut self) {
        let newest = self.0.iter().map(|word| word.at).max().unwrap_or_default();
        let over = |word: &Word| newest.since(word.at) > REMEMBERED;
        while let Some(key) = self.0.iter().find(|word| over(word)).map(Word::key) {
            self.0.remove(&key);
        }
        while self.0.len() > WORDS_MAX {
            let oldest = self.0.iter().min_by_key(|word| (word.at, &word.session, &word.witness));
            let Some(key) = oldest.map(Word::key) else {
                return;
            };
            self.0.remove(&key);
        }
    }

    /// When its latest word was said.
    pub(super) fn last(&self) -> Option<Timestamp> {
        self.0.iter().map(|word| word.at).max()
    }

    /// Whether a run of a session of this id is told of.
    pub(super) fn knows(&self, session: &SessionId) -> bool {
        self.0.iter().any(|word| word.session.id == *session)
    }

    /// How all runs went.
    pub(super) fn runs(&self, links: &Links) -> Runs<'_> {
        let mut runs = Runs::default();
        let mut of_session: Vec<&Word> = Vec::new();
        for word in self.0.iter() {
            if of_session.first().is_some_and(|first| first.session != word.session) {
                self.session(&of_session, links, &mut runs);
                of_session.clear();
            }
            of_session.push(word);
        }
        self.session(&of_session, links, &mut runs);
        runs
    }

    fn session<'a>(&'a self, words: &[&'a Word], links: &Links, runs: &mut Runs<'a>) {
        let mut told: BTreeSet<&ToolCallId> = BTreeSet::new();
        let (mut subagents, mut calls, mut done) = (Vec::new(), Vec::new(), Vec::new());
        for word in words {
            match &word.witness {
                Witness::Subagent(id) => match links.call_of(&word.session, id) {
                    Some(call) => {
                        told.insert(call);
                        joined(word, self.call(&word.session, call), runs);
                    }
                    None => match &word.outcome {
                        Outcome::Failed(error) => subagents.push(Failure { at: word.at, error }),
                        Outcome::Done => done.push(word.at),
                        Outcome::Dropped => {}
                    },
                },
                Witness::Call(_) => {}
                Witness::Turn(_) | Witness::Event(_) => alone(word, runs),
            }
        }
        for word in words {
            match (&word.witness, &word.outcome) {
                (Witness::Call(call), _) if told.contains(call) => {}
                (Witness::Call(_), Outcome::Failed(error)) => calls.push(Failure { at: word.at, error }),
                (Witness::Call(_), _) => alone(word, runs),
                _ => {}
            }
        }
        // A subagent that stopped well although its call failed did not do well.
        let spoiled = |at: Timestamp| calls.len() > subagents.len() && calls.iter().any(|call| races(call.at, at));
        done.into_iter().filter(|at| !spoiled(*at)).for_each(|at| runs.done(at));
        let failed = if calls.len() >= subagents.len() {
            calls
        } else {
            subagents
        };
        runs.failures.extend(failed);
    }

    fn call(&self, session: &SessionKey, call: &ToolCallId) -> Option<&Word> {
        self.0.get(&(session.clone(), Witness::Call(call.clone())))
    }

    /// How the run of this call went, if it is over.
    pub(super) fn of_call(&self, session: &SessionKey, call: &ToolCallId, links: &Links) -> Option<Verdict<'_>> {
        let mut runs = Runs::default();
        let of_call = self.call(session, call);
        let subagent = self.0.iter().find(|word| {
            matches!(&word.witness, Witness::Subagent(id)
                if word.session == *session && links.call_of(session, id) == Some(call))
        });
        match (subagent, of_call) {
            (Some(word), _) => joined(word, of_call, &mut runs),
            (None, Some(word)) if word.outcome == Outcome::Dropped => return Some(Verdict::Dropped),
            (None, Some(word)) => alone(word, &mut runs),
            (None, None) => return None,
        }
        let done = runs.done;
        match runs.failures.iter().max() {
            Some(failure) if done.is_none_or(|done| failure.at > done) => Some(Verdict::Failed(failure.error)),
            _ if done.is_some() => Some(Verdict::Done),
            _ => Some(Verdict::Dropped),
        }
    }

    /// How the first run of this session went that was over after `since`.
    pub(super) fn of_session(&self, session: &SessionKey, since: Timestamp) -> Option<Verdict<'_>> {
        let after = |word: &&Word| word.session == *session && word.at > since && word.outcome != Outcome::Dropped;
        let first = self
            .0
            .iter()
            .filter(after)
            .min_by_key(|word| (word.at, &word.witness))?;
        Some(match &first.outcome {
            Outcome::Failed(error) => Verdict::Failed(error),
            Outcome::Done | Outcome::Dropped => Verdict::Done,
        })
    }
}

impl Word {
    fn key(&self) -> (SessionKey, Witness) {
        (self.session.clone(), self.witness.clone())
    }
}

fn races(one: Timestamp, other: Timestamp) -> bool {
    !clearly_after(one, other) && !clearly_after(other, one)
}

fn alone<'a>(word: &'a Word, runs: &mut Runs<'a>) {
    match &word.outcome {
        Outcome::Failed(error) => runs.failed(word.at, error),
        Outcome::Done => runs.done(word.at),
        Outcome::Dropped => {}
    }
}

/// One run, told by its subagent and perhaps by its call too. A subagent that is woken again long after its call runs anew.
fn joined<'a>(subagent: &'a Word, call: Option<&'a Word>, runs: &mut Runs<'a>) {
    let Some(call) = call.filter(|call| call.outcome != Outcome::Dropped) else {
        return alone(subagent, runs);
    };
    if clearly_after(subagent.at, call.at) {
        alone(call, runs);
        return alone(subagent, runs);
    }
    let at = subagent.at.min(call.at);
    match (&subagent.outcome, &call.outcome) {
        (Outcome::Failed(error), Outcome::Failed(_)) => runs.failed(at, error),
        (Outcome::Failed(error), _) => runs.failed(subagent.at, error),
        (_, Outcome::Failed(error)) => runs.failed(call.at, error),
        (Outcome::Done | Outcome::Dropped, _) => runs.done(at),
    }
}
