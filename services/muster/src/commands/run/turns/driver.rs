//! The loop itself: what begins when, and what is done of what it is told.

mod ending;
mod outcome;
mod patience;

pub(super) use patience::Patience;

use super::agent::{self, Agent, Launch};
use super::carry::{Carrying, Wanted};
use super::frames;
use super::queue::{Queue, Refused, Work};
use super::shown::Shown;
use crate::commands::run::process::Signals;
use crate::commands::run::reporter::{Missed, Reporter};
use crate::commands::run::session::Session;
use crate::socket::SocketError;
use muster_domain::effect::{Action, ActionKind};
use muster_domain::ids::EffectId;
use muster_domain::names::SessionId;
use rustix::process::Signal;
use std::process::ExitCode;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

/// What the loop says that it can do.
const CARRIES: &[ActionKind] = &[
    ActionKind::Message,
    ActionKind::Model,
    ActionKind::NewSession,
    ActionKind::Compact,
    ActionKind::Interrupt,
    ActionKind::Stop,
];

/// The turn under way.
struct Turn {
    id: Uuid,
    work: Work,
    compacted: bool,
    /// Those who want it to end.
    interrupted: Vec<EffectId>,
}

/// A change of the model that the agent has not confirmed.
struct Asked {
    id: Uuid,
    effect: EffectId,
    model: String,
}

/// What comes after the agent's end.
enum Next {
    /// It was not asked for: the conversation goes on.
    GoOn,
    /// A new conversation.
    Fresh(Vec<EffectId>),
    /// Nothing.
    Stop(Vec<EffectId>),
}

pub(super) struct Driver {
    launch: Launch,
    session: SessionId,
    /// The conversation has had a prompt.
    known: bool,
    /// It was given one, which it may have died of.
    prompted: bool,
    agent: Agent,
    telling: Session,
    reporter: Reporter,
    carrying: Carrying,
    shown: Shown,
    queue: Queue,
    turn: Option<Turn>,
    asked: Option<Asked>,
    next: Next,
    patience: Patience,
    deaths: u32,
    /// Another process carried the session.
    refused: bool,
}

impl Driver {
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own, put together once")]
    pub(super) async fn start(
        launch: Launch,
        session: SessionId,
        known: bool,
        queue: Queue,
        mut reporter: Reporter,
        carrying: Carrying,
        mut shown: Shown,
        patience: Patience,
    ) -> anyhow::Result<Self> {
        let (agent, telling) = ending::begin(&launch, &session, known, &mut reporter, &carrying, &mut shown).await?;
        Ok(Self {
            launch,
            session,
            known,
            prompted: false,
            agent,
            telling,
            reporter,
            carrying,
            shown,
            queue,
            turn: None,
            asked: None,
            next: Next::GoOn,
            patience,
            deaths: 0,
            refused: false,
        })
    }

    pub(super) async fn run(mut self, mut signals: Signals) -> anyhow::Result<ExitCode> {
        let code = self.turns(&mut signals).await;
        self.give_up().await;
        self.carrying.finish().await;
        let missed = self.reporter.finish().await;
        if missed != Missed::default() {
            self.shown
                .say(&format!("muster: {missed} were not reported: ingest did not take them"));
        }
        code.map(ExitCode::from)
    }

    /// Turn after turn, to the exit status of it all.
    async fn turns(&mut self, signals: &mut Signals) -> anyhow::Result<u8> {
        loop {
            self.advance();
            let until = self.patience.until();
            tokio::select! {
                line = self.agent.lines.recv() => match line {
                    Some(line) => self.line(&line).await,
                    None => if let Some(code) = self.gone(signals).await? {
                        return Ok(code);
                    },
                },
                // Its lines may be held open by what it started.
                () = agent::quiet(&mut self.agent.child) => if let Some(code) = self.gone(signals).await? {
                    return Ok(code);
                },
                seen = self.agent.watch.next() => {
                    let said = self.telling.observed(seen);
                    self.reporter.report(said).await;
                }
                Some(wanted) = self.carrying.wanted.recv() => self.wanted(wanted).await,
                _ = signals.next() => self.signalled().await,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => self.out_of_patience(),
            }
        }
    }

