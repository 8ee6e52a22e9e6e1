//! May they, and what follows from it. Decided from the state as it will be once what is on its way is folded.

use super::{
    Annotation, By, Change, Closing, Docket, FEEDBACK_MAX, Label, OPEN_MAX, OPEN_OF_SESSION_MAX, Opening, ReviewFact,
    Reviews, SESSION_MAX, Score, WEIGHT_MAX,
};
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fleet::SessionKey;
use crate::ids::EventId;
use crate::lease::Ground;
use std::borrow::Cow;

/// Why it cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is said.
    #[error("say something of the session: a `score` of 1 to 5, a `label` or a `note`")]
    Nothing,
    /// The name of the request stands for another one.
    #[error("request {0:?} asked for something else: give this one another request_id")]
    Named(Box<str>),
    /// Too many spoke of one session.
    #[error("{SESSION_MAX} have spoken of this session, the cap; those who did may speak again")]
    TooManySpeakers,
    /// Too much is kept.
    #[error("{FEEDBACK_MAX} words of feedback are kept, the cap; they go with their sessions")]
    TooMuchFeedback,
    /// It weighs too much.
    #[error("feedback weighs {WEIGHT_MAX} bytes, the cap; it goes with its sessions")]
    TooHeavy,
    /// There is none, or it is forgotten.
    #[error("there is no case {0}; list them")]
    NoCase(u64),
    /// Too many are open.
    #[error("{OPEN_MAX} cases are open, the cap; archive some")]
    TooManyCases,
    /// Too many are open of one session.
    #[error("{OPEN_OF_SESSION_MAX} cases of this session are open, the cap; archive some")]
    TooManyOfSession,
    /// It is about who asks.
    #[error("a session does not decide what becomes of its own case")]
    OwnCase,
}

/// What is said of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// How good it was.
    pub score: Option<Score>,
    /// What kind it was.
    pub label: Option<Label>,
    /// In words.
    pub note: Option<Box<str>>,
}

/// What follows from a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What is to be written.
    pub drafts: Vec<Draft>,
    /// The event after which the state is what this was decided from.
    pub soon: Option<EventId>,
    /// The number of what it is about.
    pub about: u64,
    /// Whether it is this request's doing, now or when it came before.
    pub applied: bool,
}

/// Where it is decided.
struct Desk<'a, 'b> {
    ground: &'a Ground<'b>,
    reviews: Cow<'b, Reviews>,
}

impl<'a, 'b> Desk<'a, 'b> {
    fn at(ground: &'a Ground<'b>) -> Self {
        let known = ground.fleet.reviews();
        Self {
            ground,
            reviews: ground.overlay.reviews().over(known, ground.now),
        }
    }

    /// What became of this request when it came before.
    fn repeated(&self) -> Result<Option<Decided>, Refusal> {
        let request = &self.ground.asker.request;
        match self.reviews.requests.iter().find(|known| known.id == *request) {
            None => Ok(None),
            Some(known) if known.digest == self.ground.digest => Ok(Some(self.unwritten(known.about, true))),
            Some(_) => Err(Refusal::Named(request.clone())),
        }
    }

    fn by(&self) -> By {
        By::Caller {
            name: self.ground.asker.caller.clone(),
            session: self.ground.asker.session.clone(),
        }
    }

    fn draft(&self, session: &SessionKey, change: Change) -> Draft {
        let asker = self.ground.asker;
        let known = self.ground.fleet.session(session);
        let fact = ReviewFact {
            change,
            request: (asker.request.clone(), self.ground.digest),
        };
        Draft {
            host: Some(session.host.clone()),
            session: Some(session.id.clone()),
            agent: known.and_then(|session| session.agent().cloned()),
            profile: known.and_then(|session| session.profile().cloned()),
            conclusion: Conclusion::Review(Box::new(fact)),
            cause: Cause::Request(asker.request.clone()),
        }
    }

    fn written(&self, about: u64, session: &SessionKey, change: Change) -> Decided {
        Decided {
            drafts: vec![self.draft(session, change)],
            soon: None,
            about,
            applied: true,
        }
    }

    fn unwritten(&self, about: u64, applied: bool) -> Decided {
        Decided {
            drafts: Vec::new(),
            soon: self.ground.overlay.reviews().last(),
            about,
            applied,
        }
    }
}

/// Takes in what is said of a known session, in place of what the same speaker said before.
///
/// # Errors
/// [`Refusal`], where nothing is said, or there is no room.
pub fn annotate(ground: &Ground<'_>, session: &SessionKey, said: Said) -> Result<Decided, Refusal> {
    let desk = Desk::at(ground);
    if let Some(before) = desk.repeated()? {
        return Ok(before);
    }
    if said == Said::default() {
        return Err(Refusal::Nothing);
    }
    let feedback = desk.reviews.feedback();
    let annotation = Annotation {
        id: feedback.counted + 1,
        session: session.clone(),
        score: said.score,
        label: said.label,
        note: said.note,
        by: desk.by(),
    };
    if !feedback.hears(session, &annotation.by) {
        return Err(Refusal::TooManySpeakers);
    }
    let (many, weight) = feedback.weight_with(&annotation);
    if many > FEEDBACK_MAX {
        return Err(Refusal::TooMuchFeedback);
    }
    if weight > WEIGHT_MAX {
        return Err(Refusal::TooHeavy);
    }
    Ok(desk.written(annotation.id, session, Change::Annotated(annotation)))
}

/// Keeps a known session, and why.
///
/// # Errors
/// [`Refusal`], where there is no room.
pub fn create_case(
    ground: &Ground<'_>,
    session: &SessionKey,
    reason: &str,
    label: Option<Label>,
) -> Result<Decided, Refusal> {
    let desk = Desk::at(ground);
    if let Some(before) = desk.repeated()? {
        return Ok(before);
    }
    let cases = desk.reviews.cases();
    room(cases, session)?;
    let opening = Opening {
        id: cases.counted + 1,
        session: session.clone(),
        reason: reason.into(),
        label,
        by: desk.by(),
    };
    Ok(desk.written(opening.id, session, Change::CaseCreated(opening)))
}

fn room(cases: &Docket, session: &SessionKey) -> Result<(), Refusal> {
    if cases.is_open().count() >= OPEN_MAX {
        return Err(Refusal::TooManyCases);
    }
    let own = cases.is_open().filter(|file| file.opening.session == *session);
    if own.count() >= OPEN_OF_SESSION_MAX {
        return Err(Refusal::TooManyOfSession);
    }
    Ok(())
}

/// Puts a case away; one that is stays as it was.
///
/// # Errors
/// [`Refusal`], where there is none, or it is about who asks.
pub fn archive_case(ground: &Ground<'_>, id: u64, note: Option<&str>) -> Result<Decided, Refusal> {
    let desk = Desk::at(ground);
    if let Some(before) = desk.repeated()? {
        return Ok(before);
    }
    let case = desk.reviews.cases().get(id).ok_or(Refusal::NoCase(id))?;
    if ground.asker.session.as_ref() == Some(&case.opening.session.id) {
        return Err(Refusal::OwnCase);
    }
    if case.end.is_some() {
        return Ok(desk.unwritten(id, false));
    }
    let closing = Closing {
        id,
        by: desk.by(),
        note: note.map(Into::into),
    };
    Ok(desk.written(id, &case.opening.session, Change::CaseArchived(closing)))
}
