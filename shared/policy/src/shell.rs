//! A shell line into the commands it runs, as far as that can be told without running it.
//!
//! Total on purpose: a line a shell would refuse still gives words, because what is asked is what the line might do. A
//! grammar that rejects would need a second opinion for whatever it rejected. Quotes, escapes, operators, substitutions,
//! here-documents and the usual wrappers (`sudo`, `env`, `xargs`, `bash -c` …) are seen through; what only the running
//! shell knows (variables, aliases, what a script holds) is marked [`Command::dynamic`] instead of guessed.

mod lex;
mod sed;
mod unwrap;
mod wrappers;

#[cfg(test)]
mod tests;

use crate::budget::Budget;
use lex::{Item, Raw};
use std::collections::BTreeMap;

/// How deep substitutions and wrappers are followed, all in all. Who nests deeper has something to hide.
const DEPTH_MAX: usize = 16;

/// What a line comes to, in the order in which it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// What follows runs in a shell of its own: where it goes (`cd`), nothing else goes.
    Enter,
    /// That shell's end. There may be more ends than beginnings.
    Leave,
    Run(Command),
}

/// One command of a line, wrappers taken off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Command {
    /// The program's own name without its folder, then its arguments, quotes resolved.
    pub(crate) words: Vec<String>,
    /// Files that it writes, by redirections or by what it is told.
    pub(crate) writes: Vec<String>,
    /// A word depends on what only the running shell knows.
    pub(crate) dynamic: bool,
    /// It is told to run or write something, whatever its name says.
    pub(crate) acts: bool,
}

impl Command {
    /// The program's name; empty where a command only redirects.
    pub(crate) fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The arguments.
    pub(crate) fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Whether an option is given: alone, with `=value`, or within a cluster of short ones (`-rf` has `-r` and `-f`).
    pub(crate) fn has(&self, option: &str) -> bool {
        let short = option.strip_prefix('-').filter(|rest| rest.chars().count() == 1);
        self.arguments().iter().any(|word| {
            let (name, _) = word.split_once('=').unwrap_or((word, ""));
            name == option || short.is_some_and(|letter| cluster(word).is_some_and(|letters| letters.contains(letter)))
        })
    }

    /// The words that are no options, the program among them.
    pub(crate) fn bare(&self) -> impl Iterator<Item = &str> {
        self.words
            .iter()
            .map(String::as_str)
            .filter(|word| !word.starts_with('-'))
    }
}

/// The letters of a word like `-rf`. Longer ones are options in the style of `-delete`.
pub(crate) fn cluster(word: &str) -> Option<&str> {
    let letters = word.strip_prefix('-')?;
    let is_cluster = (1..=5).contains(&letters.len()) && letters.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_cluster.then_some(letters)
}

/// What `line` runs. Where the budget ends, or a command is nested too deep, the rest is left out.
pub(crate) fn read(line: &str, budget: &mut Budget) -> Vec<Part> {
    let mut reading = Reading {
        parts: Vec::new(),
        budget,
    };
    reading.line(line, 0, Vec::new());
    reading.parts
}

/// A line that is being read.
struct Reading<'a> {
    parts: Vec<Part>,
    budget: &'a mut Budget,
}

impl Reading<'_> {
    /// A line that stands in `depth` others. What its caller is fed, its first command is.
    fn line(&mut self, line: &str, depth: usize, fed: Vec<String>) {
        if !self.may_descend(depth) {
            return;
        }
        let mut fed = Some(fed);
        let mut said: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (place, item) in lex::split(line, depth, self.budget).into_iter().enumerate() {
            match item {
                Item::Enter => self.parts.push(Part::Enter),
                Item::Leave => self.parts.push(Part::Leave),
                Item::Run(mut raw) => {
                    raw.fed.extend(fed.take().into_iter().flatten());
                    let read = raw.reads.and_then(|place| said.remove(&place));
                    raw.fed.extend(read.into_iter().flatten());
                    if raw.is_read {
                        said.insert(place, self.said(&raw));
                    }
                    self.unwrap(raw);
                }
            }
        }
    }

    /// A line that is run by a shell of its own.
    fn apart(&mut self, line: &str, depth: usize, fed: Vec<String>) {
        self.parts.push(Part::Enter);
        self.line(line, depth, fed);
        self.parts.push(Part::Leave);
    }

    /// What is printed by a command that prints what it is told.
    fn said(&mut self, raw: &Raw) -> Vec<String> {
        let length = raw.words.iter().chain(&raw.fed).map(String::len).sum::<usize>() + raw.words.len();
        match raw.words[unwrap::prefix(&raw.words).0..].split_first() {
            Some((program, words)) if self.budget.spend(length) => match unwrap::base_name(program) {
                // `printf` and `echo -e` write their escapes out.
                "echo" | "printf" => vec![words.join(" ").replace("\\n", "\n")],
                "cat" | "tee" => raw.fed.clone(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Whether something nested that deep is read. What is not read counts as too much to read.
    fn may_descend(&mut self, depth: usize) -> bool {
        if depth > DEPTH_MAX {
            self.budget.exceed();
        }
        !self.budget.is_over()
    }
}
