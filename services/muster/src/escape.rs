//! Text of others as it may be shown: what is seen is what there is.
//!
//! Agents, and whatever agents read, choose names, reasons and inputs. Characters that reorder a line, hide in it, or
//! steer the terminal could make a command look like another one just where somebody decides about it; they are shown by
//! their number instead.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with every character that does not show itself written as `\u{202e}`. Ends of lines and tabs stay.
pub(crate) fn unsafe_characters(text: &str) -> Cow<'_, str> {
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if hides(c) {
            // Writing into a string cannot fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Controls, and what Unicode calls default ignorable (UAX #44), bidirectional controls (UAX #9) among them. Not the two
/// selectors that only choose how the emoji before them looks.
fn hides(c: char) -> bool {
    match c {
        '\n' | '\t' | '\u{fe0e}' | '\u{fe0f}' => false,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' => true,
        '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0d}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_reorder_hide_or_steer_is_shown_by_its_number() {
        for (text, shown) in [
            ("rm \u{202e}txt.sh", "rm \\u{202e}txt.sh"),
            ("\u{2066}a\u{2069}", "\\u{2066}a\\u{2069}"),
            ("git\u{200b}hub", "git\\u{200b}hub"),
            ("a\u{1b}[2J\r\u{7}\u{9b}", "a\\u{1b}[2J\\u{d}\\u{7}\\u{9b}"),
            (
                "x\u{e0041}\u{feff}\u{ad}\u{2028}",
                "x\\u{e0041}\\u{feff}\\u{ad}\\u{2028}",
            ),
        ] {
            assert_eq!(unsafe_characters(text), shown);
        }
    }

    #[test]
    fn what_shows_itself_is_left_alone() {
        for text in ["a\tb\nc", "größer → ✔\u{fe0f}", "שלום", "日本語", ""] {
            assert_eq!(unsafe_characters(text), text);
        }
    }
}
