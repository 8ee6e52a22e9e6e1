//! Approvals, answered by command.

use crate::asking::{Host, waiting};
use crate::place::{Place, START};
use muster_testkit::{Spawned, eventually};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::Duration;

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_asks_is_listed_shown_and_answered_once() {
    let place = Place::new();
    let (mut up, running) = place.started(&["--host", "web-01"]).await;
    let token = place.path("state/muster/operator.token");
    assert_eq!(running["operator_token"], json!(token));
    assert_eq!(std::fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    let mut host = Host::of(&running).await;
    let id = host
        .asks("s-1", "Bash", &json!({"command": "make\nmake install"}))
        .await;
    let row = waiting(&place, 1).await.remove(0);
    assert_eq!(
        (&row["id"], &row["asked"]["tool_input"]["command"]),
        (&json!(id), &json!("make\nmake install"))
    );
    let table = said(&place.output(&["approvals"]));
    let end = &id[id.len() - 6..];
    let line = table.lines().nth(1).unwrap();
    assert!(line.starts_with(end) && line.contains("web-09"), "{table}");
    let shown = said(&place.output(&["approvals", "show", end]));
    assert!(shown.contains("\nmake\nmake install"), "{shown}");
    assert_eq!(place.json(&["approvals", "show", &id[..20], "--json"])["id"], json!(id));
    assert_eq!(place.json(&["approvals", "--json", "--session", "other"]), json!([]));

    let done = place.output(&["approve", "--latest", "--reason", "looks fine"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(
        said(&done).starts_with("approved by anna: Bash make"),
        "{}",
        said(&done)
    );
    let late = place.output(&["deny", end]);
    assert_eq!(late.status.code(), Some(1));
    let told = said(&late);
    assert!(
        told.starts_with("already approved by anna, ") && told.ends_with("looks fine\n"),
        "{told}"
    );
    let late = place.json(&["deny", &id, "--json"]);
    assert_eq!(late["outcome"], "already_resolved");
    assert_eq!(late["approval"]["resolution"]["answer"]["by"]["name"], "op-anna");
    assert_eq!(place.json(&["approvals", "--json"]), json!([]));
    assert_eq!(place.json(&["approvals", "--all", "--json"])[0]["id"], json!(id));

    questions(&place, &mut host).await;
    watching(&place, &mut host).await;
    refusals(&place, &mut host).await;
    assert!(up.terminate(Duration::from_secs(30)).await.success(), "{}", up.stderr());
}

async fn questions(place: &Place, host: &mut Host) {
    let asked = json!({"questions": [{"question": "Which one?", "header": "One", "options": [{"label": "A"}, {"label": "B"}]}]});
    let id = host.asks("s-2", "AskUserQuestion", &asked).await;
    waiting(place, 1).await;
    let without = place.output(&["approve", &id]);
    assert_eq!(without.status.code(), Some(64), "{}", said(&without));
    let answer = place.json(&["approve", &id, "--answer", "one=b", "--json"]);
    let input = &answer["approval"]["resolution"]["answer"]["updated_input"];
    assert_eq!(
        (&input["answers"], &input["questions"]),
        (&json!({"Which one?": "B"}), &asked["questions"])
    );
    let id = host
        .asks(
            "s-2",
            "Edit",
            &json!({"file_path": "/w/a", "old_string": "x", "new_string": "y"}),
        )
        .await;
    waiting(place, 1).await;
    assert!(said(&place.output(&["approvals", "show", &id])).contains("-x\n"));
    let denied: Value = place.json(&["deny", &id, "--reason", "not there", "--interrupt", "--json"]);
    let answer = &denied["approval"]["resolution"]["answer"];
    assert_eq!(
        (&answer["outcome"], &answer["interrupt"], &answer["reason"]),
        (&json!("denied"), &json!(true), &json!("not there"))
    );
}

/// Who watches is told what waits, what is asked, and how it ends, each once; and sees all of what is large.
async fn watching(place: &Place, host: &mut Host) {
    let long = format!("echo {}", "x".repeat(100_000));
    let first = host.asks_much("s-5", "Bash", &json!({"command": long})).await;
    waiting(place, 1).await;
    let shown = said(&place.output(&["approvals", "show", &first]));
    assert!(
        shown.contains(&long) && !shown.contains("preview"),
        "the whole command is shown"
    );
    let shown = place.json(&["approvals", "show", &first, "--json"]);
    assert_eq!(shown["asked"]["tool_input"]["command"], json!(long));

    let watch = Spawned::start(place.muster(&["approvals", "--watch", "--json", "--host", "web-09"]));
    let seen = async |count: usize| {
        eventually(START, async || {
            let text = watch.stdout();
            let rows: Vec<Value> = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
            let told: Vec<(Value, Value)> = rows
                .iter()
                .map(|row| (row["id"].clone(), row["resolution"]["answer"]["outcome"].clone()))
                .collect();
            if told.len() >= count { Ok(told) } else { Err(text) }
        })
        .await
    };
    seen(1).await;
    let second = host.asks("s-6", "Bash", &json!({"command": "make"})).await;
    seen(2).await;
    for id in [&first, &second] {
        assert!(place.output(&["deny", id]).status.success());
    }
    let (first, second) = (json!(first), json!(second));
    let expected = [
        (first.clone(), Value::Null),
        (second.clone(), Value::Null),
        (first, json!("denied")),
        (second, json!("denied")),
    ];
    assert_eq!(seen(4).await, expected);
}

async fn refusals(place: &Place, host: &mut Host) {
    let id = host.asks("s-3", "Bash", &json!({"command": "make"})).await;
    host.asks("s-4", "Bash", &json!({"command": "make"})).await;
    waiting(place, 2).await;
    let several = place.output(&["approve", "--latest"]);
    assert_eq!(several.status.code(), Some(64));
    assert!(said(&several).contains(&id[id.len() - 6..]), "{}", said(&several));
    assert_eq!(place.output(&["approve", "ffff"]).status.code(), Some(64));
    assert_eq!(place.output(&["approve"]).status.code(), Some(64));

    let exposed = place.path("exposed");
    std::fs::write(&exposed, "0123456789abcdef0123456789abcdef").unwrap();
    for (file, text) in [("nowhere", "No such file"), ("exposed", "chmod 600")] {
        let file = place.path(file);
        let refused = place.output(&["approve", &id, "--operator-token", file.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
        assert!(said(&refused).contains(text), "{}", said(&refused));
    }
    std::fs::set_permissions(&exposed, std::fs::Permissions::from_mode(0o600)).unwrap();
    let wrong = place.output(&["approve", &id, "--operator-token", exposed.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(64));
    assert!(said(&wrong).contains("not this orchestrator's"), "{}", said(&wrong));

    let own = place
        .muster(&["approve", &id])
        .env("CLAUDE_CODE_SESSION_ID", "s-3")
        .output()
        .unwrap();
    assert_eq!(own.status.code(), Some(64));
    assert!(
        said(&own).contains("cannot answer what it asked itself"),
        "{}",
        said(&own)
    );
    assert_eq!(waiting(place, 2).await.len(), 2, "nothing of it was an answer");
}
