//! The words around a match.
//!
//! The engine has a function for it, which looks the whole search up again for every row it is asked of. The words are at
//! hand, so they are marked here: by the same letters, whatever their case.

use super::terms::Terms;

/// Bytes that are shown, and of them before the first match at most: a line or two of a terminal.
const BYTES: usize = 240;
const BEFORE: usize = 60;

/// A part of the text with its first match, matches between « and ».
pub(super) fn snippet(text: &str, terms: &Terms) -> String {
    let words: Vec<(usize, &str)> = words(text).collect();
    let hits = || words.iter().filter(|(_, word)| terms.mean(word));
    let first = hits().next().map_or(0, |(start, _)| *start);
    let near = words.iter().find(|(start, _)| start + BEFORE >= first);
    let from = near.filter(|_| first > BEFORE).map_or(0, |(start, _)| *start);
    let to = text.floor_char_boundary(from.saturating_add(BYTES));
    let mut snippet = String::with_capacity(BYTES + 16);
    snippet.push_str(if from > 0 { "…" } else { "" });
    let mut done = from;
    let shown = hits().filter(|(start, word)| *start >= from && start + word.len() <= to);
    for (start, word) in shown {
        let between = &text[done..*start];
        // Matches beside one another are one.
        if between == " " && snippet.ends_with('»') {
            snippet.pop();
            snippet.push(' ');
        } else {
            snippet.push_str(between);
            snippet.push('«');
        }
        snippet.push_str(word);
        snippet.push('»');
        done = start + word.len();
    }
    snippet.push_str(&text[done..to]);
    snippet.push_str(if to < text.len() { "…" } else { "" });
    snippet
}

/// Runs of letters and digits, with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let place = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.map(move |word| (place(word), word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::terms::tests::terms;

    #[test]
    fn matches_are_marked_and_those_beside_one_another_as_one() {
        let shown = |text: &str, query: &str| snippet(text, &terms(query));
        assert_eq!(shown("Fix the Build, now", "build"), "Fix the «Build», now");
        assert_eq!(shown("fix the build", "\"the build\""), "fix «the build»");
        assert_eq!(shown("a permission denied", "perm*"), "a «permission» denied");
        assert_eq!(shown("src/main.rs", "main.rs"), "src/«main».«rs»");
        assert_eq!(shown("été", "ete"), "été", "found by the engine, and not marked");
        assert_eq!(shown("", "x"), "");
    }

    #[test]
    fn of_a_long_text_the_part_with_the_first_match_is_shown() {
        let text = format!("{} lantern {}", "é ".repeat(500), "word ".repeat(500));
        let shown = snippet(&text, &terms("lantern"));
        assert!(shown.starts_with("…é é") && shown.ends_with('…'), "{shown}");
        assert!(
            shown.contains("é «lantern» word") || shown.contains("é  «lantern» word"),
            "{shown}"
        );
        assert!(shown.len() <= BYTES + 10, "{}", shown.len());
        assert!(snippet(&"x".repeat(4096), &terms("xx*")).len() <= BYTES + 3);
    }
}
