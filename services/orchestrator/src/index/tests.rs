//! The index without a hub: what is drawn, found, counted and forgotten.

use super::draw::{self, Entry};
use super::search::{self, Wanted};
use super::store::{Progress, Store, open_reader, progress, set_aside};
use super::terms::Terms;
use super::{IndexError, metrics};
use muster_bus::StreamState;
use muster_domain::family::EventType;
use muster_domain::ids::EventId;
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::api::{SessionsHits, SessionsMetrics, SessionsSearchRequest};
use muster_wire::words::{self, WordsKind};
use muster_wire::{Envelope, Subject};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::TempDir;
use uuid::Uuid;

const LOG: StreamState = StreamState {
    created: Timestamp::from_millis(7),
    first_seq: 1,
    last_seq: u64::MAX,
};

/// An event as the hub stores it, and what is drawn of it.
fn drawn(seq: u64, session: &str, kind: &str, data: &Value) -> Entry {
    let envelope = Envelope {
        id: EventId::from_uuid(Uuid::from_u128(u128::from(seq) + 1)),
        source: "/hosts/web-01/ingest".to_owned(),
        event_type: EventType::parse(kind).unwrap(),
        host: Some(HostName::new("web-01").unwrap()),
        session: Some(SessionId::new(session).unwrap()),
        time: Timestamp::from_millis(0),
        time_exact: true,
        agent: AgentName::new("claude-code").ok(),
        profile: None,
        origin: None,
        causation: None,
        correlation: None,
        traceparent: None,
        data: serde_json::value::to_raw_value(data).unwrap(),
    };
    let at = Timestamp::from_millis(i64::try_from(seq).unwrap() * 1000);
    let subject: Subject = envelope.subject();
    let read = words::recorded(seq, at, &subject.to_string(), &envelope.encode().unwrap());
    let (recorded, words) = read.unwrap();
    draw::entry(&recorded, words).unwrap()
}

fn prompt(seq: u64, session: &str, text: &str) -> Entry {
    drawn(seq, session, "agent.hook.user_prompt_submit", &json!({"prompt": text}))
}

fn call(seq: u64, hook: &str, id: &str, more: &Value) -> Entry {
    let mut data = json!({
        "tool_name": "Edit", "tool_use_id": id, "tool_input": {"file_path": "/src/a.rs", "new_string": "let lantern = 1;"}
    });
    for (name, value) in more.as_object().unwrap() {
        data[name] = value.clone();
    }
    drawn(seq, "s1", &["agent.hook", hook].join("."), &data)
}

struct Index {
    dir: TempDir,
    store: Store,
}

impl Index {
    fn of(entries: &[Entry]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(dir.path(), LOG).unwrap();
        let last = entries.last().map_or(0, |entry| entry.seq);
        store.write(entries, last).unwrap();
        Self { dir, store }
    }

    fn search(&self, query: &str, more: SessionsSearchRequest) -> SessionsHits {
        search_in(self.dir.path(), &wanted(query, &more)).unwrap()
    }

    fn found(&self, query: &str) -> Vec<u64> {
        let hits = self.search(query, any()).hits;
        hits.iter().map(|hit| hit.event_seq).collect()
    }

    fn metrics(&self) -> SessionsMetrics {
        let view = open_reader(self.dir.path()).unwrap();
        let indexed = progress(&view).unwrap().indexed();
        metrics::metrics(&view, Timestamp::from_millis(100_000), 1, indexed).unwrap()
    }
}

fn search_in(dir: &Path, wanted: &Wanted) -> Result<SessionsHits, IndexError> {
    let view = open_reader(dir)?;
    let indexed = progress(&view)?.indexed();
    Ok(search::search(&view, wanted, indexed)?)
}

fn wanted(query: &str, request: &SessionsSearchRequest) -> Wanted {
    Wanted::new(request, Terms::read(query).unwrap())
}

fn any() -> SessionsSearchRequest {
    serde_json::from_value(json!({"query": ""})).unwrap()
}

