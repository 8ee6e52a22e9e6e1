//! Messages over a real hub: waited for, read, answered, and brought by a host that says what became of them.

use crate::effects::{of_session, refused};
use crate::hub::{Hub, SOON};
use muster_testkit::eventually;
use muster_wire::api::{self, Reply};
use muster_wire::subject::Operation;
use serde_json::{Value, json};

async fn ready(hub: &Hub, sessions: &[&str]) -> crate::host::Host {
    let _: Reply<api::Status> = hub.answer(Operation::Status, json!({})).await;
    let mut host = hub.host("web-01");
    for session in sessions {
        host.begin(session).await;
    }
    eventually(SOON, async || {
        (hub.sessions().await.len() == sessions.len()).then_some(())
    })
    .await;
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_waits_is_told_as_soon_as_somebody_writes() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _host = ready(&hub, &["s1", "s2"]).await;
    let body = json!({"wait_seconds": 60, "request_id": "r1"});
    let waiting = of_session(&hub, "s2", Operation::MessagesReceive, &body);
    let sending = async {
        // Whoever waits is seen by nobody, so what is sent may come before or after; both have to work.
        let wish = json!({"to": "s2", "body": "grüße", "request_id": "q1"});
        of_session(&hub, "s1", Operation::MessagesSend, &wish).await.unwrap()
    };
    let (received, sent) = tokio::join!(waiting, sending);
    let (received, sent) = (received.unwrap(), &sent["messages"][0]);
    let message = &received["messages"][0];
    assert_eq!((&message["id"], &message["from"]), (&sent["id"], &json!("web-01/s1")));
    assert_eq!((&message["body"], &received["unread"]), (&json!("grüße"), &json!(1)));
    let again = of_session(&hub, "s2", Operation::MessagesReceive, &body).await.unwrap();
    assert_eq!(
        again["messages"][0]["id"], message["id"],
        "a lost answer is asked for again"
    );
    let none = of_session(&hub, "s2", Operation::MessagesReceive, &json!({"wait_seconds": 1}))
        .await
        .unwrap();
    assert_eq!(
        none["messages"],
        json!([]),
        "somebody has it, so nothing comes within the second"
    );
    let ack = json!({"ids": [message["id"]]});
    let no = refused(of_session(&hub, "s1", Operation::MessagesAck, &ack).await);
    assert!(no.contains("not for you"), "{no}");
    let acked = of_session(&hub, "s2", Operation::MessagesAck, &ack).await.unwrap();
    assert_eq!(acked["unread"], 0);
    for kind in ["sent", "delivered", "acked"] {
        assert_eq!(
            hub.until_events(&["runtime.message", kind].join("."), 1).await.len(),
            1,
            "{kind}"
        );
    }
    let me = of_session(&hub, "s1", Operation::Whoami, &json!({})).await.unwrap();
    assert_eq!((&me["name"], &me["state"]), (&json!("web-01/s1"), &json!("working")));
    let forged = json!({"to": "s2", "body": "x", "from": "op-anna"});
    let no = refused(of_session(&hub, "s1", Operation::MessagesSend, &forged).await);
    assert!(no.contains("unknown field"), "{no}");
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_goes_to_the_operator_and_its_answer_comes_back() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _host = ready(&hub, &["s1", "s2"]).await;
    let wish = json!({"question": "deploy?", "options": ["yes", "no"], "request_id": "q1"});
    let asked = of_session(&hub, "s1", Operation::MessagesAsk, &wish).await.unwrap();
    let id = &asked["messages"][0]["id"];
    let open = hub.order(Operation::MessagesThreads, &json!({})).await.unwrap();
    assert_eq!((&open["inbox"], &open["to_answer"][0]["id"]), (&json!("operator"), id));
    let answer = json!({"id": id, "choices": ["yes"]});
    let no = refused(of_session(&hub, "s2", Operation::MessagesAnswer, &answer).await);
    assert!(no.contains("not for you"), "{no}");
    let answered = hub.order(Operation::MessagesAnswer, &answer).await.unwrap();
    assert_eq!(
        (&answered["outcome"], &answered["message"]["answer"]["by"]),
        (&json!("applied"), &json!("op-anna"))
    );
    let late = hub
        .order(Operation::MessagesAnswer, &json!({"id": id, "choices": ["no"]}))
        .await
        .unwrap();
    assert_eq!(
        (&late["outcome"], &late["message"]["answer"]["choices"]),
        (&json!("already_over"), &json!(["yes"]))
    );
    let told = of_session(&hub, "s1", Operation::MessagesReceive, &json!({"wait_seconds": 30}))
        .await
        .unwrap();
    assert_eq!(
        (&told["messages"][0]["body"], &told["messages"][0]["reply_to"]),
        (&json!("yes"), id)
    );
    let everybody = hub
        .order(Operation::MessagesSend, &json!({"to": "*", "body": "stop at noon"}))
        .await
        .unwrap();
    assert_eq!(everybody["messages"].as_array().unwrap().len(), 2);
    let remind = json!({"body": "look again", "in_seconds": 1});
    of_session(&hub, "s2", Operation::MessagesRemind, &remind)
        .await
        .unwrap();
    let words = eventually(SOON, async || {
        let told = of_session(&hub, "s2", Operation::MessagesReceive, &json!({"wait_seconds": 5}))
            .await
            .unwrap();
        told["messages"]
            .as_array()
            .unwrap()
            .iter()
            .any(|message| message["kind"] == "reminder")
            .then_some(())
    });
    words.await;
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_brought_by_what_runs_its_session_and_again_where_that_failed() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = ready(&hub, &["s1"]).await;
    host.carry("s1", &["message"]).await;
    let wish = json!({"to": "web-01/s1", "body": "look", "request_id": "q1"});
    let sent = hub.order(Operation::MessagesSend, &wish).await.unwrap();
    let id = &sent["messages"][0]["id"];
    let told = hub.until_events("runtime.effect.requested", 1).await;
    let action = json!({"kind": "message", "message": id, "from": "op-anna", "body": "look", "attempt": 1});
    assert_eq!(told[0]["data"]["action"], action);
    host.says("s1", "accepted", &told[0]["id"], None).await;
    host.says("s1", "failed", &told[0]["id"], Some("error")).await;
    let told = hub.until_events("runtime.effect.requested", 2).await;
    assert_eq!((&told[1]["data"]["action"]["attempt"], told.len()), (&json!(2), 2));
    host.says("s1", "accepted", &told[1]["id"], None).await;
    host.says("s1", "done", &told[1]["id"], None).await;
    let acked = hub.until_events("runtime.message.acked", 1).await;
    assert_eq!(&acked[0]["data"]["message_id"], id);
    assert_eq!(hub.events_of("runtime.message.delivered").await.len(), 2);
    let list: Value = hub
        .order(Operation::MessagesList, &json!({"session": "s1", "all": true}))
        .await
        .unwrap();
    let row = &list["messages"][0];
    assert_eq!((&row["status"], &row["redelivered"]), (&json!("acked"), &json!(true)));
    orchestrator.stop().await;
}
