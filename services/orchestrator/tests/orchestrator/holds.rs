//! Orders and budgets: asked for by an operator, written for the hosts, confirmed by them, and over in time.

use crate::hub::{Hub, SOON};
use muster_bus::service::RequestError;
use muster_testkit::eventually;
use muster_wire::edge;
use muster_wire::limits::PRESENCE_TTL;
use muster_wire::subject::Operation;
use muster_wire::topology::{EDGE, PRESENCE};
use serde_json::{Value, json};

impl Hub {
    async fn rules(&self) -> Value {
        let found = self.bus.bucket(&EDGE).get(edge::HOLDS).await.unwrap();
        found.map_or(Value::Null, |(value, _)| serde_json::from_slice(&value).unwrap())
    }

    /// Waits until the hosts are told of so many orders.
    async fn until_ordered(&self, count: usize) -> Value {
        eventually(SOON, async || {
            let rules = self.rules().await;
            let orders = rules["holds"].as_array().map(Vec::len);
            if orders == Some(count) { Ok(rules) } else { Err(rules) }
        })
        .await
    }

    /// A host says that it enforces what these rules say.
    async fn enforces(&self, host: &str, rules: &Value) {
        let mark = json!({"stream_created": rules["stream_created"], "seq": rules["seq"]});
        let card = json!({"edge_revision": 1, "edge": {"holds": mark}}).to_string();
        let presence = self.bus.bucket(&PRESENCE);
        presence
            .put_with_ttl(host, card.into(), PRESENCE_TTL, None)
            .await
            .unwrap();
    }

    async fn holds(&self) -> Vec<Value> {
        let answer: muster_wire::api::Reply<Value> = self.answer(Operation::HoldsList, json!({})).await;
        answer.body["holds"].as_array().unwrap().clone()
    }

    async fn until_unconfirmed(&self, hosts: &Value) {
        eventually(SOON, async || {
            let holds = self.holds().await;
            if holds[0]["unconfirmed"] == *hosts {
                Ok(())
            } else {
                Err(holds)
            }
        })
        .await;
    }
}

