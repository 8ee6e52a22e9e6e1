//! Whether work can be left as it is: CCD's checkpoint and closeout.
//!
//! A checkpoint is a light pulse in the middle of work; a closeout says the same and, beyond it, whether the work can end.
//! Whoever asks reports the state of their checkout and of what they learned, which nobody else can see; gates,
//! escalations, approvals, delegations and the fill of the context are known. What was not reported counts as no change,
//! never as clean.

use crate::conclusion::Conclusion;
use crate::family::CheckpointKind;
use crate::lease::Ground;
use crate::matter::{Known, Matter, Writing};
use crate::memory::Pressure;
use serde::{Deserialize, Serialize};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// In the middle of work.
    Checkpoint,
    /// At its end.
    Closeout,
}

/// The state of a checkout, as whoever works in it reports it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Git {
    /// The branch.
    pub branch: Option<Box<str>>,
    /// Files that differ from the last commit, new ones included.
    pub changed_files: u32,
    /// Files with conflicts.
    pub conflicts: u32,
    /// Commits that the remote does not have.
    pub ahead: u32,
    /// Commits of the remote that are not here.
    pub behind: u32,
}

/// What whoever asks reports.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Reported {
    /// Their checkout.
    pub git: Option<Git>,
    /// Things learned that nobody admitted to memory yet.
    pub memory_candidates: Option<u32>,
    /// Whether memory was changed and not committed.
    pub memory_changed: Option<bool>,
}

/// How one side of the work stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is left to do.
    Clean,
    /// It is to be committed.
    ReadyToCommit,
    /// It is to be pushed.
    ReadyToPush,
    /// Somebody has to look at it.
    NeedsReview,
    /// Nothing is known to have changed.
    NoChange,
}

/// How the work stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Verdicts {
    /// The work itself.
    pub next_step: Verdict,
    /// What was learned by it.
    pub memory: Verdict,
    /// Its end; of a closeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrap_up: Option<Verdict>,
}

/// A step that somebody approves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// To go on.
    NextStep,
    /// To begin with another context.
    Recalibrate,
    /// To keep what was learned.
    Memory,
    /// To end: to commit, or to push.
    WrapUp,
}

/// What follows for the session; of a closeout.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decisions {
    /// Somebody has to choose.
    pub requires_human_choice: bool,
    /// The lease may be cleared: nothing is under way that would be cut off.
    pub can_clear_session: bool,
    /// Nothing would be lost by it.
    pub safe_clean_close: bool,
    /// Something is left that whoever goes on has to be told.
    pub needs_full_handover: bool,
    /// What to do now; none where there is nothing.
    pub recommended_next_command: Option<Box<str>>,
}

/// What was found. A checkpoint's is part of a closeout's, member by member.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Evaluation {
    /// How the work stands.
    pub evaluation: Verdicts,
    /// What is known of it.
    pub known: Known,
    /// The checkout, as it was reported.
    pub git: Option<Git>,
    /// Steps that somebody approves; of a closeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_steps: Option<Vec<Step>>,
    /// What follows; of a closeout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decisions: Option<Decisions>,
}

/// An evaluation, as the log says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointFact {
    /// Which of the two.
    pub extent: Extent,
    /// Of what.
    pub matter: Matter,
    /// What was found.
    pub evaluation: Evaluation,
    /// The request that asked.
    pub request: Box<str>,
}

/// Evaluates.
pub fn evaluate(ground: &Ground<'_>, matter: &Matter, extent: Extent, reported: &Reported) -> (Evaluation, Writing) {
    let evaluation = found(&Known::of(ground, matter), extent, reported);
    let fact = CheckpointFact {
        extent,
        matter: matter.clone(),
        evaluation: evaluation.clone(),
        request: ground.asker.request.clone(),
    };
    let writing = Writing::of(ground, matter, Conclusion::Checkpoint(Box::new(fact)));
    (evaluation, writing)
}

fn found(known: &Known, extent: Extent, reported: &Reported) -> Evaluation {
    let (next_step, memory) = (next_step(known, reported), memory(reported));
    let closeout = extent == Extent::Closeout;
    let wrap_up = wrap_up(known, reported, next_step);
    Evaluation {
        evaluation: Verdicts {
            next_step,
            memory,
            wrap_up: closeout.then_some(wrap_up),
        },
        known: *known,
        git: reported.git.clone(),
        approval_steps: closeout.then(|| steps(known, next_step, memory, wrap_up)),
        decisions: closeout.then(|| decisions(known, reported, next_step, memory)),
    }
}

