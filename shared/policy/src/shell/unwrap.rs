//! Wrappers taken off: what `sudo env X=1 timeout 5 git push` runs is `git push`.

use super::lex::Raw;
use super::{Command, DEPTH_MAX, collect};

/// Programs that run the rest of their line: name, the options that take a value, and how many words come first.
const WRAPPERS: &[(&str, &[&str], usize)] = &[
    (
        "sudo",
        &[
            "-u", "-g", "-h", "-p", "-C", "-r", "-t", "-D", "-R", "-T", "--user", "--group", "--chdir",
        ],
        0,
    ),
    ("doas", &["-u", "-C"], 0),
    ("env", &["-u", "-C", "-S", "--unset", "--chdir"], 0),
    ("nohup", &[], 0),
    ("setsid", &[], 0),
    ("time", &["-f", "-o"], 0),
    ("nice", &["-n"], 0),
    ("ionice", &["-c", "-n", "-p"], 0),
    ("stdbuf", &["-i", "-o", "-e"], 0),
    ("timeout", &["-s", "-k", "--signal", "--kill-after"], 1),
    ("watch", &["-n", "-d", "--interval"], 0),
    ("xargs", &["-n", "-I", "-P", "-L", "-d", "-a", "-s", "-E"], 0),
    ("command", &[], 0),
    ("builtin", &[], 0),
    ("exec", &["-a"], 0),
    ("chroot", &[], 1),
    ("busybox", &[], 0),
    ("flock", &["-w", "-E"], 1),
];

/// Programs that run a text given after `-c`, or what they are fed.
const SHELLS: &[&str] = &["bash", "sh", "zsh", "dash", "ksh", "ash", "fish"];

/// Words of the shell's grammar that stand before a command.
const GRAMMAR: &[&str] = &["if", "then", "else", "elif", "do", "while", "until", "!", "{", "}"];

pub(super) fn unwrap(mut raw: Raw, depth: usize, found: &mut Vec<Command>) {
    let too_deep = depth >= DEPTH_MAX;
    if too_deep {
        raw.dynamic = true;
    }
    let fed = std::mem::take(&mut raw.fed);
    let mut command = Command {
        words: std::mem::take(&mut raw.words),
        writes: raw.writes,
        dynamic: raw.dynamic,
    };
    let prefix = command
        .words
        .iter()
        .take_while(|word| GRAMMAR.contains(&word.as_str()) || is_assignment(word))
        .count();
    command.words.drain(..prefix);
    if let Some(program) = command.words.first_mut() {
        *program = base_name(program).to_owned();
    }
    if too_deep {
        found.push(command);
        return;
    }
    inner(&command, &fed, depth, found);
    found.push(command);
}

/// What a command runs besides itself.
fn inner(command: &Command, fed: &[String], depth: usize, found: &mut Vec<Command>) {
    let program = command.program();
    let arguments = command.arguments();
    if let Some((_, valued, positional)) = WRAPPERS.iter().find(|(name, _, _)| *name == program) {
        again(wrapped(arguments, valued, *positional), command.dynamic, depth, found);
    } else if SHELLS.contains(&program) {
        let given = arguments
            .iter()
            .position(|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'));
        for text in given.and_then(|place| arguments.get(place + 1)).into_iter().chain(fed) {
            collect(text, depth + 1, found);
        }
    } else if program == "eval" {
        collect(&arguments.join(" "), depth + 1, found);
    } else if program == "ssh" {
        let far = wrapped(
            arguments,
            &["-p", "-i", "-l", "-o", "-F", "-J", "-L", "-R", "-D", "-b", "-c", "-E"],
            1,
        );
        collect(&far.join(" "), depth + 1, found);
    } else if program == "find" {
        let runs = |word: &String| matches!(word.as_str(), "-exec" | "-execdir" | "-ok" | "-okdir");
        for (place, _) in arguments.iter().enumerate().filter(|(_, word)| runs(word)) {
            let text = arguments[place + 1..]
                .iter()
                .take_while(|word| !matches!(word.as_str(), ";" | "+"));
            again(&text.cloned().collect::<Vec<_>>(), true, depth, found);
        }
    }
}

fn again(words: &[String], dynamic: bool, depth: usize, found: &mut Vec<Command>) {
    if !words.is_empty() {
        let raw = Raw {
            words: words.to_vec(),
            dynamic,
            ..Raw::default()
        };
        unwrap(raw, depth + 1, found);
    }
}

/// The words after a wrapper's own options, assignments and leading words.
fn wrapped<'a>(arguments: &'a [String], valued: &[&str], positional: usize) -> &'a [String] {
    let (mut rest, mut leading) = (arguments, positional);
    while let [word, after @ ..] = rest {
        if valued.contains(&word.as_str()) {
            rest = after.get(1..).unwrap_or_default();
        } else if word.starts_with('-') || is_assignment(word) {
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

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn base_name(program: &str) -> &str {
    program
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or(program)
}
