//! Whether a session shall go on with the context it has: CCD's context check.
//!
//! Who asks says why (the trigger) and what only they can see: symptoms, attempts in vain, drift, the state of the
//! checkout. What was measured comes from the log. The answer is the first of eight rules that holds, and is written down
//! as a decision, so that everybody sees when an agent was told to wrap up.
//!
//! Two triggers are low-value, an interval and a supervisor's poll: nothing happened that caused them. Such a check within
//! [`THROTTLE`] of the last one is answered and not written, unless it is more urgent than what was said.

mod score;

pub use score::{Band, Confidence, Factor, Measures, Part, Recommendation, SCORE_MAX, Score};

use crate::conclusion::Conclusion;
use crate::digest;
use crate::lease::{GateStatus, Ground, Place};
use crate::matter::{Known, Matter, Writing};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a low-value trigger causes no second decision (CCD: 120 s).
pub const THROTTLE: Duration = Duration::from_mins(2);
/// After how long to ask again, in seconds: what was injected takes a while to matter (CCD).
const RECHECK_INJECTED: u32 = 600;
/// The same for a session that was just resumed.
const RECHECK_RESUMED: u32 = 300;
/// The same where there was nothing to do.
const RECHECK_NOTHING: u32 = 900;

/// Why somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// It was time.
    Interval,
    /// Somebody wants to know.
    #[default]
    Manual,
    /// The context is about to be compacted.
    PreCompaction,
    /// The session was idle, and is about to begin anew.
    IdleReset,
    /// The session goes on after a pause.
    Resume,
    /// A supervisor looks after its workers.
    SupervisorPoll,
}

impl Trigger {
    /// Every trigger.
    pub const ALL: &[Self] = &[
        Self::Interval,
        Self::Manual,
        Self::PreCompaction,
        Self::IdleReset,
        Self::Resume,
        Self::SupervisorPoll,
    ];

    /// Whether nothing happened that caused it.
    const fn is_low_value(self) -> bool {
        matches!(self, Self::Interval | Self::SupervisorPoll)
    }

    /// Whether the context is about to be gone.
    const fn flushes(self) -> bool {
        matches!(self, Self::PreCompaction | Self::IdleReset)
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    None,
    /// Tell the agent what stands in `state_delta`.
    InjectDelta,
    /// Write a checkpoint.
    CheckpointNow,
    /// Write down what would be lost.
    FlushForCompaction,
    /// Come to an end.
    WrapUpRequired,
    /// Call somebody.
    Escalate,
}

/// How soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Whenever.
    Low,
    /// At the next pause.
    Moderate,
    /// Soon.
    High,
    /// Now.
    Critical,
}

/// What a session does at its next boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boundary {
    /// It goes on.
    Continue,
    /// It reads again what the work is.
    Refresh,
    /// It comes to an end.
    WrapUp,
    /// It stops.
    Stop,
}

/// Which of the eight rules held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Something is wrong with the checkout.
    CheckoutAdvisory,
    /// Something blocking waits for somebody.
    BlockingEscalation,
    /// The agent does something else than it should.
    BehaviouralDrift,
    /// The context is about to be gone.
    ContextAboutToBeLost,
    /// The score, or attempts in vain, recommend an end.
    WrapUpRecommended,
    /// What is known of the work is to be looked at again.
    ReviewRequired,
    /// There is something the agent is to be told.
    DeltaToInject,
    /// Nothing speaks against going on.
    NothingToDo,
}

/// What only who asks can see.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Told {
    /// Why they ask.
    pub trigger: Trigger,
    /// What is wrong with the checkout.
    pub checkout_advisory: Option<Box<str>>,
    /// What the agent does instead of what it should.
    pub behavioural_drift: Option<Box<str>>,
    /// What the session does at its next boundary.
    pub boundary: Option<Boundary>,
    /// Whether what is known of the work is to be looked at again.
    pub review_required: bool,
    /// The `source_fingerprint` of their last check: what they were told already.
    pub known_fingerprint: Option<Box<str>>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Evaluation {
    /// Why somebody asked.
    pub trigger: Trigger,
    /// What is to be done.
    pub action: Action,
    /// How soon.
    pub urgency: Urgency,
    /// Which rule held.
    pub reason: Reason,
    /// How far the context can be relied on.
    pub score: Score,
    /// What the session is to do at its next boundary.
    pub boundary: Boundary,
    /// After how many seconds to ask again.
    pub recheck_after_s: Option<u32>,
    /// Fingerprint of the rules in force.
    pub policy_digest: Option<Box<str>>,
    /// Digest of what the work is: its handoff and its gates.
    pub focus_digest: Box<str>,
    /// What the agent is to be told, line by line; nothing that it was told already.
    pub state_delta: Vec<Box<str>>,
    /// The risk, in one line.
    pub risk_summary: Box<str>,
    /// Digest of all that this was drawn from: the same again is the same answer.
    pub source_fingerprint: Box<str>,
}

