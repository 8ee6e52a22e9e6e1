//! What a program does, by its words and options: a table ([`rows`]) for what words can say, and a few rules for the rest.

mod curl;
mod rows;

use super::paths::{self, Place};
use crate::shell::Command;
use muster_domain::policy::ActionFamily::{self, LocalExecution, PublishExternal, ReadOnly, RepairDestructive};
use rows::{LOOKING, ROWS, Row};
use std::collections::BTreeSet;

/// How many words of a command its beginnings have.
pub(super) const BEGINNING_WORDS: usize = 4;

/// Programs that read from, and write to, databases.
const DATABASES: &[&str] = &[
    "psql",
    "mysql",
    "mariadb",
    "sqlite3",
    "sqlcmd",
    "mongosh",
    "mongo",
    "redis-cli",
    "clickhouse-client",
    "cqlsh",
    "duckdb",
    "bq",
    "snowsql",
];
/// What takes data away, in lower case with single spaces.
const DROPPING: &[&str] = &[
    "drop database",
    "drop schema",
    "drop table",
    "drop keyspace",
    "truncate table",
    "truncate ",
    "delete from",
    "flushall",
    "flushdb",
    "dropdatabase(",
    ".drop(",
    "deletemany({})",
];

/// Options that come with a value before the word that says what is done.
const VALUED: &[(&str, &[&str])] = &[
    (
        "git",
        &[
            "-C",
            "-c",
            "--git-dir",
            "--work-tree",
            "--namespace",
            "--config-env",
            "--super-prefix",
        ],
    ),
    (
        "kubectl",
        &["-n", "--namespace", "--context", "--kubeconfig", "-f", "-l"],
    ),
    (
        "docker",
        &["-H", "--host", "--context", "-c", "--config", "-l", "--log-level"],
    ),
    (
        "docker compose",
        &[
            "-f",
            "--file",
            "-p",
            "--project-name",
            "--profile",
            "--env-file",
            "--project-directory",
            "--ansi",
            "--parallel",
        ],
    ),
    (
        "docker-compose",
        &[
            "-f",
            "--file",
            "-p",
            "--project-name",
            "--profile",
            "--env-file",
            "--project-directory",
            "-H",
            "--host",
        ],
    ),
    (
        "muster",
        &["--nats", "--nats-credentials", "--nats-ca", "--operator-token"],
    ),
    ("cargo", &["-Z", "-C", "--config", "--color"]),
    ("yarn", &["--cwd"]),
    (
        "aws",
        &[
            "--profile",
            "--region",
            "--endpoint-url",
            "--output",
            "--query",
            "--ca-bundle",
        ],
    ),
    ("helm", &["-n", "--namespace", "--kube-context"]),
    ("make", &["-C", "-f", "-j"]),
    (
        "npm",
        &[
            "--prefix",
            "-w",
            "--workspace",
            "--registry",
            "--loglevel",
            "--userconfig",
        ],
    ),
    ("pnpm", &["-C", "-F", "--filter", "--dir"]),
    ("gh", &["-R", "--repo"]),
    ("terraform", &["-chdir"]),
];

/// The families of one command that is run in `cwd`: what it does, and what it would do without the options that make it
/// worse, so that a rule about pushing also sees a forced push.
pub(super) fn families(command: &Command, place: Place<'_>) -> BTreeSet<ActionFamily> {
    let cwd = place.folder;
    let (tabled, base) = tabled(command);
    let mut own = special(command, place).unwrap_or(tabled);
    if command.acts {
        own = own.max(LocalExecution);
    }
    let mut families = BTreeSet::from([own]);
    families.extend(
        [tabled, base]
            .into_iter()
            .filter(|milder| ReadOnly < *milder && *milder < own),
    );
    let written = command.writes.iter().map(|path| paths::absolute(path, cwd));
    families.extend(written.filter(|path| !is_sink(path)).map(|path| paths::written(&path)));
    if own > ReadOnly {
        families.extend(touched(command, cwd));
    }
    families
}

