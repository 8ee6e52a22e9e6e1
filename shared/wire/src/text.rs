//! One line of a text, short enough for a list.

/// Characters of a summary or a preview: one line of a terminal beside its labels.
pub(crate) const LINE_CHARS: usize = 120;
/// Characters of an error or a reason: enough for its sentence, not for its backtrace.
pub(crate) const REASON_CHARS: usize = 240;

/// The first line that says something, at most `chars` characters long.
pub(crate) fn first_line(text: &str, chars: usize) -> Option<String> {
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    one_line(line, chars)
}

/// All of a text on one line: runs of white space and control characters become one space.
pub(crate) fn one_line(text: &str, chars: usize) -> Option<String> {
    let mut line = String::with_capacity(text.len().min(chars + 3));
    let mut count = 0;
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            space = count > 0;
            continue;
        }
        let needed = if space { 2 } else { 1 };
        if count + needed > chars {
            // Make room for the mark that says there was more.
            if count == chars {
                line.pop();
            }
            line.push('…');
            break;
        }
        if std::mem::take(&mut space) {
            line.push(' ');
        }
        line.push(c);
        count += needed;
    }
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_line_with_words_is_taken() {
        assert_eq!(
            first_line("\n  \n  cargo   test\t--all\nmore", 120).as_deref(),
            Some("cargo test --all")
        );
        assert_eq!(first_line(" \n", 120), None);
    }

    #[test]
    fn a_cut_is_marked_and_counts_characters() {
        assert_eq!(one_line("ééééé", 5).as_deref(), Some("ééééé"));
        assert_eq!(one_line("éééééé", 5).as_deref(), Some("éééé…"));
        assert_eq!(one_line("ab cd ef", 5).as_deref(), Some("ab c…"));
    }

    proptest! {
        #[test]
        fn a_line_is_short_and_has_no_control_characters(text in "\\PC*[\\x00-\\x20]*\\PC*", chars in 1_usize..40) {
            if let Some(line) = one_line(&text, chars) {
                prop_assert!(line.chars().count() <= chars);
                prop_assert!(!line.contains(|c: char| c.is_control()));
            }
        }
    }
}
