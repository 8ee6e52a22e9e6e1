//! What the agent says, and what its turns come to.

use super::{Asked, Driver, Next, Turn};
use crate::commands::run::turns::frames::{self, Heard, Outcome, Problem};
use crate::commands::run::turns::queue::{What, Work};
use muster_domain::effect::ActionKind;
use muster_domain::ids::EffectId;
use tokio::time::Instant;
use uuid::Uuid;

/// Refusals of one turn by the model's provider after which it has failed: an hour, at the default wait.
const REFUSALS_MAX: u32 = 12;

impl Driver {
    pub(super) async fn line(&mut self, line: &str) {
        self.shown.line(line);
        let said = self.telling.line(line);
        self.reporter.report(said).await;
        for heard in frames::read(line) {
            self.shown.heard(&heard);
            match heard {
                Heard::Text(_) | Heard::Call(..) => self.known = true,
                Heard::Compacted => {
                    if let Some(turn) = &mut self.turn {
                        turn.compacted = true;
                    }
                }
                Heard::Answered(id, problem) => self.answered(id, problem).await,
                Heard::Ended(outcome) => self.turn_ended(outcome).await,
            }
        }
    }

    async fn answered(&mut self, id: Option<Uuid>, problem: Option<String>) {
        let Some(asked) = self.asked.take_if(|asked| Some(asked.id) == id) else {
            return;
        };
        self.patience.answer = None;
        let Asked { effect, model, .. } = asked;
        match problem {
            None => {
                self.shown.say(&format!("the model is {model} from the next turn on"));
                self.launch.model = Some(model);
                self.carrying.done(effect, ActionKind::Model, None).await;
            }
            Some(problem) => self.carrying.failed(effect, ActionKind::Model, "error", &problem).await,
        }
    }

    async fn turn_ended(&mut self, outcome: Outcome) {
        // Whatever else the agent does between its turns is none of ours.
        let ours = |turn: &mut Turn| outcome.prompts.is_empty() || outcome.prompts.contains(&turn.id);
        let Some(turn) = self.turn.take_if(ours) else {
            return;
        };
        self.shown.ended(&outcome);
        if matches!(self.next, Next::GoOn) {
            self.patience.answer = None;
        } else {
            self.hang_up();
        }
        self.interrupts_over(turn.interrupted).await;
        let mut work = turn.work;
        match outcome.problem {
            None => {
                (self.deaths, self.known) = (0, true);
                if matches!(work.what, What::Compact(_)) && !turn.compacted {
                    self.failed(&work, "error", "the agent compacted nothing").await;
                } else if let Some(effect) = work.effect {
                    self.carrying.done(effect, work.kind(), None).await;
                }
            }
            Some(Problem::RateLimit) if work.refused < REFUSALS_MAX && matches!(self.next, Next::GoOn) => {
                work.refused += 1;
                self.queue.push_first(work);
                self.patience.turn = Some(Instant::now() + self.patience.rate_limit);
                let wait = self.patience.rate_limit.as_secs();
                self.shown.say(&format!("the turn is tried again in {wait} s"));
            }
            // The agent compacts by itself as well; this is for where that was not enough, or is turned off.
            Some(Problem::TooLong) if !work.squeezed && !matches!(work.what, What::Compact(_)) => {
                work.squeezed = true;
                self.queue.push_first(work);
                self.queue.push_first(Work::new(What::Compact(None), None));
            }
            Some(Problem::Interrupted) => self.failed(&work, "interrupted", "the turn was interrupted").await,
            Some(Problem::RateLimit) => self.failed(&work, "error", "the model's provider refuses it").await,
            Some(Problem::TooLong) => self.failed(&work, "error", "the conversation is too long").await,
            Some(Problem::Error(why)) => self.failed(&work, "error", &why).await,
        }
    }

    pub(super) async fn failed(&self, work: &Work, reason: &str, detail: &str) {
        if let Some(effect) = work.effect {
            self.carrying.failed(effect, work.kind(), reason, detail).await;
        }
    }

    pub(super) async fn interrupts_over(&self, effects: Vec<EffectId>) {
        for effect in effects {
            self.carrying.done(effect, ActionKind::Interrupt, None).await;
        }
    }
}
