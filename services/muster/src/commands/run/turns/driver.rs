//! The loop itself.

use super::agent::{self, Agent, Launch};
use super::carry::{Carrying, Wanted};
use super::frames::{self, Heard, Outcome, Problem};
use super::queue::{Queue, Refused, What, Work};
use super::shown::Shown;
use crate::commands::run::process::{self, Signals};
use crate::commands::run::reporter::{Missed, Reporter};
use crate::commands::run::session::Session;
use crate::socket::SocketError;
use anyhow::Context as _;
use muster_domain::effect::{Action, ActionKind};
use muster_domain::ids::EffectId;
use muster_domain::names::{RunId, SessionId};
use muster_runtime::exit;
use rustix::process::Signal;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
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
/// How long the agent may take to answer an interruption or its end before it gets a signal, and then before it is killed.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Deaths of the agent in a row, without a turn between them, after which the loop gives up.
const DEATHS_MAX: u32 = 3;
/// Refusals of one turn by the model's provider after which it has failed: an hour, at the default wait.
const REFUSALS_MAX: u32 = 12;

/// How long something is waited for.
#[derive(Debug)]
pub(super) struct Patience {
    rate_limit: Duration,
    /// When the agent that does not answer gets the next signal.
    answer: Option<(Instant, Signal)>,
    /// When the next turn may begin.
    turn: Option<Instant>,
}

impl Patience {
    pub(super) const fn new(rate_limit: Duration) -> Self {
        Self {
            rate_limit,
            answer: None,
            turn: None,
        }
    }

    fn expect_answer(&mut self) {
        if self.answer.is_none() {
            self.answer = Some((Instant::now() + ANSWER_WITHIN, Signal::INT));
        }
    }

    /// The next moment at which something is to be done.
    fn until(&self) -> Option<Instant> {
        let answer = self.answer.map(|(at, _)| at);
        [answer, self.turn].into_iter().flatten().min()
    }
}

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
        let (agent, telling) = start(&launch, &session, known, &mut reporter, &carrying, &mut shown).await?;
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

    async fn line(&mut self, line: &str) {
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

    async fn failed(&self, work: &Work, reason: &str, detail: &str) {
        if let Some(effect) = work.effect {
            self.carrying.failed(effect, work.kind(), reason, detail).await;
        }
    }

    async fn interrupts_over(&self, effects: Vec<EffectId>) {
        for effect in effects {
            self.carrying.done(effect, ActionKind::Interrupt, None).await;
        }
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

    async fn signalled(&mut self) {
        if matches!(self.next, Next::Stop(_)) {
            self.agent.signal(Signal::KILL);
        } else {
            self.shown.say("ending; again to end at once");
            self.stop(None).await;
        }
    }

    /// Ends the running turn and then the agent.
    async fn stop(&mut self, effect: Option<EffectId>) {
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

    fn hang_up(&mut self) {
        self.agent.hang_up();
        self.patience.answer = None;
        self.patience.expect_answer();
    }

    async fn not_any_more(&self, effects: Vec<EffectId>, kind: ActionKind) {
        for effect in effects {
            self.carrying.failed(effect, kind, "interrupted", "the run ended").await;
        }
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
            self.patience.answer = Some((now + ANSWER_WITHIN, Signal::KILL));
        }
    }

    /// The agent has ended. Gives back how the loop ends, where it does.
    async fn gone(&mut self, signals: &mut Signals) -> anyhow::Result<Option<u8>> {
        let status = self.agent.ended().await.context("waiting for the agent")?;
        let said = self.telling.ended(&self.agent.started, process::told(status));
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
        (self.agent, self.telling) = start(
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
    async fn give_up(&mut self) {
        for (effect, kind) in self.queue.give_up() {
            self.carrying
                .failed(effect, kind, "refused", "the run ended before its turn")
                .await;
        }
    }
}

/// Starts the agent, as a run of its own, and tells of it.
async fn start(
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
