//! Messages as sessions and operators send them: by the tools of two agents, and on the command line.

use crate::mcp::{Talk, call, refusal, told};
use crate::place::{Place, hook};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn agents_write_to_one_another_by_their_tools_and_operators_on_the_command_line() {
    let place = Place::new();
    let (_up, running) = place.started(&["--host", "web-01"]).await;
    for session in ["s1", "s2"] {
        hook(&running, session, "SessionStart", json!({"source": "startup"}));
        place.session(session, |row| row["state"] == "starting").await;
    }
    let agent = |session: &str| {
        let mut command = place.muster(&["mcp"]);
        command.env("CLAUDE_CODE_SESSION_ID", session);
        Talk::start(command)
    };
    let (mut one, mut two) = (agent("s1"), agent("s2"));
    let me = told(&one.ask(&call(1, "whoami", json!({}))));
    assert_eq!((&me["name"], &me["unread"]), (&json!("web-01/s1"), &json!(0)));
    let claimed = one.ask(&call(2, "send", json!({"to": "s2", "body": "x", "from": "web-01/s2"})));
    assert!(refusal(&claimed).contains("unknown field `from`"), "{claimed}");

    // Told while it waits.
    two.say(&call(1, "recv", json!({"wait_seconds": 30})));
    told(&one.ask(&call(3, "send", json!({"to": "s2", "body": "grüße"}))));
    let received = told(&two.hear());
    let message = &received["messages"][0];
    assert_eq!(
        (&message["from"], &message["body"]),
        (&json!("web-01/s1"), &json!("grüße"))
    );
    let acked = told(&two.ask(&call(2, "ack", json!({"ids": [message["id"]]}))));
    assert_eq!(acked["unread"], 0);

    let question = json!({"question": "deploy?", "options": ["yes", "no"]});
    let asked = told(&one.ask(&call(4, "ask", question)));
    let id = asked["messages"][0]["id"].as_str().unwrap();
    let other = two.ask(&call(3, "answer", json!({"id": id, "choices": ["yes"]})));
    assert!(refusal(&other).contains("not for you"), "{other}");
    let open = place.json(&["--json", "message", "threads"]);
    assert_eq!(open["to_answer"][0]["id"], id);
    let answered = place.json(&["--json", "message", "answer", id, "--option", "yes"]);
    assert_eq!(answered["outcome"], "applied");
    let told_back = told(&one.ask(&call(5, "recv", json!({"wait_seconds": 30}))));
    assert_eq!(
        (&told_back["messages"][0]["body"], &told_back["messages"][0]["reply_to"]),
        (&json!("yes"), &json!(id))
    );

    let sent = place.json(&["--json", "message", "send", "*", "stop at noon"]);
    assert_eq!(sent["messages"].as_array().unwrap().len(), 2);
    let inbox = place.json(&["--json", "message", "list", "--session", "s2"]);
    assert_eq!(
        (&inbox["unread"], &inbox["messages"][0]["body"]),
        (&json!(1), &json!("stop at noon"))
    );
    one.end();
    two.end();

    // On a session's behalf, and for oneself.
    let received = place.json(&["--json", "message", "recv", "--session", "s2"]);
    let message = &received["messages"][0];
    assert_eq!(
        (&message["body"], &received["unread"]),
        (&json!("stop at noon"), &json!(1))
    );
    let id = message["id"].as_str().unwrap();
    let acked = place.json(&["--json", "message", "ack", id, "--session", "s2"]);
    assert_eq!(acked["unread"], 0);
    let nothing = place.json(&["--json", "message", "recv", "--session", "s2"]);
    assert_eq!(nothing["messages"], json!([]));
    place.json(&["--json", "message", "remind", "look at the graphs", "--in", "2s"]);
    let reminded = place.json(&["--json", "message", "recv", "--wait", "30s"]);
    assert_eq!(reminded["messages"][0]["body"], "look at the graphs");
}
