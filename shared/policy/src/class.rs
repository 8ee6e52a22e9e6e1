//! Which of the nine families a tool call belongs to.
//!
//! Pure and driven by three tables: [`tools`] (what a tool does, by its name), [`commands`] (what a program does, by its
//! words and options) and [`paths`] (what a file is worth). A shell line belongs to every family of its parts; the worst of
//! them is *the* family. What is in no table is `local_execution`: it runs here and nobody knows what it does. The tables
//! are meant for honest agents that go too far; they are no sandbox.

mod commands;
mod paths;
mod tools;

#[cfg(test)]
mod tests;

use crate::budget::{self, Budget};
use crate::facts::Facts;
use crate::shell::{self, Command, Part};
use muster_domain::policy::ActionFamily;
pub(crate) use paths::PATH_BYTES_MAX;
use paths::Place;
use serde_json::Value;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Where agents put a shell line in their tools' inputs.
const LINE_KEYS: &[&str] = &["command", "cmd", "script"];
/// Where agents put the file a tool works on.
const PATH_KEYS: &[&str] = &[
    "file_path",
    "path",
    "notebook_path",
    "filePath",
    "absolute_path",
    "dir_path",
    "filename",
];

/// A tool call, classed, with what was found out on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classed {
    /// The worst of [`Classed::families`].
    pub family: ActionFamily,
    /// The family of each part.
    pub families: BTreeSet<ActionFamily>,
    /// The file or folder the call names, absolute where the working folder is known; else the working folder.
    pub path: String,
    /// Each command's beginnings: `git`, `git push`, `git push --force`, with and without options in between.
    pub commands: BTreeSet<String>,
    /// Every word of every command; clusters of short options also one by one.
    pub words: BTreeSet<String>,
    /// Every program that is run.
    pub programs: BTreeSet<String>,
    /// A part depends on what only the running shell knows.
    pub dynamic: bool,
    /// The call says more than is read, or nests it too deep. It counts as what breaks most, and nothing is granted to it.
    pub unread: bool,
}

/// Classes a tool call.
pub fn classify(facts: &Facts<'_>) -> Classed {
    let mut budget = Budget::new();
    count(facts.input, &mut budget);
    // No file system has such a folder.
    let cwd = if facts.cwd.len() > PATH_BYTES_MAX {
        budget.exceed();
        ""
    } else {
        facts.cwd
    };
    let facts = &Facts { cwd, ..*facts };
    let kind = tools::kind(facts.tool);
    let named = facts.text(PATH_KEYS).filter(|path| budget.spend(path.len()));
    let mut classed = Classed {
        family: ActionFamily::ReadOnly,
        families: BTreeSet::new(),
        path: paths::absolute(named.unwrap_or_default(), facts.cwd),
        commands: BTreeSet::new(),
        words: BTreeSet::new(),
        programs: BTreeSet::new(),
        dynamic: false,
        unread: false,
    };
    match kind {
        tools::Kind::Shell => match line(facts) {
            Some(line) => classed.take_line(&line, facts.cwd, &mut budget),
            None => classed.families.extend([ActionFamily::LocalExecution]),
        },
        tools::Kind::Patch => {
            let text = facts
                .text(&["input", "patch", "patchText", "command", "diff"])
                .unwrap_or_default();
            classed.families.insert(ActionFamily::LocalExecution);
            let named =
                tools::patched(text).take_while(|path| budget.spend(budget::WORD + path.len() + facts.cwd.len()));
            classed
                .families
                .extend(named.map(|path| paths::written(&paths::absolute(path, facts.cwd))));
        }
        tools::Kind::Write => {
            classed.families.insert(paths::written(&classed.path));
        }
        tools::Kind::Of(family) => {
            classed.families.insert(family);
            let statements = facts.text(&["query", "sql", "statement"]).into_iter();
            let statements = statements.filter(|text| budget.spend(text.len()));
            classed.families.extend(
                statements
                    .filter(|text| commands::drops_data(text))
                    .map(|_| ActionFamily::RepairDestructive),
            );
        }
    }
    if budget.is_over() {
        classed.unread = true;
        classed.dynamic = true;
        classed.families.insert(ActionFamily::RepairDestructive);
    }
    classed.family = classed.families.last().copied().unwrap_or(ActionFamily::LocalExecution);
    classed
}