#[test]
fn the_best_match_comes_first_with_the_words_around_it() {
    let index = Index::of(&[
        prompt(
            1,
            "s1",
            "please repair the lantern on the quay before the harbour opens in the morning",
        ),
        prompt(2, "s2", "lantern lantern"),
        prompt(3, "s3", "nothing of the kind"),
    ]);
    let hits = index.search("LANTERN", any());
    assert_eq!(index.found("lantern"), [2, 1]);
    assert!(hits.hits[0].score > hits.hits[1].score, "{hits:?}");
    assert!(hits.hits[1].snippet.contains("the «lantern» on"), "{hits:?}");
    assert_eq!((hits.indexed.indexed_seq, hits.more), (3, false));
    assert_eq!(index.found("lantern quay"), [1], "all words are meant");
    assert_eq!(index.found("\"the lantern\""), [1]);
    assert_eq!(index.found("\"lantern the\""), [0_u64; 0]);
    assert_eq!(index.found("harb*"), [1]);
    let one = SessionsSearchRequest {
        limit: Some(1),
        ..any()
    };
    assert!(index.search("lantern", one).more);
}

#[test]
fn only_what_was_asked_for_is_looked_at() {
    let index = Index::of(&[
        prompt(1, "s1", "lantern"),
        drawn(
            2,
            "s1",
            "agent.hook.stop",
            &json!({"last_assistant_message": "lantern"}),
        ),
        prompt(3, "s2", "lantern"),
    ]);
    let seqs = |more| {
        let mut seqs: Vec<u64> = index
            .search("lantern", more)
            .hits
            .iter()
            .map(|hit| hit.event_seq)
            .collect();
        seqs.sort_unstable();
        seqs
    };
    let session = SessionId::new("s1").ok();
    assert_eq!(seqs(SessionsSearchRequest { session, ..any() }), [1, 2]);
    let kind = Some(WordsKind::Message);
    assert_eq!(seqs(SessionsSearchRequest { kind, ..any() }), [2]);
    let since = Some(Timestamp::from_millis(3000));
    assert_eq!(seqs(SessionsSearchRequest { since, ..any() }), [3]);
    let agent = AgentName::new("codex").ok();
    assert!(seqs(SessionsSearchRequest { agent, ..any() }).is_empty());
    let host = HostName::new("web-01").ok();
    assert_eq!(seqs(SessionsSearchRequest { host, ..any() }).len(), 3);
}

#[test]
fn a_call_is_found_once_by_what_it_was_given_and_again_by_how_it_failed() {
    let index = Index::of(&[
        call(1, "pre_tool_use", "t1", &json!({})),
        call(2, "post_tool_use", "t1", &json!({"tool_response": "ok"})),
        call(3, "pre_tool_use", "t2", &json!({})),
        call(4, "post_tool_use_failure", "t2", &json!({"error": "no such harbour"})),
        // An agent that tells only of the end.
        call(5, "post_tool_use", "t3", &json!({"tool_response": "ok"})),
    ]);
    let mut given = index.found("lantern");
    given.sort_unstable();
    assert_eq!(given, [1, 3, 5]);
    let failed = index.search("harbour", any()).hits;
    assert_eq!((failed[0].event_seq, failed[0].kind), (4, WordsKind::Error));
    assert_eq!(failed[0].tool.as_deref(), Some("Edit"));
}

#[test]
fn metrics_come_from_calls_and_turns() {
    let turn = json!({
        "run": "r1", "index": 0, "ok": false, "result": "error_max_turns",
        "usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 5}
    });
    let index = Index::of(&[
        call(1, "pre_tool_use", "t1", &json!({})),
        call(4, "post_tool_use", "t1", &json!({})),
        call(
            5,
            "post_tool_use_failure",
            "t2",
            &json!({"duration_ms": 40, "error": "no"}),
        ),
        call(6, "permission_denied", "t3", &json!({"reason": "no"})),
        drawn(7, "s1", "agent.turn.turn_end", &turn),
    ]);
    let metrics = index.metrics();
    assert_eq!(
        (metrics.files[0].path.as_str(), metrics.files[0].calls),
        ("/src/a.rs", 2)
    );
    let edit = &metrics.tools[0];
    assert_eq!((edit.calls, edit.failures), (3, 1));
    let spread = edit.duration_ms;
    assert_eq!((spread.count, spread.p50, spread.p95, spread.max), (2, 40, 3000, 3000));
    let sink = &metrics.tokens[0];
    assert_eq!(
        (sink.session.as_str(), sink.turns, sink.input, sink.output),
        ("s1", 1, 8, 2)
    );
    let agent = &metrics.agents[0];
    assert_eq!(
        (agent.agent.as_str(), agent.calls, agent.failures, agent.failed_turns),
        ("claude-code", 3, 1, 1)
    );
    assert_eq!(metrics.oldest, Some(Timestamp::from_millis(1000)));
}