/// A check, as the log says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextFact {
    /// Of what.
    pub matter: Matter,
    /// What was found.
    pub evaluation: Evaluation,
    /// The request that asked.
    pub request: Box<str>,
}

/// What is said to who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What was found.
    pub evaluation: Evaluation,
    /// Whether it is only said, and not written: the last check is too young.
    pub throttled: bool,
    /// Whether it is to be written.
    pub writing: Writing,
}

/// Checks.
pub fn check(ground: &Ground<'_>, matter: &Matter, measures: &Measures, told: &Told) -> Checked {
    let evaluation = evaluate(ground, matter, measures, told);
    let said = ground
        .overlay
        .evaluations()
        .said(matter)
        .max(ground.fleet.evaluations().said(matter, ground.now, THROTTLE));
    let throttled = told.trigger.is_low_value() && said.is_some_and(|said| evaluation.urgency <= said);
    let writing = if throttled {
        Writing::Not
    } else {
        let fact = ContextFact {
            matter: matter.clone(),
            evaluation: evaluation.clone(),
            request: ground.asker.request.clone(),
        };
        Writing::of(ground, matter, Conclusion::Context(Box::new(fact)))
    };
    Checked {
        evaluation,
        throttled,
        writing,
    }
}

/// What was measured of this matter in the log; symptoms and attempts in vain are whoever asks' to tell.
pub fn measured(ground: &Ground<'_>, matter: &Matter) -> Measures {
    let lease = matter.place(ground).and_then(|place| place.lease);
    let minutes = |since: Timestamp| ground.now.since(since).as_secs() / 60;
    let session = matter.session.as_ref().and_then(|key| ground.fleet.session(key));
    let Some(session) = session else {
        return Measures {
            minutes: lease.as_ref().map(|lease| minutes(lease.started)),
            start_cycles: lease.map(|lease| lease.start_count),
            ..Measures::default()
        };
    };
    let tokens = session.usage().total();
    let context = session.context();
    let share = context.and_then(|context| {
        let window = context.window_tokens.filter(|window| *window > 0)?;
        Some(context.used_tokens.saturating_mul(100) / window)
    });
    Measures {
        minutes: Some(minutes(session.began())),
        start_cycles: lease.map(|lease| lease.start_count),
        used_percent: share,
        total_tokens: (tokens > 0)
            .then_some(tokens)
            .or(context.map(|context| context.used_tokens)),
        compacted: session.compaction().is_some(),
        tool_output_kb: Some(session.tool_output_bytes() / 1000),
        symptoms: 0,
        no_progress: 0,
    }
}

fn evaluate(ground: &Ground<'_>, matter: &Matter, measures: &Measures, told: &Told) -> Evaluation {
    let known = Known::of(ground, matter);
    let place = matter.place(ground).unwrap_or_default();
    let score = measures.score();
    // Written before the work was last begun: it is there to be loaded.
    let recovery_loaded = place.continuity.recovery.as_ref().is_some_and(|recovery| {
        let began = place.lease.as_ref().map(|lease| lease.last_started);
        began.is_some_and(|began| recovery.at <= began)
    });
    let (action, urgency, reason) = decide(told, &known, &score, recovery_loaded);
    let policy_digest = ground.fleet.policy().active();
    let policy_digest = policy_digest.map(|active| active.activation.fingerprint.clone());
    let focus = (&place.continuity.handoff, &place.guards.gates);
    let points: Vec<_> = score.factors.iter().map(|part| (part.factor, part.points)).collect();
    let source = (
        (
            &policy_digest,
            focus,
            &place.guards.escalations,
            &place.continuity.recovery,
        ),
        (
            points,
            told.boundary,
            told.review_required,
            &told.checkout_advisory,
            &told.behavioural_drift,
        ),
    );
    let fingerprint = hex(&source);
    let told_already = told.known_fingerprint.as_ref() == Some(&fingerprint);
    Evaluation {
        trigger: told.trigger,
        action,
        urgency,
        reason,
        boundary: boundary(action, told.boundary, score.recommendation),
        recheck_after_s: recheck(action, told.trigger),
        policy_digest,
        focus_digest: hex(&focus),
        state_delta: if told_already {
            Vec::new()
        } else {
            delta(&place, &known)
        },
        risk_summary: risk(&score, &known).into(),
        source_fingerprint: fingerprint,
        score,
    }
}

