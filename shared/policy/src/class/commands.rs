//! What a program does, by its words and options: a table ([`rows`]) for what words can say, and a few rules for the rest.

mod rows;

use super::paths;
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
    ("git", &["-C", "-c", "--git-dir", "--work-tree", "--namespace"]),
    (
        "kubectl",
        &["-n", "--namespace", "--context", "--kubeconfig", "-f", "-l"],
    ),
    ("docker", &["-H", "--host", "--context", "-c"]),
    ("helm", &["-n", "--namespace", "--kube-context"]),
    ("make", &["-C", "-f", "-j"]),
    ("npm", &["--prefix", "-w"]),
    ("pnpm", &["-C", "--filter", "--dir"]),
    ("gh", &["-R", "--repo"]),
    ("terraform", &["-chdir"]),
];

/// The families of one command that is run in `cwd`: what it does, and what it would do without the options that make it
/// worse, so that a rule about pushing also sees a forced push.
pub(super) fn families(command: &Command, cwd: &str) -> BTreeSet<ActionFamily> {
    let (tabled, base) = tabled(command);
    let own = special(command, cwd).unwrap_or(tabled);
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
    let valued = VALUED
        .iter()
        .find(|(program, _)| *program == command.program())
        .map_or(&[][..], |(_, options)| options);
    let (mut plain, mut value) = (Vec::new(), false);
    for word in command.words.iter().map(String::as_str) {
        if std::mem::take(&mut value) {
            continue;
        }
        value = valued.contains(&word) && plain.len() == 1;
        if !word.starts_with('-') && !word.starts_with('+') {
            plain.push(word);
        }
    }
    plain
}

/// What an option-and-word table cannot say.
fn special(command: &Command, cwd: &str) -> Option<ActionFamily> {
    let program = command.program();
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
            let own = targets().count() > 0 && targets().all(|target| paths::is_own(target, cwd));
            Some(if deep && !own {
                RepairDestructive
            } else {
                LocalExecution
            })
        }
        "chmod" | "chown" if command.has("-R") && targets().skip(1).any(|target| !paths::is_own(target, cwd)) => {
            Some(RepairDestructive)
        }
        "kill" => targets().any(|target| target == "1").then_some(RepairDestructive),
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
    let length = |row: &&&Row| row.0.split(' ').count();
    let given = |row: &&&Row| row.1.is_empty() || row.1.iter().any(|option| command.has(option));
    let looks = LOOKING.contains(&command.program()) || asks_version(command);
    let unknown = if looks { ReadOnly } else { LocalExecution };
    let best = rows
        .iter()
        .filter(given)
        .max_by_key(|row| (length(row), !row.1.is_empty(), row.2));
    let base = rows.iter().filter(|row| row.1.is_empty()).max_by_key(length);
    (best.map_or(unknown, |row| row.2), base.map_or(unknown, |row| row.2))
}

fn asks_version(command: &Command) -> bool {
    matches!(command.arguments(), [only] if matches!(only.as_str(), "--version" | "--help" | "-V" | "version"))
}

/// The worst of the files a command that changes something names.
fn touched(command: &Command, cwd: &str) -> Option<ActionFamily> {
    // Repositories' own commands, and what reads its arguments as anything but files, name no files.
    if matches!(
        command.program(),
        "git" | "gh" | "docker" | "kubectl" | "ssh" | "make" | "cargo" | "npm"
    ) {
        return None;
    }
    let files = command
        .arguments()
        .iter()
        .filter(|word| !word.starts_with('-') && !word.contains(' '));
    files
        .map(|word| paths::absolute(word, cwd))
        .filter(|path| paths::is_protected(path) || paths::is_device(path))
        .map(|path| paths::written(&path))
        .max()
}

/// Files that swallow what is written to them.
fn is_sink(path: &str) -> bool {
    matches!(
        path,
        "/dev/null" | "/dev/stdout" | "/dev/stderr" | "/dev/tty" | "/dev/zero"
    )
}
