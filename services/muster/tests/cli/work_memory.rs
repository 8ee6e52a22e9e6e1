//! What is known of work, from outside: by the command, and by CCD's tools over the protocol.

use crate::mcp::{Talk, call, refusal, told};
use crate::place::Place;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_shown_admitted_promoted_and_compacted_by_command() {
    let place = Place::new();
    let (_up, _running) = place.started(&[]).await;
    let run = |words: &[&str]| {
        let output = place.output(&[words, &["--workspace", "/repo"]].concat());
        let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        (text.concat(), output.status.success())
    };
    assert_eq!(run(&["memory", "list"]).0, "nothing is known\n");
    let (text, ok) = run(&[
        "memory",
        "submit",
        "--source",
        "log",
        "--title",
        "cargo test",
        "it broke",
    ]);
    assert!(ok, "{text}");
    assert_eq!(text, "evidence 1: log cargo test, 8 bytes, not looked at\n");
    let extract = [
        "memory",
        "extract",
        "1",
        "--rule",
        "run the linter",
        "--attempt",
        "without: broke",
    ];
    let (text, _) = run(&extract);
    assert!(text.contains("2 candidate rule (workspace): run the linter"), "{text}");
    let (text, _) = run(&["memory", "admit", "2"]);
    assert!(text.contains("2 rule (workspace, permanent): run the linter"), "{text}");
    // This place has the operator's token.
    let (text, ok) = run(&["memory", "promote", "2", "--to", "profile"]);
    assert!(ok && text.contains("2 rule (profile, permanent)"), "{text}");
    let (text, _) = run(&["memory", "list", "LINTER"]);
    assert_eq!(text, "2 rule (profile, permanent): run the linter\n");
    let (text, _) = run(&["memory", "list", "--state", "candidate"]);
    assert_eq!(text, "3 candidate attempt (workspace): without: broke\n");
    let (text, _) = run(&["memory", "sources"]);
    assert!(
        text.contains("2 candidates, 0 known already; waiting: 3; entries: 2"),
        "{text}"
    );
    let (text, _) = run(&["memory", "describe"]);
    assert!(text.starts_with("1 of 256 entries (1 profile)"), "{text}");
    let (text, _) = run(&["memory", "show", "2"]);
    assert!(text.contains("evidence 1: log cargo test"), "{text}");
    let (text, ok) = run(&["memory", "compact", "keep", "--write"]);
    assert!(ok && text.contains("nothing is to be taken away"), "{text}");
    let (text, ok) = run(&["memory", "admit", "9"]);
    assert!(!ok && text.contains("no candidate 9 waits"), "{text}");
    let (text, _) = run(&["bootstrap"]);
    assert!(text.contains("known: run the linter"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_kept_and_told_by_ccds_tools() {
    let place = Place::new();
    let (_up, _running) = place.started(&["--host", "web-01"]).await;
    let mut command = place.muster(&["mcp"]);
    command.env("CLAUDE_CODE_SESSION_ID", "s1");
    let mut talk = Talk::start(command);
    let mut count = 0;
    let mut ask = |tool: &str, command: &str, more: Value| {
        count += 1;
        let mut arguments = json!({"command": command, "path": "/repo"});
        arguments
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        talk.ask(&call(count, tool, arguments))
    };
    let request = json!({"api_family": "ccd-runtime", "api_version": 1, "request_id": "r1"});
    let shown = json!({"source": "transcript", "text": "it broke", "runtime_request": request});
    let submitted = told(&ask("ccd_memory_capture", "memory-evidence-submit", shown.clone()));
    assert_eq!(
        (&submitted["outcome"], &submitted["evidence"]["id"]),
        (&json!("applied"), &json!(1))
    );
    let again = told(&ask("ccd_memory_capture", "memory-evidence-submit", shown));
    assert_eq!(again["outcome"], "idempotent_noop");
    let drawn = json!({"evidence": 1, "candidates": [{"type": "rule", "text": "run the linter"}]});
    told(&ask("ccd_memory_capture", "memory-candidate-extract", drawn));
    told(&ask("ccd_memory", "memory-candidate-admit", json!({"candidate": 2})));
    // A caller of CCD names every request, also those that only look.
    let search = json!({"text": "linter", "runtime_request": request});
    let found = told(&ask("ccd_memory_recall", "memory-search", search));
    assert_eq!(found["memories"][0]["text"], "run the linter");
    let described = told(&ask("ccd_memory_recall", "memory-describe", json!({})));
    assert_eq!(described["entries"], json!({"workspace": 1}));
    let expanded = told(&ask("ccd_memory_recall", "memory-expand", json!({"id": 2})));
    assert_eq!(expanded["evidence"]["source"], "transcript");
    for command in ["memory-sync-status", "memory-source-map"] {
        let sources = told(&ask("ccd_memory_recall", command, json!({})));
        assert_eq!(
            (&sources["waiting"], &sources["sources"][0]["entries"]),
            (&json!(0), &json!([2]))
        );
        assert_eq!(sources["retry_class"], "retry_after_reread");
    }
    let preview = told(&ask("ccd_memory", "memory-compact", json!({"mode": "decay"})));
    assert_eq!(preview["staged_write"]["outcome"], "idempotent_noop");
    let child = told(&ask("ccd_delegation", "child-bootstrap", json!({})));
    assert_eq!(child["memories"][0]["text"], "run the linter");

    let durable = ask("ccd_memory", "memory-promote", json!({"entry": 2, "to": "project"}));
    assert!(refusal(&durable).contains("an operator has to"), "{durable}");
    let token = place.path("state/muster/operator.token").display().to_string();
    let mut operator = Talk::start(place.muster(&["--operator-token", &token, "mcp"]));
    let promote = json!({"command": "memory-promote", "path": "/repo", "entry": 2, "to": "project"});
    let promoted = told(&operator.ask(&call(1, "ccd_memory", promote)));
    assert_eq!(promoted["outcome"], "applied");
    operator.end();
    let unknown = ask("ccd_memory_recall", "memory-expand", json!({"id": 99}));
    assert!(refusal(&unknown).contains("no entry or candidate 99"));
    let vague = ask(
        "ccd_memory_capture",
        "memory-candidate-extract",
        json!({"evidence": 1, "candidates": []}),
    );
    assert!(refusal(&vague).contains("candidates"));
    let dropped = ask(
        "ccd_memory",
        "memory-candidate-admit",
        json!({"candidate": 2, "colour": "red"}),
    );
    assert_eq!(refusal(&dropped), "`colour` means nothing to memories.admit");
    talk.end();
}
