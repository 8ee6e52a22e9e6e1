//! From a hook to every command that shows it.

use crate::place::{Place, hook};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hook_reports_is_shown_by_every_command() {
    let place = Place::new();
    let (mut up, running) = place.started(&["--host", "web-01"]).await;
    let (one, two) = ("78e6edba-0001", "78e6edba-0002");
    hook(
        &running,
        one,
        "SessionStart",
        json!({"source": "startup", "model": "opus"}),
    );
    hook(&running, one, "UserPromptSubmit", json!({"prompt": "fix it"}));
    let call = json!({"tool_name": "Bash", "tool_input": {"command": "make"}, "tool_use_id": "toolu_1"});
    hook(&running, one, "PreToolUse", call.clone());
    let mut done = call.clone();
    done["tool_response"] = json!({"stdout": "ok"});
    done["duration_ms"] = json!(1500);
    hook(&running, one, "PostToolUse", done);
    hook(&running, one, "Stop", json!({"stop_hook_active": false}));
    hook(&running, two, "SessionStart", json!({"source": "startup"}));
    hook(&running, two, "UserPromptSubmit", json!({"prompt": "push it"}));
    hook(&running, two, "PreToolUse", call.clone());
    hook(
        &running,
        two,
        "PermissionRequest",
        json!({"tool_name": "Bash", "tool_input": {"command": "make"}}),
    );

    place.session(one, |row| row["state"] == "idle").await;
    let waiting = place.session(two, |row| row["state"] == "waiting_approval").await;
    for member in [
        "id", "host", "agent", "state", "reason", "since", "cwd", "model", "turns", "cost_usd", "tokens",
    ] {
        assert!(waiting.get(member).is_some(), "{member} is missing in {waiting}");
    }
    lists(&place, one, two);
    shows(&place, one);
    tails(&place, one);
    replays(&place, one);
    audits(&place);
    examines(&place);

    assert!(up.terminate(Duration::from_secs(30)).await.success(), "{}", up.stderr());
    assert_eq!(place.nats("up"), None, "the hub goes with the up that started it");
    assert_eq!(place.output(&["sessions", "list"]).status.code(), Some(69));
}

fn lists(place: &Place, one: &str, two: &str) {
    let all = place.json(&["sessions", "list", "--json"]);
    let ids: Vec<&Value> = all.as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, [two, one], "who waits comes first");
    let idle = place.json(&[
        "sessions",
        "list",
        "--json",
        "--state",
        "idle",
        "--host",
        "web-01",
        "--agent",
        "claude-code",
    ]);
    assert_eq!(idle.as_array().unwrap().len(), 1);
    let elsewhere = place.json(&["sessions", "list", "--json", "--host", "web-02"]);
    assert_eq!(elsewhere, json!([]));
    let table = place.output(&["sessions", "list"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.lines().nth(1).unwrap().starts_with("waiting_approval (Bash"),
        "{table}"
    );
}

fn shows(place: &Place, one: &str) {
    let shown = place.json(&["sessions", "show", one, "--json"]);
    assert_eq!(shown["session"]["state"], "idle");
    let span = &shown["turns"][0]["spans"][0];
    let told = (
        &span["tool"],
        &span["tool_use_id"],
        &span["duration_ms"],
        &span["outcome"],
    );
    assert_eq!(told, (&json!("Bash"), &json!("toolu_1"), &json!(1500), &json!("ok")));
    let people = place.output(&["sessions", "show", one]);
    let people = String::from_utf8(people.stdout).unwrap();
    assert!(
        people.contains("└─ Bash make") && people.contains("1.5s  ok"),
        "{people}"
    );

    assert_eq!(place.json(&["sessions", "show", "78e6edba-0001", "--json"]), shown);
    let ambiguous = place.output(&["sessions", "show", "78e6"]);
    let said = String::from_utf8(ambiguous.stderr).unwrap();
    assert_eq!(ambiguous.status.code(), Some(64));
    assert!(said.contains("78e6edba-0001 on web-01"), "{said}");
    assert_eq!(place.output(&["sessions", "show", "nobody"]).status.code(), Some(64));
}

