//! What hosts are told to do, over a real hub, with a host that says what became of it.

use crate::host::Host;
use crate::hub::{Hub, SOON};
use muster_bus::Bus;
use muster_bus::service::{Credentials, RequestError};
use muster_domain::names::SessionId;
use muster_testkit::eventually;
use muster_wire::api::{self, EffectsList, Reply};
use muster_wire::subject::{Caller, Operation, Request};
use serde_json::{Value, json};

pub(crate) const RUN: &str = "0198f3c2-0000-7000-8000-00000000abcd";

impl Host {
    /// A turn loop begins.
    pub(crate) async fn carry(&mut self, session: &str, can: &[&str]) {
        let process = json!({"pid": 4711, "start_ticks": 99, "command": "muster", "run": RUN, "carries": can});
        let began = self.observe(Some(session), "process.lifecycle.started", &process);
        let started = self.observe(None, "host.status.started", &json!({"version": "1", "instance": RUN}));
        self.publish(&[started, began]).await;
    }

    /// Says what became of an effect.
    pub(crate) async fn says(&mut self, session: &str, word: &str, effect: &Value, reason: Option<&str>) {
        let mut data = json!({"effect_id": effect, "run": RUN});
        if let Some(reason) = reason {
            data["reason"] = json!(reason);
        }
        let receipt = self.observe(Some(session), &["agent.effect", word].join("."), &data);
        self.publish(&[receipt]).await;
    }
}

async fn until_status(hub: &Hub, id: &Value, status: &str) -> Value {
    eventually(SOON, async || {
        let answer = hub.ask(Operation::EffectsGet, json!({"id": id})).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let row = answer["effect"].clone();
        if row["status"] == status { Ok(row) } else { Err(row) }
    })
    .await
}