/// Where a command leaves its shell, if it moves it at all.
pub(super) fn goes_to(command: &Command) -> Option<&str> {
    let moves = matches!(command.program(), "cd" | "pushd" | "popd" | "chdir");
    // Without a folder: home, or one that was left before.
    moves.then(|| command.bare().nth(1).unwrap_or("~"))
}

/// Whether a program talks to databases.
pub(super) fn is_database(program: &str) -> bool {
    DATABASES.contains(&program)
}

/// Whether a text holds a statement that takes data away.
pub(super) fn drops_data(text: &str) -> bool {
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    DROPPING.iter().any(|statement| plain.contains(statement))
}

/// A command's words without options and the values of those that come first.
pub(super) fn plain(command: &Command) -> Vec<&str> {
    let rows: Vec<_> = VALUED
        .iter()
        .filter(|(begins, _)| begins.split(' ').next() == Some(command.program()))
        .collect();
    let takes = |plain: &[&str], word: &str| {
        rows.iter()
            .any(|(begins, options)| begins.split(' ').eq(plain.iter().copied()) && options.contains(&word))
    };
    let (mut plain, mut value) = (Vec::new(), false);
    for word in command.words.iter().map(String::as_str) {
        if std::mem::take(&mut value) {
            continue;
        }
        value = word.starts_with('-') && plain.len() <= 2 && takes(&plain, word);
        if !word.starts_with('-') && !word.starts_with('+') {
            plain.push(word);
        }
    }
    plain
}

/// What an option-and-word table cannot say.
fn special(command: &Command, place: Place<'_>) -> Option<ActionFamily> {
    let (program, cwd) = (command.program(), place.folder);
    let targets = || {
        command
            .arguments()
            .iter()
            .map(String::as_str)
            .filter(|word| !word.starts_with('-'))
    };
    if program.starts_with("mkfs") {
        return Some(RepairDestructive);
    }
    match program {
        "dd" => {
            let output = targets().find_map(|word| word.strip_prefix("of="));
            Some(output.map_or(LocalExecution, |path| {
                paths::written(&paths::absolute(path, cwd)).max(LocalExecution)
            }))
        }
        "rm" | "rmdir" | "unlink" => {
            let deep = command.has("-r") || command.has("-R") || command.has("--recursive");
            // Without targets of its own (`xargs rm -rf`) nobody knows what goes.
            let own = targets().count() > 0 && targets().all(|target| paths::is_own(target, place));
            Some(if deep && !own {
                RepairDestructive
            } else {
                LocalExecution
            })
        }
        "chmod" | "chown" if command.has("-R") && targets().skip(1).any(|target| !paths::is_own(target, place)) => {
            Some(RepairDestructive)
        }
        // `kill -9 -1` ends everything; as the first word, -1 is a signal.
        "kill" => {
            let everything = command.arguments().iter().skip(1).any(|word| word == "-1");
            (everything || targets().any(|target| target == "1")).then_some(RepairDestructive)
        }
        "curl" => Some(curl::family(command)),
        "sort" if command.arguments().iter().any(|word| word.starts_with("-o")) => Some(LocalExecution),
        // A function that calls itself twice: the fork bomb.
        ":" => Some(if command.words.len() == 1 {
            ReadOnly
        } else {
            LocalExecution
        }),
        "git" => forced_refspec(command).then_some(RepairDestructive),
        "rsync" if targets().any(|target| target.contains(':')) && !command.has("--delete") => Some(PublishExternal),
        "python" | "python3" if plain_line(command).contains(" twine upload") => Some(PublishExternal),
        _ => None,
    }
}

/// `git push origin +main` and `git push origin :gone` force without an option.
fn forced_refspec(command: &Command) -> bool {
    let mut words = command.arguments().iter();
    words.any(|word| word == "push") && words.any(|word| word.starts_with(['+', ':']))
}

fn plain_line(command: &Command) -> String {
    command.words.join(" ")
}

