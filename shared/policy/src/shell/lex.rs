//! Characters into words and commands.

use super::DEPTH_MAX;
use crate::budget::{self, Budget};
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

#[derive(Debug)]
struct Awaited {
    end: String,
    strip_tabs: bool,
    /// Its body is taken as it stands, without substitutions.
    literal: bool,
    /// The item it is for; none while that command is still being read.
    owner: Option<usize>,
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

    /// `>`, `>>`, `>|`, `>&`, and `2>`: the word that only numbers the stream is taken back.
    fn redirect_out(&mut self) {
        if self
            .open
            .word
            .as_ref()
            .is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
        {
            self.open.word = None;
        }
        self.end_word();
        while self.next_if(|next| matches!(next, '>' | '|')).is_some() {}
        match self.rest.peek() {
            Some('(') => {
                self.next();
                self.substitution();
            }
            Some('&') => {
                self.next();
                let to_stream = self
                    .rest
                    .peek()
                    .is_some_and(|next| next.is_ascii_digit() || *next == '-');
                self.open.place = if to_stream { Place::Read } else { Place::Write };
            }
            _ => self.open.place = Place::Write,
        }
    }

    fn redirect_in(&mut self) {
        if self
            .open
            .word
            .as_ref()
            .is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
        {
            self.open.word = None;
        }
        self.end_word();
        match self.rest.peek() {
            Some('(') => {
                self.next();
                self.substitution();
            }
            Some('>') => {
                self.next();
                self.open.place = Place::Write;
            }
            Some('&') => {
                self.next();
                self.open.place = Place::Read;
            }
            Some('<') => {
                self.next();
                self.open.place = match self.rest.peek() {
                    Some('<') => {
                        self.next();
                        Place::HereString
                    }
                    Some('-') => {
                        self.next();
                        Place::HereDocument { strip_tabs: true }
                    }
                    _ => Place::HereDocument { strip_tabs: false },
                };
            }
            _ => self.open.place = Place::Read,
        }
    }

    /// The lines up to each awaited end, given to the command they were asked for by.
    fn here_documents(&mut self) {
        for awaited in std::mem::take(&mut self.open.awaited) {
            let mut body = String::new();
            let ended = self.here_document(&awaited, &mut body);
            if !awaited.literal && self.may_descend() {
                let found = substituted(&body, self.depth + 1, self.budget);
                self.done.extend(found);
            }
            // An end that never comes was likely none: `((1<<2))` is no here-document. The lines may be commands.
            if !ended && self.may_descend() {
                let found = split(&body, self.depth + 1, self.budget);
                self.done.extend(found);
            }
            match awaited.owner.and_then(|owner| self.done.get_mut(owner)) {
                Some(Item::Run(raw)) => raw.fed.push(body),
                _ => self.open.raw.fed.push(body),
            }
        }
    }

    /// Reads one here-document, and says whether its end came.
    fn here_document(&mut self, awaited: &Awaited, body: &mut String) -> bool {
        while self.rest.peek().is_some() {
            let before = self.rest.clone();
            let mut line = String::new();
            while let Some(letter) = self.next_if(|next| next != '\n') {
                line.push(letter);
            }
            let text = if awaited.strip_tabs {
                line.trim_start_matches('\t')
            } else {
                &line
            };
            // `$(cat <<E … E)` ends both at once.
            if self.depth > 0
                && text
                    .strip_prefix(&awaited.end)
                    .is_some_and(|rest| rest.starts_with(')'))
            {
                let indented = line.len() - text.len();
                self.rest = before;
                let skipped = indented + awaited.end.chars().count();
                self.rest.by_ref().take(skipped).for_each(drop);
                return true;
            }
            if self.next().is_none() && self.budget.is_over() {
                return true;
            }
            if text == awaited.end {
                return true;
            }
            body.push_str(text);
            body.push('\n');
        }
        false
    }

    fn single_quoted(&mut self) {
        self.open.quoted = true;
        self.open.word.get_or_insert_default();
        while let Some(letter) = self.next() {
            if letter == '\'' {
                return;
            }
            self.push(letter);
        }
    }

    fn double_quoted(&mut self) {
        self.open.quoted = true;
        self.open.word.get_or_insert_default();
        while let Some(letter) = self.next() {
            match letter {
                '"' => return,
                '`' => self.backticks(),
                '$' => self.dollar(true),
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(escaped @ ('$' | '`' | '"' | '\\')) => self.push(escaped),
                    Some(other) => {
                        self.push('\\');
                        self.push(other);
                    }
                },
                other => self.push(other),
            }
        }
    }

    fn backticks(&mut self) {
        let mut text = String::new();
        while let Some(letter) = self.next() {
            match letter {
                '`' => break,
                '\\' => text.extend(self.next()),
                other => text.push(other),
            }
        }
        self.stand_in();
        if self.may_descend() {
            self.done.push(Item::Enter);
            let found = split(&text, self.depth + 1, self.budget);
            self.done.extend(found);
            self.done.push(Item::Leave);
        }
    }

    fn dollar(&mut self, in_quotes: bool) {
        match self.rest.peek() {
            Some('(') => {
                self.next();
                self.substitution();
            }
            Some('\'') if !in_quotes => {
                self.next();
                self.open.raw.dynamic = true;
                self.ansi_quoted();
            }
            Some('"') if !in_quotes => {}
            Some(next) if next.is_ascii_alphanumeric() || matches!(next, '{' | '_' | '@' | '*' | '?' | '!' | '#') => {
                self.open.raw.dynamic = true;
                self.push('$');
            }
            _ => self.push('$'),
        }
    }

    /// `$'…'`, whose escapes could spell anything: kept as written.
    fn ansi_quoted(&mut self) {
        self.open.word.get_or_insert_default();
        while let Some(letter) = self.next() {
            match letter {
                '\'' => return,
                '\\' => {
                    self.push('\\');
                    if let Some(escaped) = self.next() {
                        self.push(escaped);
                    }
                }
                other => self.push(other),
            }
        }
    }

    /// The commands up to the parenthesis that closes the one just read. They are read in place, not cut out first: only
    /// the reader knows which parentheses and quotes belong to a here-document's text.
    fn substitution(&mut self) {
        self.stand_in();
        if !self.may_descend() {
            return;
        }
        let twice = self.rest.peek() == Some(&'(');
        let outer = std::mem::take(&mut self.open);
        self.depth += 1;
        let before = self.done.len();
        self.done.push(Item::Enter);
        let (mut open, mut parted) = (1_usize, false);
        while let Some(found) = self.next() {
            match found {
                '(' => open += 1,
                ')' => {
                    self.end_word();
                    // `$(case x in x) …;; esac)`: the first one ends a pattern.
                    if open > 1 || self.open.cases == 0 {
                        open -= 1;
                    }
                    parted |= open == 1 && self.rest.peek() != Some(&')');
                }
                _ => {}
            }
            if open == 0 {
                break;
            }
            self.take(found);
        }
        self.end_command();
        self.done.push(Item::Leave);
        // `$((1 + 2))` is arithmetic: nothing runs but what stands in substitutions of its own. `$((a);(b))` is none.
        if twice && !parted {
            let own = self.depth;
            let inner = self.done.split_off(before);
            let runs = |item: &Item| !matches!(item, Item::Run(raw) if raw.depth == own);
            self.done.extend(inner.into_iter().filter(runs));
        }
        self.depth -= 1;
        self.open = outer;
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
