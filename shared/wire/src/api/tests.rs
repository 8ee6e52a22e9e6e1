use super::*;
use crate::envelope::RawData;
use crate::{decode, snapshot};
use muster_domain::fact::Origin;
use muster_domain::family::EventType;
use muster_domain::fleet::{Fleet, SessionKey, Settings};
use muster_domain::ids::{EventId, ProducerId};
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_domain::view;
use proptest::prelude::*;
use uuid::Uuid;

fn key() -> SessionKey {
    SessionKey {
        host: HostName::new("web-01").unwrap(),
        id: SessionId::new("s/1").unwrap(),
    }
}

fn envelope(n: u64, kind: &str, data: &str) -> crate::Envelope {
    crate::Envelope {
        id: EventId::from_uuid(Uuid::from_u128(n.into())),
        source: "/hosts/web-01/ingest".to_owned(),
        event_type: EventType::parse(kind).unwrap(),
        host: Some(key().host),
        session: Some(key().id),
        time: Timestamp::default(),
        time_exact: false,
        agent: AgentName::new("claude-code").ok(),
        profile: None,
        origin: Some(Origin {
            producer: ProducerId::from_uuid(Uuid::from_u128(1)),
            seq: n,
        }),
        causation: None,
        correlation: None,
        traceparent: None,
        data: RawData::from(serde_json::value::RawValue::from_string(data.to_owned()).unwrap()),
    }
}

