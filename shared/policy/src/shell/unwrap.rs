//! Wrappers taken off: what `sudo env X=1 timeout 5 git push` runs is `git push`.

use super::lex::{Raw, is_grammar};
use super::wrappers::{GIT_RUNS, GIT_RUNS_BEGIN, GIT_RUNS_END, HARMLESS, SHELLS, TEXTS, VARIABLES, WRAPPERS, Wrapper};
use super::{Command, Part, Reading, sed};
use crate::budget;

/// Options of `ssh` that take a value.
const SSH: Wrapper = Wrapper {
    begins: &["ssh"],
    valued: ("pilobFJLRDcEmOQSwWBeI", ""),
    leading: 1,
};

/// A command and where it stands, while what it runs besides itself is looked for.
struct Inside<'a> {
    program: &'a str,
    arguments: &'a [String],
    fed: &'a [String],
    dynamic: bool,
    depth: usize,
}

impl Reading<'_> {
    pub(super) fn unwrap(&mut self, mut raw: Raw) {
        if !self.may_descend(raw.depth) {
            return;
        }
        let fed = std::mem::take(&mut raw.fed);
        let (prefix, acts) = prefix(&raw.words);
        raw.words.drain(..prefix);
        let mut command = Command {
            words: raw.words,
            writes: raw.writes,
            dynamic: raw.dynamic,
            acts,
        };
        if let Some(program) = command.words.first_mut() {
            *program = base_name(program).to_owned();
        }
        self.inner(&mut command, &fed, raw.depth);
        self.parts.push(Part::Run(command));
    }

    /// What a command runs besides itself.
    fn inner(&mut self, command: &mut Command, fed: &[String], depth: usize) {
        let Some((program, arguments)) = command.words.split_first() else {
            return;
        };
        let inside = Inside {
            program,
            arguments,
            fed,
            dynamic: command.dynamic,
            depth,
        };
        let (mut acts, mut writes) = (false, Vec::new());
        let wrapper = WRAPPERS
            .iter()
            .filter_map(|wrapper| Some((wrapper, inside.after(wrapper)?)));
        // `command -v git` only says where it is.
        let only_says = program == "command" && arguments.iter().any(|word| matches!(word.as_str(), "-v" | "-V"));
        if let Some((wrapper, after)) = wrapper.max_by_key(|(wrapper, _)| wrapper.begins.len())
            && !only_says
        {
            self.wrapped(&inside, wrapper, after);
        }
        for (_, letter, long) in TEXTS.iter().filter(|(name, ..)| *name == program) {
            if let Some(text) = option(arguments, *letter, long) {
                self.apart(text, depth + 1, Vec::new());
            }
        }
        match program.as_str() {
            shell if SHELLS.contains(&shell) => self.shell(&inside),
            "su" => self.fed(&inside),
            "eval" => self.line(&arguments.join(" "), depth + 1, Vec::new()),
            "trap" => self.apart(arguments.first().map_or("", String::as_str), depth + 1, Vec::new()),
            "env" => {
                if let Some((text, after)) = split_string(arguments) {
                    self.line(&format!("{text} {}", after.join(" ")), depth + 1, fed.to_vec());
                }
            }
            "ssh" => {
                let far = rest_of(arguments, &SSH);
                match far.join(" ") {
                    nothing if nothing.is_empty() => self.fed(&inside),
                    far => self.apart(&far, depth + 1, fed.to_vec()),
                }
            }
            "find" => self.found(&inside, &["-exec", "-execdir", "-ok", "-okdir"]),
            "fd" | "fdfind" => self.found(&inside, &["-x", "-X", "--exec", "--exec-batch"]),
            "tmux" | "screen" => {
                for text in arguments.iter().filter(|word| word.contains(char::is_whitespace)) {
                    self.apart(text, depth + 1, Vec::new());
                }
            }
            "sed" | "gsed" => {
                let scripts = scripts(arguments);
                acts |= scripts.is_none();
                for text in scripts.into_iter().flatten() {
                    let script = sed::read(text);
                    acts |= script.acts;
                    writes.extend(script.writes);
                    script
                        .runs
                        .iter()
                        .for_each(|text| self.apart(text, depth + 1, Vec::new()));
                }
            }
            "git" => {
                for (name, value) in git_settings(arguments).filter(|(name, value)| git_runs(name, value)) {
                    acts = true;
                    if let Some(text) = value.strip_prefix('!') {
                        self.apart(text, depth + 1, Vec::new());
                    } else if name.to_lowercase().starts_with("alias.") {
                        self.apart(&format!("git {value}"), depth + 1, Vec::new());
                    }
                }
                let executed = |word: &&String| matches!(word.as_str(), "-x" | "--exec");
                if arguments.iter().any(|word| word == "rebase")
                    && let Some(place) = arguments.iter().position(|word| executed(&word))
                {
                    let text = arguments.get(place + 1).map_or("", String::as_str);
                    self.apart(text, depth + 1, Vec::new());
                }
            }
            _ => {}
        }
        command.acts |= acts;
        command.writes.extend(writes);
    }

    /// What a wrapper runs. A single word with spaces is a line of its own: `watch 'git push'`.
    fn wrapped(&mut self, inside: &Inside<'_>, wrapper: &Wrapper, after: usize) {
        let words = rest_of(&inside.arguments[after..], wrapper);
        let end = words.iter().position(|word| word.starts_with(":::"));
        let words = &words[..end.unwrap_or(words.len())];
        match words.first() {
            Some(text) if text.contains(char::is_whitespace) => {
                self.apart(text, inside.depth + 1, inside.fed.to_vec());
            }
            _ => self.again(words, inside),
        }
    }

    /// What `find -exec` and its like run: up to the next of them, or the end of this one.
    fn found(&mut self, inside: &Inside<'_>, options: &[&str]) {
        let starts = |word: &String| options.contains(&word.as_str());
        for (place, _) in inside.arguments.iter().enumerate().filter(|(_, word)| starts(word)) {
            let text = &inside.arguments[place + 1..];
            let end = text
                .iter()
                .position(|word| starts(word) || matches!(word.as_str(), ";" | "+"));
            self.again(&text[..end.unwrap_or(text.len())], inside);
        }
    }

    fn shell(&mut self, inside: &Inside<'_>) {
        let letters = |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains('c');
        if let Some(place) = inside.arguments.iter().position(letters) {
            let mut rest = &inside.arguments[place + 1..];
            while let [option, after @ ..] = rest
                && option.starts_with(['-', '+'])
            {
                let valued = usize::from(matches!(option.as_str(), "-o" | "+o" | "-O" | "+O"));
                rest = after.get(valued..).unwrap_or_default();
            }
            let text = rest.first().map_or("", String::as_str);
            self.apart(text, inside.depth + 1, inside.fed.to_vec());
        } else {
            self.fed(inside);
        }
    }

    /// What is fed to something that runs it.
    fn fed(&mut self, inside: &Inside<'_>) {
        for text in inside.fed {
            self.apart(text, inside.depth + 1, Vec::new());
        }
    }

    fn again(&mut self, words: &[String], inside: &Inside<'_>) {
        let lengths = words.iter().chain(inside.fed).map(|word| word.len() + budget::WORD);
        if words.is_empty() || !self.budget.spend(lengths.sum::<usize>() + budget::COMMAND) {
            return;
        }
        self.unwrap(Raw {
            words: words.to_vec(),
            fed: inside.fed.to_vec(),
            dynamic: inside.dynamic,
            depth: inside.depth + 1,
            ..Raw::default()
        });
    }
}

