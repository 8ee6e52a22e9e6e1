//! Quotes, and what is substituted inside and outside of them.

use super::{Item, Lexer, split};

impl Lexer<'_, '_> {
    pub(super) fn single_quoted(&mut self) {
        self.open.quoted = true;
        self.open.word.get_or_insert_default();
        while let Some(letter) = self.next() {
            if letter == '\'' {
                return;
            }
            self.push(letter);
        }
    }

    pub(super) fn double_quoted(&mut self) {
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

    pub(super) fn backticks(&mut self) {
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

    pub(super) fn dollar(&mut self, in_quotes: bool) {
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
    pub(super) fn substitution(&mut self) {
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
}
