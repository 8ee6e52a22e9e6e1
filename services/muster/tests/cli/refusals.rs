//! What is wrong on the command line or with what it names, is said at once and tells a program so.

use crate::place::Place;
use std::process::Output;

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat()
}

#[test]
fn a_password_in_the_hubs_address_is_never_printed() {
    let place = Place::new();
    let address = "nats://web-01:pa55word@127.0.0.1:1";
    let (set, nothing) = (format!("nats.url={address}"), format!("nats.nothing={address}"));
    for words in [
        &["config", "ingest", "--set", &set][..],
        &["config", "orchestrator", "--set", &set, "--json"],
        &["config", "notifier", "--set", &nothing],
        &["--nats", address, "sessions", "list"],
        &["--nats", address, "doctor"],
        &["--help"],
    ] {
        let output = place.muster(words).env("MUSTER_NATS", address).output().unwrap();
        let said = said(&output);
        assert!(!said.contains("pa55word"), "{words:?}: {said}");
        assert_eq!(
            said.contains("nats://***@127.0.0.1:1"),
            words != ["--help"],
            "{words:?}: {said}"
        );
    }
}

#[test]
fn a_kind_that_cannot_come_is_a_mistake_and_not_waited_for() {
    let place = Place::new();
    for words in [
        &["tail", "--kind", "pre_tool_us"][..],
        &["replay", "--family", "runtime.circuit", "--kind", "open"],
        &["tail", "--session", ""],
    ] {
        // No hub is there: it is not even looked for.
        let output = place.output(words);
        assert_eq!(output.status.code(), Some(64), "{words:?}: {}", said(&output));
    }
    let open = place.output(&["tail", "--family", "agent.hook", "--kind", "brand_new"]);
    assert_eq!(open.status.code(), Some(69), "{}", said(&open));
}

#[test]
fn a_file_or_folder_that_cannot_be_used_is_named_and_is_the_callers_mistake() {
    let place = Place::new();
    std::fs::write(place.path("file"), "").unwrap();
    let file = place.path("file").display().to_string();
    let below = format!("{file}/state");
    for (words, named) in [
        (
            &["--nats-credentials", "/nowhere/at/all", "sessions", "list"][..],
            "/nowhere/at/all",
        ),
        (&["--nats-credentials", &file, "tail"], &file),
        (&["--nats-ca", "/nowhere/at/all", "audit"], "/nowhere/at/all"),
        (&["--nats", "http://hub", "sessions", "list"], "http://hub"),
        (&["up", "--state-dir", &file], &file),
        (&["up", "--state-dir", &below], &below),
    ] {
        let output = place.output(words);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(64), "{words:?}: {said}");
        assert!(
            said.contains(named) && !said.contains("no hub answers"),
            "{words:?}: {said}"
        );
    }
    let homeless = place.muster(&["up"]).env("XDG_STATE_HOME", &file).output().unwrap();
    assert_eq!(homeless.status.code(), Some(78), "{}", said(&homeless));
    assert!(said(&homeless).contains("XDG_STATE_HOME"), "{}", said(&homeless));
}
