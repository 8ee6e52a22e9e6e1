//! Puts muster's hook into an agent's settings and its tools into the agent's list of servers, and takes them out again.
//!
//! The settings file belongs to its owner. Only our own entries are ever written or removed, the
//! text around them is kept as it stands (`settings`), and the bytes from before are kept aside
//! (`original`), so that a file nobody else touched comes back byte for byte. What cannot be
//! merged for certain (comments, broken JSON, an unexpected shape) is refused and left alone.

mod events;
mod file;
mod original;
mod places;
mod servers;
mod settings;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub(crate) use places::{Launcher, Scope, Tools};

use events::EVENTS;
use file::Snapshot;
use original::Original;
use settings::{Change, Fault, Merged, Removed};

/// What to enroll and where; [`Options::from_environment`] fills it as the command does.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) settings: PathBuf,
    pub(crate) launcher: Launcher,
    /// Events whose action is blocked when the hook fails.
    pub(crate) fail_closed: Vec<String>,
    /// The tools, where they are to be put in or taken out.
    pub(crate) tools: Option<Tools>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tools: Option<ToolsReport>,
}

/// What became of the tools.
#[derive(Debug, Serialize)]
pub(crate) struct ToolsReport {
    pub(crate) outcome: Outcome,
    /// The agent's list of servers.
    pub(crate) file: PathBuf,
    /// What the agent starts.
    pub(crate) command: Vec<String>,
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

/// Merges the hook into the settings, and the tools into the list of servers where they are wanted; running it again changes
/// nothing.
///
/// # Errors
///
/// Every error leaves the file it is about as it was.
pub(crate) fn run(options: &Options) -> Result<Report, Error> {
    let entries = events::entries(&options.launcher, &options.fail_closed)?;
    // Looked at before anything is written, so that a file that cannot be merged does not leave half an enrolment.
    let servers = options.tools.as_ref().map(|tools| (tools, servers::entry(tools)));
    if let Some((tools, entry)) = &servers {
        look(&tools.file, |text| servers::merge(text, entry))?;
    }
    let put = put_in(&options.settings, &options.state, |text| {
        settings::merge(text, &entries)
    })?;
    let tools = servers.map(|(tools, entry)| {
        let put = put_in(&tools.file, &options.state, |text| servers::merge(text, &entry))?;
        Ok(ToolsReport {
            outcome: put.outcome,
            file: tools.file.clone(),
            command: tools.argv.clone(),
        })
    });
    Ok(Report {
        outcome: put.outcome,
        settings: options.settings.clone(),
        command: options.launcher.argv(),
        changed: put.changed,
        fail_closed: options.fail_closed.clone(),
        skipped: events::skipped(),
        warnings: put.warnings,
        tools: tools.transpose()?,
    })
}

/// Takes the hook out again, and the tools.
///
/// # Errors
///
/// Every error leaves the file it is about as it was.
pub(crate) fn unenroll(options: &Options) -> Result<Report, Error> {
    let hooks: Vec<String> = EVENTS
        .iter()
        .filter(|event| event.enrolled())
        .map(|event| event.name.to_owned())
        .collect();
    let taken = take_out(&options.settings, &options.state, hooks, settings::remove)?;
    let mut warnings = taken.warnings;
    let tools = match &options.tools {
        None => None,
        Some(tools) => {
            let taken = take_out(&tools.file, &options.state, Vec::new(), servers::remove)?;
            warnings.extend(taken.warnings);
            let report = ToolsReport {
                outcome: taken.outcome,
                file: tools.file.clone(),
                command: Vec::new(),
            };
            Some(report).filter(|report| report.outcome != Outcome::NotEnrolled)
        }
    };
    Ok(Report {
        outcome: taken.outcome,
        settings: options.settings.clone(),
        command: Vec::new(),
        changed: taken.changed,
        fail_closed: Vec::new(),
        skipped: Vec::new(),
        warnings,
        tools,
    })
}

/// What became of one file.
struct Done {
    outcome: Outcome,
    changed: Vec<String>,
    warnings: Vec<String>,
}

fn look(file: &Path, merge: impl FnOnce(&str) -> Result<Merged, Fault>) -> Result<(), Error> {
    let snapshot = Snapshot::read(file)?;
    merge(snapshot.text()?).map_err(|fault| fault.at(file))?;
    Ok(())
}

fn put_in(file: &Path, state: &Path, merge: impl FnOnce(&str) -> Result<Merged, Fault>) -> Result<Done, Error> {
    let before = Snapshot::read(file)?;
    let merged = merge(before.text()?).map_err(|fault| fault.at(file))?;
    let (outcome, after) = match merged.change {
        Change::None => (Outcome::AlreadyEnrolled, None),
        Change::First(after) => {
            Original::keep(state, &before, &after)?;
            (Outcome::Enrolled, Some(after))
        }
        Change::Again(after) => {
            Original::follow(state, &before, &after)?;
            (Outcome::Updated, Some(after))
        }
    };
    if let Some(after) = after {
        before.replace(after.as_bytes())?;
    }
    Ok(Done {
        outcome,
        changed: merged.changed,
        warnings: merged.warnings,
    })
}

fn take_out(
    file: &Path,
    state: &Path,
    all: Vec<String>,
    remove: impl FnOnce(&str, Option<&str>) -> Result<Removed, Fault>,
) -> Result<Done, Error> {
    let mut done = Done {
        outcome: Outcome::NotEnrolled,
        changed: Vec::new(),
        warnings: Vec::new(),
    };
    let current = Snapshot::read(file)?;
    let original = Original::find(state, &current)?;
    let intact = original.as_ref().is_none_or(Original::intact);
    if !intact {
        done.warnings
            .push("the kept original is damaged: only muster's own entries were taken out".to_owned());
    }
    if let Some(original) = original
        .as_ref()
        .filter(|original| intact && original.untouched_since(&current))
    {
        done.outcome = Outcome::Restored;
        done.changed = all;
        original.restore(&current)?;
    } else {
        let before = original.as_ref().and_then(Original::text);
        let removed = remove(current.text()?, before.as_deref()).map_err(|fault| fault.at(file))?;
        if let Some(after) = removed.text {
            done.outcome = Outcome::Removed;
            done.changed = removed.changed;
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
    Ok(done)
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
    let settings = Options::from_environment(scope, Vec::new(), None)?.settings;
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
