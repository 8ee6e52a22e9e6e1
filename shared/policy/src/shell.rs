//! A shell line into the commands it runs, as far as that can be told without running it.
//!
//! Total on purpose: a line a shell would refuse still gives words, because what is asked is what the line might do. A
//! grammar that rejects would need a second opinion for whatever it rejected. Quotes, escapes, operators, substitutions,
//! here-documents and the usual wrappers (`sudo`, `env`, `xargs`, `bash -c` …) are seen through; what only the running
//! shell knows (variables, aliases, what a script holds) is marked [`Command::dynamic`] instead of guessed.

mod lex;
mod unwrap;

#[cfg(test)]
mod tests;

/// How deep substitutions and wrappers are followed; beyond it a command is taken as it stands, marked dynamic.
const DEPTH_MAX: usize = 8;

/// One command of a line, wrappers taken off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Command {
    /// The program's own name without its folder, then its arguments, quotes resolved.
    pub(crate) words: Vec<String>,
    /// Files that redirections write.
    pub(crate) writes: Vec<String>,
    /// A word depends on what only the running shell knows.
    pub(crate) dynamic: bool,
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

/// The commands of `line`, in the order in which they are read.
pub(crate) fn commands(line: &str) -> Vec<Command> {
    let mut found = Vec::new();
    collect(line, 0, &mut found);
    found
}

fn collect(line: &str, depth: usize, found: &mut Vec<Command>) {
    for raw in lex::split(line) {
        unwrap::unwrap(raw, depth, found);
    }
}
