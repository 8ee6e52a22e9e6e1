//! Where a command reads from and writes to, here-documents among it.

use super::{Item, Lexer, Place, split, substituted};

#[derive(Debug)]
pub(super) struct Awaited {
    pub(super) end: String,
    pub(super) strip_tabs: bool,
    /// Its body is taken as it stands, without substitutions.
    pub(super) literal: bool,
    /// The item it is for; none while that command is still being read.
    pub(super) owner: Option<usize>,
}

impl Lexer<'_, '_> {
    /// Ends the word before a redirection; one that only numbers the stream, as in `2>`, is none.
    fn end_word_before(&mut self) {
        let numbers = |word: &String| word.bytes().all(|byte| byte.is_ascii_digit());
        self.open.word.take_if(|word| numbers(word));
        self.end_word();
    }

    /// `>`, `>>`, `>|`, `>&`.
    pub(super) fn redirect_out(&mut self) {
        self.end_word_before();
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

    pub(super) fn redirect_in(&mut self) {
        self.end_word_before();
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
    pub(super) fn here_documents(&mut self) {
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
}
