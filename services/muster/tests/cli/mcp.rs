//! The tools as they are on the wire: every line and every header is written here, none by the protocol's own library.

use crate::place::{Place, hook};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const NOW: &str = "2026-07-28";
const BEFORE: &str = "2025-11-25";

/// `muster mcp`, line by line.
pub(crate) struct Talk {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Talk {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            stdin: child.stdin.take().unwrap(),
            child,
            lines,
        }
    }

    pub(crate) fn say(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").unwrap();
    }

    pub(crate) fn hear(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(SOON).unwrap()).unwrap()
    }

    pub(crate) fn ask(&mut self, message: &Value) -> Value {
        self.say(message);
        let answer = self.hear();
        assert_eq!(answer["id"], message["id"], "{answer}");
        answer
    }

    /// It ends when its input does, and says nothing more.
    pub(crate) fn end(mut self) {
        drop(self.stdin);
        assert!(self.child.wait().unwrap().success());
        assert!(self.lines.recv_timeout(SOON).is_err());
    }
}

/// What every request of the newest revision says of itself.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": NOW,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

fn request(id: u32, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

pub(crate) fn call(id: u32, tool: &str, arguments: Value) -> Value {
    request(
        id,
        "tools/call",
        json!({"name": tool, "arguments": arguments, "_meta": meta()}),
    )
}

fn initialize(id: u32) -> Value {
    let params = json!({"protocolVersion": BEFORE, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
    request(id, "initialize", params)
}

/// What a tool answered; it is JSON where the call succeeded.
pub(crate) fn told(answer: &Value) -> Value {
    let result = &answer["result"];
    assert_eq!(result["isError"], false, "{answer}");
    assert_eq!(result["content"].as_array().map(Vec::len), Some(1), "{answer}");
    serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap()
}

pub(crate) fn refusal(answer: &Value) -> String {
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap().to_owned()
}

fn names(listed: &Value) -> Vec<&str> {
    let tools = listed["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

/// Posts to `/mcp`; the status and what came back, of a stream its last message.
fn post(base: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let authority = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(authority).unwrap();
    let body = body.to_string();
    let mut head = "POST /mcp HTTP/1.1\r\nConnection: close\r\n".to_owned();
    let ours = [
        ("Host", authority),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ];
    let replaced = |name: &str| headers.iter().any(|(given, _)| *given == name);
    for (name, value) in ours.iter().filter(|(name, _)| !replaced(name)).chain(headers) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let document = answer.split_once("\r\n\r\n").unwrap().1;
    let last = document.lines().rev().find(|line| line.contains('{')).unwrap_or("null");
    (
        status,
        serde_json::from_str(last.trim_start_matches("data: ")).unwrap_or(Value::Null),
    )
}

/// The headers that the newest revision demands.
fn current<'a>(method: &'a str, name: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![("MCP-Protocol-Version", NOW), ("Mcp-Method", method)];
    headers.extend(name.map(|name| ("Mcp-Name", name)));
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn both_revisions_are_spoken_over_standard_input_and_output() {
    let place = Place::new();
    let (_up, running) = place.started(&["--host", "web-01"]).await;
    hook(&running, "s1", "SessionStart", json!({"source": "startup"}));
    place.session("s1", |row| row["state"] == "starting").await;

    // As the newest clients begin: a question without any handshake.
    let mut talk = Talk::start(place.muster(&["mcp"]));
    let discovered = talk.ask(&request(1, "server/discover", json!({"_meta": meta()})));
    let versions = discovered["result"]["supportedVersions"].as_array().unwrap();
    assert!(
        versions.contains(&json!(NOW)) && versions.contains(&json!(BEFORE)),
        "{versions:?}"
    );
    assert_eq!(discovered["result"]["capabilities"], json!({"tools": {}}));
    let listed = talk.ask(&request(2, "tools/list", json!({"_meta": meta()})));
    assert_eq!(listed["result"]["resultType"], "complete");
    for tool in [
        "session_list",
        "session_status",
        "memory_protect",
        "hook_event",
        "permission_prompt",
    ] {
        assert!(names(&listed).contains(&tool), "{tool} is not listed");
    }
    let sessions = told(&talk.ask(&call(3, "session_list", json!({}))));
    assert_eq!(
        (&sessions[0]["id"], &sessions[0]["status"]),
        (&json!("s1"), &json!("Starting"))
    );
    assert_eq!(sessions[0]["host"], "web-01");
    assert!(sessions[0]["created_at"]["secs_since_epoch"].is_number());
    let status = told(&talk.ask(&call(4, "session_status", json!({"session_id": "s1"}))));
    assert_eq!(
        (&status["session"]["workdir"], &status["memory"]),
        (&json!("/w"), &Value::Null)
    );
    let unknown = talk.ask(&call(5, "session_status", json!({"session_id": "s2"})));
    assert_eq!(refusal(&unknown), "no such session: s2");
    let no_tool = talk.ask(&call(6, "no_such_tool", json!({})));
    assert_eq!(no_tool["error"]["code"], -32602, "{no_tool}");
    let unstated = talk.ask(&request(7, "tools/list", json!({})));
    assert_eq!(
        unstated["error"]["code"], -32602,
        "a request must say what it speaks: {unstated}"
    );
    talk.end();

    // As clients of before begin; what the newest revision added is then left out.
    let mut talk = Talk::start(place.muster(&["mcp"]));
    let begun = talk.ask(&initialize(1));
    assert_eq!(begun["result"]["protocolVersion"], BEFORE);
    assert_eq!(begun["result"]["serverInfo"]["name"], "muster");
    talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    assert_eq!(talk.ask(&request(2, "ping", json!({})))["result"], json!({}));
    let listed = talk.ask(&request(3, "tools/list", json!({})));
    assert!(listed["result"].get("resultType").is_none(), "{listed}");
    let fill = json!({"session_id": "s1", "used_tokens": 900, "window_tokens": 1000});
    let protect = talk.ask(&request(
        4,
        "tools/call",
        json!({"name": "memory_protect", "arguments": fill}),
    ));
    assert_eq!(told(&protect)["pressure"], "Compact");
    talk.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_told_by_name_is_an_observation_also_under_a_name_that_nobody_knows() {
    let place = Place::new();
    let (_up, _running) = place.started(&["--host", "web-01"]).await;
    let mut talk = Talk::start(place.muster(&["mcp"]));
    let event = |name: &str| json!({"session_id": "s9", "event": name, "payload": {"agent": "reviewer"}});
    let answer = talk.ask(&call(1, "hook_event", event("SubagentStart")));
    assert_eq!(told(&answer), json!({"received": "SubagentStart", "session_id": "s9"}));
    told(&talk.ask(&call(2, "hook_event", event("SomethingNew"))));
    place.session("s9", Value::is_object).await;
    let kinds = muster_testkit::eventually(SOON, async || {
        let lines = place.lines(&["--json", "tail", "--no-follow", "--session", "s9"]);
        let kinds: Vec<String> = lines
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect();
        let both = ["agent.hook.subagent_start", "agent.hook.something_new"];
        if both.iter().all(|kind| kinds.iter().any(|told| told == kind)) {
            Ok(kinds)
        } else {
            Err(kinds)
        }
    })
    .await;
    assert!(kinds.len() >= 2);
    talk.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_another_agent_is_taken_as_it_was_written() {
    let place = Place::new();
    let (_up, _running) = place.started(&["--host", "web-01"]).await;
    let mut talk = Talk::start(place.muster(&["mcp"]));
    let hook =
        |source: &str, payload: Value| json!({"source": source, "payload": payload, "workspace": "/home/dev/app"});
    let written = r#"{"session_id": "v1", "event": "tool_start", "tool_name": "bash"}"#;
    let answer = talk.ask(&call(1, "kaizen_ingest_hook", hook("vibe", json!(written))));
    assert_eq!(told(&answer), json!({"type": "ack", "message": "taken"}));
    let begun = json!({"session_id": "c1", "hook_event_name": "UserPromptSubmit", "prompt": "go on"});
    told(&talk.ask(&call(2, "kaizen_ingest_hook", hook("claude", begun.clone()))));
    let of = async |id: &str| place.session(id, Value::is_object).await["agent"].clone();
    assert_eq!((of("v1").await, of("c1").await), (json!("vibe"), json!("claude-code")));
    for wrong in [
        hook("vibe", json!("no JSON")),
        hook("vibe", json!([])),
        hook("nobody's", begun),
    ] {
        let refused = talk.ask(&call(3, "kaizen_ingest_hook", wrong.clone()));
        assert_eq!(refused["result"]["isError"], true, "{wrong}: {refused}");
    }
    talk.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_permission_is_told_that_it_still_waits() {
    let place = Place::new();
    let (_up, _running) = place.started(&["--host", "web-01"]).await;
    let mut command = place.muster(&["mcp"]);
    command.env("CLAUDE_CODE_SESSION_ID", "s7");
    let mut talk = Talk::start(command);
    let mut ask = call(
        1,
        "permission_prompt",
        json!({"tool_name": "Bash", "input": {"command": "make"}}),
    );
    ask["params"]["_meta"]["progressToken"] = json!("p");
    talk.say(&ask);
    let said = [talk.hear(), talk.hear()];
    let progress = said.each_ref().map(|said| {
        assert_eq!(said["method"], "notifications/progress", "{said}");
        assert_eq!(said["params"]["progressToken"], "p");
        said["params"]["progress"].as_f64().unwrap()
    });
    assert!(progress[0] > 0.0 && progress[1] > progress[0], "{progress:?}");
    let waiting = place.json(&["--json", "approvals"]);
    assert_eq!(waiting[0]["session"], "s7", "{waiting}");
    // Whoever gives up is answered, or forgotten, but hears no more of it.
    talk.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}));
    let after = talk.ask(&call(2, "session_list", json!({})));
    assert!(told(&after).is_array());
    talk.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_revisions_are_spoken_over_http_without_any_state_between_two_requests() {
    let place = Place::new();
    let (_up, running) = place.started(&[]).await;
    let base = running["orchestrator"].as_str().unwrap();
    hook(&running, "s1", "SessionStart", json!({"source": "startup"}));
    place.session("s1", |row| row["state"] == "starting").await;

    let discover = request(1, "server/discover", json!({"_meta": meta()}));
    let (status, discovered) = post(base, &current("server/discover", None), &discover);
    assert_eq!(status, 200, "{discovered}");
    assert!(
        discovered["result"]["supportedVersions"]
            .as_array()
            .unwrap()
            .contains(&json!(NOW))
    );
    let list = call(2, "session_list", json!({}));
    let (status, listed) = post(base, &current("tools/call", Some("session_list")), &list);
    assert_eq!((status, told(&listed)[0]["id"].clone()), (200, json!("s1")));

    // Headers that do not say what the body says.
    let (status, mismatch) = post(base, &current("tools/call", Some("host_list")), &list);
    assert_eq!(
        (status, &mismatch["error"]["code"]),
        (400, &json!(-32020)),
        "{mismatch}"
    );
    let (status, bare) = post(base, &[], &list);
    assert_eq!((status, &bare["error"]["code"]), (400, &json!(-32020)), "{bare}");
    let future = [("MCP-Protocol-Version", "2030-01-01"), ("Mcp-Method", "tools/list")];
    let mut of_future = meta();
    of_future["io.modelcontextprotocol/protocolVersion"] = json!("2030-01-01");
    let (status, unknown) = post(base, &future, &request(3, "tools/list", json!({"_meta": of_future})));
    assert_eq!((status, &unknown["error"]["code"]), (400, &json!(-32022)), "{unknown}");

    // The revision before: each request by itself, no session to carry.
    let before = [("MCP-Protocol-Version", BEFORE)];
    let (status, begun) = post(base, &[], &initialize(1));
    assert_eq!(
        (status, &begun["result"]["protocolVersion"]),
        (200, &json!(BEFORE)),
        "{begun}"
    );
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(post(base, &before, &initialized).0, 202);
    let (status, listed) = post(base, &before, &request(2, "tools/list", json!({})));
    assert_eq!(status, 200);
    assert!(names(&listed).contains(&"session_status"));

    // What only a host can do is refused in words.
    let told_here = call(4, "hook_event", json!({"session_id": "s1", "event": "Stop"}));
    let (_, refused) = post(base, &current("tools/call", Some("hook_event")), &told_here);
    assert!(refusal(&refused).contains("muster mcp"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_and_rebound_names_are_refused() {
    let place = Place::new();
    let allowed = "orchestrator.http.allowed_origins=[\"https://console.example\"]";
    let (_up, running) = place.started(&["--set", allowed]).await;
    let base = running["orchestrator"].as_str().unwrap();
    let list = request(1, "tools/list", json!({"_meta": meta()}));
    let with = |name, value| {
        let mut headers = current("tools/list", None);
        headers.push((name, value));
        post(base, &headers, &list).0
    };
    assert_eq!(with("Origin", "https://evil.example"), 403);
    assert_eq!(with("Origin", "null"), 403);
    assert_eq!(with("Host", "evil.example"), 403);
    assert_eq!(with("Sec-Fetch-Site", "cross-site"), 403);
    assert_eq!(with("Origin", "https://console.example"), 200);
    assert_eq!(with("Origin", base), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_an_operator_may_do_needs_the_operators_token_everywhere() {
    let place = Place::new();
    let (_up, running) = place.started(&[]).await;
    let base = running["orchestrator"].as_str().unwrap();
    let token = std::fs::read_to_string(place.path("state/muster/operator.token")).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let unknown = json!({"id": "0198f3c2-0000-7000-8000-00000000000a", "decision": "approve"});
    let resolve = call(1, "approval_resolve", unknown.clone());
    let resolve_as = |authorization: Option<&str>| {
        let mut headers = current("tools/call", Some("approval_resolve"));
        headers.extend(authorization.map(|value| ("Authorization", value)));
        refusal(&post(base, &headers, &resolve).1)
    };
    assert!(resolve_as(None).contains("operator's token"));
    let wrong = resolve_as(Some("Bearer 0123456789abcdef0123456789abcdef"));
    assert!(wrong.contains("not this orchestrator's"), "{wrong}");
    let admitted = resolve_as(Some(&bearer));
    assert!(admitted.contains("no such approval"), "{admitted}");

    // A forwarded port or a proxy guards the whole surface with a token; then either of the two opens it.
    let guarded = place.path("surface.token");
    std::fs::write(&guarded, "a-token-of-the-surface").unwrap();
    let port = muster_testkit::free_port();
    let mut command = Command::new(muster_testkit::process::bin("muster-orchestrator"));
    for (key, value) in [
        ("nats.url", running["nats"].as_str().unwrap().to_owned()),
        (
            "nats.credentials_file",
            running["nats_credentials"].as_str().unwrap().to_owned(),
        ),
        ("http.listen", format!("127.0.0.1:{port}")),
        ("http.token_file", guarded.display().to_string()),
        ("http.allowed_hosts", "[\"muster.example\"]".to_owned()),
        ("state.dir", place.path("second").display().to_string()),
        (
            "operator.token_file",
            place.path("state/muster/operator.token").display().to_string(),
        ),
    ] {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    let _second = muster_testkit::Spawned::start(command);
    let second = format!("http://127.0.0.1:{port}");
    muster_testkit::eventually(SOON, async || TcpStream::connect(("127.0.0.1", port))).await;
    let list_as = |authorization: &[(&'static str, &'static str)]| {
        let mut headers = current("tools/call", Some("host_list"));
        headers.push(("Host", "muster.example"));
        headers.extend(authorization);
        post(&second, &headers, &call(4, "host_list", json!({})))
    };
    assert_eq!(list_as(&[]).0, 401);
    assert_eq!(list_as(&[("Authorization", "Bearer something-else-altogether")]).0, 401);
    let (status, hosts) = list_as(&[("Authorization", "Bearer a-token-of-the-surface")]);
    assert_eq!(status, 200);
    assert!(told(&hosts)["hosts"].is_array(), "a standby answers too: {hosts}");
    let mut headers = current("tools/call", Some("approval_resolve"));
    headers.push(("Authorization", &bearer));
    let admitted = refusal(&post(&second, &headers, &resolve).1);
    assert!(admitted.contains("no such approval"), "{admitted}");

    // Such a tool is offered to whom it may serve; any other question is answered whatever token comes with it.
    let listed = |authorization: &[(&'static str, &str)]| {
        let mut headers = current("tools/list", None);
        headers.extend(authorization);
        let (status, listed) = post(base, &headers, &request(2, "tools/list", json!({"_meta": meta()})));
        assert_eq!((status, &listed["result"]["cacheScope"]), (200, &json!("private")));
        names(&listed).contains(&"approval_resolve")
    };
    assert!(!listed(&[]) && listed(&[("Authorization", &bearer)]));
    let mut headers = current("tools/call", Some("host_list"));
    headers.push(("Authorization", "Bearer 0123456789abcdef0123456789abcdef"));
    assert!(told(&post(base, &headers, &call(3, "host_list", json!({}))).1)["hosts"].is_array());

    // An agent that starts the server has no token, and its environment is not asked for one.
    let mut command = place.muster(&["mcp"]);
    command.env("MUSTER_OPERATOR_TOKEN_FILE", place.path("state/muster/operator.token"));
    let mut talk = Talk::start(command);
    let refused = refusal(&talk.ask(&call(1, "approval_resolve", unknown.clone())));
    assert!(refused.contains("operator's token"), "{refused}");
    talk.end();
    let file = place.path("state/muster/operator.token");
    let mut talk = Talk::start(place.muster(&["mcp", "--operator-token", file.to_str().unwrap()]));
    let admitted = refusal(&talk.ask(&call(1, "approval_resolve", unknown)));
    assert!(admitted.contains("no such approval"), "{admitted}");
    talk.end();
}
