//! Finding sessions from outside: by the command, and by kaizen's tools over the protocol.

use crate::mcp::{Talk, call, refusal, told};
use crate::place::{Place, hook};
use serde_json::{Value, json};
use std::time::Duration;

fn text(place: &Place, words: &[&str]) -> (String, bool) {
    let output = place.output(words);
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    (text.concat(), output.status.success())
}

/// Waits until a search finds something: the index is a moment behind.
async fn found(place: &Place, words: &[&str]) -> String {
    muster_testkit::eventually(Duration::from_secs(30), async || {
        let (text, ok) = text(place, &[&["search"], words].concat());
        if ok && text.contains('«') { Ok(text) } else { Err(text) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_found_by_query_and_by_words_and_added_up_by_command() {
    let place = Place::new();
    let (_up, running) = place.started(&["--host", "web-01"]).await;
    hook(
        &running,
        "s1",
        "UserPromptSubmit",
        json!({"prompt": "repair the lantern on the quay"}),
    );
    hook(&running, "s2", "UserPromptSubmit", json!({"prompt": "sweep the deck"}));
    for session in ["s1", "s2"] {
        place.session(session, |row| row["state"] == "working").await;
    }
    let run = |words: &[&str]| text(&place, words);

    let (rows, ok) = run(&["sessions", "query", "prompt~lantern", "state=working"]);
    assert!(ok && rows.contains("s1") && !rows.contains("s2"), "{rows}");
    let (none, ok) = run(&["sessions", "query", "errors>0"]);
    assert_eq!((none.as_str(), ok), ("no sessions\n", true));
    let (no, ok) = run(&["sessions", "query", "colour=red"]);
    assert!(
        !ok && no.contains("at character 1: no field \"colour\"; fields are agent, "),
        "{no}"
    );

    let line = found(&place, &["lantern"]).await;
    assert!(line.contains("s1  prompt: repair the «lantern» on the quay"), "{line}");
    let (nothing, ok) = run(&["search", "lantern", "--session", "s2"]);
    assert!(ok && nothing.contains("nothing found"), "{nothing}");
    let (no, ok) = run(&["search", "???"]);
    assert!(!ok && no.contains("there is no word"), "{no}");

    let (summary, ok) = run(&["summary", "host=web-01"]);
    assert!(ok && summary.contains("sessions  2: 2 working"), "{summary}");
    let (metrics, ok) = run(&["metrics"]);
    assert!(
        ok && metrics.contains("TOOL") && metrics.contains("covers "),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kaizens_tools_query_search_sum_and_measure() {
    let place = Place::new();
    let (_up, running) = place.started(&["--host", "web-01"]).await;
    hook(
        &running,
        "s1",
        "UserPromptSubmit",
        json!({"prompt": "repair the lantern"}),
    );
    let edit = json!({"tool_name": "Edit", "tool_use_id": "t1", "tool_input": {"file_path": "/src/lamp.rs"}});
    hook(&running, "s1", "PreToolUse", edit);
    found(&place, &["lamp"]).await;

    let mut agent = Talk::start(place.muster(&["mcp"]));
    let mut count = 0;
    let mut ask = |tool: &str, arguments: Value| {
        count += 1;
        agent.ask(&call(count, tool, arguments))
    };
    let queried = told(&ask(
        "kaizen_query",
        json!({"expr": "tool=Edit path=/src", "limit": 50}),
    ));
    assert_eq!(queried["sessions"][0]["id"], "s1");
    let hits = told(&ask(
        "kaizen_search_sessions",
        json!({"query": "lantern", "kind": "prompt"}),
    ));
    assert_eq!(hits["hits"][0]["snippet"], "repair the «lantern»");
    let summary = told(&ask("kaizen_summary", json!({})));
    assert_eq!(
        (&summary["sessions"], &summary["tools"][0]["tool"]),
        (&json!(1), &json!("Edit"))
    );
    let metrics = told(&ask("kaizen_metrics", json!({"days": 7})));
    assert_eq!(metrics["files"][0]["path"], "/src/lamp.rs");
    for (tool, arguments, part) in [
        ("kaizen_query", json!({"expr": "speed>9"}), "no field"),
        (
            "kaizen_search_sessions",
            json!({"query": "\"open"}),
            "quotes are not closed",
        ),
        ("kaizen_summary", json!({"expr": "x"}), "is no term"),
        ("kaizen_metrics", json!({"days": 0}), "one day at least"),
    ] {
        let refused = ask(tool, arguments);
        assert!(refusal(&refused).contains(part), "{tool}: {refused}");
    }
    agent.end();
}