fn fleet() -> Fleet {
    let mut fleet = Fleet::new(Settings::default());
    let events = [
        ("agent.hook.session_start", r#"{"cwd":"/app","source":"startup"}"#),
        (
            "agent.hook.user_prompt_submit",
            r#"{"prompt_id":"p","prompt":"do it","muster":{"run":"r"}}"#,
        ),
        (
            "agent.hook.pre_tool_use",
            r#"{"prompt_id":"p","tool_name":"Bash","tool_input":{"command":"ls"},"tool_use_id":"t1","muster":{"run":"r"}}"#,
        ),
        (
            "agent.hook.post_tool_use_failure",
            r#"{"prompt_id":"p","tool_name":"Bash","tool_input":{"command":"ls"},"tool_use_id":"t1","error":"Exit code 1","muster":{"run":"r"}}"#,
        ),
        ("agent.turn.turn_start", r#"{"run":"r","index":0}"#),
        (
            "agent.turn.turn_end",
            r#"{"run":"r","index":0,"ok":true,"result":"success","usage":{"input_tokens":10,"output_tokens":2},"run_cost_usd":0.03105,"tools":{"Bash":1}}"#,
        ),
        ("agent.hook.stop", r#"{"prompt_id":"p","muster":{"run":"r"}}"#),
    ];
    for (seq, (kind, data)) in (1..).zip(events) {
        let envelope = envelope(seq, kind, data);
        let (subject, bytes) = (envelope.subject().to_string(), envelope.encode().unwrap());
        let at = Timestamp::from_millis(1_000 * i64::try_from(seq).unwrap());
        let _ = fleet.apply(&decode::recorded(seq, at, &subject, &bytes).unwrap());
    }
    fleet
}

fn position() -> Position {
    Position {
        seq: 7,
        stream_created: Timestamp::from_millis(0),
    }
}

#[test]
fn a_row_has_what_programs_were_promised() {
    let fleet = fleet();
    let row = SessionSummary::from(view::session(&fleet, &key()).unwrap());
    let json = serde_json::to_value(&row).unwrap();
    assert_eq!(json["id"], "s/1");
    assert_eq!(json["host"], "web-01");
    assert_eq!(json["agent"], "claude-code");
    assert_eq!(json["state"], "idle");
    assert_eq!(json["since"], "1970-01-01T00:00:07.000Z");
    assert_eq!(json["cwd"], "/app");
    assert_eq!(json["model"], serde_json::Value::Null);
    assert_eq!(json["turns"], 1);
    assert_eq!(json["cost_usd"], 0.03105);
    assert_eq!(json["tokens"]["total"], 12);
    assert_eq!(serde_json::from_value::<SessionSummary>(json).unwrap(), row);
}

#[test]
fn a_detail_travels_with_its_events_as_they_are() {
    let fleet = fleet();
    let event = RawData::from(serde_json::value::RawValue::from_string(r#"{"id": 1}"#.to_owned()).unwrap());
    let detail = SessionDetail {
        session: view::session(&fleet, &key()).unwrap().into(),
        turns: view::turns(fleet.session(&key()).unwrap())
            .into_iter()
            .map(Turn::from)
            .collect(),
        events: vec![StoredEvent {
            seq: 3,
            at: Timestamp::default(),
            event,
        }],
        next_events: None,
    };
    let bytes = serde_json::to_vec(&Reply::new(position(), detail.clone())).unwrap();
    let read = Reply::<SessionDetail>::read(&bytes).unwrap();
    assert_eq!((read.seq, read.retry_class), (7, RetryClass::SafeRetry));
    assert_eq!(read.body.turns, detail.turns);
    assert_eq!(read.body.events[0].event.get(), r#"{"id": 1}"#);
    let span = &read.body.turns[0].spans[0];
    assert_eq!((span.kind.as_str(), span.outcome.as_str()), ("tool", "failed"));
    assert_eq!(span.tool.as_deref(), Some("Bash"));
    assert_eq!(span.error.as_deref(), Some("Exit code 1"));
}

#[test]
fn a_refusal_is_not_taken_for_an_answer() {
    let error = ApiError::new(ErrorKind::NotFound, "no session \"x\"");
    let bytes = serde_json::to_vec(&Failure { error: error.clone() }).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        r#"{"error":{"type":"not_found","title":"not found","detail":"no session \"x\"","retry_class":"do_not_retry"}}"#
    );
    let read = Reply::<SessionsList>::read(&bytes).unwrap_err();
    assert!(matches!(read, ReplyError::Refused(refused) if refused == error));
}

#[test]
fn a_request_that_nobody_understands_is_refused() {
    let read = serde_json::from_str::<SessionsListRequest>;
    assert_eq!(
        read(r#"{"status":"idle"}"#).unwrap().state,
        Some(muster_domain::state::SessionState::Idle)
    );
    assert_eq!(read("{}").unwrap(), SessionsListRequest::default());
    for bad in [
        r#"{"sort":"x"}"#,
        r#"{"state":"busy"}"#,
        r#"{"cursor":"7"}"#,
        r#"{"since":"today"}"#,
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
    assert_eq!(
        (page_rows(None), page_rows(Some(0)), page_rows(Some(9_999))),
        (100, 1, 500)
    );
}

#[test]
fn a_filter_admits_what_it_names() {
    let fleet = fleet();
    let session = view::session(&fleet, &key()).unwrap();
    let request = |json| serde_json::from_str::<SessionsListRequest>(json).unwrap();
    for json in [
        "{}",
        r#"{"host":"web-01","agent":"claude-code","state":"idle","since":"1970-01-01T00:00:07Z"}"#,
    ] {
        assert!(request(json).admits(&session), "{json}");
    }
    for json in [
        r#"{"host":"web-02"}"#,
        r#"{"agent":"codex"}"#,
        r#"{"state":"lost"}"#,
        r#"{"since":"1970-01-01T00:01:00Z"}"#,
    ] {
        assert!(!request(json).admits(&session), "{json}");
    }
}

#[test]
fn a_snapshot_brings_the_same_state_back() {
    let fleet = fleet();
    let bytes = snapshot::encode(&fleet, "EVENTS", Timestamp::from_millis(5)).unwrap();
    let (header, read) = snapshot::decode(&bytes).unwrap();
    assert_eq!((header.last_seq, header.stream.as_str()), (7, "EVENTS"));
    assert_eq!(read, fleet);
    assert_eq!(snapshot::digest(&read).unwrap(), snapshot::digest(&fleet).unwrap());
    assert_ne!(
        snapshot::digest(&Fleet::new(Settings::default())).unwrap(),
        snapshot::digest(&fleet).unwrap()
    );
}

#[test]
fn a_damaged_or_foreign_snapshot_is_told_apart() {
    use snapshot::SnapshotError;
    let bytes = snapshot::encode(&fleet(), "EVENTS", Timestamp::default()).unwrap();
    let mut damaged = bytes.clone();
    let last = damaged.len() - 2;
    damaged[last] ^= 1;
    assert!(matches!(snapshot::decode(&damaged), Err(SnapshotError::Damaged)));
    assert!(matches!(
        snapshot::decode(&bytes[..bytes.len() / 2]),
        Err(SnapshotError::Damaged)
    ));
    assert!(matches!(snapshot::decode(b""), Err(SnapshotError::Headless)));
    let foreign = String::from_utf8(bytes)
        .unwrap()
        .replacen("\"schema\":1", "\"schema\":999", 1);
    assert!(matches!(
        snapshot::decode(foreign.as_bytes()),
        Err(SnapshotError::Schema { found: 999 })
    ));
}

proptest! {
    #[test]
    fn cursors_survive_their_text(id in "[^\\p{C}]{1,40}", host in "[a-zA-Z0-9_]{1,20}") {
        let key = SessionKey { host: HostName::new(&host).unwrap(), id: SessionId::new(&id).unwrap() };
        let cursor = Cursor::after(key);
        prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn reading_a_snapshot_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = snapshot::decode(&bytes);
    }
}
