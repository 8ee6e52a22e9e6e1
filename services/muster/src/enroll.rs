//! Puts muster's hook into an agent's settings, and takes it out again.
//!
//! The settings file belongs to its owner. Only our own entries are ever written or removed, the
//! text around them is kept as it stands (`settings`), and the bytes from before are kept aside
//! (`original`), so that a file nobody else touched comes back byte for byte. What cannot be
//! merged for certain (comments, broken JSON, an unexpected shape) is refused and left alone.

mod events;
mod file;
mod original;
mod places;
mod settings;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

pub(crate) use places::{Launcher, Scope};

use events::EVENTS;
use file::Snapshot;
use original::Original;
use settings::Change;

/// What to enroll and where; [`Options::from_environment`] fills it as the command does.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) settings: PathBuf,
    pub(crate) launcher: Launcher,
    /// Events whose action is blocked when the hook fails.
    pub(crate) fail_closed: Vec<String>,
    /// Folder of the kept originals.
    pub(crate) state: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Enrolled,
    AlreadyEnrolled,
    /// Entries of an earlier enrolment were brought up to date, e.g. after the binary moved.
    Updated,
    /// The file is again what it was before enrolment, byte for byte.
    Restored,
    /// The file had changed since; only our entries were taken out.
    Removed,
    NotEnrolled,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    pub(crate) settings: PathBuf,
    /// What the agent runs at each hook.
    pub(crate) command: Vec<String>,
    /// Events whose entry was added, changed or removed.
    pub(crate) changed: Vec<String>,
    pub(crate) fail_closed: Vec<String>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) warnings: Vec<String>,
}

/// An event of the agent that is not enrolled, and why.
#[derive(Debug, Serialize)]
pub(crate) struct Skipped {
    pub(crate) event: &'static str,
    pub(crate) reason: &'static str,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{path} is not valid JSON ({detail}); repair it first, it was left as it is", path = path.display())]
    NotJson { path: PathBuf, detail: String },
    #[error(
        "{path} has comments or trailing commas, which its agent does not read either; take them out first, it was left as it is",
        path = path.display()
    )]
    Comments { path: PathBuf },
    #[error("{at} in {path} is not {expected}; it was left as it is", path = path.display())]
    Shape {
        path: PathBuf,
        at: String,
        expected: &'static str,
    },
    #[error("{event} cannot fail closed: {reason}; events that can: {allowed}")]
    FailClosed {
        event: String,
        reason: &'static str,
        allowed: String,
    },
    #[error("{path} was changed by another program meanwhile; run the command again", path = path.display())]
    ChangedMeanwhile { path: PathBuf },
    #[error("the kept original of {path} is damaged; remove muster's entries by hand", path = path.display())]
    OriginalDamaged { path: PathBuf },
    #[error("cannot find {what}; set {variable}")]
    NoPlace { what: &'static str, variable: &'static str },
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// Merges the hook into the settings; running it again changes nothing.
///
/// # Errors
///
/// Every error leaves the settings as they were.
pub(crate) fn run(options: &Options) -> Result<Report, Error> {
    let entries = events::entries(&options.launcher, &options.fail_closed)?;
    let before = Snapshot::read(&options.settings)?;
    let text = before.text()?;
    let merged = settings::merge(text, &entries).map_err(|fault| fault.at(&options.settings))?;
    let mut report = Report {
        outcome: Outcome::AlreadyEnrolled,
        settings: options.settings.clone(),
        command: options.launcher.argv(),
        changed: merged.changed,
        fail_closed: options.fail_closed.clone(),
        skipped: events::skipped(),
        warnings: merged.warnings,
    };
    let after = match merged.change {
        Change::None => return Ok(report),
        Change::First(after) => {
            report.outcome = Outcome::Enrolled;
            Original::keep(&options.state, &before, &after)?;
            after
        }
        Change::Again(after) => {
            report.outcome = Outcome::Updated;
            Original::follow(&options.state, &before, &after)?;
            after
        }
    };
    before.replace(after.as_bytes())?;
    Ok(report)
}

/// Takes the hook out again.
///
/// # Errors
///
/// Every error leaves the settings as they were.
pub(crate) fn unenroll(options: &Options) -> Result<Report, Error> {
    let mut report = Report {
        outcome: Outcome::NotEnrolled,
        settings: options.settings.clone(),
        command: Vec::new(),
        changed: Vec::new(),
        fail_closed: Vec::new(),
        skipped: Vec::new(),
        warnings: Vec::new(),
    };
    let current = Snapshot::read(&options.settings)?;
    let original = Original::find(&options.state, &current)?;
    let intact = original.as_ref().is_none_or(Original::intact);
    if !intact {
        report
            .warnings
            .push("the kept original is damaged: only muster's own entries were taken out".to_owned());
    }
    if let Some(original) = original
        .as_ref()
        .filter(|original| intact && original.untouched_since(&current))
    {
        report.outcome = Outcome::Restored;
        report.changed = EVENTS
            .iter()
            .filter(|event| event.enrolled())
            .map(|event| event.name.to_owned())
            .collect();
        original.restore(&current)?;
    } else {
        let before = original.as_ref().and_then(Original::text);
        let removed = settings::remove(current.text()?, before.as_deref());
        let removed = removed.map_err(|fault| fault.at(&options.settings))?;
        if let Some(after) = removed.text {
            report.outcome = Outcome::Removed;
            report.changed = removed.changed;
            let ours_alone = settings::is_empty(&after) && original.as_ref().is_some_and(Original::file_was_absent);
            match &original {
                Some(original) if ours_alone => original.restore(&current)?,
                Some(_) | None => current.replace(after.as_bytes())?,
            }
        }
    }
    if let Some(original) = original {
        original.forget()?;
    }
    Ok(report)
}

/// What settings hold of ours.
#[derive(Debug)]
pub(crate) struct Enrolled {
    pub(crate) settings: PathBuf,
    /// Events that run one of our programs.
    pub(crate) events: usize,
    /// The programs, each once.
    pub(crate) programs: BTreeSet<String>,
}

/// Whether the settings of a scope are enrolled; nothing is changed.
///
/// # Errors
///
/// When the settings cannot be read.
pub(crate) fn enrolled(scope: Scope) -> Result<Option<Enrolled>, Error> {
    let settings = Options::from_environment(scope, Vec::new())?.settings;
    let snapshot = Snapshot::read(&settings)?;
    let programs = settings::programs(snapshot.text()?).map_err(|fault| fault.at(&settings))?;
    let events = programs.len();
    Ok((events > 0).then(|| Enrolled {
        settings,
        events,
        programs: programs.into_iter().collect(),
    }))
}

#[cfg(test)]
mod tests;
