//! Each rule's answer for one session: from when on it holds, and until when, if nothing else happens.
//!
//! One answer serves both questions: whether an alert should stand now, and when to look again. So a deadline that was
//! planned is a deadline that finds something.

use super::{Rule, Settings};
use crate::session::{Mark, PATIENT, Session, Tool, Turn};
use crate::state::SessionState;
use crate::time::Timestamp;
use std::time::Duration;

/// When a rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Timestamp,
    pub(crate) until: Option<Timestamp>,
}

impl Span {
    const fn from(from: Timestamp) -> Self {
        Self { from, until: None }
    }

    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

/// Why a session counts as stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stuck<'a> {
    SameCall { times: u32, first: Mark },
    SameError { times: u32, first: Mark },
    LongTool { tool: &'a Tool, since: Timestamp },
    FlatProgress { tokens: u64, calls: u32, since: Timestamp },
}

/// A turn that cost more than those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spike {
    pub(crate) at: Timestamp,
    pub(crate) cost_micros: u64,
    pub(crate) average_micros: u64,
    pub(crate) turns: u32,
}

/// When the state of this session is next news for a rule, to the second.
pub(crate) fn next(session: &Session, settings: &Settings, now: Timestamp) -> Option<Timestamp> {
    if session.standing().state.is_over() {
        return None;
    }
    let next = |rule: &Rule| {
        let stands = session.watch.standing().contains(*rule);
        let span = span(*rule, session, settings)?;
        if stands {
            return span.until.map(whole_second);
        }
        let from = session
            .watch
            .quiet(*rule)
            .map_or(span.from, |quiet| quiet.max(span.from));
        let from = whole_second(from);
        // What is over is no news any more.
        span.until.is_none_or(|until| from.max(now) < until).then_some(from)
    };
    Rule::OF_SESSIONS.iter().filter_map(next).min()
}

/// Rounded up, so that what is looked at then is past.
fn whole_second(at: Timestamp) -> Timestamp {
    let second = Timestamp::from_millis(at.as_millis().div_euclid(1000).saturating_mul(1000));
    if second == at {
        at
    } else {
        second.after(Duration::from_secs(1))
    }
}

/// When this rule holds of this session.
pub(crate) fn span(rule: Rule, session: &Session, settings: &Settings) -> Option<Span> {
    let standing = session.standing();
    if standing.state.is_over() || !settings.asks(rule) {
        return None;
    }
    if standing.state == SessionState::Unknown {
        // Nobody can tell: what was said stands for a while, and nothing else is.
        let stands = session.watch.standing().contains(rule);
        return stands.then(|| Span {
            from: standing.since,
            until: Some(standing.since.after(settings.recent)),
        });
    }
    match rule {
        Rule::Stuck => stuck(session, settings).map(|(from, _)| Span::from(from)),
        Rule::Waiting => {
            let limit = patience(standing.state, settings)?;
            Some(Span::from(standing.since.after(limit)))
        }
        Rule::ErrorRate => error_rate(session, settings),
        Rule::CostSpike => spike(session, settings).map(|spike| Span {
            from: spike.at,
            until: Some(spike.at.after(settings.recent)),
        }),
        Rule::RateLimitCascade => retries(session, settings),
        // Asked where compactions are, and of no session.
        Rule::ContextPressure | Rule::Forked => None,
    }
}

/// How long a session may wait in this state.
fn patience(state: SessionState, settings: &Settings) -> Option<Duration> {
    let limit = match state {
        SessionState::WaitingApproval => settings.approval,
        SessionState::WaitingInput => settings.input,
        SessionState::Idle | SessionState::Failed => settings.idle,
        SessionState::Starting
        | SessionState::Working
        | SessionState::Compacting
        | SessionState::Stopped
        | SessionState::Lost
        | SessionState::Unknown => return None,
    };
    (!limit.is_zero()).then_some(limit)
}

/// Whether it is stuck, from when on, and how. A session that waits, or is between turns, is not.
pub(crate) fn stuck<'a>(session: &'a Session, settings: &Settings) -> Option<(Timestamp, Stuck<'a>)> {
    if !matches!(
        session.standing().state,
        SessionState::Working | SessionState::WaitingApproval | SessionState::Compacting
    ) {
        return None;
    }
    repeated(session, settings)
        .or_else(|| flat(session, settings))
        .or_else(|| long_tool(session, settings))
}

/// The marks of the turn that goes on, the latest first.
fn latest(session: &Session) -> impl Iterator<Item = &Mark> + Clone {
    let began = session.prompted().unwrap_or_default();
    let marks = session.watch.marks().iter().rev();
    marks.take_while(move |mark| mark.at >= began)
}

fn repeated<'a>(session: &Session, settings: &Settings) -> Option<(Timestamp, Stuck<'a>)> {
    let threads = latest(session)
        .enumerate()
        .filter(|(at, mark)| !latest(session).take(*at).any(|later| later.thread == mark.thread))
        .map(|(_, mark)| mark);
    for last in threads {
        let own = || latest(session).filter(|mark| mark.thread == last.thread);
        let streak = |same: fn(&Mark, &Mark) -> bool| {
            let same = own().take_while(|mark| same(mark, last));
            same.fold((0, *last), |(times, _), mark| (times + 1, *mark))
        };
        let (times, first) = streak(Mark::repeats);
        if settings.same_call > 0 && times >= settings.same_call {
            return Some((last.at, Stuck::SameCall { times, first }));
        }
        let (times, first) = streak(Mark::fails_like);
        if settings.same_error > 0 && times >= settings.same_error {
            return Some((last.at, Stuck::SameError { times, first }));
        }
    }
    None
}

