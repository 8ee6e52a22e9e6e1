//! What people and agents think of sessions, and what comes of it (kaizen's feedback, cases, rules and review queue).
//!
//! Feedback is a word about a session; of all that one speaker said, the latest counts. A case is a session that is kept,
//! with a reason, until an operator archives it; it outlives its session, while feedback goes with it. A rule is a query
//! that makes cases, raises alerts, or has sessions wait for review, each session once. All of these have a number within
//! their kind.

mod decide;
mod docket;
mod feedback;
mod mine;
mod pending;
mod rule;
mod run;

pub use decide::{Decided, Refusal, Said, annotate, close, create_case};
pub use docket::{
    CLOSED_MAX, Closing, Docket, End, File, How, Kept, OPEN_MAX, OPEN_OF_SESSION_MAX, Opening, REASON_BYTES_MAX,
};
pub use feedback::{
    Annotation, FEEDBACK_MAX, Feedback, Label, NOTE_BYTES_MAX, NoScore, SESSION_MAX, Score, WEIGHT_MAX, Word,
};
pub use mine::{Proposal, Sign, mine};
pub(crate) use pending::Pending;
pub use rule::{
    ACTED_MAX, ALERT_STANDS, ALERTS_MAX, Action, Definition, NAME_BYTES_MAX, RULES_MAX, RUN_MAX, Ran, Rule, Rules,
    Switch,
};
pub use run::{NewRule, RuleRun, Wanted, create_rule, run_rules, switch_rule};
pub(crate) use run::{catch_up, due, expire, react};

use crate::alert::AlertFact;
use crate::family::{CaseKind, EventType, FeedbackKind, ReviewKind, RuleKind};
use crate::fleet::SessionKey;
use crate::names::SessionId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// How many requests are remembered, so that a repeated one is recognised.
const REQUESTS_MAX: usize = 256;

/// Who said or did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum By {
    /// Somebody who asked for it.
    Caller {
        /// The name the request came under.
        name: Box<str>,
        /// The session on whose behalf it came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
    },
    /// A rule.
    Rule {
        /// Its number.
        rule: u64,
        /// What it is called.
        name: Box<str>,
    },
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller {
                session: Some(session), ..
            } => write!(f, "session {session}"),
            Self::Caller { name, session: None } => f.write_str(name),
            Self::Rule { name, .. } => write!(f, "rule {name}"),
        }
    }
}

/// What was said or done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody said something of a session.
    Annotated(Annotation),
    /// A session became a case.
    CaseCreated(Opening),
    /// A case is no longer open.
    CaseArchived(Closing),
    /// A session waits for somebody to look at it.
    Queued(Opening),
    /// Somebody did, and that is that.
    Resolved(Closing),
    /// Nobody need.
    Dismissed(Closing),
    /// There is a rule.
    RuleCreated(Definition),
    /// It is on.
    RuleEnabled(Switch),
    /// It is off.
    RuleDisabled(Switch),
    /// It ran, and something was done.
    RuleRan(Ran),
}

/// A change, as the log says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewFact {
    /// What was said or done.
    pub change: Change,
    /// The request, and a digest of what it asked.
    pub request: (Box<str>, u64),
}

impl ReviewFact {
    pub(crate) const fn event_type(&self) -> EventType {
        match self.change {
            Change::Annotated(_) => EventType::Feedback(FeedbackKind::Annotated),
            Change::CaseCreated(_) => EventType::Case(CaseKind::Created),
            Change::CaseArchived(_) => EventType::Case(CaseKind::Archived),
            Change::Queued(_) => EventType::Review(ReviewKind::Queued),
            Change::Resolved(_) => EventType::Review(ReviewKind::Resolved),
            Change::Dismissed(_) => EventType::Review(ReviewKind::Dismissed),
            Change::RuleCreated(_) => EventType::Rule(RuleKind::Created),
            Change::RuleEnabled(_) => EventType::Rule(RuleKind::Enabled),
            Change::RuleDisabled(_) => EventType::Rule(RuleKind::Disabled),
            Change::RuleRan(_) => EventType::Rule(RuleKind::Ran),
        }
    }

    pub(crate) fn identity(&self) -> String {
        self.about().to_string()
    }

    /// The number of what it is about.
    const fn about(&self) -> u64 {
        match &self.change {
            Change::Annotated(annotation) => annotation.id,
            Change::CaseCreated(opening) | Change::Queued(opening) => opening.id,
            Change::CaseArchived(closing) | Change::Resolved(closing) | Change::Dismissed(closing) => closing.id,
            Change::RuleCreated(definition) => definition.id,
            Change::RuleEnabled(switch) | Change::RuleDisabled(switch) => switch.id,
            Change::RuleRan(ran) => ran.id,
        }
    }
}

/// A request that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Request {
    id: Box<str>,
    digest: u64,
    /// The number of what it was about.
    about: u64,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Reviews {
    feedback: Feedback,
    cases: Docket,
    queue: Docket,
    rules: Rules,
    requests: VecDeque<Request>,
}

impl Reviews {
    /// What was said of sessions.
    pub const fn feedback(&self) -> &Feedback {
        &self.feedback
    }

    /// Sessions that are kept.
    pub const fn cases(&self) -> &Docket {
        &self.cases
    }

    /// Sessions that wait for somebody to look at them.
    pub const fn queue(&self) -> &Docket {
        &self.queue
    }

    /// What is done about which sessions.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Those that are kept so.
    pub const fn docket(&self, kept: Kept) -> &Docket {
        match kept {
            Kept::Case => &self.cases,
            Kept::Review => &self.queue,
        }
    }

    pub(crate) fn fold(&mut self, fact: &ReviewFact, at: Timestamp) {
        match &fact.change {
            Change::Annotated(annotation) => self.feedback.take(annotation, at),
            Change::CaseCreated(opening) => {
                self.cases.open(opening, at);
                self.rules.acted(&opening.by, &opening.session);
            }
            Change::CaseArchived(closing) => self.cases.close(closing, How::Archived, at),
            Change::Queued(opening) => {
                self.queue.open(opening, at);
                self.rules.acted(&opening.by, &opening.session);
            }
            Change::Resolved(closing) => self.queue.close(closing, How::Resolved, at),
            Change::Dismissed(closing) => self.queue.close(closing, How::Dismissed, at),
            Change::RuleCreated(definition) => self.rules.create(definition, at),
            Change::RuleEnabled(switch) => self.rules.switch(switch.id, true),
            Change::RuleDisabled(switch) => self.rules.switch(switch.id, false),
            Change::RuleRan(ran) => self.rules.ran(ran.id, at),
        }
        let (id, digest) = fact.request.clone();
        // A run is one request, and many changes.
        if self.requests.back().is_some_and(|last| last.id == id) {
            return;
        }
        let about = fact.about();
        self.requests.push_back(Request { id, digest, about });
        if self.requests.len() > REQUESTS_MAX {
            self.requests.pop_front();
        }
    }

    /// An alert of a rule begins, or is over.
    pub(crate) fn alert(&mut self, fact: &AlertFact, session: Option<&SessionKey>, at: Timestamp) {
        match (fact, session) {
            (AlertFact::Raised(raised), Some(session)) => self.rules.alerted(&raised.key, session, at),
            (AlertFact::Raised(_), None) => {}
            (AlertFact::Cleared { key, .. }, _) => self.rules.cleared(key),
        }
    }

    /// A session is no longer known.
    pub(crate) fn forget(&mut self, key: &SessionKey) {
        self.rules.forget(key);
        self.feedback.forget(key);
    }
}
