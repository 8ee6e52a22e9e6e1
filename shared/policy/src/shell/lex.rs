//! Characters into words and commands.

mod quotes;
mod redirect;

use super::DEPTH_MAX;
use crate::budget::{self, Budget};
use redirect::Awaited;
use std::iter::Peekable;
use std::str::Chars;

/// What a line consists of, in the order in which it is read.
#[derive(Debug)]
pub(super) enum Item {
    /// What follows runs in a shell of its own, up to the [`Item::Leave`] that belongs to it.
    Enter,
    Leave,
    Run(Raw),
}

/// A command as it stands in the line.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) words: Vec<String>,
    pub(super) writes: Vec<String>,
    /// What a here-document or here-string feeds to the command.
    pub(super) fed: Vec<String>,
    /// The item whose output it reads.
    pub(super) reads: Option<usize>,
    /// What it prints is read by the next command.
    pub(super) is_read: bool,
    pub(super) dynamic: bool,
    /// How many substitutions and wrappers it stands in.
    pub(super) depth: usize,
}

/// Where the next finished word belongs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Argument,
    Write,
    Read,
    HereString,
    HereDocument {
        strip_tabs: bool,
    },
}

/// A command that is being read.
#[derive(Debug, Default)]
struct Open {
    raw: Raw,
    word: Option<String>,
    /// A part of the word was quoted.
    quoted: bool,
    place: Place,
    /// Here-documents whose bodies begin on the next line.
    awaited: Vec<Awaited>,
    /// `case` without its `esac`: a parenthesis may end a pattern.
    cases: usize,
    /// More was read of the command than the grammar's words before it.
    begun: bool,
}

struct Lexer<'a, 'b> {
    rest: Peekable<Chars<'a>>,
    budget: &'b mut Budget,
    done: Vec<Item>,
    open: Open,
    /// How many substitutions the reader is in.
    depth: usize,
}

/// The commands of `line`, which stands in `depth` others; a substitution's come before the one they are in.
pub(super) fn split(line: &str, depth: usize, budget: &mut Budget) -> Vec<Item> {
    let mut lexer = Lexer::new(line, depth, budget);
    while let Some(found) = lexer.next() {
        lexer.take(found);
    }
    lexer.end_command();
    lexer.done
}

/// The commands of the substitutions in a text that is not itself run.
fn substituted(text: &str, depth: usize, budget: &mut Budget) -> Vec<Item> {
    let mut lexer = Lexer::new(text, depth, budget);
    while let Some(letter) = lexer.next() {
        match letter {
            '`' => lexer.backticks(),
            '$' => lexer.dollar(true),
            '\\' => drop(lexer.next()),
            _ => {}
        }
    }
    lexer.done
}

impl<'a, 'b> Lexer<'a, 'b> {
    fn new(text: &'a str, depth: usize, budget: &'b mut Budget) -> Self {
        Self {
            rest: text.chars().peekable(),
            budget,
            done: Vec::new(),
            open: Open::default(),
            depth,
        }
    }

    /// The next letter, paid for: none where the text or the budget ends.
    fn next(&mut self) -> Option<char> {
        self.next_if(|_| true)
    }

    fn next_if(&mut self, wanted: impl FnOnce(char) -> bool) -> Option<char> {
        let next = *self.rest.peek()?;
        (wanted(next) && self.budget.spend(1)).then(|| self.rest.next())?
    }

    /// Whether substitutions may be followed one deeper. What is not followed was not read.
    fn may_descend(&mut self) -> bool {
        if self.depth >= DEPTH_MAX {
            self.budget.exceed();
        }
        !self.budget.is_over()
    }

    fn take(&mut self, found: char) {
        match found {
            '\n' => {
                self.end_word();
                self.here_documents();
                self.end_command();
            }
            ' ' | '\t' | '\r' => self.end_word(),
            '(' => {
                self.end_command();
                self.done.push(Item::Enter);
            }
            ')' => {
                self.end_command();
                self.done.push(Item::Leave);
            }
            '|' => self.pipe(),
            ';' => drop(self.end_command()),
            '&' if self.rest.peek() == Some(&'>') => self.end_word(),
            '&' => drop(self.end_command()),
            '#' if self.open.word.is_none() => while self.next_if(|next| next != '\n').is_some() {},
            '>' => self.redirect_out(),
            '<' => self.redirect_in(),
            '\'' => self.single_quoted(),
            '"' => self.double_quoted(),
            '`' => self.backticks(),
            '$' => self.dollar(false),
            '\\' => match self.next() {
                Some('\n') | None => {}
                Some(escaped) => self.push(escaped),
            },
            other => self.push(other),
        }
    }

    fn push(&mut self, letter: char) {
        self.open.word.get_or_insert_default().push(letter);
    }

    fn end_word(&mut self) {
        let Some(word) = self.open.word.take() else {
            return;
        };
        let quoted = std::mem::take(&mut self.open.quoted);
        let place = std::mem::replace(&mut self.open.place, Place::Argument);
        if !self.budget.spend(budget::WORD) {
            return;
        }
        match place {
            Place::Argument => {
                match word.as_str() {
                    _ if self.open.begun || quoted => {}
                    "case" => self.open.cases += 1,
                    "esac" => self.open.cases = self.open.cases.saturating_sub(1),
                    _ => {}
                }
                self.open.begun |= !is_grammar(&word);
                self.open.raw.words.push(word);
            }
            Place::Write => self.open.raw.writes.push(word),
            Place::Read => {}
            Place::HereString => self.open.raw.fed.push(word),
            Place::HereDocument { strip_tabs } => self.open.awaited.push(Awaited {
                end: word,
                strip_tabs,
                literal: quoted,
                owner: None,
            }),
        }
    }

    /// Ends the command that is being read, and says where it stands.
    fn end_command(&mut self) -> Option<usize> {
        self.end_word();
        self.open.place = Place::Argument;
        self.open.begun = false;
        let mut raw = std::mem::take(&mut self.open.raw);
        raw.depth = self.depth;
        if raw.words.is_empty() && raw.writes.is_empty() || !self.budget.spend(budget::COMMAND) {
            return None;
        }
        let place = self.done.len();
        for awaited in &mut self.open.awaited {
            awaited.owner.get_or_insert(place);
        }
        self.done.push(Item::Run(raw));
        Some(place)
    }

    /// `|` and `|&`: the next command reads what this one prints. `||` is none.
    fn pipe(&mut self) {
        let place = self.end_command();
        if self.next_if(|next| next == '|').is_some() {
            return;
        }
        self.next_if(|next| next == '&');
        if let Some(Item::Run(raw)) = place.and_then(|place| self.done.get_mut(place)) {
            raw.is_read = true;
            self.open.raw.reads = place;
        }
    }

    /// What a substitution gives is known to the running shell only.
    fn stand_in(&mut self) {
        self.open.word.get_or_insert_default().push_str("$()");
        self.open.raw.dynamic = true;
    }
}

/// Words of the shell's grammar that stand before a command.
pub(super) fn is_grammar(word: &str) -> bool {
    matches!(
        word,
        "if" | "then" | "else" | "elif" | "do" | "while" | "until" | "!" | "{" | "}"
    )
}
