//! One line that tells people what a tool call does.

use crate::members::text;
use crate::text::{LINE_CHARS, first_line};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Members of a tool's input that say what it does, the most telling first. Tools of all agents share these names.
const TELLING: &[&str] = &[
    "command",
    "cmd",
    "file_path",
    "absolute_path",
    "notebook_path",
    "filePath",
    "url",
    "query",
    "pattern",
    "path",
    "dir_path",
    "question",
    "description",
    "subject",
    "title",
    "prompt",
    "plan",
    "skill",
    "name",
    "message",
    "task_id",
];

/// The line of a tool's input; `None` when nothing in it tells.
pub(super) fn of(input: &RawValue) -> Option<String> {
    if let Some(line) = text(input) {
        return first_line(&line, LINE_CHARS);
    }
    let Telling(Some((_, value))) = serde_json::from_str(input.get()).ok()? else {
        return None;
    };
    first_line(&text(value)?, LINE_CHARS)
}

/// The most telling member of an object that is a text, with its rank.
struct Telling<'a>(Option<(usize, &'a RawValue)>);

impl<'de> Deserialize<'de> for Telling<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TellingVisitor)
    }
}

struct TellingVisitor;

impl<'de> Visitor<'de> for TellingVisitor {
    type Value = Telling<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tool's input")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Telling<'de>, A::Error> {
        let mut best: Option<(usize, &'de RawValue)> = None;
        while let Some(Rank(rank)) = map.next_key()? {
            match rank {
                Some(rank) if best.is_none_or(|(known, _)| rank < known) => {
                    let value: &'de RawValue = map.next_value()?;
                    if value.get().len() > 2 && value.get().starts_with('"') {
                        best = Some((rank, value));
                    }
                }
                None | Some(_) => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Telling(best))
    }
}

struct Rank(Option<usize>);

impl<'de> Deserialize<'de> for Rank {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RankVisitor;
        impl Visitor<'_> for RankVisitor {
            type Value = Rank;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, name: &str) -> Result<Rank, E> {
                Ok(Rank(TELLING.iter().position(|telling| *telling == name)))
            }
        }
        deserializer.deserialize_identifier(RankVisitor)
    }
}

/// The first of the questions that a tool asks its user.
pub(super) fn question(input: &RawValue) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Questions<'a> {
        #[serde(borrow)]
        questions: Vec<Question<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Question<'a> {
        #[serde(borrow)]
        question: &'a RawValue,
    }
    let asked: Questions<'_> = serde_json::from_str(input.get()).ok()?;
    first_line(&text(asked.questions.first()?.question)?, LINE_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: &str) -> Option<String> {
        of(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn the_most_telling_member_is_shown() {
        assert_eq!(line(r#"{"description":"d","command":"ls\n-l"}"#).as_deref(), Some("ls"));
        assert_eq!(line(r#"{"content":"c","file_path":"/a"}"#).as_deref(), Some("/a"));
        assert_eq!(line(r#"{"path":"/a","pattern":"fn "}"#).as_deref(), Some("fn"));
        assert_eq!(line(r#"{"prompt":"p","description":"d"}"#).as_deref(), Some("d"));
        assert_eq!(line(r#"{"command":7,"path":"/a"}"#).as_deref(), Some("/a"));
        assert_eq!(line(r#""*** Begin Patch\n""#).as_deref(), Some("*** Begin Patch"));
        assert_eq!(line("{}"), None);
        assert_eq!(line("[1]"), None);
    }

    #[test]
    fn a_question_is_shown_as_it_is_asked() {
        let json = r#"{"questions":[{"question":"Which one?","options":[]}]}"#;
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        assert_eq!(question(&raw).as_deref(), Some("Which one?"));
    }
}
