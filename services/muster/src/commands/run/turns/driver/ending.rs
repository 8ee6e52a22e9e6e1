//! The agent's end, asked for or not, and what comes after it.

use super::{Asked, CARRIES, Driver, Next, Turn};
use crate::commands::run::process::{self, Signals};
use crate::commands::run::reporter::Reporter;
use crate::commands::run::session::Session;
use crate::commands::run::turns::agent::{Agent, Launch};
use crate::commands::run::turns::carry::Carrying;
use crate::commands::run::turns::shown::Shown;
use anyhow::Context as _;
use muster_domain::effect::ActionKind;
use muster_domain::ids::EffectId;
use muster_domain::names::{RunId, SessionId};
use muster_runtime::exit;
use rustix::process::Signal;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

/// Deaths of the agent in a row, without a turn between them, after which the loop gives up.
const DEATHS_MAX: u32 = 3;

impl Driver {
    pub(super) async fn signalled(&mut self) {
        if matches!(self.next, Next::Stop(_)) {
            self.agent.signal(Signal::KILL);
        } else {
            self.shown.say("ending; again to end at once");
            self.stop(None).await;
        }
    }

    /// Ends the running turn and then the agent.
    pub(super) async fn stop(&mut self, effect: Option<EffectId>) {
        match &mut self.next {
            Next::Stop(effects) => {
                effects.extend(effect);
                return;
            }
            Next::Fresh(fresh) => {
                let fresh = std::mem::take(fresh);
                self.not_any_more(fresh, ActionKind::NewSession).await;
            }
            Next::GoOn => {}
        }
        self.next = Next::Stop(effect.into_iter().collect());
        if self.turn.is_some() {
            self.interrupt_agent();
        } else {
            self.hang_up();
        }
    }

    pub(super) fn hang_up(&mut self) {
        self.agent.hang_up();
        self.patience.answer = None;
        self.patience.expect_answer();
    }

    async fn not_any_more(&self, effects: Vec<EffectId>, kind: ActionKind) {
        for effect in effects {
            self.carrying.failed(effect, kind, "interrupted", "the run ended").await;
        }
    }

    /// The agent has ended. Gives back how the loop ends, where it does.
    pub(super) async fn gone(&mut self, signals: &mut Signals) -> anyhow::Result<Option<u8>> {
        let status = self.agent.ended().await.context("waiting for the agent")?;
        let (seen, watched) = self.agent.watch.finish().await;
        for seen in seen {
            let said = self.telling.observed(seen);
            self.reporter.report(said).await;
        }
        let said = self.telling.ended(&self.agent.started, process::told(status), watched);
        self.reporter.report(said).await;
        self.patience.answer = None;
        if let Some(Asked { effect, .. }) = self.asked.take() {
            self.carrying
                .failed(effect, ActionKind::Model, "error", "the agent ended")
                .await;
        }
        let cut = self.turn.take();
        match std::mem::replace(&mut self.next, Next::GoOn) {
            Next::Stop(effects) => {
                if let Some(turn) = cut {
                    self.failed(&turn.work, "interrupted", "the run ended").await;
                    self.interrupts_over(turn.interrupted).await;
                }
                for effect in effects {
                    self.carrying.done(effect, ActionKind::Stop, None).await;
                }
                self.shown.say(&format!(
                    "the run is over; go on with: muster run --resume {}",
                    self.session
                ));
                return Ok(Some(0));
            }
            Next::Fresh(effects) => {
                self.session = SessionId::new(&Uuid::new_v4().to_string())?;
                (self.known, self.prompted) = (false, false);
                self.again().await?;
                for effect in effects {
                    let detail = format!("the conversation is {} now", self.session);
                    self.carrying.done(effect, ActionKind::NewSession, Some(detail)).await;
                }
            }
            Next::GoOn => return self.died(status, cut, signals).await,
        }
        Ok(None)
    }

    async fn died(
        &mut self,
        status: ExitStatus,
        cut: Option<Turn>,
        signals: &mut Signals,
    ) -> anyhow::Result<Option<u8>> {
        self.shown.say(&format!("the agent ended by itself ({status})"));
        if let Some(turn) = cut {
            let why = if turn.interrupted.is_empty() {
                "error"
            } else {
                "interrupted"
            };
            self.failed(&turn.work, why, "the agent ended during the turn").await;
            self.interrupts_over(turn.interrupted).await;
        }
        self.deaths += 1;
        if self.deaths > DEATHS_MAX {
            self.shown.say("the agent ended again and again; the run is over");
            return Ok(Some(match process::code(status) {
                0 => exit::BUG,
                code => code,
            }));
        }
        // Its conversation may have begun without a word.
        self.known |= self.prompted && self.deaths > 1;
        let pause = Duration::from_secs(1 << (self.deaths - 1));
        tokio::select! {
            () = sleep(pause) => {}
            _ = signals.next() => return Ok(Some(0)),
        }
        self.again().await?;
        Ok(None)
    }

    async fn again(&mut self) -> anyhow::Result<()> {
        (self.agent, self.telling) = begin(
            &self.launch,
            &self.session,
            self.known,
            &mut self.reporter,
            &self.carrying,
            &mut self.shown,
        )
        .await?;
        Ok(())
    }

    /// Nothing will become of what waits.
    pub(super) async fn give_up(&mut self) {
        for (effect, kind) in self.queue.give_up() {
            self.carrying
                .failed(effect, kind, "refused", "the run ended before its turn")
                .await;
        }
    }
}

/// Starts the agent, as a run of its own, and tells of it.
pub(super) async fn begin(
    launch: &Launch,
    session: &SessionId,
    known: bool,
    reporter: &mut Reporter,
    carrying: &Carrying,
    shown: &mut Shown,
) -> anyhow::Result<(Agent, Session)> {
    let run = RunId::new(&Uuid::now_v7().to_string())?;
    let agent = launch.start(&run, session, known)?;
    let mut telling = Session::of(run.clone(), session.clone(), CARRIES);
    reporter.report(telling.started(&agent.started)).await;
    carrying.carries(&run, session).await;
    shown.began(session, &agent.started.command, known);
    Ok((agent, telling))
}