impl Inside<'_> {
    /// Where the arguments of a wrapper begin, if this is one.
    fn after(&self, wrapper: &Wrapper) -> Option<usize> {
        let (program, verbs) = wrapper.begins.split_first()?;
        (*program == self.program).then_some(())?;
        let mut after = 0;
        for verb in verbs {
            after += self.arguments[after..].iter().position(|word| word == verb)? + 1;
        }
        Some(after)
    }
}

/// How many words stand before a command, and whether one of them sets what others run.
pub(super) fn prefix(words: &[String]) -> (usize, bool) {
    let (mut place, mut acts) = (0, false);
    while let Some(word) = words.get(place) {
        place += match word.as_str() {
            "function" => 2,
            "coproc" if words.get(place + 2).is_some_and(|word| word == "{") => 2,
            word if is_grammar(word) => 1,
            word => match assignment(word) {
                Some((name, value)) => {
                    acts |= VARIABLES.contains(&name) && !HARMLESS.contains(&value);
                    1
                }
                None => break,
            },
        };
    }
    (place.min(words.len()), acts)
}

/// The words after a wrapper's own options and leading words, and the assignments of those that take some.
fn rest_of<'a>(arguments: &'a [String], wrapper: &Wrapper) -> &'a [String] {
    let (mut rest, mut leading) = (arguments, wrapper.leading);
    let assigns = matches!(wrapper.begins, ["env" | "sudo" | "doas"]);
    while let [word, after @ ..] = rest {
        if word.starts_with('-') && word.len() > 1 {
            rest = after.get(usize::from(takes_next(word, wrapper))..).unwrap_or_default();
        } else if assigns && assignment(word).is_some() {
            rest = after;
        } else if leading > 0 {
            leading -= 1;
            rest = after;
        } else {
            break;
        }
    }
    rest
}

