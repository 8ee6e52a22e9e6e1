//! What is thought of sessions, from outside: by the command, and by kaizen's tools over the protocol.

use crate::mcp::{Talk, call, refusal, told};
use crate::place::{Place, hook};
use serde_json::{Value, json};

fn text(place: &Place, words: &[&str]) -> (String, bool) {
    let output = place.output(words);
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    (text.concat(), output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_judged_and_kept_by_command() {
    let place = Place::new();
    let (_up, running) = place.started(&["--host", "web-01"]).await;
    for session in ["s1", "other"] {
        hook(&running, session, "UserPromptSubmit", json!({"prompt": "go"}));
        place.session(session, |row| row["state"] == "working").await;
    }
    let run = |words: &[&str]| text(&place, words);
    assert_eq!(run(&["feedback", "list"]).0, "nothing was said\n");
    let (said, ok) = run(&["feedback", "add", "oth", "--score", "1", "--label", "bug", "it broke"]);
    assert!(ok, "{said}");
    assert_eq!(said, "1: 1 of 5, bug, it broke\n");
    let (no, ok) = run(&["feedback", "add", "oth"]);
    assert!(!ok && no.contains("say something of the session"), "{no}");
    let (no, ok) = run(&["feedback", "add", "oth", "--score", "9"]);
    assert!(!ok && no.contains("1, which is worst, to 5"), "{no}");
    run(&["feedback", "add", "other", "--label", "good"]);
    let (all, _) = run(&["feedback", "list", "--all", "--session", "other"]);
    assert!(all.contains("good") && all.contains("it broke (replaced)"), "{all}");

    assert!(run(&["case", "mine"]).0.contains("no session deserves"));
    run(&["feedback", "add", "s1", "--score", "2"]);
    let (mined, _) = run(&["case", "mine", "--since", "1h"]);
    assert!(
        mined.contains("s1") && mined.contains("1 said that it went wrong"),
        "{mined}"
    );
    let (created, ok) = run(&["case", "create", "s1", "it lost its way", "--label", "bad"]);
    assert!(ok, "{created}");
    assert_eq!(created, "1: open\n");
    let (shown, _) = run(&["case", "show", "1"]);
    assert!(
        shown.contains("it lost its way") && shown.contains("its session is working") && shown.contains("2 of 5"),
        "{shown}"
    );
    // This place has the operator's token.
    let (archived, ok) = run(&["case", "archive", "1", "looked at"]);
    assert!(ok && archived.starts_with("1: archived by op-"), "{archived}");
    let (again, ok) = run(&["case", "archive", "1"]);
    assert!(ok && again.starts_with("1: already archived by op-"), "{again}");
    assert_eq!(run(&["case", "list"]).0, "no cases\n");
    assert!(run(&["case", "list", "--all"]).0.contains("it lost its way"));
    let (no, ok) = run(&["case", "show", "7"]);
    assert!(!ok && no.contains("there is no case 7"), "{no}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_judged_and_kept_by_kaizens_tools() {
    let place = Place::new();
    let (_up, running) = place.started(&["--host", "web-01"]).await;
    for session in ["s1", "s2"] {
        hook(&running, session, "UserPromptSubmit", json!({"prompt": "go"}));
        place.session(session, |row| row["state"] == "working").await;
    }
    let mut command = place.muster(&["mcp"]);
    command.env("CLAUDE_CODE_SESSION_ID", "s1");
    let mut talk = Talk::start(command);
    let mut count = 0;
    let mut ask = |tool: &str, arguments: Value| {
        count += 1;
        talk.ask(&call(count, tool, arguments))
    };
    let said = told(&ask(
        "kaizen_annotate_session",
        json!({"session_id": "s2", "score": 2, "label": "bad", "note": "it went round in circles"}),
    ));
    assert_eq!(
        (&said["feedback"]["by"]["session"], &said["feedback"]["counts"]),
        (&json!("s1"), &json!(true))
    );
    let nothing = ask("kaizen_annotate_session", json!({"session_id": "s2"}));
    assert!(refusal(&nothing).contains("say something of the session"));
    let mined = told(&ask("kaizen_cases_mine", json!({"limit": 3})));
    assert_eq!(mined["proposals"][0]["session_id"], "s2");
    let created = told(&ask(
        "kaizen_cases_create",
        json!({"session_id": "s2", "reason": "it went round in circles"}),
    ));
    assert_eq!(created["case"]["id"], 1);
    assert_eq!(told(&ask("kaizen_cases_list", json!({})))["cases"][0]["id"], 1);
    assert_eq!(
        told(&ask("kaizen_cases_show", json!({"id": 1})))["feedback"][0]["score"],
        2
    );
    let archive = ask("kaizen_cases_archive", json!({"id": 1}));
    assert!(refusal(&archive).contains("operator"), "{archive}");
    talk.end();
}
