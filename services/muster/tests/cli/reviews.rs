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
async fn rules_are_made_and_run_and_what_they_find_is_looked_at_by_command() {
    let place = Place::new();
    let (_up, running) = place.started(&["--host", "web-01"]).await;
    for session in ["s1", "s2"] {
        hook(&running, session, "UserPromptSubmit", json!({"prompt": "go"}));
        place.session(session, |row| row["state"] == "working").await;
    }
    let run = |words: &[&str]| text(&place, words);
    assert_eq!(run(&["rule", "list"]).0, "no rules\n");
    assert_eq!(run(&["rule", "run"]).0, "no rule is on\n");
    let (made, ok) = run(&["rule", "create", "second", "session=s2", "queue_review", "look at it"]);
    assert!(ok, "{made}");
    assert_eq!(made, "1: second is on\n");
    let (no, ok) = run(&["rule", "create", "x", "colour=red", "create_case"]);
    assert!(!ok && no.contains("colour"), "{no}");
    let (no, ok) = run(&["rule", "create", "x", "session=s2", "shout"]);
    assert!(!ok && no.contains("shout"), "{no}");
    let (dry, _) = run(&["rule", "run", "--dry-run"]);
    let finds = "1: second finds 1, did 0 before, and would do 1 now (queue_review)\n";
    assert_eq!(dry, [finds, "  session s2 on web-01: 1\n"].concat());
    assert_eq!(run(&["review", "list"]).0, "nothing waits for review\n");
    let (ran, _) = run(&["rule", "run"]);
    assert!(ran.contains("and does 1 now"), "{ran}");
    let (again, _) = run(&["rule", "run"]);
    assert_eq!(
        again,
        "1: second finds 1, did 1 before, and does 0 now (queue_review)\n"
    );
    let (waits, _) = run(&["review", "list"]);
    assert!(waits.contains("look at it") && waits.contains("open"), "{waits}");
    assert!(run(&["review", "show", "1"]).0.contains("its session is working"));
    let (resolved, ok) = run(&["review", "resolve", "1", "it is fine"]);
    assert!(ok && resolved.starts_with("1: resolved by op-"), "{resolved}");
    let (late, ok) = run(&["review", "dismiss", "1"]);
    assert!(ok && late.starts_with("1: already resolved by op-"), "{late}");

    run(&[
        "rule",
        "create",
        "tell",
        "session=s1",
        "emit_alert",
        "--severity",
        "info",
    ]);
    run(&["rule", "run", "2"]);
    let (alerts, _) = run(&["alerts"]);
    assert!(
        alerts.contains("rule/tell") && alerts.contains("rule tell found it"),
        "{alerts}"
    );
    assert_eq!(run(&["rule", "disable", "2"]).0, "2: tell is off\n");
    let (no, ok) = run(&["rule", "run", "2"]);
    assert!(!ok && no.contains("rule 2 is off"), "{no}");
    assert_eq!(run(&["rule", "enable", "2"]).0, "2: tell is on\n");
    let (listed, _) = run(&["rule", "list"]);
    assert!(
        listed.contains("session=s2") && listed.contains("emit_alert"),
        "{listed}"
    );
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
    assert_eq!(told(&ask("kaizen_rules_list", json!({})))["rules"], json!([]));
    assert_eq!(told(&ask("kaizen_review_list", json!({})))["reviews"], json!([]));
    let unknown = ask("kaizen_review_show", json!({"id": 1}));
    assert!(refusal(&unknown).contains("there is no review 1"), "{unknown}");
    for (tool, arguments) in [
        ("kaizen_cases_archive", json!({"id": 1})),
        (
            "kaizen_rules_create",
            json!({"name": "r", "filter": "errors>1", "action": "create_case"}),
        ),
        ("kaizen_rules_run", json!({"dry_run": true})),
        ("kaizen_rules_enable", json!({"id": 1})),
        ("kaizen_rules_disable", json!({"id": 1})),
        ("kaizen_review_resolve", json!({"id": 1})),
        ("kaizen_review_dismiss", json!({"id": 1})),
    ] {
        let no = ask(tool, arguments);
        assert!(refusal(&no).contains("operator"), "{tool}: {no}");
    }
    talk.end();

    // Whoever starts it with the operator's token decides.
    let token = place.path("state/muster/operator.token").display().to_string();
    let mut talk = Talk::start(place.muster(&["mcp", "--operator-token", &token]));
    let mut ask = |tool: &str, arguments: Value| {
        count += 1;
        talk.ask(&call(count, tool, arguments))
    };
    let rule = json!({"name": "bad ones", "filter": "feedback_score<=2", "action": "queue_review"});
    assert_eq!(told(&ask("kaizen_rules_create", rule))["rule"]["id"], 1);
    let wrong = json!({"name": "x", "filter": "colour=red", "action": "queue_review"});
    assert!(refusal(&ask("kaizen_rules_create", wrong)).contains("colour"));
    let dry = told(&ask("kaizen_rules_run", json!({"dry_run": true})));
    assert_eq!(
        (&dry["dry_run"], &dry["rules"][0]["matched"]),
        (&json!(true), &json!(1))
    );
    let ran = told(&ask("kaizen_rules_run", json!({})));
    assert_eq!(ran["rules"][0]["acted"][0]["session_id"], "s2");
    let shown = told(&ask("kaizen_review_show", json!({"id": 1})));
    assert_eq!(shown["review"]["by"]["name"], "bad ones");
    let dismissed = told(&ask("kaizen_review_dismiss", json!({"id": 1})));
    assert_eq!(dismissed["outcome"], "applied");
    let late = told(&ask("kaizen_review_resolve", json!({"id": 1})));
    assert_eq!(late["outcome"], "already_closed");
    assert_eq!(
        told(&ask("kaizen_rules_disable", json!({"id": 1})))["rule"]["enabled"],
        false
    );
    assert_eq!(
        told(&ask("kaizen_rules_enable", json!({"id": 1})))["rule"]["enabled"],
        true
    );
    assert_eq!(
        told(&ask("kaizen_cases_archive", json!({"id": 1})))["outcome"],
        "applied"
    );
    talk.end();
}