pub(crate) fn refused(answer: Result<Value, RequestError>) -> String {
    match answer {
        Err(RequestError::Failed(failure)) => failure.text,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn of_session(
    hub: &Hub,
    session: &str,
    operation: Operation,
    body: &Value,
) -> Result<Value, RequestError> {
    ask_over(&hub.bus, session, operation, body).await
}

/// The same, over another connection.
pub(crate) async fn ask_over(
    bus: &Bus,
    session: &str,
    operation: Operation,
    body: &Value,
) -> Result<Value, RequestError> {
    let credentials = Credentials {
        session: SessionId::new(session).ok(),
        ..Credentials::default()
    };
    let request = Request {
        operation,
        caller: Caller::new("web-01").unwrap(),
    };
    let answer = bus
        .request_as(&credentials, &request, body.to_string().into(), SOON)
        .await?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_told_what_to_do_and_says_what_became_of_it() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: Reply<api::Status> = hub.answer(Operation::Status, json!({})).await;
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    eventually(SOON, async || hub.sessions().await.pop()).await;
    let no = refused(hub.order(Operation::SessionsStop, &json!({"id": "s1"})).await);
    assert!(no.contains("muster run --agent claude-code --session s1"), "{no}");

    host.carry("s1", &["model", "stop", "interrupt"]).await;
    let wish = json!({"id": "s1", "model": "opus", "request_id": "q1"});
    let asked = eventually(SOON, async || hub.order(Operation::SessionsModel, &wish).await).await;
    let id = &asked["effect"]["id"];
    assert_eq!(
        (&asked["effect"]["status"], &asked["effect"]["run"]),
        (&json!("requested"), &json!(RUN))
    );
    let again = hub.order(Operation::SessionsModel, &wish).await.unwrap();
    assert_eq!(&again["effect"]["id"], id);
    let told = hub.until_events("runtime.effect.requested", 1).await;
    assert_eq!(told.len(), 1, "the same request is one effect");
    assert_eq!(
        (&told[0]["id"], &told[0]["subject"], &told[0]["host"]),
        (id, &json!("s1"), &json!("web-01"))
    );
    assert_eq!(told[0]["data"]["action"], json!({"kind": "model", "model": "opus"}));

    host.says("s1", "accepted", id, None).await;
    host.says("s1", "accepted", id, None).await;
    until_status(&hub, id, "accepted").await;
    host.says("s1", "done", id, None).await;
    host.says("s1", "done", id, None).await;
    until_status(&hub, id, "done").await;
    let open: Reply<EffectsList> = hub.answer(Operation::EffectsList, json!({})).await;
    assert!(open.body.effects.is_empty());
    let all: Reply<EffectsList> = hub
        .answer(Operation::EffectsList, json!({"all": true, "session": "s1"}))
        .await;
    assert_eq!(all.body.effects.len(), 1);

    let stop = hub.order(Operation::SessionsStop, &json!({"id": "s1"})).await.unwrap();
    host.says("s1", "failed", &stop["effect"]["id"], Some("refused")).await;
    let row = until_status(&hub, &stop["effect"]["id"], "failed").await;
    assert_eq!(row["reason"], "refused");
    let no = refused(hub.order(Operation::SessionsReset, &json!({"id": "s1"})).await);
    assert!(no.contains("cannot do this: new_session"), "{no}");
    let no = refused(of_session(&hub, "s1", Operation::SessionsStop, &json!({"id": "s1"})).await);
    assert!(no.contains("operator"), "{no}");
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_spawned_where_a_host_is_there_and_nothing_holds_it() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: Reply<api::Status> = hub.answer(Operation::Status, json!({})).await;
    let spawn = |host: &str| json!({"host": host, "template": "worker", "prompt": "build it", "budget_usd": 0.5, "request_id": "q1"});
    let no = refused(hub.order(Operation::SessionsSpawn, &spawn("web-01")).await);
    assert!(no.contains("no such host: web-01"), "{no}");
    let mut host = hub.host("web-01");
    let started = host.observe(None, "host.status.started", &json!({"version": "1", "instance": RUN}));
    host.publish(&[started]).await;
    let asked = eventually(SOON, async || {
        hub.order(Operation::SessionsSpawn, &spawn("web-01")).await
    })
    .await;
    let session = asked["effect"]["session"].as_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(session).unwrap().get_version_num(), 4);
    assert_eq!(asked["effect"]["action"]["budget_usd_micros"], 500_000);
    let again = hub.order(Operation::SessionsSpawn, &spawn("web-01")).await.unwrap();
    assert_eq!(
        again["effect"]["session"], session,
        "the same request begins one session"
    );
    let hold = json!({"selector": {"kind": "host", "host": "web-01"}, "reason": "deploy"});
    hub.order(Operation::HoldsSet, &hold).await.unwrap();
    let mut other = spawn("web-01");
    other["request_id"] = json!("q2");
    let no = refused(hub.order(Operation::SessionsSpawn, &other).await);
    assert!(no.contains("deploy"), "{no}");
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_is_compacted_by_whoever_runs_the_session() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _: Reply<api::Status> = hub.answer(Operation::Status, json!({})).await;
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    host.carry("s1", &["compact"]).await;
    let full = json!({"used_tokens": 930, "window_tokens": 1000});
    let full = host.observe(Some("s1"), "agent.turn.token_usage_changed", &full);
    host.publish(&[full]).await;
    let told = hub.until_events("runtime.effect.requested", 1).await;
    assert_eq!(told[0]["data"]["action"], json!({"kind": "compact"}));
    assert_eq!(told[0]["data"]["by"], json!({"caller": "muster"}));
    assert!(
        hub.events_of("runtime.alert.raised").await.is_empty(),
        "room is being made"
    );

    let wish = json!({"id": "s1"});
    let noop = of_session(&hub, "s1", Operation::MemoryCompact, &wish).await.unwrap();
    assert_eq!(noop["staged_write"]["outcome"], "idempotent_noop");
    assert_eq!(noop["effect"]["id"], told[0]["id"]);
    let no = refused(of_session(&hub, "s2", Operation::MemoryCompact, &wish).await);
    assert!(no.contains("for itself only"), "{no}");
    host.says("s1", "accepted", &told[0]["id"], None).await;
    host.says("s1", "failed", &told[0]["id"], Some("error")).await;
    hub.until_events("runtime.alert.raised", 1).await;
    let applied = of_session(&hub, "s1", Operation::MemoryCompact, &wish).await.unwrap();
    assert_eq!(applied["staged_write"]["outcome"], "applied");
    assert_eq!(applied["effect"]["by_session"], "s1");
    assert_eq!(hub.until_events("runtime.effect.requested", 2).await.len(), 2);
    orchestrator.stop().await;
}
