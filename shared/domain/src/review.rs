//! What people and agents think of sessions, and what comes of it (kaizen's feedback and cases).
//!
//! Feedback is a word about a session; of all that one speaker said, the latest counts. A case is a session that is kept,
//! with a reason, until an operator archives it; it outlives its session, while feedback goes with it. Both have a number
//! within their kind.

mod decide;
mod docket;
mod feedback;
mod mine;
mod pending;

pub use decide::{Decided, Refusal, Said, annotate, archive_case, create_case};
pub use docket::{
    CLOSED_MAX, Closing, Docket, End, File, How, OPEN_MAX, OPEN_OF_SESSION_MAX, Opening, REASON_BYTES_MAX,
};
pub use feedback::{
    Annotation, FEEDBACK_MAX, Feedback, Label, NOTE_BYTES_MAX, NoScore, SESSION_MAX, Score, WEIGHT_MAX, Word,
};
pub use mine::{Proposal, Sign, mine};
pub(crate) use pending::Pending;

use crate::family::{CaseKind, EventType, FeedbackKind};
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
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller {
                session: Some(session), ..
            } => write!(f, "session {session}"),
            Self::Caller { name, session: None } => f.write_str(name),
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
        }
    }

    pub(crate) fn identity(&self) -> String {
        self.about().to_string()
    }

    /// The number of what it is about.
    const fn about(&self) -> u64 {
        match &self.change {
            Change::Annotated(annotation) => annotation.id,
            Change::CaseCreated(opening) => opening.id,
            Change::CaseArchived(closing) => closing.id,
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

    pub(crate) fn fold(&mut self, fact: &ReviewFact, at: Timestamp) {
        match &fact.change {
            Change::Annotated(annotation) => self.feedback.take(annotation, at),
            Change::CaseCreated(opening) => self.cases.open(opening, at),
            Change::CaseArchived(closing) => self.cases.close(closing, How::Archived, at),
        }
        let (id, digest) = fact.request.clone();
        let about = fact.about();
        self.requests.push_back(Request { id, digest, about });
        if self.requests.len() > REQUESTS_MAX {
            self.requests.pop_front();
        }
    }

    /// A session is no longer known.
    pub(crate) fn forget(&mut self, key: &SessionKey) {
        self.feedback.forget(key);
    }
}
