//! Leased work from outside: by the command, and by CCD's tools over the protocol.

use crate::mcp::{Talk, call, refusal, told};
use crate::place::{Place, hook};
use serde_json::{Value, json};
use std::process::Output;

/// What a command prints for people, and whether it went well.
fn said(output: &Output) -> (String, bool) {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    (text.concat(), output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_started_kept_left_and_taken_by_command() {
    let place = Place::new();
    let (_up, _running) = place.started(&[]).await;
    let run = |words: &[&str]| said(&place.output(words));
    assert_eq!(run(&["lease", "list"]).0, "nobody works on anything\n");
    let start = [
        "lease",
        "start",
        "--workspace",
        "/repo",
        "--actor",
        "ann",
        "--for",
        "10m",
    ];
    let (text, ok) = run(&start);
    assert!(ok && text.contains("/repo: ses_"), "{text}");
    let other = [
        "lease",
        "start",
        "--workspace",
        "/repo",
        "--actor",
        "bob",
        "--for",
        "10m",
    ];
    let (text, ok) = run(&other);
    assert!(!ok && text.contains("ownership conflict"), "{text}");
    let beat = [
        "lease",
        "heartbeat",
        "--workspace",
        "/repo",
        "--actor",
        "ann",
        "--activity",
        "building",
    ];
    assert!(run(&beat).1);
    let (text, _) = run(&["lease", "list"]);
    assert!(text.contains("ann") && text.contains("building"), "{text}");

    let by = ["--workspace", "/repo", "--actor", "ann"];
    let mine = |words: &[&str]| run(&[words, &by].concat());
    let (text, ok) = mine(&["handoff", "write", "--title", "the parser", "--next", "run the tests"]);
    assert!(ok && text.contains("handoff 1: the parser"), "{text}");
    let (text, _) = mine(&["gate", "seed"]);
    assert_eq!(text, "1. [ ] run the tests <- next\n");
    let (text, _) = mine(&["gate", "set", "1", "done"]);
    assert_eq!(text, "1. [x] run the tests\n");
    let (text, _) = mine(&["escalation", "set", "which of the two?", "--id", "e1"]);
    assert_eq!(text, "e1 (blocking): which of the two?\n");
    let (text, _) = run(&["context", "check", "--workspace", "/repo"]);
    assert!(text.starts_with("escalate (urgency critical)"), "{text}");
    let (text, _) = run(&["closeout", "--workspace", "/repo"]);
    assert!(text.contains("next step: needs review"), "{text}");
    assert!(text.contains("muster escalation list"), "{text}");
    assert!(mine(&["escalation", "clear"]).1);
    assert!(mine(&["recovery", "write", "--summary", "half of it stands"]).1);
    let (text, _) = run(&[
        "lease",
        "takeover",
        "--workspace",
        "/repo",
        "--actor",
        "bob",
        "--reason",
        "mine",
    ]);
    assert!(text.contains("its owner keeps it"), "{text}");
    assert!(mine(&["lease", "clear"]).1);
    let (text, _) = run(&["handoff", "show", "--workspace", "/repo"]);
    assert!(text.contains("the parser") && !text.contains("half of it"), "{text}");
    let (text, ok) = run(&other);
    assert!(ok && text.contains("a handoff was left: the parser"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ccds_tools_and_commands_do_what_the_operations_do() {
    let place = Place::new();
    let (_up, running) = place.started(&["--host", "web-01"]).await;
    hook(&running, "s1", "SessionStart", json!({"source": "startup"}));
    place.session("s1", |row| row["state"] == "starting").await;
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
    let owner = json!({"lifecycle": "autonomous", "actor_id": "ann", "lease_seconds": 600});
    let start = json!({
        "session_owner": owner,
        "runtime_request": {"api_family": "ccd-runtime", "api_version": 1, "request_id": "r1"},
    });
    let started = told(&ask("ccd_session_lifecycle", "start-session", start.clone()));
    assert_eq!((&started["status"], &started["revision"]), (&json!("ok"), &json!(1)));
    let again = told(&ask("ccd_session_lifecycle", "start-session", start));
    assert_eq!(again["outcome"], "idempotent_noop");
    let own = json!({"session_owner": {"actor_id": "ann"}});
    let mine = |more: Value| {
        let mut mine = own.clone();
        mine.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        mine
    };
    let beat = told(&ask(
        "ccd_session_lifecycle",
        "heartbeat-session",
        mine(json!({"activity": "building"})),
    ));
    assert_eq!(beat["session"]["activity"], "building");
    let gates = mine(json!({"gates": ["builds"]}));
    assert_eq!(
        told(&ask("ccd_session_gates", "replace-gates", gates))["attention_anchor"],
        0
    );
    let raise = mine(json!({"kind": "non_blocking", "reason": "look"}));
    told(&ask("ccd_escalation", "set-escalation", raise));
    let recovery = mine(json!({"recovery": {"checkpoint": {"summary": "half of it stands"}}}));
    told(&ask("ccd_recovery", "write-recovery", recovery));
    let checked = told(&ask("ccd_context", "context-check", json!({"trigger": "resume"})));
    assert_eq!(checked["action"], "inject_delta");
    assert_eq!(
        checked["matter"]["session"]["id"], "s1",
        "the agent's own session is meant"
    );
    let pulse = told(&ask("ccd_state", "checkpoint", json!({"git": {"changed_files": 1}})));
    assert_eq!(pulse["evaluation"]["next_step"], "ready_to_commit");
    let handover = mine(json!({"handoff": {"title": "the parser"}, "git": {}}));
    let closed = told(&ask("ccd_state", "handover", handover));
    assert_eq!(
        (&closed["handoff"]["title"], &closed["evaluation"]["wrap_up"]),
        (&json!("the parser"), &json!("needs_review"))
    );
    assert_eq!(
        told(&ask("ccd_state", "handoff-refresh", json!({})))["handoff"]["revision"],
        1
    );
    let export = told(&ask("ccd_state", "runtime-state-export", json!({})));
    assert_eq!(export["lease"]["session"]["actor_id"], "ann");
    assert_eq!(export["execution_gates"][0]["text"], "builds");

    let nobody = refusal(&ask("ccd_memory", "memory-compact", json!({})));
    assert!(
        nobody.contains("muster run"),
        "nothing runs the session that could compact it: {nobody}"
    );
    let unknown = ask("ccd_state", "attach", json!({}));
    assert!(refusal(&unknown).contains("give one of checkpoint, handover"));
    let dropped = ask("ccd_session_gates", "clear-gates", mine(json!({"colour": "red"})));
    assert_eq!(refusal(&dropped), "`colour` means nothing to gates.clear");
    let other = json!({"session_owner": {"actor_id": "bob"}, "handoff": {"title": "mine"}});
    assert_eq!(
        told(&ask("ccd_state", "handover", other))["outcome"],
        "ownership_conflict"
    );
    let foreign = json!({"runtime_request": {"api_family": "other", "api_version": 1, "request_id": "r"}});
    assert!(refusal(&ask("ccd_escalation", "list-escalations", foreign)).contains("ccd-runtime"));
    talk.end();
}
