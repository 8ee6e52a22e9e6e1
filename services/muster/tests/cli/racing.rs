//! Many who answer one approval at the same moment, over NATS and over REST; and those who may not answer at all.

use crate::asking::{Host, waiting};
use crate::place::Place;
use muster_bus::operator::{HEADER, Key};
use muster_bus::service::{Credentials, RequestError};
use muster_wire::subject::{Caller, Operation, Request};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

const RACERS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(30);

fn resolve(caller: &str) -> Request {
    Request {
        operation: Operation::ApprovalsResolve,
        caller: Caller::new(caller).unwrap(),
    }
}

fn verdict(n: usize) -> &'static str {
    if n % 4 < 2 { "approve" } else { "deny" }
}

/// Posts an answer; gives the status and what was said.
async fn post(base: &str, id: &str, headers: &str, body: &Value) -> (u16, Value) {
    let authority = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(authority).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST /api/v1/approvals/{id} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

/// Asks in the hub's bare protocol, with this signature whatever it was made for; gives the service's error number, if any.
async fn ask_with(url: &str, request: &Request, signature: &str, body: &str) -> Option<u16> {
    let mut hub = BufReader::new(TcpStream::connect(url.trim_start_matches("nats://")).await.unwrap());
    let headers = format!("NATS/1.0\r\n{HEADER}: {signature}\r\n\r\n");
    let options = r#"CONNECT {"verbose":false,"headers":true,"no_responders":true}"#;
    let (head, all) = (headers.len(), headers.len() + body.len());
    let lines =
        format!("{options}\r\nSUB _INBOX.raw 1\r\nHPUB {request} _INBOX.raw {head} {all}\r\n{headers}{body}\r\n");
    hub.write_all(lines.as_bytes()).await.unwrap();
    loop {
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, hub.read_line(&mut line))
            .await
            .unwrap()
            .unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["PING"] => hub.write_all(b"PONG\r\n").await.unwrap(),
            ["HMSG", .., head, _] => {
                let mut headers = vec![0; head.parse().unwrap()];
                hub.read_exact(&mut headers).await.unwrap();
                let headers = String::from_utf8(headers).unwrap();
                let code = headers
                    .lines()
                    .find_map(|line| line.strip_prefix("Nats-Service-Error-Code: "));
                return Some(code.unwrap_or_else(|| panic!("{headers}")).trim().parse().unwrap());
            }
            ["MSG", ..] => return None,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_answers_one_counts_and_whoever_has_no_token_has_no_say() {
    let place = Place::new();
    // A busy machine may take its time; nobody shall give up.
    let (mut up, running) = place
        .started(&["--host", "web-01", "--set", "notifier.requests.timeout=30s"])
        .await;
    let token = std::fs::read_to_string(running["operator_token"].as_str().unwrap()).unwrap();
    let token = token.trim();
    let mut host = Host::of(&running).await;
    race(&place, &mut host, &running, token).await;
    refusals(&place, &mut host, &running, token).await;
    for command in [
        &["config", "orchestrator"][..],
        &["doctor"],
        &["tail", "--no-follow", "--json"],
    ] {
        let said = place.output(command);
        let said = [said.stdout, said.stderr].concat();
        assert!(
            !String::from_utf8_lossy(&said).contains(token),
            "{command:?} shows the token"
        );
    }
    assert!(up.terminate(Duration::from_secs(30)).await.success(), "{}", up.stderr());
    assert!(!up.stderr().contains(token) && !up.stdout().contains(token));
}

async fn race(place: &Place, host: &mut Host, running: &Value, token: &str) {
    let id = host.asks("s-1", "Bash", &json!({"command": "make"})).await;
    waiting(place, 1).await;
    let key = Key::new(token).unwrap();
    let notifier = running["notifier"].as_str().unwrap();
    let start = Arc::new(Barrier::new(RACERS));
    let mut racers = JoinSet::new();
    for n in 0..RACERS {
        let (start, bus, key, id) = (Arc::clone(&start), host.bus.clone(), key.clone(), id.clone());
        let (notifier, bearer) = (notifier.to_owned(), format!("Authorization: Bearer {token}\r\n"));
        let mut body = json!({"decision": verdict(n), "reason": format!("racer {n}"), "request_id": format!("r-{n}")});
        racers.spawn(async move {
            start.wait().await;
            if n % 2 == 0 {
                body["id"] = json!(id);
                let credentials = Credentials {
                    operator: Some(key),
                    ..Credentials::default()
                };
                let request = resolve(&format!("op-{n}"));
                let told = bus
                    .request_as(&credentials, &request, body.to_string().into(), PATIENCE)
                    .await;
                (n, serde_json::from_slice::<Value>(&told.unwrap()).unwrap())
            } else {
                let (status, told) = post(&notifier, &id, &bearer, &body).await;
                let expected = if told["outcome"] == "applied" { 200 } else { 409 };
                assert_eq!(status, expected, "{told}");
                (n, told)
            }
        });
    }
    let told = racers.join_all().await;
    let winners: Vec<usize> = told
        .iter()
        .filter(|(_, told)| told["outcome"] == "applied")
        .map(|(n, _)| *n)
        .collect();
    let [winner] = winners[..] else {
        panic!("{winners:?} won");
    };
    let late = told
        .iter()
        .filter(|(_, told)| told["outcome"] == "already_resolved")
        .count();
    assert_eq!(late, RACERS - 1);
    let by = if winner % 2 == 0 {
        format!("op-{winner}")
    } else {
        "notifier".to_owned()
    };
    for (n, told) in &told {
        let answer = &told["approval"]["resolution"]["answer"];
        assert_eq!(
            answer["reason"],
            format!("racer {winner}"),
            "racer {n} was told something else"
        );
        assert_eq!(answer["by"], json!({"kind": "operator", "name": by}));
        let expected = if verdict(winner) == "approve" {
            "approved"
        } else {
            "denied"
        };
        assert_eq!(answer["outcome"], expected);
    }
    let decided = place.lines(&["tail", "--json", "--no-follow", "--family", "runtime.approval_resolved"]);
    assert_eq!(decided.len(), 1, "{decided:?}");
    assert_eq!(decided[0]["data"]["resolution"]["request_id"], format!("r-{winner}"));

    // The same request once more is still the one that counts.
    let body = json!({"decision": verdict(winner), "request_id": format!("r-{winner}")});
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let (status, again) = post(notifier, &id, &bearer, &body).await;
    assert_eq!((status, &again["outcome"]), (200, &json!("applied")));
}

async fn refusals(place: &Place, host: &mut Host, running: &Value, token: &str) {
    let id = host.asks("s-2", "Bash", &json!({"command": "make"})).await;
    waiting(place, 1).await;
    let body = json!({"id": id, "decision": "approve"}).to_string();
    let unsigned = host
        .bus
        .request(&resolve("web-09"), body.clone().into(), PATIENCE)
        .await;
    let Err(RequestError::Failed(failure)) = unsigned else {
        panic!("{unsigned:?}");
    };
    assert_eq!(failure.code, 403, "an agent on the host has the hub, and no token");

    let url = running["nats"].as_str().unwrap();
    let key = Key::new(token).unwrap();
    let other = Key::new("0123456789abcdef0123456789abcdef").unwrap();
    let now = muster_wire::time::from_system(SystemTime::now());
    let long_ago = muster_wire::time::from_system(SystemTime::now() - Duration::from_secs(400));
    let anna = resolve("op-anna");
    let list = Request {
        operation: Operation::ApprovalsList,
        ..anna.clone()
    };
    for (what, signature) in [
        ("another caller's", key.sign(&resolve("op-bert"), body.as_bytes(), now)),
        ("another request's", key.sign(&list, body.as_bytes(), now)),
        ("another answer's", key.sign(&anna, b"{}", now)),
        ("another token's", other.sign(&anna, body.as_bytes(), now)),
        ("an old", key.sign(&anna, body.as_bytes(), long_ago)),
        ("no", "v1;x".to_owned()),
    ] {
        let refused = ask_with(url, &anna, &signature, &body).await;
        assert_eq!(refused, Some(403), "{what} signature");
    }

    let notifier = running["notifier"].as_str().unwrap();
    let approve = json!({"decision": "approve"});
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let foreign = format!("{bearer}Origin: https://evil.example\r\n");
    for (headers, expected) in [
        ("", 401),
        ("Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n", 403),
        (&foreign, 403),
        (&format!("{bearer}Sec-Fetch-Site: cross-site\r\n"), 403),
    ] {
        let (status, told) = post(notifier, &id, headers, &approve).await;
        assert_eq!(status, expected, "{told}");
    }
    assert_eq!(
        waiting(place, 1).await[0]["id"],
        json!(id),
        "nothing of it was an answer"
    );

    // A signature is good once: what is overheard is worth nothing.
    let signature = key.sign(&anna, body.as_bytes(), now);
    assert_eq!(ask_with(url, &anna, &signature, &body).await, None);
    assert_eq!(ask_with(url, &anna, &signature, &body).await, Some(403));
}