fn refused(answer: Result<Value, RequestError>) -> (u16, Value) {
    match answer {
        Err(RequestError::Failed(failed)) => (failed.code, serde_json::from_slice(&failed.body).unwrap()),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_reaches_the_hosts_and_shows_who_enforces_it() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let before = hub.until_ordered(0).await;
    for host in ["web-01", "web-02"] {
        hub.enforces(host, &before).await;
    }
    hub.until_events("runtime.host.added", 2).await;
    let body = json!({"selector": {"kind": "all"}, "reason": " a deploy runs ", "request_id": "r1"});
    let set = hub.order(Operation::HoldsSet, &body).await.unwrap();
    let id = set["hold"]["id"].as_str().unwrap().to_owned();
    assert_eq!(set["hold"]["unconfirmed"], json!(["web-01", "web-02"]));
    assert_eq!(set["hold"]["by"], json!({"kind": "operator", "name": "op-anna"}));
    let rules = hub.until_ordered(1).await;
    assert_eq!(
        (&rules["holds"][0]["id"], &rules["holds"][0]["reason"]),
        (&json!(id), &json!("a deploy runs"))
    );
    hub.enforces("web-02", &rules).await;
    hub.until_unconfirmed(&json!(["web-01"])).await;
    // Asked again under the same name, nothing more is set; and what one host enforces twice is told once.
    let again = hub.order(Operation::HoldsSet, &body).await.unwrap();
    assert_eq!(again["hold"]["id"], json!(id));
    hub.enforces("web-02", &rules).await;
    hub.enforces("web-01", &rules).await;
    hub.until_unconfirmed(&json!([])).await;
    let confirmed = hub.until_events("runtime.hold.confirmed", 2).await;
    assert_eq!(confirmed.len(), 2);
    assert_eq!(hub.events_of("runtime.hold.set").await.len(), 1);

    let done = hub.order(Operation::HoldsRelease, &json!({"all": true})).await.unwrap();
    assert_eq!(done["released"][0]["id"], json!(id));
    hub.until_ordered(0).await;
    let done = hub.order(Operation::HoldsRelease, &json!({"id": id})).await.unwrap();
    assert_eq!(done["released"][0]["id"], json!(id), "released before, and still so");
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_sets_or_releases_and_never_for_the_session_that_is_held() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    hub.until_ordered(0).await;
    let body = json!({"selector": {"kind": "session", "session": "s1"}});
    let unsigned = hub.ask(Operation::HoldsSet, &body).await;
    assert_eq!(refused(unsigned.map(|_| Value::Null)).0, 403);
    hub.order(Operation::HoldsSet, &body).await.unwrap();
    for operation in [Operation::HoldsRelease, Operation::BudgetsSet, Operation::BudgetsRemove] {
        let unsigned = hub.ask(operation, json!({"all": true})).await;
        assert_eq!(refused(unsigned.map(|_| Value::Null)).0, 403, "{operation}");
    }
    let own = hub.order_of("s1", Operation::HoldsRelease, &json!({"all": true})).await;
    let (code, body) = refused(own);
    assert_eq!(code, 403);
    assert!(
        body.to_string().contains("a session cannot release what holds it"),
        "{body}"
    );
    hub.order_of("s2", Operation::HoldsRelease, &json!({"all": true}))
        .await
        .unwrap();
    hub.until_ordered(0).await;
    for wrong in [
        json!({}),
        json!({"all": true, "selector": {"kind": "all"}}),
        json!({"id": "0198f3c2-0000-7000-8000-000000000000"}),
    ] {
        let (code, _) = refused(hub.order(Operation::HoldsRelease, &wrong).await);
        assert!(code == 400 || code == 404, "{wrong}: {code}");
    }
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_ends_in_time_under_the_next_leader_too() {
    let hub = Hub::start().await;
    let mut leader = hub.process("a", &[]);
    hub.until_ordered(0).await;
    let body = json!({"selector": {"kind": "all"}, "expires_in_ms": 5_000});
    hub.order(Operation::HoldsSet, &body).await.unwrap();
    let rules = hub.until_ordered(1).await;
    assert!(rules["holds"][0]["expires_at"].is_string());
    let standby = hub.orchestrator("b", &[]);
    standby.ready().await;
    leader.kill9().await;
    hub.until_ordered(0).await;
    let released = hub.until_events("runtime.hold.released", 1).await;
    assert_eq!(released[0]["data"]["by"], json!({"kind": "deadline"}));
    standby.stop().await;
    assert_eq!(hub.events_of("runtime.hold.released").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_warns_holds_and_lets_go_when_it_is_raised() {
    let hub = Hub::start().await;
    let rules = r#"[{ scope = { kind = "host" }, measure = "tokens", limit = 1000000 }]"#;
    let orchestrator = hub.orchestrator("a", &[("budgets.rules", rules)]);
    hub.until_ordered(0).await;
    let body = json!({"scope": {"kind": "session"}, "measure": "usd", "limit": 0.5});
    let set = hub.order(Operation::BudgetsSet, &body).await.unwrap();
    assert_eq!(
        (&set["budget"]["id"], &set["budget"]["limit"]),
        (&json!("session:*/usd"), &json!(0.5))
    );
    let mut host = hub.host("web-01");
    host.begin("s1").await;
    let turn = |cost: f64| {
        json!({"run": "r1", "index": 0, "ok": true, "result": "success", "run_cost_usd": cost,
            "usage": {"input_tokens": 10, "output_tokens": 5}})
    };
    for cost in [0.1, 0.45, 0.55, 0.6] {
        let event = host.observe(Some("s1"), "agent.turn.turn_end", &turn(cost));
        host.publish(&[event]).await;
    }
    let warned = hub.until_events("runtime.budget.warned", 1).await;
    let exceeded = hub.until_events("runtime.budget.exceeded", 1).await;
    assert_eq!((warned.len(), exceeded.len()), (1, 1));
    assert_eq!(exceeded[0]["subject"], "s1");
    let rules = hub.until_ordered(1).await;
    let reason = rules["holds"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("session s1 on web-01 used 0.5"), "{reason}");
    assert_eq!(rules["holds"][0]["by"], "budget session:*/usd");
    // The budget holds it; only the budget lets go.
    let id = rules["holds"][0]["id"].clone();
    let (code, body) = refused(hub.order(Operation::HoldsRelease, &json!({"id": id})).await);
    assert_eq!(code, 409, "{body}");
    let kept = hub.order(Operation::HoldsRelease, &json!({"all": true})).await.unwrap();
    assert_eq!(kept["kept"][0]["id"], id);
    let list: muster_wire::api::Reply<Value> = hub.answer(Operation::BudgetsList, json!({})).await;
    let list = list.body["budgets"].clone();
    assert_eq!(list[0]["id"], "host:*/tokens");
    assert_eq!(
        (&list[1]["standings"][0]["level"], &list[1]["standings"][0]["spent"]),
        (&json!("exceeded"), &json!(0.6))
    );
    let body = json!({"scope": {"kind": "session"}, "measure": "usd", "limit": 2});
    hub.order(Operation::BudgetsSet, &body).await.unwrap();
    hub.until_ordered(0).await;
    let gone = hub
        .order(Operation::BudgetsRemove, &json!({"id": "session:*/usd"}))
        .await
        .unwrap();
    assert_eq!(gone["removed"], true);
    let gone = hub
        .order(Operation::BudgetsRemove, &json!({"id": "session:*/usd"}))
        .await
        .unwrap();
    assert_eq!(gone["removed"], false);
    orchestrator.stop().await;
}