/// What the table says, with the command's options and without them.
fn tabled(command: &Command) -> (ActionFamily, ActionFamily) {
    let plain = plain(command);
    let all: Vec<&str> = command.words.iter().map(String::as_str).collect();
    let begins = |row: &&Row| {
        let beginning = || row.0.split(' ');
        let starts = |words: &[&str]| {
            beginning().count() <= words.len() && beginning().zip(words).all(|(one, other)| one == *other)
        };
        beginning().next() == Some(command.program()) && (starts(&plain) || starts(&all))
    };
    let rows: Vec<&Row> = ROWS.iter().filter(begins).collect();
    let length = |row: &&&Row| length(row);
    let given = |row: &&&Row| row.1.is_empty() || row.1.iter().any(|option| command.has(option));
    let looks = LOOKING.contains(&command.program()) || asks_version(command);
    let unknown = if looks { ReadOnly } else { LocalExecution };
    let best = rows
        .iter()
        .filter(given)
        .max_by_key(|row| (length(row), !row.1.is_empty(), row.2));
    let base = rows.iter().filter(|row| row.1.is_empty()).max_by_key(length);
    let mut found = best.map_or(unknown, |row| row.2);
    // Nothing is known of what is done: perhaps because it stands behind an option's value.
    if best.is_none_or(|row| self::length(row) == 1) && found > ReadOnly {
        let loose = ROWS
            .iter()
            .filter(|row| self::length(row) > 1 && stands_behind_values(row, command) && given(&row));
        found = loose.map(|row| row.2).fold(found, ActionFamily::max);
    }
    (found, base.map_or(unknown, |row| row.2))
}

fn length(row: &Row) -> usize {
    row.0.split(' ').count()
}

/// Whether a row's words stand in a command in their order, with nothing between them but options and, each behind an
/// option, a word that may be its value.
fn stands_behind_values(row: &Row, command: &Command) -> bool {
    let mut wanted = row.0.split(' ').peekable();
    if wanted.next() != Some(command.program()) {
        return false;
    }
    let mut may_be_value = false;
    for word in command.arguments() {
        let Some(next) = wanted.peek() else {
            break;
        };
        if next == word {
            wanted.next();
            may_be_value = false;
        } else if word.starts_with('-') {
            may_be_value = !word.contains('=');
        } else if !std::mem::take(&mut may_be_value) {
            return false;
        }
    }
    wanted.peek().is_none()
}

fn asks_version(command: &Command) -> bool {
    matches!(command.arguments(), [only] if matches!(only.as_str(), "--version" | "--help" | "-V" | "version"))
}

/// The worst of the files a command that changes something names.
fn touched(command: &Command, cwd: &str) -> Option<ActionFamily> {
    // Repositories' own commands, and what reads its arguments as anything but files, name no files but for their output.
    let names_none = matches!(
        command.program(),
        "git" | "gh" | "docker" | "kubectl" | "ssh" | "make" | "cargo" | "npm"
    );
    let words = command.words.iter().map(String::as_str);
    let files = words.clone().zip(words.skip(1)).filter_map(|(before, word)| {
        let bare = !word.starts_with('-') && !word.contains(' ') && (!names_none || before == "--output");
        bare.then_some(word).or_else(|| output(word))
    });
    files
        .map(|word| paths::absolute(word, cwd))
        .filter(|path| paths::is_protected(path) || paths::is_device(path))
        .map(|path| paths::written(&path))
        .max()
}

/// The file that an option names in the same word, where it is one that is written.
fn output(word: &str) -> Option<&str> {
    let value = ["--output=", "--output-document=", "-o", "-O"]
        .iter()
        .find_map(|option| word.strip_prefix(option))?;
    value.starts_with(['/', '~', '.']).then_some(value)
}

/// Files that swallow what is written to them.
fn is_sink(path: &str) -> bool {
    matches!(
        path,
        "/dev/null" | "/dev/stdout" | "/dev/stderr" | "/dev/tty" | "/dev/zero"
    )
}
