//! Finding sessions: by query from the state, by words from the index of the log.

use crate::host::Host;
use crate::hub::{Hub, Orchestrator, SOON};
use muster_bus::service::RequestError;
use muster_testkit::eventually;
use muster_wire::api::{Indexed, Reply, SessionsFound, SessionsHits, SessionsMetrics, SessionsSummary};
use muster_wire::subject::Operation;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::Path;

impl Hub {
    /// The hits, once the index has this place of the log.
    async fn search(&self, seq: u64, request: Value) -> SessionsHits {
        eventually(SOON, async || {
            let answer: Reply<SessionsHits> = self.answer(Operation::SessionsSearch, request.clone()).await;
            indexed(&answer.body.indexed, seq).map(|()| answer.body)
        })
        .await
    }

    async fn seqs(&self, seq: u64, request: Value) -> Vec<u64> {
        let hits = self.search(seq, request).await.hits;
        hits.iter().map(|hit| hit.event_seq).collect()
    }

    /// The code and the words by which something is refused.
    async fn refused(&self, operation: Operation, request: Value) -> (u16, String) {
        eventually(SOON, async || match self.ask(operation, &request).await {
            Err(RequestError::Failed(failed)) if failed.code != 503 => Ok((failed.code, failed.text)),
            other => Err(other.map(|answer| answer.len()).map_err(|error| error.to_string())),
        })
        .await
    }
}

fn indexed(state: &Indexed, seq: u64) -> Result<(), String> {
    if state.indexed_seq >= seq {
        Ok(())
    } else {
        Err(format!("at {} of {seq}", state.indexed_seq))
    }
}

/// Writes over a file, in its place, while somebody has it open.
fn spoil(file: &Path) {
    let bytes = fs::metadata(file).unwrap().len();
    let mut open = fs::OpenOptions::new().write(true).open(file).unwrap();
    open.write_all(&vec![b'x'; usize::try_from(bytes).unwrap()]).unwrap();
}

fn drawn(orchestrator: &Orchestrator) -> u64 {
    let metrics = orchestrator.context.metrics.render();
    let name = "muster_orchestrator_index_events_total";
    let line = metrics.lines().find(|line| line.starts_with(name));
    let count = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    count.unwrap_or(0.0) as u64
}

