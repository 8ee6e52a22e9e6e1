//! What somebody with a shell on this machine can do to the hub of `up`, having neither the operator's token nor the
//! services' key.

use crate::asking::{Host, waiting};
use crate::place::{Place, START};
use muster_bus::Outgoing;
use muster_bus::publish::Producer;
use muster_testkit::{Bare, eventually};
use muster_wire::Envelope;
use muster_wire::topology::EVENTS;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;
use uuid::Uuid;

/// An enrolled session's hook that asks for permission, as its agent runs it.
struct Asking(Child);

impl Asking {
    fn start(place: &Place, session: &str) -> Self {
        let settings = std::fs::read(place.path("home/.claude/settings.json")).unwrap();
        let settings: Value = serde_json::from_slice(&settings).unwrap();
        let installed = &settings["hooks"]["PermissionRequest"][0]["hooks"][0]["args"];
        let args = installed.as_array().unwrap().iter().map(|word| word.as_str().unwrap());
        let words: Vec<&str> = ["hook"]
            .into_iter()
            .chain(args.filter(|word| *word != "hook"))
            .collect();
        let mut child = place
            .muster(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let asked = json!({
            "hook_event_name": "PermissionRequest", "session_id": session, "cwd": "/w", "permission_mode": "default",
            "tool_name": "Bash", "tool_input": {"command": "make"},
        });
        write!(child.stdin.take().unwrap(), "{asked}").unwrap();
        Self(child)
    }

    fn waits(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// What the agent is told in the end.
    async fn told(mut self) -> String {
        eventually(START, || {
            std::future::ready((!self.waits()).then_some(()).ok_or("it waits"))
        })
        .await;
        let output = self.0.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

async fn only_one_open(place: &Place) -> String {
    waiting(place, 1).await[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_answer_reaches_no_hook_that_waits() {
    let place = Place::new();
    let (mut up, running) = place.started(&["--host", "web-01"]).await;
    assert!(place.output(&["enroll", "claude-code"]).status.success());

    // An answer that counted, to copy.
    let first = Asking::start(&place, "s-1");
    let genuine = only_one_open(&place).await;
    assert!(place.output(&["approve", &genuine]).status.success());
    assert!(first.told().await.contains("allow"));
    let answered = |event: &Value| event["type"] == "runtime.approval_resolved.approved";
    let events = place.lines(&["tail", "--no-follow", "--json"]);
    let oldest = events[0]["id"].clone();
    let copied = events.into_iter().find(answered).unwrap().to_string();
    let forged = |session: &str, approval: &str| {
        let mut event: Value =
            serde_json::from_str(&copied.replace("s-1", session).replace(&genuine, approval)).unwrap();
        event["id"] = json!(Uuid::now_v7().to_string());
        event
    };

    let mut second = Asking::start(&place, "s-2");
    let id = only_one_open(&place).await;
    let answer = forged("s-2", &id).to_string();
    let mut shell = Bare::connect(running["nats"].as_str().unwrap());
    let subject = "runtime.approval_resolved.approved.web-01.s-2";
    for subject in [
        subject,
        &format!("stored.{subject}"),
        "$KV.edge.policy",
        "$JS.API.STREAM.PURGE.EVENTS",
    ] {
        let complaint = shell.publish(subject, &answer).unwrap_err();
        assert!(complaint.contains("Permissions Violation"), "{complaint}");
        // What is asked is not answered there either.
        shell
            .ask("orchestrator.v1.approvals.list.web-01", subject, "{}")
            .unwrap();
    }
    shell.subscribe("_INBOX.shell").unwrap();
    let resolve = json!({"id": id, "decision": "approve"}).to_string();
    shell
        .ask("orchestrator.v1.approvals.resolve.op-anna", "_INBOX.shell", &resolve)
        .unwrap();
    let refused = shell.hear().text;
    assert!(
        refused.contains("forbidden") && refused.contains("operator"),
        "{refused}"
    );
    assert_eq!(only_one_open(&place).await, id);
    assert!(second.waits());
    let audit = place.json(&["audit", "--json"]);
    assert_eq!(
        (&audit["gaps"], &audit["digest_live"]),
        (&json!(0), &audit["digest_replay"]),
        "{audit}"
    );
    assert_eq!(
        place.lines(&["tail", "--no-follow", "--json"])[0]["id"],
        oldest,
        "nothing was purged"
    );
    assert!(place.output(&["approve", &id]).status.success());
    assert!(second.told().await.contains("allow"));

    // What was refused would have been believed: whoever has the services' key is a service.
    let third = Asking::start(&place, "s-3");
    let id = only_one_open(&place).await;
    let event = Envelope::decode(forged("s-3", &id).to_string().as_bytes()).unwrap();
    let services = Host::of(&running).await.bus;
    let stored = Producer::new(&services, EVENTS)
        .publish(&[Outgoing::of(&event).unwrap()])
        .await;
    assert_eq!(stored.stored, 1, "{stored:?}");
    assert!(third.told().await.contains("allow"));
    assert!(up.terminate(Duration::from_secs(30)).await.success(), "{}", up.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_find_the_key_and_whoever_cannot_read_it_may_look() {
    let place = Place::new();
    let (mut up, running) = place.started(&["--host", "web-01"]).await;
    let key = running["nats_credentials"].as_str().unwrap();
    let seed = std::fs::read_to_string(key).unwrap();
    let config = std::fs::read_to_string(place.path("state/muster/up/nats/nats.conf")).unwrap();
    assert!(!config.contains(seed.trim()), "the server has the public half");
    let port = running["nats"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let elsewhere = format!("localhost:{port}");
    for words in [
        &["doctor"][..],
        &["sessions", "list"],
        &["holds"],
        &["migrate"],
        &["tail", "--no-follow", "--from-seq", "1"],
        &["audit", "--nats", &elsewhere],
    ] {
        let output = place.output(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        assert!(!said.contains(seed.trim()), "{words:?} shows the key");
    }

    // Another user, who has been told where the hub is.
    let stranger = |words: &[&str]| {
        let mut command = place.muster(words);
        command
            .env("XDG_STATE_HOME", place.path("another"))
            .env("MUSTER_NATS", &elsewhere);
        command.output().unwrap()
    };
    assert!(stranger(&["sessions", "list"]).status.success());
    for words in [
        &["tail", "--no-follow"][..],
        &["migrate"],
        &["hold", "--all", "--reason", "x"],
    ] {
        let output = stranger(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{words:?}");
        let why = if words[0] == "hold" { "operator" } else { "forbids" };
        assert!(said.contains(why), "{words:?}: {said}");
    }
    let named = stranger(&["tail", "--no-follow", "--nats-credentials", key]);
    assert!(named.status.success(), "{}", String::from_utf8_lossy(&named.stderr));
    assert!(up.terminate(Duration::from_secs(30)).await.success(), "{}", up.stderr());
    assert!(!up.stdout().contains(seed.trim()) && !up.stderr().contains(seed.trim()));
}