fn next_step(known: &Known, reported: &Reported) -> Verdict {
    let conflicts = reported.git.as_ref().is_some_and(|git| git.conflicts > 0);
    if known.blocking_escalations > 0 || known.gates_blocked > 0 || known.open_approvals > 0 || conflicts {
        return Verdict::NeedsReview;
    }
    match &reported.git {
        Some(git) if git.changed_files > 0 => Verdict::ReadyToCommit,
        Some(git) if git.ahead > 0 => Verdict::ReadyToPush,
        Some(_) if known.gates_unfinished == 0 => Verdict::Clean,
        Some(_) | None => Verdict::NoChange,
    }
}

fn memory(reported: &Reported) -> Verdict {
    match (reported.memory_candidates, reported.memory_changed) {
        (Some(1..), _) => Verdict::NeedsReview,
        (_, Some(true)) => Verdict::ReadyToCommit,
        (None, None) => Verdict::NoChange,
        (_, _) => Verdict::Clean,
    }
}

fn wrap_up(known: &Known, reported: &Reported, next_step: Verdict) -> Verdict {
    let unfinished = known.gates_unfinished > 0 || known.running_delegations > 0 || known.risky_pause;
    let behind = reported.git.as_ref().is_some_and(|git| git.behind > 0);
    let candidates = reported.memory_candidates.is_some_and(|count| count > 0);
    if unfinished || behind || candidates || known.stale {
        Verdict::NeedsReview
    } else {
        next_step
    }
}

fn steps(known: &Known, next_step: Verdict, memory: Verdict, wrap_up: Verdict) -> Vec<Step> {
    let full = matches!(known.pressure, Some(Pressure::Alert | Pressure::Compact));
    let open = |verdict| {
        matches!(
            verdict,
            Verdict::NeedsReview | Verdict::ReadyToCommit | Verdict::ReadyToPush
        )
    };
    let steps = [
        (next_step == Verdict::NeedsReview, Step::NextStep),
        (full, Step::Recalibrate),
        (open(memory), Step::Memory),
        (open(wrap_up), Step::WrapUp),
    ];
    let wanted = steps.into_iter().filter(|(wanted, _)| *wanted);
    wanted.map(|(_, step)| step).collect()
}

fn decisions(known: &Known, reported: &Reported, next_step: Verdict, memory: Verdict) -> Decisions {
    let choice = next_step == Verdict::NeedsReview || memory == Verdict::NeedsReview;
    let under_way = known.open_approvals > 0 || known.running_delegations > 0 || known.blocking_escalations > 0;
    let can_clear = known.held && !known.stale && !under_way;
    let pushed = next_step == Verdict::Clean;
    let kept = matches!(memory, Verdict::Clean | Verdict::NoChange);
    let safe = can_clear && pushed && kept && !known.risky_pause;
    let full = matches!(known.pressure, Some(Pressure::Alert | Pressure::Compact));
    let leaves = known.gates_unfinished > 0 || known.running_delegations > 0 || !pushed || full;
    let handover = !safe && leaves;
    let command = command(known, reported, can_clear, safe, handover);
    Decisions {
        requires_human_choice: choice,
        can_clear_session: can_clear,
        safe_clean_close: safe,
        needs_full_handover: handover,
        recommended_next_command: command.map(Into::into),
    }
}

/// The first thing that stands in the way, as a command.
fn command(known: &Known, reported: &Reported, can_clear: bool, safe: bool, handover: bool) -> Option<&'static str> {
    let git = reported.git.clone().unwrap_or_default();
    let table = [
        (known.stale, "muster lease start --recover-stale"),
        (known.blocking_escalations > 0, "muster escalation list"),
        (known.open_approvals > 0, "muster approvals"),
        (git.conflicts > 0, "git status"),
        (git.changed_files > 0, "git commit"),
        (git.behind > 0, "git pull"),
        (git.ahead > 0, "git push"),
        (safe, "muster lease clear"),
        (handover && !known.handoff, "muster handoff write"),
        (known.gates_unfinished > 0, "muster gate list"),
        (can_clear, "muster lease clear"),
    ];
    table.iter().find(|(holds, _)| *holds).map(|(_, command)| *command)
}

impl Extent {
    /// The kind of its event.
    pub const fn kind(self) -> CheckpointKind {
        match self {
            Self::Checkpoint => CheckpointKind::EvaluateCheckpoint,
            Self::Closeout => CheckpointKind::EvaluateCloseout,
        }
    }

    /// What was done, in CCD's words.
    pub const fn operation(self) -> &'static str {
        match self {
            Self::Checkpoint => CheckpointKind::EvaluateCheckpoint.as_str(),
            Self::Closeout => CheckpointKind::EvaluateCloseout.as_str(),
        }
    }
}

impl CheckpointFact {
    pub(crate) fn identity(&self) -> String {
        format!("{:?}", self.matter)
    }
}

#[cfg(test)]
mod tests;
