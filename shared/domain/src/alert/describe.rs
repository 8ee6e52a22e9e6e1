//! An alert in words and numbers, for people and for programs.

use super::span::{Spike, Stuck, failures, spike, stuck};
use super::{Raised, Rule, Settings, Severity};
use crate::fleet::SessionKey;
use crate::session::Session;
use crate::state::SessionState;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a rule found, without the words that every alert of a session begins with.
struct Found {
    kind: Option<&'static str>,
    severity: Severity,
    words: String,
    since: Timestamp,
    evidence: Vec<(&'static str, u64)>,
}

/// What is said when this rule's alert about this session begins.
pub(super) fn raised(
    rule: Rule,
    key: &SessionKey,
    session: &Session,
    settings: &Settings,
    now: Timestamp,
) -> Option<Raised> {
    let found = match rule {
        Rule::Stuck => stuck(session, settings).map(|(_, stuck)| of_stuck(session, stuck, now))?,
        Rule::Waiting => waiting(session, now),
        Rule::ErrorRate => errors(session, now),
        Rule::CostSpike => cost(spike(session, settings)?),
        Rule::ContextPressure => context(session, now),
        Rule::RateLimitCascade => refusals(session, settings, now)?,
        Rule::Forked => return None,
    };
    let evidence = found.evidence.into_iter().map(|(name, n)| (name.into(), n));
    Some(Raised {
        key: rule.key(key).into(),
        rule: Some(rule),
        kind: found.kind.map(Into::into),
        severity: found.severity,
        summary: format!("session {} on {} {}", key.id, key.host, found.words).into(),
        since: Some(found.since),
        evidence: evidence.collect::<BTreeMap<Box<str>, u64>>(),
    })
}

fn of_stuck(session: &Session, stuck: Stuck<'_>, now: Timestamp) -> Found {
    let warning = |kind, since, words, evidence| Found {
        kind: Some(kind),
        severity: Severity::Warning,
        words,
        since,
        evidence,
    };
    let call = |what| match session.call_in_words(what) {
        Some(words) => format!(" ({words})"),
        None => String::new(),
    };
    match stuck {
        Stuck::SameCall { times, first } => {
            let words = format!(
                "made the same call {times} times in a row, with the same result{}",
                call(first.what)
            );
            warning("same_call", first.at, words, vec![("times", times.into())])
        }
        Stuck::SameError { times, first } => {
            let words = format!("met the same error {times} times in a row{}", call(first.what));
            warning("same_error", first.at, words, vec![("times", times.into())])
        }
        Stuck::LongTool { tool, since } => {
            let ran = now.since(since);
            let words = match tool.summary() {
                Some(summary) => format!("runs one call for {}: {}: {summary}", span(ran), tool.name()),
                None => format!("runs one call for {}: {}", span(ran), tool.name()),
            };
            warning("long_tool", since, words, vec![("seconds", ran.as_secs())])
        }
        Stuck::FlatProgress { tokens, calls, since } => Found {
            severity: Severity::Critical,
            ..warning(
                "flat_progress",
                since,
                format!(
                    "read {tokens} tokens in {calls} calls of the model for {}, and nothing new came of it",
                    span(now.since(since))
                ),
                vec![("tokens", tokens), ("model_calls", calls.into())],
            )
        },
    }
}

fn waiting(session: &Session, now: Timestamp) -> Found {
    let standing = session.standing();
    let waited = now.since(standing.since);
    let (kind, severity, what) = match standing.state {
        SessionState::WaitingApproval => ("approval", Severity::Warning, "waits for a permission"),
        SessionState::WaitingInput => ("input", Severity::Warning, "waits for an answer"),
        SessionState::Failed => ("failed", Severity::Info, "failed, and waits for a prompt"),
        SessionState::Starting
        | SessionState::Working
        | SessionState::Idle
        | SessionState::Compacting
        | SessionState::Stopped
        | SessionState::Lost
        | SessionState::Unknown => ("idle", Severity::Info, "waits for the next prompt"),
    };
    let mut words = format!("{what} for {}", span(waited));
    if let Some(reason) = &standing.reason {
        words = format!("{words}: {reason}");
    }
    Found {
        kind: Some(kind),
        severity,
        words,
        since: standing.since,
        evidence: vec![("seconds", waited.as_secs())],
    }
}

fn errors(session: &Session, now: Timestamp) -> Found {
    let (failed, all) = failures(session);
    let marks = session.watch.marks();
    Found {
        kind: None,
        severity: Severity::Warning,
        words: format!("fails: {failed} of its last {all} calls did"),
        since: marks.first().map_or(now, |mark| mark.at),
        evidence: vec![("failed", failed.into()), ("calls", all.into())],
    }
}

fn cost(spike: Spike) -> Found {
    let Spike {
        at,
        cost_micros,
        average_micros,
        turns,
    } = spike;
    Found {
        kind: None,
        severity: Severity::Warning,
        words: format!(
            "spent {} on one turn; the {turns} before cost {} on average",
            usd(cost_micros),
            usd(average_micros)
        ),
        since: at,
        evidence: vec![
            ("cost_usd_micros", cost_micros),
            ("average_usd_micros", average_micros),
            ("turns", turns.into()),
        ],
    }
}

fn context(session: &Session, now: Timestamp) -> Found {
    let context = session.context();
    let mut evidence = Vec::new();
    if let Some(context) = context {
        evidence.push(("used_tokens", context.used_tokens));
        evidence.extend(context.window_tokens.map(|window| ("window_tokens", window)));
    }
    Found {
        kind: None,
        severity: Severity::Warning,
        words: "has a context that is nearly full; compact it, or end it well".to_owned(),
        since: now,
        evidence,
    }
}

fn refusals(session: &Session, settings: &Settings, now: Timestamp) -> Option<Found> {
    let within = |at: &&Timestamp| at.after(settings.retry_window) > now;
    let retries = session.watch.retries().iter().filter(within);
    let (times, since) = (retries.clone().count() as u64, retries.min()?);
    Some(Found {
        kind: None,
        severity: Severity::Warning,
        words: format!(
            "was turned away by its model's provider {times} times in {}",
            span(now.since(*since))
        ),
        since: *since,
        evidence: vec![("times", times)],
    })
}

fn usd(micros: u64) -> String {
    format!("{}.{:02} USD", micros / 1_000_000, micros % 1_000_000 / 10_000)
}

/// A span of time, as people say it.
fn span(of: Duration) -> String {
    match of.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