impl Classed {
    /// The same call as one of another family, which its caller knows. Of what was not read to its end nobody knows one.
    #[must_use]
    pub fn known_as(mut self, family: ActionFamily) -> Self {
        if !self.unread {
            (self.family, self.families) = (family, [family].into());
        }
        self
    }
}

/// Whether some agent is known to have a tool of that name, or a server offers it.
pub(crate) fn is_known_tool(name: &str) -> bool {
    tools::is_known(name)
}

/// Pays for the values that an input consists of: each becomes one for the rules.
fn count(input: &Value, budget: &mut Budget) {
    let mut waiting = vec![input];
    while let Some(value) = waiting.pop() {
        let length = value
            .as_array()
            .map(Vec::len)
            .or_else(|| value.as_object().map(serde_json::Map::len));
        if !budget.spend(length.unwrap_or_default().saturating_mul(budget::VALUE)) {
            return;
        }
        waiting.extend(value.as_array().into_iter().flatten());
        waiting.extend(value.as_object().into_iter().flat_map(serde_json::Map::values));
    }
}

/// A shell tool's line; Codex may give it as a list of words.
fn line(facts: &Facts<'_>) -> Option<String> {
    if let Some(line) = facts.text(LINE_KEYS) {
        return Some(line.to_owned());
    }
    let words = LINE_KEYS.iter().find_map(|key| facts.input.get(key)?.as_array())?;
    let quoted = words
        .iter()
        .filter_map(|word| word.as_str())
        .map(|word| format!("'{}'", word.replace('\'', "'\\''")));
    Some(quoted.collect::<Vec<_>>().join(" "))
}

impl Classed {
    fn take_line(&mut self, line: &str, cwd: &str, budget: &mut Budget) {
        let parts = shell::read(line, budget);
        let programs = || {
            parts.iter().filter_map(|part| match part {
                Part::Run(command) => Some(command.program()),
                Part::Enter | Part::Leave => None,
            })
        };
        if programs().next().is_none() {
            self.families.insert(ActionFamily::ReadOnly);
        }
        if !budget.is_over() && programs().any(commands::is_database) && commands::drops_data(line) {
            self.families.insert(ActionFamily::RepairDestructive);
        }
        // Where each shell is that the reader is in, the innermost last.
        let mut folders: Vec<Rc<str>> = vec![cwd.into()];
        for part in &parts {
            let folder = Rc::clone(folders.last().expect("invariant: the first one stays"));
            match part {
                Part::Enter => folders.push(folder),
                Part::Leave if folders.len() > 1 => drop(folders.pop()),
                Part::Leave => {}
                Part::Run(command) => {
                    let files = command.words.len() + command.writes.len();
                    if !budget.spend(files.saturating_mul(folder.len() + cwd.len())) {
                        return;
                    }
                    let place = Place {
                        session: cwd,
                        folder: &folder,
                    };
                    self.families.extend(commands::families(command, place));
                    self.dynamic |= command.dynamic;
                    self.take_words(command);
                    if let Some(to) = commands::goes_to(command)
                        && let Some(last) = folders.last_mut()
                    {
                        *last = paths::gone(to, &folder).into();
                    }
                }
            }
        }
    }

    fn take_words(&mut self, part: &Command) {
        for word in &part.words {
            if let Some(letters) = shell::cluster(word) {
                self.words.extend(letters.chars().map(|letter| format!("-{letter}")));
            }
            self.words.insert(word.clone());
        }
        if !part.program().is_empty() {
            self.programs.insert(part.program().to_owned());
        }
        let words: Vec<&str> = part.words.iter().map(String::as_str).collect();
        for beginning in [words, commands::plain(part)] {
            for length in 1..=beginning.len().min(commands::BEGINNING_WORDS) {
                self.commands.insert(beginning[..length].join(" "));
            }
        }
    }
}