/// Whether an option's value is the next word: `-u x`, `-nu x`, `--user x`, but not `-ux`, `--user=x`.
fn takes_next(word: &str, wrapper: &Wrapper) -> bool {
    let (short, long) = wrapper.valued;
    if word.starts_with("--") {
        return long.split_whitespace().any(|option| option == word);
    }
    let valued = word.char_indices().skip(1).find(|(_, letter)| short.contains(*letter));
    valued.is_some_and(|(place, letter)| place + letter.len_utf8() == word.len())
}

/// The value of an option that is given in any way.
fn option<'a>(arguments: &'a [String], letter: char, long: &[&str]) -> Option<&'a str> {
    arguments.iter().enumerate().find_map(|(place, word)| {
        let next = || arguments.get(place + 1).map(String::as_str);
        if word.starts_with("--") {
            let (name, value) = word
                .split_once('=')
                .map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            return if long.contains(&name) {
                value.or_else(next)
            } else {
                None
            };
        }
        let (_, value) = word.strip_prefix('-')?.split_once(letter)?;
        if value.is_empty() { next() } else { Some(value) }
    })
}

/// The text of `env -S`, and the words after it.
fn split_string(arguments: &[String]) -> Option<(&str, &[String])> {
    let is_given = |word: &String| {
        word.starts_with("--split-string") || (word.starts_with('-') && !word.starts_with("--") && word.contains('S'))
    };
    let place = arguments.iter().position(is_given)?;
    let text = option(&arguments[place..], 'S', &["--split-string"])?;
    let attached = arguments[place].ends_with(text) && arguments.get(place + 1).map(String::as_str) != Some(text);
    Some((
        text,
        arguments
            .get(place + if attached { 1 } else { 2 }..)
            .unwrap_or_default(),
    ))
}

/// The scripts a sed is given; none where they are in a file, which is not read.
fn scripts(arguments: &[String]) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    let (mut words, mut bare) = (arguments.iter().map(String::as_str), None);
    while let Some(word) = words.next() {
        match word {
            "--expression" => found.extend(words.next()),
            "-l" => drop(words.next()),
            word if word.starts_with("--expression=") => found.extend(word.split_once('=').map(|(_, text)| text)),
            word if word.starts_with("--file") => return None,
            word if word.starts_with("--") => {}
            // `-ne 'p'`, `-e'p'`: the letters before it take no values.
            word if word.starts_with('-') => match word.split_once(['e', 'f', 'i']) {
                Some((letters, _)) if word[letters.len()..].starts_with('f') => return None,
                Some((letters, text)) if word[letters.len()..].starts_with('e') => {
                    found.extend(if text.is_empty() { words.next() } else { Some(text) });
                }
                _ => {}
            },
            word => bare = bare.or(Some(word)),
        }
    }
    if found.is_empty() {
        found.extend(bare);
    }
    Some(found)
}

/// What `-c` and `--config-env` set. After git's verb they mean something else, which names no setting.
fn git_settings(arguments: &[String]) -> impl Iterator<Item = (&str, &str)> {
    let settings = arguments.iter().zip(arguments.iter().skip(1));
    settings
        .filter(|(word, _)| matches!(word.as_str(), "-c" | "--config-env"))
        .filter_map(|(_, setting)| setting.split_once('='))
}

/// Whether a setting of git names a program that it then runs.
fn git_runs(name: &str, value: &str) -> bool {
    let name = name.to_lowercase();
    let listed = GIT_RUNS.contains(&name.as_str())
        || GIT_RUNS_BEGIN.iter().any(|begin| name.starts_with(begin))
        || GIT_RUNS_END.iter().any(|end| name.ends_with(end));
    listed && !HARMLESS.contains(&value)
}

/// A variable that is set before a command.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let mut letters = name.bytes();
    let begins = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    (begins && letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')).then_some((name, value))
}

/// A program's own name, without its folder.
pub(super) fn base_name(program: &str) -> &str {
    program
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or(program)
}
