//! The little JSON this process needs: write strings, read the scalars of one flat object.

use std::fmt::Write;

pub(crate) fn quote(into: &mut String, text: &str) {
    into.push('"');
    for c in text.chars() {
        match c {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            c if u32::from(c) < 0x20 => {
                // Writing to a String cannot fail.
                let _ = write!(into, "\\u{:04x}", u32::from(c));
            }
            c => into.push(c),
        }
    }
    into.push('"');
}

/// The top-level members of an object whose values are strings (decoded) or other scalars (as
/// written); nested values are stepped over. `None` for what is not a JSON object.
pub(crate) fn scalars(text: &str) -> Option<Vec<(String, String)>> {
    let mut reader = Reader { rest: text };
    let mut members = Vec::new();
    reader.expect('{')?;
    if reader.expect('}').is_some() {
        return Some(members);
    }
    loop {
        let name = reader.string()?;
        reader.expect(':')?;
        if let Some(value) = reader.value()? {
            members.push((name, value));
        }
        if reader.expect('}').is_some() {
            return Some(members);
        }
        reader.expect(',')?;
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn expect(&mut self, c: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(c)?;
        Some(())
    }

    /// A scalar, or `Some(None)` after a nested value.
    fn value(&mut self) -> Option<Option<String>> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('"') {
            return self.string().map(Some);
        }
        if self.rest.starts_with(['{', '[']) {
            return self.step_over().map(|()| None);
        }
        let end = self.rest.find([',', '}']).unwrap_or(self.rest.len());
        let (scalar, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Some(scalar.trim_end().to_owned()))
    }

    fn step_over(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.rest.chars().next()? {
                '"' => {
                    self.string()?;
                    continue;
                }
                '{' | '[' => depth += 1,
                '}' | ']' => depth -= 1,
                _ => {}
            }
            self.advance();
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.advance()? {
                '"' => return Some(text),
                '\\' => text.push(self.escape()?),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.advance()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let digits = self.rest.get(..4)?;
                self.rest = &self.rest[4..];
                // Halves of a surrogate pair: only ever shown to people, so a mark will do.
                char::from_u32(u32::from_str_radix(digits, 16).ok()?).unwrap_or('\u{fffd}')
            }
            c => c,
        })
    }

    fn advance(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_reads_back() {
        let nasty = "a\"b\\c\nd\te\u{1}f\u{7f}é🦀";
        let mut text = String::from("{\"k\":");
        quote(&mut text, nasty);
        text.push('}');
        assert_eq!(scalars(&text), Some(vec![("k".to_owned(), nasty.to_owned())]));
    }

    #[test]
    fn nested_values_are_stepped_over() {
        let text = r#" { "a" : {"x":["}",{"y":"\"]"}]} , "exit_code" : 2 , "ok":true, "n":null,"s":"\u00e9" } "#;
        let read: Vec<_> = scalars(text).into_iter().flatten().collect();
        let expected = [("exit_code", "2"), ("ok", "true"), ("n", "null"), ("s", "é")];
        assert_eq!(read, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn every_prefix_of_an_object_is_refused_without_panic() {
        let text = r#"{"a":{"x":["}",1]},"b":"\u00e9\\","c":1}"#;
        for end in 0..text.len() {
            if text.is_char_boundary(end) {
                assert_eq!(scalars(&text[..end]), None, "{}", &text[..end]);
            }
        }
        assert_eq!(scalars("{}"), Some(vec![]));
        assert_eq!(scalars("[1]"), None);
        assert_eq!(scalars(r#"{"a":]}"#).map(|m| m.len()), Some(1));
    }
}