async fn prompt(host: &mut Host, session: &str, text: &str) -> u64 {
    let prompt = host.hook(session, "user_prompt_submit", json!({"prompt": text, "cwd": "/src"}));
    host.publish(&[prompt]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_found_ranked_and_filtered_with_what_the_index_covers() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let (mut one, mut two) = (hub.host("web-01"), hub.host("web-02"));
    let long = prompt(
        &mut one,
        "s1",
        "before anything else look whether the lantern on the quay still burns",
    )
    .await;
    let short = prompt(&mut two, "s2", "repair the lantern").await;
    let call = json!({"tool_name": "Bash", "tool_use_id": "t1", "tool_input": {"command": "light lantern --now"}});
    let call = one.hook("s1", "pre_tool_use", call);
    let call = one.publish(&[call]).await;
    let said = two.hook(
        "s2",
        "stop",
        json!({"last_assistant_message": "The lantern burns again."}),
    );
    let said = two.publish(&[said]).await;

    let found = hub.search(said, json!({"query": "lantern"})).await;
    assert_eq!(found.hits.len(), 4);
    assert_eq!(
        found.hits.last().unwrap().event_seq,
        long,
        "the longest text is the weakest match"
    );
    assert!(found.hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
    let hit = found.hits.iter().find(|hit| hit.event_seq == short).unwrap();
    assert_eq!((hit.session.as_str(), hit.host.as_str()), ("s2", "web-02"));
    assert_eq!(
        (hit.agent.as_deref(), hit.snippet.as_str()),
        (Some("claude-code"), "repair the «lantern»")
    );
    let only = async |more: Value| {
        let mut request = json!({"query": "lantern"});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        hub.seqs(said, request).await
    };
    assert_eq!(only(json!({"kind": "tool"})).await, [call]);
    assert_eq!(only(json!({"kind": "message", "host": "web-02"})).await, [said]);
    assert_eq!(only(json!({"session": "s1", "kind": "prompt"})).await, [long]);
    assert_eq!(only(json!({"limit": 1})).await.len(), 1);
    assert!(only(json!({"agent": "codex"})).await.is_empty());
    assert!(only(json!({"since": "2126-01-01T00:00:00Z"})).await.is_empty());
    assert_eq!(hub.seqs(said, json!({"query": "\"the lantern on\""})).await, [long]);
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_searched_is_refused_and_never_found_to_be_nothing() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    orchestrator.ready().await;
    for (query, words) in [
        ("", "there is no word"),
        ("--- !!!", "there is no word"),
        ("\"never closed", "quotes are not closed"),
        ("a*", "too many words"),
    ] {
        let (code, text) = hub.refused(Operation::SessionsSearch, json!({"query": query})).await;
        assert_eq!(code, 400, "{query}: {text}");
        assert!(text.contains(words), "{query}: {text}");
    }
    let (code, _) = hub
        .refused(Operation::SessionsSearch, json!({"query": "x", "kind": "thought"}))
        .await;
    assert_eq!(code, 400);
    // The engine's own words are words.
    let none = hub.search(0, json!({"query": "NEAR( OR * NOT {text}: ^"})).await;
    assert!(none.hits.is_empty());
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_goes_on_where_it_was_and_one_that_is_damaged_is_drawn_anew() {
    let hub = Hub::start().await;
    let mut host = hub.host("web-01");
    let orchestrator = hub.orchestrator("a", &[]);
    let mut last = 0;
    for n in 0..40 {
        last = prompt(&mut host, "s1", &format!("lantern number {n}")).await;
    }
    assert_eq!(hub.search(last, json!({"query": "lantern"})).await.hits.len(), 40);
    orchestrator.stop().await;

    let orchestrator = hub.orchestrator("a", &[]);
    last = prompt(&mut host, "s1", "lantern number 40").await;
    assert_eq!(hub.search(last, json!({"query": "lantern"})).await.hits.len(), 41);
    assert!(
        drawn(&orchestrator) < 40,
        "{} events were drawn again",
        drawn(&orchestrator)
    );
    orchestrator.stop().await;

    let file = hub.dir.path().join("a").join("search.db");
    fs::write(&file, vec![b'x'; 16 * 1024]).unwrap();
    let orchestrator = hub.orchestrator("a", &[]);
    assert_eq!(hub.search(last, json!({"query": "lantern"})).await.hits.len(), 41);
    assert!(file.with_extension("db.damaged").exists());
    // Found damaged while it is read, it is drawn anew as well.
    fs::remove_file(file.with_extension("db.damaged")).unwrap();
    spoil(&file);
    spoil(&file.with_extension("db-wal"));
    let (code, _) = eventually(SOON, async || {
        match hub.ask(Operation::SessionsSearch, json!({"query": "lantern"})).await {
            Err(RequestError::Failed(failed)) => Ok((failed.code, failed.text)),
            other => Err(other.map(|answer| answer.len()).map_err(|error| error.to_string())),
        }
    })
    .await;
    assert_eq!(code, 503);
    assert_eq!(hub.search(last, json!({"query": "lantern"})).await.hits.len(), 41);
    // Taken away from under it, it is drawn anew too.
    for part in ["db", "db-wal", "db-shm"] {
        fs::remove_file(file.with_extension(part)).unwrap();
    }
    assert_eq!(hub.search(last, json!({"query": "lantern"})).await.hits.len(), 41);
    assert!(file.exists());
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_searches_than_can_be_done_are_refused_and_leave_no_queue() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = hub.host("web-01");
    let mut last = 0;
    for n in 0..300 {
        last = prompt(
            &mut host,
            "s1",
            &format!("{} {n}", "lantern alder birch cedar ".repeat(100)),
        )
        .await;
    }
    hub.search(last, json!({"query": "lantern"})).await;
    let request = json!({"query": "al* bi* ce* la*", "limit": 200});
    let all = (0..64).map(|_| hub.ask(Operation::SessionsSearch, &request));
    let answers = futures_util::future::join_all(all).await;
    // Each was found or refused with a reason in time; none waited until its asker gave up.
    for answer in answers {
        if let Err(error) = answer {
            assert!(
                matches!(&error, RequestError::Failed(failed) if failed.code == 503),
                "{error}"
            );
        }
    }
    assert_eq!(hub.search(last, json!({"query": "lantern 7"})).await.hits.len(), 1);
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_finds_each_session_once_while_others_begin_and_says_what_is_no_query() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = hub.host("web-01");
    for n in 0..7 {
        host.begin(&format!("s{n}")).await;
    }
    let last = host.end("s6").await;
    let ask = async |request: Value| -> Reply<SessionsFound> {
        eventually(SOON, async || {
            let answer = hub
                .answer::<SessionsFound>(Operation::SessionsQuery, request.clone())
                .await;
            if answer.seq >= last {
                Ok(answer)
            } else {
                Err(answer.seq)
            }
        })
        .await
    };
    let idle = ask(json!({"expr": "status=idle  tool~bas"})).await.body;
    assert_eq!(idle.expr, "state=idle tool~bas");
    assert_eq!(idle.sessions.len(), 1);
    assert_eq!(idle.sessions[0].id.as_str(), "s6");

    let mut request = json!({"expr": "host=web-01 kind=prompt", "limit": 3});
    let mut seen = Vec::new();
    loop {
        let page = ask(request.clone()).await.body;
        seen.extend(page.sessions.iter().map(|row| row.id.to_string()));
        // Newer ones come before the pages that are still to come.
        host.begin(&format!("t{}", seen.len())).await;
        let Some(cursor) = page.next_cursor else { break };
        request["cursor"] = json!(cursor);
    }
    assert_eq!(seen, ["s6", "s5", "s4", "s3", "s2", "s1", "s0"]);

    let (code, text) = hub
        .refused(Operation::SessionsQuery, json!({"expr": "agent=x speed>3"}))
        .await;
    assert_eq!(code, 400);
    assert!(
        text.contains("at character 9: no field \"speed\"; fields are agent, "),
        "{text}"
    );
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_summed_and_their_calls_measured() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    host.end("s1").await;
    let failed = json!({
        "tool_name": "Edit", "tool_use_id": "t9", "duration_ms": 1200, "error": "no such file",
        "tool_input": {"file_path": "/src/a.rs"}
    });
    let failed = host.hook("s2", "post_tool_use_failure", failed);
    let end = json!({
        "run": "r1", "index": 0, "ok": true, "result": "success", "run_cost_usd": 0.5,
        "usage": {"input_tokens": 70, "output_tokens": 30}
    });
    let end = host.observe(Some("s2"), "agent.turn.turn_end", &end);
    let last = host.publish(&[failed, end]).await;

    let summary = eventually(SOON, async || {
        let answer = hub
            .answer::<SessionsSummary>(Operation::SessionsSummary, json!({}))
            .await;
        if answer.seq >= last {
            Ok(answer.body)
        } else {
            Err(answer.seq)
        }
    })
    .await;
    assert_eq!((summary.total.sessions, summary.total.failures), (2, 1));
    assert_eq!((summary.total.tokens.total, summary.total.cost_usd), (100, Some(0.5)));
    assert_eq!(
        (summary.hosts[0].name.as_str(), summary.hosts[0].sum.sessions),
        ("web-01", 2)
    );
    assert_eq!(summary.states.values().sum::<u64>(), 2);
    let one = hub
        .answer::<SessionsSummary>(Operation::SessionsSummary, json!({"expr": "errors>=1"}))
        .await;
    assert_eq!(one.body.total.sessions, 1);
    let (code, text) = hub.refused(Operation::SessionsSummary, json!({"expr": "errors"})).await;
    assert_eq!((code, text.contains("is no term")), (400, true), "{text}");

    let metrics = eventually(SOON, async || {
        let answer = hub
            .answer::<SessionsMetrics>(Operation::SessionsMetrics, json!({"days": 1}))
            .await;
        indexed(&answer.body.indexed, last).map(|()| answer.body)
    })
    .await;
    assert_eq!(
        (metrics.files[0].path.as_str(), metrics.files[0].calls),
        ("/src/a.rs", 1)
    );
    let edit = metrics.tools.iter().find(|tool| tool.tool == "Edit").unwrap();
    assert_eq!((edit.calls, edit.failures, edit.duration_ms.p95), (1, 1, 1200));
    assert_eq!(
        (metrics.tokens[0].session.as_str(), metrics.tokens[0].input),
        ("s2", 70)
    );
    assert_eq!((metrics.agents[0].failures, metrics.agents[0].calls), (1, 2));
    let (code, _) = hub.refused(Operation::SessionsMetrics, json!({"days": 0})).await;
    assert_eq!(code, 400);
    orchestrator.stop().await;
}