#[test]
fn what_no_call_and_no_turn_can_be_spoils_no_sum() {
    let turn = |seq, index: u64| {
        let usage = json!({"input_tokens": i64::MAX, "output_tokens": u64::MAX, "cache_read_input_tokens": 1});
        let turn = json!({"run": "r1", "index": index, "ok": true, "result": "success", "usage": usage});
        drawn(seq, "s1", "agent.turn.turn_end", &turn)
    };
    let long = json!({"duration_ms": u64::MAX});
    let index = Index::of(&[
        call(1, "post_tool_use", "t1", &long),
        call(2, "post_tool_use", "t2", &long),
        turn(3, 0),
        turn(4, 1),
    ]);
    let metrics = index.metrics();
    assert_eq!(metrics.tools[0].duration_ms.max, 365 * 24 * 3600 * 1000);
    assert_eq!(
        (metrics.tokens[0].turns, metrics.tokens[0].input),
        (2, 2_000_000_000_000)
    );
}

#[test]
fn what_was_stored_twice_counts_once() {
    let mut again = prompt(1, "s1", "lantern");
    again.seq = 9;
    let index = Index::of(&[prompt(1, "s1", "lantern"), again]);
    assert_eq!(index.found("lantern"), [1]);
}

#[test]
fn what_the_log_no_longer_has_is_forgotten() {
    let entries: Vec<Entry> = (1..=3000)
        .map(|seq| prompt(seq, if seq < 2000 { "old" } else { "new" }, "lantern"))
        .collect();
    let mut index = Index::of(&entries);
    let mut rounds = 1;
    while index.store.forget(2990).unwrap() {
        rounds += 1;
    }
    assert!(rounds > 1, "it is done piece by piece");
    let limit = Some(500);
    let left = index.search("lantern", SessionsSearchRequest { limit, ..any() });
    assert_eq!((left.hits.len(), left.indexed.indexed_from), (11, 2990));
    assert!(left.hits.iter().all(|hit| hit.session.as_str() == "new"));
}

#[test]
fn an_index_is_gone_on_with_where_it_is_of_this_log_and_drawn_anew_where_not() {
    let Index { dir, store } = Index::of(&[prompt(5, "s1", "lantern")]);
    drop(store);
    let seq = |log: StreamState| {
        Store::open(dir.path(), log)
            .map(|(_, Progress { seq, .. })| seq)
            .unwrap()
    };
    assert_eq!(seq(LOG), 5);
    assert_eq!(seq(StreamState { last_seq: 4, ..LOG }), 0, "the log lost its tail");
    let created = Timestamp::from_millis(8);
    assert_eq!(seq(StreamState { created, ..LOG }), 0, "it is another log");
}

#[test]
fn what_agents_were_told_is_for_this_user_alone() {
    let index = Index::of(&[prompt(1, "s1", "lantern")]);
    for part in ["search.db", "search.db-wal"] {
        let mode = fs::metadata(index.dir.path().join(part)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{part}");
    }
}

#[test]
fn a_damaged_file_is_told_and_can_be_set_aside() {
    let Index { dir, store } = Index::of(&[prompt(1, "s1", "lantern")]);
    drop(store);
    let file = dir.path().join("search.db");
    fs::write(&file, vec![b'x'; 8192]).unwrap();
    let error = search_in(dir.path(), &wanted("lantern", &any())).unwrap_err();
    assert!(error.is_damage(), "{error}");
    let Err(error) = Store::open(dir.path(), LOG) else {
        panic!("it was opened");
    };
    assert!(error.is_damage(), "{error}");
    set_aside(dir.path()).unwrap();
    assert!(dir.path().join("search.db.damaged").exists());
    assert_eq!(Store::open(dir.path(), LOG).unwrap().1.seq, 0);
}
