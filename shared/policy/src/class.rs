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

use crate::facts::Facts;
use crate::shell::{self, Command};
use muster_domain::policy::ActionFamily;
use std::collections::BTreeSet;

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
}

/// Classes a tool call.
pub fn classify(facts: &Facts<'_>) -> Classed {
    let kind = tools::kind(facts.tool);
    let named = facts.text(PATH_KEYS);
    let mut classed = Classed {
        family: ActionFamily::ReadOnly,
        families: BTreeSet::new(),
        path: paths::absolute(named.unwrap_or_default(), facts.cwd),
        commands: BTreeSet::new(),
        words: BTreeSet::new(),
        programs: BTreeSet::new(),
        dynamic: false,
    };
    match kind {
        tools::Kind::Shell => match line(facts) {
            Some(line) => classed.take_line(&line, facts.cwd),
            None => classed.families.extend([ActionFamily::LocalExecution]),
        },
        tools::Kind::Patch => {
            let text = facts
                .text(&["input", "patch", "patchText", "command", "diff"])
                .unwrap_or_default();
            classed.families.insert(ActionFamily::LocalExecution);
            classed
                .families
                .extend(tools::patched(text).map(|path| paths::written(&paths::absolute(path, facts.cwd))));
        }
        tools::Kind::Write => {
            classed.families.insert(paths::written(&classed.path));
        }
        tools::Kind::Of(family) => {
            classed.families.insert(family);
            let statements = facts.text(&["query", "sql", "statement"]).into_iter();
            classed.families.extend(
                statements
                    .filter(|text| commands::drops_data(text))
                    .map(|_| ActionFamily::RepairDestructive),
            );
        }
    }
    classed.family = classed.families.last().copied().unwrap_or(ActionFamily::LocalExecution);
    classed
}

/// Whether some agent is known to have a tool of that name, or a server offers it.
pub(crate) fn is_known_tool(name: &str) -> bool {
    tools::is_known(name)
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
    fn take_line(&mut self, line: &str, cwd: &str) {
        let mut folder = cwd.to_owned();
        let parts = shell::commands(line);
        if parts.is_empty() {
            self.families.insert(ActionFamily::ReadOnly);
        }
        let database = parts.iter().any(|part| commands::is_database(part.program()));
        if database && commands::drops_data(line) {
            self.families.insert(ActionFamily::RepairDestructive);
        }
        for part in &parts {
            self.families.extend(commands::families(part, &folder));
            self.dynamic |= part.dynamic;
            self.take_words(part);
            // What follows `cd` in the same line happens there.
            if part.program() == "cd" {
                folder = part
                    .bare()
                    .nth(1)
                    .map_or_else(String::new, |to| paths::absolute(to, &folder));
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