    /// Begins what can begin between two turns.
    fn advance(&mut self) {
        let busy = self.turn.is_some() || self.asked.is_some();
        if busy || !matches!(self.next, Next::GoOn) {
            return;
        }
        let fresh = self.queue.new_session();
        if !fresh.is_empty() {
            self.next = Next::Fresh(fresh);
            self.hang_up();
        } else if let Some((effect, model)) = self.queue.next_model() {
            let id = Uuid::now_v7();
            // Unheard where the agent ended just now; its end fails the change.
            self.agent.say(&frames::set_model(id, &model));
            self.asked = Some(Asked { id, effect, model });
            self.patience.expect_answer();
        } else if self.patience.turn.is_none()
            && let Some(work) = self.queue.next_work()
        {
            self.begin(work);
        }
    }

    fn begin(&mut self, work: Work) {
        let unread = self.queue.unread();
        let id = Uuid::new_v4();
        self.telling.prompted(work.from(), unread as u64);
        if !self.agent.say(&frames::prompt(id, &work.prompt())) {
            // It ended before this turn; the next one gets it.
            self.queue.push_first(work);
            self.agent.hang_up();
            return;
        }
        self.prompted = true;
        self.shown.turn(&work, unread);
        self.turn = Some(Turn {
            id,
            work,
            compacted: false,
            interrupted: Vec::new(),
        });
    }

    async fn wanted(&mut self, wanted: Wanted) {
        match wanted {
            Wanted::Order(effect, Action::Interrupt) => self.interrupt(effect).await,
            Wanted::Order(effect, Action::Stop) => {
                self.shown.say("the run was told to end");
                self.stop(Some(effect)).await;
            }
            Wanted::Order(effect, action) => {
                let kind = action.kind();
                let taken = if matches!(self.next, Next::Stop(_)) {
                    Err("the run is ending")
                } else {
                    self.queue.take(effect, action).map_err(|refused| match refused {
                        Refused::Full => "too many prompts wait already",
                        Refused::Other => "a turn loop does not do this",
                    })
                };
                if let Err(why) = taken {
                    self.carrying.failed(effect, kind, "refused", why).await;
                }
            }
            Wanted::Withdrawn(effect) => {
                if let Some(kind) = self.queue.withdraw(effect) {
                    self.carrying
                        .failed(effect, kind, "refused", "withdrawn before it began")
                        .await;
                }
            }
            Wanted::Reached(Ok(())) => {
                self.shown.say("messages reach this run through ingest");
                if std::mem::take(&mut self.refused) {
                    // What it said of its beginning was refused as well.
                    let said = self.telling.started(&self.agent.started);
                    self.reporter.report(said).await;
                }
            }
            Wanted::Reached(Err(why)) => {
                self.refused |= matches!(why, SocketError::Refused(_));
                self.shown.say(&format!("no messages for now: {why}"));
            }
        }
    }

    async fn interrupt(&mut self, effect: EffectId) {
        if let Some(turn) = &mut self.turn {
            turn.interrupted.push(effect);
            self.interrupt_agent();
            return;
        }
        // A turn that waits for the model's provider is under way as well.
        if self.patience.turn.take().is_some()
            && let Some(work) = self.queue.next_work()
        {
            self.failed(&work, "interrupted", "the turn was interrupted").await;
        }
        self.carrying.done(effect, ActionKind::Interrupt, None).await;
    }

    fn interrupt_agent(&mut self) {
        // Unheard where the agent ended just now; its end ends the turn too.
        self.agent.say(&frames::interrupt(Uuid::now_v7()));
        self.patience.expect_answer();
    }

    fn out_of_patience(&mut self) {
        let now = Instant::now();
        if self.patience.turn.is_some_and(|at| at <= now) {
            self.patience.turn = None;
        }
        if let Some((at, signal)) = self.patience.answer
            && at <= now
        {
            self.shown.say("the agent does not answer; it is signalled");
            self.agent.signal(signal);
            self.patience.answer = Some((now + patience::ANSWER_WITHIN, Signal::KILL));
        }
    }
}
