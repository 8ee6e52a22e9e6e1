//! What a sed script does besides editing its stream: GNU's `e` runs, `w` and `W` write.

use std::iter::Peekable;
use std::str::Chars;

/// What was found in a script.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    /// What `e` runs.
    pub(super) runs: Vec<String>,
    /// What `w` writes.
    pub(super) writes: Vec<String>,
    /// It runs what its input says, or cannot be read.
    pub(super) acts: bool,
}

/// Reads a script. What is not understood acts.
pub(super) fn read(text: &str) -> Script {
    let mut found = Script::default();
    let mut rest = text.chars().peekable();
    while rest.peek().is_some() {
        if command(&mut rest, &mut found).is_none() {
            found.acts = true;
            break;
        }
    }
    found
}

/// One command with its addresses; none where it is not understood.
fn command(rest: &mut Peekable<Chars<'_>>, found: &mut Script) -> Option<()> {
    let blank = |letter: &char| letter.is_whitespace() || matches!(letter, ';' | '{' | '}');
    while rest.next_if(blank).is_some() {}
    loop {
        match *rest.peek().unwrap_or(&'#') {
            '/' => {
                rest.next();
                delimited(rest, '/')?;
                while rest.next_if(|letter| matches!(letter, 'I' | 'M')).is_some() {}
            }
            '\\' => {
                rest.next();
                let delimiter = rest.next()?;
                delimited(rest, delimiter)?;
            }
            '0'..='9' | '$' | ',' | '~' | '+' | '!' | ' ' | '\t' => drop(rest.next()),
            _ => break,
        }
    }
    match rest.next() {
        None | Some('}') => {}
        Some('{') => return command(rest, found),
        Some('s') => {
            let delimiter = rest.next()?;
            delimited(rest, delimiter)?;
            delimited(rest, delimiter)?;
            while let Some(flag) = rest.next_if(|letter| !matches!(letter, ';' | '\n' | '}' | '#')) {
                match flag {
                    'e' => found.acts = true,
                    'w' => found.writes.push(line(rest)),
                    'g' | 'p' | 'i' | 'I' | 'm' | 'M' | '0'..='9' | ' ' | '\t' => {}
                    _ => return None,
                }
            }
        }
        Some('y') => {
            let delimiter = rest.next()?;
            delimited(rest, delimiter)?;
            delimited(rest, delimiter)?;
        }
        Some('e') => {
            found.acts = true;
            found.runs.push(line(rest));
        }
        Some('w' | 'W') => found.writes.push(line(rest)),
        Some('a' | 'i' | 'c') => while line(rest).ends_with('\\') {},
        Some('r' | 'R' | '#') => drop(line(rest)),
        Some(':' | 'b' | 't' | 'T' | 'q' | 'Q' | 'l' | 'L' | 'v') => {
            while rest.next_if(|letter| !matches!(letter, ';' | '\n' | '}')).is_some() {}
        }
        Some('p' | 'P' | 'd' | 'D' | 'n' | 'N' | 'g' | 'G' | 'h' | 'H' | 'x' | 'z' | 'F' | '=') => {}
        Some(_) => return None,
    }
    Some(())
}

/// Skips what stands before the next `delimiter`.
fn delimited(rest: &mut Peekable<Chars<'_>>, delimiter: char) -> Option<()> {
    loop {
        match rest.next()? {
            '\\' => drop(rest.next()),
            letter if letter == delimiter => return Some(()),
            _ => {}
        }
    }
}

/// The rest of the line.
fn line(rest: &mut Peekable<Chars<'_>>) -> String {
    let text: String = rest.by_ref().take_while(|letter| *letter != '\n').collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editing_a_stream_is_no_act() {
        for script in [
            "p",
            "1,5p",
            "$d",
            "/a/,/b/p",
            "s/write/e/g",
            "s|a|w|;s,b,e,2",
            "10,20p;30q",
            "/x/{n;s/a/b/;p}",
            "/foo/!d",
            "y/ew/we/",
            "1~2d",
            "a\\ write e w",
            "\\|w e|d",
            "s/a\\/w e/b/",
            "/e/I,+3p",
            "$!N;$!D",
            ":a;s/x/y/;ta",
            "",
            "# we",
            "1i hello\n2d",
            "/w/=",
        ] {
            assert_eq!(read(script), Script::default(), "{script}");
        }
    }

    #[test]
    fn running_and_writing_are_found_wherever_they_stand() {
        assert_eq!(read("1e git push").runs, ["git push"]);
        assert_eq!(read("/x/{p;e git push\n}").runs, ["git push"]);
        assert_eq!(read("s/x/y/w f").writes, ["f"]);
        assert_eq!(read("s/x/y/gw /etc/passwd\np").writes, ["/etc/passwd"]);
        assert_eq!(read("/x/w out").writes, ["out"]);
        assert_eq!(read("$!W out").writes, ["out"]);
        assert!(read("s/.*/rm x/e").acts && read("e").acts);
        assert!(read("s/a/b").acts && read("k").acts, "what is not understood acts");
    }
}
