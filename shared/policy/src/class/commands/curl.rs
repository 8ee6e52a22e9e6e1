//! What a curl does, by its options: their values may stick to them (`-XDELETE`, `-sSd@file`).

use crate::shell::Command;
use muster_domain::policy::ActionFamily::{self, LocalExecution, PublishExternal, ReadOnly};

/// Short options that take a value: what follows in the same word is none of options.
const VALUED: &str = "AbcCdDeEFhHKmoPQrtTuUwxXyYz";
/// What sends something.
const SENDING: &[&str] = &[
    "--json",
    "--form",
    "--form-string",
    "--upload-file",
    "--quote",
    "--mail-rcpt",
];
/// What writes a file here, or says what is done in a place that is not read.
const WRITING: &[&str] = &[
    "--output",
    "--remote-name",
    "--remote-name-all",
    "--remote-header-name",
    "--output-dir",
    "--cookie-jar",
    "--dump-header",
    "--config",
    "--trace",
    "--trace-ascii",
    "--libcurl",
    "--stderr",
    "--etag-save",
    "--hsts",
    "--alt-svc",
];

pub(super) fn family(command: &Command) -> ActionFamily {
    let arguments = command.arguments();
    let options: Vec<(&str, &str)> = arguments
        .iter()
        .enumerate()
        .flat_map(|(place, word)| {
            let next = arguments.get(place + 1).map_or("", String::as_str);
            if word.starts_with("--") {
                let (name, value) = word.split_once('=').unwrap_or((word, next));
                vec![(name, value)]
            } else {
                word.strip_prefix('-')
                    .map_or_else(Vec::new, |letters| short(letters, next))
            }
        })
        .collect();
    let given = |names: &[&str]| options.iter().any(|(name, _)| names.contains(name));
    let data = options
        .iter()
        .any(|(name, _)| *name == "d" || name.starts_with("--data"));
    // `-G` puts the data into the address.
    let sends = data && !given(&["G", "--get"]) || given(SENDING) || given(&["F", "T", "Q"]);
    let asks = |method: &str| {
        ["GET", "HEAD", "OPTIONS"]
            .iter()
            .any(|asking| method.eq_ignore_ascii_case(asking))
    };
    let otherwise = options
        .iter()
        .any(|(name, method)| matches!(*name, "X" | "--request") && !asks(method));
    if sends || otherwise {
        PublishExternal
    } else if given(WRITING) || given(&["o", "O", "J", "c", "D", "K"]) {
        LocalExecution
    } else {
        ReadOnly
    }
}

/// The options of a word like `-sXPOST`, with their values.
fn short<'a>(letters: &'a str, next: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut found = Vec::new();
    for (place, letter) in letters.char_indices() {
        let end = place + letter.len_utf8();
        if VALUED.contains(letter) {
            let value = &letters[end..];
            found.push((&letters[place..end], if value.is_empty() { next } else { value }));
            break;
        }
        found.push((&letters[place..end], ""));
    }
    found
}
