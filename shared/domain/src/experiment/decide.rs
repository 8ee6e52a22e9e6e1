//! What is asked of experiments: what may be planned, and which step follows.
//!
//! What is already the case needs no event: whoever asks is shown how the experiment stands, and who concluded it.

use super::{EXPERIMENTS_MAX, Experiment, ExperimentFact, Plan, SESSIONS_MAX, State, Step, Variant, outcome};
use crate::asker::Asker;
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fleet::{Fleet, SessionKey};
use crate::ids::ExperimentId;

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of what is expected, of what is changed, and of what people make of it.
const TEXT_BYTES_MAX: usize = 2 * 1024;
/// Days that an experiment may run.
const DAYS_MAX: u16 = 90;
/// Per cent that may be aimed at; nothing falls by more than all of it.
const PERCENT: std::ops::RangeInclusive<i16> = -100..=1000;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such experiment.
    #[error("no such experiment: {0}")]
    Unknown(ExperimentId),
    /// Its words do not fit.
    #[error("{what} has {least} to {most} bytes")]
    Text {
        /// Which of them.
        what: &'static str,
        /// Bytes at least.
        least: usize,
        /// Bytes at most.
        most: usize,
    },
    /// Days out of range.
    #[error("an experiment runs for 1 to {DAYS_MAX} days")]
    Days,
    /// Per cent out of range.
    #[error("a target is a change by {} to {} per cent, and not none", PERCENT.start(), PERCENT.end())]
    Target,
    /// Both sides are the same sessions.
    #[error("control and treatment select the same sessions")]
    Same,
    /// No more of them.
    #[error("{EXPERIMENTS_MAX} experiments are known, which is the limit: archive some")]
    TooMany,
    /// No more sessions.
    #[error("{SESSIONS_MAX} sessions are told apart by hand, which is the limit; select them by what they are")]
    TooManySessions,
    /// The request was made for something else before.
    #[error("this request planned another experiment")]
    OtherRequest,
    /// It does not follow from where it is.
    #[error("it is {}, and only {needs} is {verb}", is.as_str())]
    State {
        /// How far it is.
        is: State,
        /// How far it would have to be.
        needs: &'static str,
        /// What was asked for.
        verb: &'static str,
    },
}

fn text(what: &'static str, text: &str, least: usize, most: usize) -> Result<(), Refusal> {
    let fits = (least..=most).contains(&text.trim().len());
    if fits && text.len() <= most {
        Ok(())
    } else {
        Err(Refusal::Text { what, least, most })
    }
}

fn draft(id: ExperimentId, step: Step, asker: &Asker) -> Draft {
    Draft {
        host: None,
        session: None,
        agent: None,
        profile: None,
        conclusion: Conclusion::Experiment(Box::new(ExperimentFact {
            id,
            step,
            by: asker.caller.clone(),
        })),
        cause: Cause::Request(asker.request.clone()),
    }
}

fn known(fleet: &Fleet, id: ExperimentId) -> Result<&Experiment, Refusal> {
    fleet.experiments().get(id).ok_or(Refusal::Unknown(id))
}

/// A plan under this id; nothing where it is known already.
///
/// # Errors
/// Words, days or a target out of range, two equal sides, or no room.
pub fn create(fleet: &Fleet, id: ExperimentId, plan: Plan, asker: &Asker) -> Result<Option<Draft>, Refusal> {
    text("a name", &plan.name, 1, NAME_BYTES_MAX)?;
    text("a hypothesis", &plan.hypothesis, 0, TEXT_BYTES_MAX)?;
    text("a change", &plan.change, 0, TEXT_BYTES_MAX)?;
    if !(1..=DAYS_MAX).contains(&plan.duration_days) {
        return Err(Refusal::Days);
    }
    if plan.target_percent == 0 || !PERCENT.contains(&plan.target_percent) {
        return Err(Refusal::Target);
    }
    if plan.control.is_some() && plan.control == plan.treatment {
        return Err(Refusal::Same);
    }
    let all = fleet.experiments();
    if let Some(known) = all.get(id) {
        return if *known.plan() == plan {
            Ok(None)
        } else {
            Err(Refusal::OtherRequest)
        };
    }
    let archived = |one: &Experiment| one.state() == State::Archived;
    if all.all().values().filter(|one| !archived(one)).count() >= EXPERIMENTS_MAX {
        return Err(Refusal::TooMany);
    }
    Ok(Some(draft(id, Step::Created(Box::new(plan)), asker)))
}

/// Sessions that begin from now on count; nothing where they do already.
///
/// # Errors
/// It is unknown, concluded or archived.
pub fn start(fleet: &Fleet, id: ExperimentId, asker: &Asker) -> Result<Option<Draft>, Refusal> {
    match known(fleet, id)?.state() {
        State::Draft => Ok(Some(draft(id, Step::Started, asker))),
        State::Running => Ok(None),
        is @ (State::Concluded | State::Archived) => Err(Refusal::State {
            is,
            needs: "what is planned",
            verb: "started",
        }),
    }
}

/// Puts a session on a side of the comparison, or on none.
///
/// # Errors
/// The experiment is unknown, does not run, or there is no room.
pub fn tag(
    fleet: &Fleet,
    id: ExperimentId,
    session: SessionKey,
    variant: Option<Variant>,
    asker: &Asker,
) -> Result<Option<Draft>, Refusal> {
    let experiment = known(fleet, id)?;
    if experiment.state() != State::Running {
        return Err(Refusal::State {
            is: experiment.state(),
            needs: "what runs",
            verb: "given sessions",
        });
    }
    let now = experiment.tags.get(&session).copied();
    if now == variant {
        return Ok(None);
    }
    if now.is_none() && experiment.tags.len() >= SESSIONS_MAX {
        return Err(Refusal::TooManySessions);
    }
    Ok(Some(draft(id, Step::Tagged { session, variant }, asker)))
}

/// Makes its figures final; nothing where they are.
///
/// # Errors
/// It is unknown, was not started, or its note is too long.
pub fn conclude(
    fleet: &Fleet,
    id: ExperimentId,
    note: Option<Box<str>>,
    asker: &Asker,
) -> Result<Option<Draft>, Refusal> {
    text("a note", note.as_deref().unwrap_or_default(), 0, TEXT_BYTES_MAX)?;
    let experiment = known(fleet, id)?;
    if experiment.concluded().is_some() {
        return Ok(None);
    }
    if experiment.state() != State::Running {
        return Err(Refusal::State {
            is: experiment.state(),
            needs: "what runs",
            verb: "concluded",
        });
    }
    let outcome = outcome(fleet, experiment);
    Ok(Some(draft(id, Step::Concluded { outcome, note }, asker)))
}

/// Takes it out of the way; nothing where it is.
///
/// # Errors
/// It is unknown, or runs.
pub fn archive(fleet: &Fleet, id: ExperimentId, asker: &Asker) -> Result<Option<Draft>, Refusal> {
    match known(fleet, id)?.state() {
        State::Draft | State::Concluded => Ok(Some(draft(id, Step::Archived, asker))),
        State::Archived => Ok(None),
        is @ State::Running => Err(Refusal::State {
            is,
            needs: "what does not run",
            verb: "archived",
        }),
    }
}