/// Tokens that the model read since a call last brought something that none of the latest calls had. Told only where both
/// are: measures of the context, and calls that ended.
fn flat<'a>(session: &Session, settings: &Settings) -> Option<(Timestamp, Stuck<'a>)> {
    let measures = session.watch.measures();
    if settings.flat_tokens == 0 || measures.len() < FUTILE_CALLS {
        return None;
    }
    let marks: Vec<&Mark> = latest(session).collect();
    let brings_news = |at: &usize| {
        let (mark, before) = (marks[*at], &marks[at + 1..]);
        mark.how == crate::session::How::Ok && !before.iter().any(|earlier| mark.repeats(earlier))
    };
    let news = (0..marks.len()).find(brings_news);
    if news.unwrap_or(marks.len()) < FUTILE_CALLS {
        return None;
    }
    let since = match news {
        Some(at) => marks[at].at,
        None => marks.last()?.at,
    };
    let after = measures.iter().filter(|(at, _)| *at > since);
    let (calls, tokens, last) = after.fold((0_u32, 0_u64, since), |(calls, tokens, _), (at, used)| {
        (calls + 1, tokens.saturating_add(*used), *at)
    });
    let flat = Stuck::FlatProgress { tokens, calls, since };
    (tokens >= settings.flat_tokens).then_some((last, flat))
}

/// Calls without any news, at least: a model may read much before it does the next thing.
const FUTILE_CALLS: usize = 8;

fn long_tool<'a>(session: &'a Session, settings: &Settings) -> Option<(Timestamp, Stuck<'a>)> {
    let turn = session.newest().filter(|_| !settings.tool.is_zero())?;
    let began = |tool: &Tool| {
        let started = tool.started?;
        let runs = tool.ended.is_none()
            && !tool.asks_user
            && turn.stop().is_none_or(|stop| stop < started)
            && !PATIENT.contains(&tool.name())
            && turn.done(tool.subagent.as_ref()).is_none_or(|done| done < started);
        runs.then(|| started.max(allowed(turn, tool)))
    };
    let running = turn.tools.iter().filter_map(|tool| Some((began(tool)?, tool)));
    let (since, tool) = running.min_by_key(|(since, _)| *since)?;
    Some((since.after(settings.tool), Stuck::LongTool { tool, since }))
}

/// When it was last allowed to run, where it had to be asked for.
fn allowed(turn: &Turn, tool: &Tool) -> Timestamp {
    let asks = turn.asks.iter().filter(|ask| ask.is_for(tool));
    asks.filter_map(|ask| ask.closed).max().unwrap_or_default()
}

/// Of the calls looked at, how many failed and how many there are; what was not allowed to run is neither.
pub(crate) fn failures(session: &Session) -> (u32, u32) {
    let ran = session.watch.marks().iter();
    let ran = ran.filter(|mark| mark.how != crate::session::How::Denied);
    ran.fold((0, 0), |(failed, all), mark| {
        (failed + u32::from(mark.how == crate::session::How::Failed), all + 1)
    })
}

/// An alert that stands does so until half as many fail, and is not raised of a session that is known to be stuck.
fn error_rate(session: &Session, settings: &Settings) -> Option<Span> {
    let standing = session.watch.standing();
    let stands = standing.contains(Rule::ErrorRate);
    if settings.error_percent == 0 || (!stands && standing.contains(Rule::Stuck)) {
        return None;
    }
    let (failed, all) = failures(session);
    let percent = u32::from(settings.error_percent) / if stands { 2 } else { 1 };
    let last = session.watch.marks().last()?.at;
    let many = all >= settings.error_calls && failed * 100 >= percent.max(1) * all;
    many.then(|| Span {
        from: last,
        until: Some(last.after(settings.recent)),
    })
}

fn retries(session: &Session, settings: &Settings) -> Option<Span> {
    let retries = session.watch.retries();
    let many = usize::try_from(settings.retries).unwrap_or(usize::MAX);
    let first = *retries.get(retries.len().checked_sub(many.max(1))?)?;
    let last = *retries.last()?;
    let until = first.after(settings.retry_window);
    (settings.retries > 0 && last < until).then_some(Span {
        from: last,
        until: Some(until),
    })
}

/// The latest turn that ended with a cost, against those before it.
pub(crate) fn spike(session: &Session, settings: &Settings) -> Option<Spike> {
    if settings.cost_factor == 0 {
        return None;
    }
    let costs = session.turn_costs();
    let ((at, cost_micros), before) = costs.split_last()?;
    let turns = u32::try_from(before.len()).unwrap_or(u32::MAX);
    let sum = before.iter().fold(0_u64, |sum, (_, cost)| sum.saturating_add(*cost));
    if turns < settings.cost_turns.max(1) || *cost_micros < settings.cost_floor_micros {
        return None;
    }
    let average_micros = sum / u64::from(turns);
    let limit = average_micros.saturating_mul(settings.cost_factor.into());
    (*cost_micros > limit).then_some(Spike {
        at: *at,
        cost_micros: *cost_micros,
        average_micros,
        turns,
    })
}
