//! Words somebody looks for, as the engine is asked for them.
//!
//! The engine has a language of its own, and nobody who looks for words shall write it by accident: every word is quoted
//! before it is handed over, and what is left of a text without letters and digits is refused, not looked for in vain.

/// How long a search may be, in bytes.
const SEARCH_BYTES_MAX: usize = 512;
/// How many words and phrases it may have.
const TERMS_MAX: usize = 16;
/// Letters before a `*` at least: a shorter beginning is that of half the words there are.
const PREFIX_CHARS_MIN: usize = 2;

/// Words to be found, all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    /// In the engine's language.
    text: String,
    words: Vec<Word>,
}

/// One word that is looked for, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    letters: String,
    /// Words that begin so are meant too.
    begins: bool,
}

/// A text that cannot be searched for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsearchable {
    #[error("the search has {0} bytes; the limit is {SEARCH_BYTES_MAX}")]
    TooLong(usize),
    #[error("the search has more than {TERMS_MAX} words and phrases")]
    TooMany,
    #[error("the quotes are not closed; a phrase is \"written so\"")]
    OpenQuotes,
    #[error("there is no word in {0:?}; words have letters or digits")]
    NoWords(String),
    #[error("{0:?} is the beginning of too many words; give {PREFIX_CHARS_MIN} letters before the * at least")]
    ShortPrefix(String),
}

impl Terms {
    /// Words, `"phrases"`, and beginnings of words, as in `perm*`.
    pub(crate) fn read(text: &str) -> Result<Self, Unsearchable> {
        if text.len() > SEARCH_BYTES_MAX {
            return Err(Unsearchable::TooLong(text.len()));
        }
        let (mut terms, mut words) = (Vec::new(), Vec::new());
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (term, after) = if let Some(quoted) = rest.strip_prefix('"') {
                let (phrase, after) = quoted.split_once('"').ok_or(Unsearchable::OpenQuotes)?;
                words.extend(letters(phrase, false));
                (quote(phrase), after)
            } else {
                let end = rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                words.extend(letters(word, word.ends_with('*')));
                (self::word(word)?, after)
            };
            terms.extend(term);
            rest = after.trim_start();
        }
        match terms.len() {
            0 => Err(Unsearchable::NoWords(text.to_owned())),
            1..=TERMS_MAX => Ok(Self {
                text: terms.join(" AND "),
                words,
            }),
            _ => Err(Unsearchable::TooMany),
        }
    }

    /// In the engine's language.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this word of a text is one of those that are looked for.
    pub(super) fn mean(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let is = |wanted: &Word| word == wanted.letters || (wanted.begins && word.starts_with(&wanted.letters));
        self.words.iter().any(is)
    }
}

/// The words of a term; of the last of them the beginning may be enough.
fn letters(term: &str, begins: bool) -> Vec<Word> {
    let letters = term
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let word = |letters: &str| Word {
        letters: letters.to_lowercase(),
        begins: false,
    };
    let mut words: Vec<Word> = letters.map(word).collect();
    if let Some(last) = words.last_mut() {
        last.begins = begins;
    }
    words
}

fn word(word: &str) -> Result<Option<String>, Unsearchable> {
    let Some(begin) = word.strip_suffix('*') else {
        return Ok(quote(word));
    };
    let chars = begin.chars().filter(|c| c.is_alphanumeric()).count();
    if (1..PREFIX_CHARS_MIN).contains(&chars) {
        return Err(Unsearchable::ShortPrefix(word.to_owned()));
    }
    Ok(quote(begin).map(|begin| begin + " *"))
}

/// What has no letter and no digit is no word to the engine, and would never be found.
fn quote(words: &str) -> Option<String> {
    let words = words.replace(|c: char| c.is_control() || c == '"', " ");
    words
        .contains(char::is_alphanumeric)
        .then(|| format!("\"{}\"", words.trim()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::index) fn terms(text: &str) -> Terms {
        Terms::read(text).unwrap()
    }

    fn read(text: &str) -> Result<String, Unsearchable> {
        Terms::read(text).map(|terms| terms.text)
    }

    #[test]
    fn words_are_quoted_and_all_of_them_are_meant() {
        let table = [
            ("build", r#""build""#),
            ("  fix   build ", r#""fix" AND "build""#),
            ("fix OR NEAR(build)", r#""fix" AND "OR" AND "NEAR(build)""#),
            (r#""fix the build" now"#, r#""fix the build" AND "now""#),
            (r#"a"b c"d"#, r#""a" AND "b c" AND "d""#),
            ("perm* x", r#""perm" * AND "x""#),
            ("src/main.rs - {text} : ^x", r#""src/main.rs" AND "{text}" AND "^x""#),
            ("été", r#""été""#),
            ("a\0b", "\"a b\""),
        ];
        for (text, meant) in table {
            assert_eq!(read(text).as_deref(), Ok(meant), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_found_is_refused_with_what_would_be_right() {
        assert_eq!(read(r#"fix "the build"#), Err(Unsearchable::OpenQuotes));
        for nothing in ["", "  ", "!!! ---", "\"\"", "* "] {
            assert_eq!(read(nothing), Err(Unsearchable::NoWords(nothing.to_owned())));
        }
        assert_eq!(read("a*"), Err(Unsearchable::ShortPrefix("a*".to_owned())));
        assert_eq!(read(&"x ".repeat(TERMS_MAX + 1)), Err(Unsearchable::TooMany));
        assert_eq!(read(&"x".repeat(600)), Err(Unsearchable::TooLong(600)));
    }
}