/// The first of the eight rules that holds.
fn decide(told: &Told, known: &Known, score: &Score, recovery_loaded: bool) -> (Action, Urgency, Reason) {
    let band = score.band;
    if told.checkout_advisory.is_some() {
        (Action::Escalate, Urgency::High, Reason::CheckoutAdvisory)
    } else if known.blocking_escalations > 0 {
        (Action::Escalate, Urgency::Critical, Reason::BlockingEscalation)
    } else if told.behavioural_drift.is_some() {
        (Action::Escalate, Urgency::High, Reason::BehaviouralDrift)
    } else if told.trigger.flushes() {
        let reason = Reason::ContextAboutToBeLost;
        (Action::FlushForCompaction, Urgency::High, reason)
    } else if score.recommendation.wraps_up() || matches!(told.boundary, Some(Boundary::WrapUp | Boundary::Stop)) {
        let now = score.recommendation == Recommendation::WrapUpAndClear || told.boundary == Some(Boundary::Stop);
        let urgency = if now { Urgency::Critical } else { Urgency::High };
        (Action::WrapUpRequired, urgency, Reason::WrapUpRecommended)
    } else if told.review_required || told.boundary == Some(Boundary::Refresh) {
        (Action::CheckpointNow, Urgency::Moderate, Reason::ReviewRequired)
    } else if matches!(
        told.trigger,
        Trigger::Manual | Trigger::Resume | Trigger::SupervisorPoll
    ) || matches!(band, Band::Moderate | Band::Risky)
        || known.gates_unfinished > 0
        || recovery_loaded
    {
        let urgency = if band == Band::Moderate {
            Urgency::Moderate
        } else {
            Urgency::Low
        };
        (Action::InjectDelta, urgency, Reason::DeltaToInject)
    } else {
        (Action::None, Urgency::Low, Reason::NothingToDo)
    }
}

/// After how many seconds to ask again. An interval comes back by itself.
const fn recheck(action: Action, trigger: Trigger) -> Option<u32> {
    match (action, trigger) {
        (Action::InjectDelta, Trigger::Resume) => Some(RECHECK_RESUMED),
        (Action::InjectDelta, _) => Some(RECHECK_INJECTED),
        (Action::None, Trigger::Interval) => None,
        (Action::None, _) => Some(RECHECK_NOTHING),
        (Action::CheckpointNow | Action::FlushForCompaction | Action::WrapUpRequired | Action::Escalate, _) => None,
    }
}

fn boundary(action: Action, told: Option<Boundary>, recommendation: Recommendation) -> Boundary {
    let own = match action {
        Action::None | Action::InjectDelta => Boundary::Continue,
        Action::CheckpointNow | Action::FlushForCompaction => Boundary::Refresh,
        Action::WrapUpRequired if recommendation == Recommendation::WrapUpAndClear => Boundary::Stop,
        Action::WrapUpRequired => Boundary::WrapUp,
        Action::Escalate => Boundary::Stop,
    };
    told.map_or(own, |told| told.max(own))
}

/// What the agent is to be told.
fn delta(place: &Place, known: &Known) -> Vec<Box<str>> {
    let mut lines = Vec::new();
    let mut line = |text: String| lines.push(text.into_boxed_str());
    if let Some(handoff) = &place.continuity.handoff {
        line(format!("handoff {}: {}", handoff.revision, handoff.what.title));
    }
    if let Some(recovery) = &place.continuity.recovery {
        line(format!(
            "recovery {}: {}",
            recovery.revision, recovery.what.checkpoint.summary
        ));
    }
    if let Some(at) = place.guards.attention_anchor() {
        let gate = &place.guards.gates[at];
        let blocked = if gate.status == GateStatus::Blocked {
            ", blocked"
        } else {
            ""
        };
        line(format!(
            "next gate ({} of {}{blocked}): {}",
            at + 1,
            place.guards.gates.len(),
            gate.text
        ));
    }
    for escalation in &place.guards.escalations {
        line(format!("escalation {}: {}", escalation.id, escalation.reason));
    }
    if known.open_approvals > 0 {
        line(format!("{} approvals wait for an answer", known.open_approvals));
    }
    if known.running_delegations > 0 {
        line(format!("{} delegations are under way", known.running_delegations));
    }
    lines
}

fn risk(score: &Score, known: &Known) -> String {
    let mut parts: Vec<_> = score.factors.iter().filter(|part| part.points > 0).collect();
    parts.sort_by_key(|part| (std::cmp::Reverse(part.points), part.factor));
    let worst: Vec<String> = parts
        .iter()
        .take(3)
        .map(|part| format!("{} {} (+{})", part.factor.as_str(), part.value, part.points))
        .collect();
    let mut text = format!("{} ({} of {SCORE_MAX})", score.band.as_str(), score.points);
    if !worst.is_empty() {
        text = format!("{text}: {}", worst.join(", "));
    }
    if known.blocking_escalations > 0 {
        text = format!("{text}; {} blocking escalations", known.blocking_escalations);
    }
    text
}

fn hex(of: &impl std::hash::Hash) -> Box<str> {
    format!("{:016x}", digest::of(of)).into()
}

impl ContextFact {
    pub(crate) fn identity(&self) -> String {
        format!("{:?}", self.matter)
    }
}
