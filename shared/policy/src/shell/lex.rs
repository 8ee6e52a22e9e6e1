//! Characters into words and commands.

use super::DEPTH_MAX;
use std::iter::Peekable;
use std::str::Chars;

/// A command as it stands in the line.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) words: Vec<String>,
    pub(super) writes: Vec<String>,
    /// What a here-document or here-string feeds to the command.
    pub(super) fed: Vec<String>,
    pub(super) dynamic: bool,
    /// How many substitutions it stands in.
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
}

#[derive(Debug)]
struct Awaited {
    end: String,
    strip_tabs: bool,
    /// Its body is taken as it stands, without substitutions.
    literal: bool,
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    done: Vec<Raw>,
    open: Open,
    /// How many substitutions the reader is in.
    depth: usize,
}

/// The commands of `line`; a substitution's come before the one they are in.
pub(super) fn split(line: &str) -> Vec<Raw> {
    let mut lexer = Lexer::new(line, 0);
    while let Some(found) = lexer.rest.next() {
        lexer.take(found);
    }
    lexer.end_command();
    lexer.done
}

/// The commands of the substitutions in a text that is not itself run.
fn substituted(text: &str, depth: usize) -> Vec<Raw> {
    let mut lexer = Lexer::new(text, depth);
    while let Some(letter) = lexer.rest.next() {
        match letter {
            '`' => lexer.backticks(),
            '$' => lexer.dollar(true),
            '\\' => drop(lexer.rest.next()),
            _ => {}
        }
    }
    lexer.done
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str, depth: usize) -> Self {
        Self {
            rest: text.chars().peekable(),
            done: Vec::new(),
            open: Open::default(),
            depth,
        }
    }

    fn take(&mut self, found: char) {
        match found {
            '\n' => {
                self.end_word();
                self.here_documents();
                self.end_command();
            }
            ' ' | '\t' | '\r' => self.end_word(),
            ';' | '|' | '(' | ')' => self.end_command(),
            '&' if self.rest.peek() == Some(&'>') => self.end_word(),
            '&' => self.end_command(),
            '#' if self.open.word.is_none() => while self.rest.next_if(|next| *next != '\n').is_some() {},
            '>' => self.redirect_out(),
            '<' => self.redirect_in(),
            '\'' => self.single_quoted(),
            '"' => self.double_quoted(),
            '`' => self.backticks(),
            '$' => self.dollar(false),
            '\\' => match self.rest.next() {
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
        match std::mem::replace(&mut self.open.place, Place::Argument) {
            Place::Argument => self.open.raw.words.push(word),
            Place::Write => self.open.raw.writes.push(word),
            Place::Read => {}
            Place::HereString => self.open.raw.fed.push(word),
            Place::HereDocument { strip_tabs } => self.open.awaited.push(Awaited {
                end: word,
                strip_tabs,
                literal: quoted,
            }),
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.open.place = Place::Argument;
        let mut raw = std::mem::take(&mut self.open.raw);
        raw.depth = self.depth;
        if !(raw.words.is_empty() && raw.writes.is_empty()) {
            self.done.push(raw);
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
        while self.rest.next_if(|next| matches!(next, '>' | '|')).is_some() {}
        match self.rest.peek() {
            Some('(') => {
                self.rest.next();
                self.substitution();
            }
            Some('&') => {
                self.rest.next();
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
                self.rest.next();
                self.substitution();
            }
            Some('>') => {
                self.rest.next();
                self.open.place = Place::Write;
            }
            Some('&') => {
                self.rest.next();
                self.open.place = Place::Read;
            }
            Some('<') => {
                self.rest.next();
                self.open.place = match self.rest.peek() {
                    Some('<') => {
                        self.rest.next();
                        Place::HereString
                    }
                    Some('-') => {
                        self.rest.next();
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
            while self.rest.peek().is_some() {
                let mut line = String::new();
                while let Some(letter) = self.rest.next_if(|next| *next != '\n') {
                    line.push(letter);
                }
                self.rest.next();
                let text = if awaited.strip_tabs {
                    line.trim_start_matches('\t')
                } else {
                    &line
                };
                if text == awaited.end {
                    break;
                }
                body.push_str(text);
                body.push('\n');
            }
            if !awaited.literal && self.depth < DEPTH_MAX {
                self.done.extend(substituted(&body, self.depth + 1));
            }
            self.open.raw.fed.push(body);
        }
    }

    fn single_quoted(&mut self) {
        self.open.quoted = true;
        let word = self.open.word.get_or_insert_default();
        for letter in self.rest.by_ref().take_while(|letter| *letter != '\'') {
            word.push(letter);
        }
    }

    fn double_quoted(&mut self) {
        self.open.quoted = true;
        self.open.word.get_or_insert_default();
        while let Some(letter) = self.rest.next() {
            match letter {
                '"' => return,
                '`' => self.backticks(),
                '$' => self.dollar(true),
                '\\' => match self.rest.next() {
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
        while let Some(letter) = self.rest.next() {
            match letter {
                '`' => break,
                '\\' => text.extend(self.rest.next()),
                other => text.push(other),
            }
        }
        self.stand_in();
        if self.depth < DEPTH_MAX {
            let mut inner = Lexer::new(&text, self.depth + 1);
            while let Some(found) = inner.rest.next() {
                inner.take(found);
            }
            inner.end_command();
            self.done.append(&mut inner.done);
        }
    }

    fn dollar(&mut self, in_quotes: bool) {
        match self.rest.peek() {
            Some('(') => {
                self.rest.next();
                self.substitution();
            }
            Some('\'') if !in_quotes => {
                self.rest.next();
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
        while let Some(letter) = self.rest.next() {
            match letter {
                '\'' => return,
                '\\' => {
                    self.push('\\');
                    if let Some(escaped) = self.rest.next() {
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
        if self.depth >= DEPTH_MAX {
            return;
        }
        let twice = self.rest.peek() == Some(&'(');
        let outer = std::mem::take(&mut self.open);
        self.depth += 1;
        let before = self.done.len();
        let (mut open, mut last) = (1_usize, ' ');
        while let Some(found) = self.rest.next() {
            match found {
                '(' => open += 1,
                ')' => open -= 1,
                _ => {}
            }
            if open == 0 {
                break;
            }
            self.take(found);
            last = found;
        }
        self.end_command();
        // `$((1 + 2))` is arithmetic: nothing runs but what stands in substitutions of its own.
        if twice && last == ')' {
            let own = self.depth;
            let inner = self.done.split_off(before);
            self.done.extend(inner.into_iter().filter(|raw| raw.depth > own));
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
