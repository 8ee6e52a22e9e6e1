//! May they, and what follows from it. Decided from the state as it will be once what is on its way is folded.

use super::{
    ACTED_MAX, ALERTS_MAX, Annotation, By, Change, Closing, FEEDBACK_MAX, How, Kept, Label, OPEN_MAX,
    OPEN_OF_SESSION_MAX, Opening, RULES_MAX, ReviewFact, Reviews, SESSION_MAX, Score, WEIGHT_MAX,
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
    #[error("there is no {0} {1}; list them")]
    None(Kept, u64),
    /// Too many are open.
    #[error("{OPEN_MAX} {0}s are open, the cap; close some")]
    TooMany(Kept),
    /// Too many are open of one session.
    #[error("{OPEN_OF_SESSION_MAX} {0}s of this session are open, the cap; close some")]
    TooManyOfSession(Kept),
    /// It is about who asks.
    #[error("a session does not decide what becomes of its own {0}")]
    Own(Kept),
    /// There is none.
    #[error("there is no rule {0}; list them")]
    NoRule(u64),
    /// It is off.
    #[error("rule {0} is off: enable it, or see what it would do by a dry run")]
    Off(u64),
    /// Another is called so.
    #[error("{0:?} is the name of rule {1}, which is on: disable that, or take another name")]
    Taken(Box<str>, u64),
    /// There are too many.
    #[error("there are {RULES_MAX} rules, the cap: disable one, and give the new one its name")]
    TooManyRules,
    /// Too much is remembered of what was done.
    #[error("rules have done something about {ACTED_MAX} sessions, the cap; these go with their sessions")]
    TooMuchDone,
    /// Too many alerts stand.
    #[error("{ALERTS_MAX} alerts of rules stand, the cap; they end after a day, or with their rule")]
    TooManyAlerts,
    /// It was read by another version.
    #[error("this version does not read its filter: {0}")]
    Unreadable(Box<str>),
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
pub(super) struct Desk<'a, 'b> {
    pub(super) ground: &'a Ground<'b>,
    pub(super) reviews: Cow<'b, Reviews>,
}

impl<'a, 'b> Desk<'a, 'b> {
    pub(super) fn at(ground: &'a Ground<'b>) -> Self {
        let known = ground.fleet.reviews();
        Self {
            ground,
            reviews: ground.overlay.reviews().over(known, ground.now),
        }
    }

    /// What became of this request when it came before.
    pub(super) fn repeated(&self) -> Result<Option<Decided>, Refusal> {
        let request = &self.ground.asker.request;
        match self.reviews.requests.iter().find(|known| known.id == *request) {
            None => Ok(None),
            Some(known) if known.digest == self.ground.digest => Ok(Some(self.unwritten(known.about, true))),
            Some(_) => Err(Refusal::Named(request.clone())),
        }
    }

    pub(super) fn by(&self) -> By {
        By::Caller {
            name: self.ground.asker.caller.clone(),
            session: self.ground.asker.session.clone(),
        }
    }

    pub(super) fn draft(&self, session: Option<&SessionKey>, change: Change) -> Draft {
        let request = (self.ground.asker.request.clone(), self.ground.digest);
        self.concluded(session, Conclusion::Review(Box::new(ReviewFact { change, request })))
    }

    pub(super) fn concluded(&self, session: Option<&SessionKey>, conclusion: Conclusion) -> Draft {
        let known = session.and_then(|key| self.ground.fleet.session(key));
        Draft {
            host: session.map(|key| key.host.clone()),
            session: session.map(|key| key.id.clone()),
            agent: known.and_then(|session| session.agent().cloned()),
            profile: known.and_then(|session| session.profile().cloned()),
            conclusion,
            cause: Cause::Request(self.ground.asker.request.clone()),
        }
    }

    /// What follows is decided as if this were written.
    pub(super) fn foresee(&mut self, draft: &Draft) {
        if let Conclusion::Review(fact) = &draft.conclusion {
            self.reviews.to_mut().fold(fact, self.ground.now);
        }
    }

    pub(super) fn written(&self, about: u64, session: Option<&SessionKey>, change: Change) -> Decided {
        Decided {
            drafts: vec![self.draft(session, change)],
            soon: None,
            about,
            applied: true,
        }
    }

    pub(super) fn unwritten(&self, about: u64, applied: bool) -> Decided {
        Decided {
            drafts: Vec::new(),
            soon: self.ground.overlay.reviews().last(),
            about,
            applied,
        }
    }

    /// Whether this session may be kept, too.
    pub(super) fn room(&self, kept: Kept, session: &SessionKey) -> Result<(), Refusal> {
        let docket = self.reviews.docket(kept);
        if docket.is_open().count() >= OPEN_MAX {
            return Err(Refusal::TooMany(kept));
        }
        let own = docket.is_open().filter(|file| file.opening.session == *session);
        if own.count() >= OPEN_OF_SESSION_MAX {
            return Err(Refusal::TooManyOfSession(kept));
        }
        Ok(())
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
    Ok(desk.written(annotation.id, Some(session), Change::Annotated(annotation)))
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
    desk.room(Kept::Case, session)?;
    let opening = Opening {
        id: desk.reviews.cases().counted + 1,
        session: session.clone(),
        reason: reason.into(),
        label,
        by: desk.by(),
    };
    Ok(desk.written(opening.id, Some(session), Change::CaseCreated(opening)))
}

/// Ends a case or a review so; one that is over stays as it was.
///
/// # Errors
/// [`Refusal`], where there is none, or it is about who asks.
pub fn close(ground: &Ground<'_>, how: How, id: u64, note: Option<&str>) -> Result<Decided, Refusal> {
    let desk = Desk::at(ground);
    if let Some(before) = desk.repeated()? {
        return Ok(before);
    }
    let kept = how.kept();
    let file = desk.reviews.docket(kept).get(id).ok_or(Refusal::None(kept, id))?;
    if ground.asker.session.as_ref() == Some(&file.opening.session.id) {
        return Err(Refusal::Own(kept));
    }
    if file.end.is_some() {
        return Ok(desk.unwritten(id, false));
    }
    let closing = Closing {
        id,
        by: desk.by(),
        note: note.map(Into::into),
    };
    Ok(desk.written(id, Some(&file.opening.session), how.closed(closing)))
}