fn types(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["type"].as_str().unwrap()).collect()
}

const HOOKS: [&str; 5] = [
    "agent.hook.session_start",
    "agent.hook.user_prompt_submit",
    "agent.hook.pre_tool_use",
    "agent.hook.post_tool_use",
    "agent.hook.stop",
];

fn tails(place: &Place, one: &str) {
    let hooks = place.lines(&[
        "tail",
        "--json",
        "--no-follow",
        "--session",
        one,
        "--family",
        "agent.hook",
    ]);
    assert_eq!(types(&hooks), HOOKS);
    assert_eq!(hooks[2]["specversion"], "1.0");
    assert_eq!(hooks[2]["data"]["tool_input"]["command"], "make");
    let calls = place.lines(&[
        "tail",
        "--json",
        "--no-follow",
        "--kind",
        "pre_tool_use",
        "--since",
        "1h",
    ]);
    assert_eq!(calls.len(), 2);
    let decided = place.lines(&[
        "tail",
        "--json",
        "--no-follow",
        "--family",
        "runtime",
        "--from-seq",
        "1",
    ]);
    assert!(types(&decided).contains(&"runtime.status.state_changed"));
    for words in [&["tail", "--no-follow"][..], &["replay"]] {
        let words = [words, &["--json", "--from-seq", "999999"]].concat();
        assert!(place.lines(&words).is_empty(), "nothing is stored there yet");
    }
    let nobodys = place.lines(&["tail", "--json", "--no-follow", "--agent", "codex"]);
    assert!(nobodys.is_empty());
    let people = place.output(&["tail", "--no-follow", "--session", one, "--kind", "pre_tool_use"]);
    let people = String::from_utf8(people.stdout).unwrap();
    assert!(
        people.contains("web-01") && people.trim_end().ends_with("Bash make"),
        "{people}"
    );
}

fn replays(place: &Place, one: &str) {
    let all = place.lines(&["replay", "--json", "--session", one]);
    let hooks: Vec<&str> = types(&all)
        .into_iter()
        .filter(|kind| kind.starts_with("agent.hook"))
        .collect();
    assert_eq!(hooks, HOOKS);
    let fleet = place.lines(&["replay", "--json", "--from-seq", "2", "--until-seq", "4"]);
    assert_eq!(fleet.len(), 3);
    assert_eq!(
        place.output(&["replay"]).status.code(),
        Some(64),
        "the whole fleet is asked for by name"
    );
}

fn audits(place: &Place) {
    let output = place.output(&["audit", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{report}");
    assert_eq!(
        (&report["gaps"], &report["doubles_applied"]),
        (&json!(0), &json!(0)),
        "{report}"
    );
    assert_eq!(report["digest_live"], report["digest_replay"]);
    assert!(report["at_seq"].as_u64() >= Some(9));
}

fn examines(place: &Place) {
    let before = place.json(&["doctor", "--json"]);
    assert_eq!(before["ok"], true, "{before:#}");
    let enrolled = place.json(&["enroll", "claude-code", "--json"]);
    assert_eq!(enrolled["outcome"], "enrolled");
    let output = place.output(&["doctor", "--json"]);
    let after: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{after:#}");
    let status = |name: &str| {
        let checks = after["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|check| check["name"] == name)
            .map(|check| check["status"].clone())
    };
    for name in [
        "hub",
        "hub_sync",
        "streams",
        "orchestrator",
        "ingest",
        "spool",
        "hosts",
        "hooks",
        "notifier_ready",
    ] {
        assert_eq!(status(name), Some(json!("ok")), "{name}: {after:#}");
    }
    assert_eq!(
        place.json(&["unenroll", "claude-code", "--json"])["outcome"],
        "restored"
    );
}
