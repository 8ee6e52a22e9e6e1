//! Messages over a real hub: waited for, read, answered, and brought by a host that says what became of them.

use crate::effects::{ask_over, of_session, refused};
use crate::hub::{Hub, SOON};
use futures_util::future::{join_all, select_all};
use muster_bus::{Bus, Options};
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
    let waiting = async {
        loop {
            let received = of_session(&hub, "s2", Operation::MessagesReceive, &body).await.unwrap();
            if received["waiting"] == false {
                break received;
            }
        }
    };
    let sending = async {
        // Whoever waits is seen by nobody, so what is sent may come before or after; both have to work.
        let wish = json!({"to": "s2", "body": "grüße", "request_id": "q1"});
        of_session(&hub, "s1", Operation::MessagesSend, &wish).await.unwrap()
    };
    let (received, sent) = tokio::join!(waiting, sending);
    let sent = &sent["messages"][0];
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

/// Asks as a session, and is gone before there is an answer.
async fn breaks_off(hub: &Hub, session: &str) {
    let gone = Bus::connect(&Options::new(hub.server.client_url(), "test/1"))
        .await
        .unwrap();
    let (long, short) = (json!({"wait_seconds": 60}), json!({}));
    // What one connection asks of one operation is taken in order: the first waits when the second is answered.
    tokio::select! {
        biased;
        answer = ask_over(&gone, session, Operation::MessagesReceive, &long) => panic!("{answer:?}"),
        answer = ask_over(&gone, "s1", Operation::MessagesReceive, &short) => drop(answer.unwrap()),
    }
    gone.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_is_gone_takes_nothing_from_whoever_asks_next() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _host = ready(&hub, &["s1", "s2"]).await;
    breaks_off(&hub, "s2").await;
    let wish = json!({"to": "s2", "body": "look", "request_id": "q1"});
    let sent = of_session(&hub, "s1", Operation::MessagesSend, &wish).await.unwrap();
    let received = of_session(&hub, "s2", Operation::MessagesReceive, &json!({}))
        .await
        .unwrap();
    assert_eq!(received["messages"][0]["id"], sent["messages"][0]["id"]);
    assert_eq!(received["messages"][0]["redelivered"], false);
    assert_eq!(hub.events_of("runtime.message.delivered").await.len(), 1);
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_read_one_inbox_get_each_message_once() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _host = ready(&hub, &["s1"]).await;
    let wait = json!({"wait_seconds": 20, "max": 1});
    let read = async || loop {
        let received = hub.order(Operation::MessagesReceive, &wait).await.unwrap();
        if received["waiting"] == false {
            break received["messages"].as_array().unwrap().len();
        }
    };
    let send = async {
        for n in 0..2 {
            let wish = json!({"to": "operator", "body": "look", "request_id": format!("q{n}")});
            of_session(&hub, "s1", Operation::MessagesSend, &wish).await.unwrap();
        }
    };
    let (first, second, ()) = tokio::join!(read(), read(), send);
    assert_eq!((first, second), (1, 1));
    orchestrator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_waits_in_few_places_and_its_oldest_wait_makes_room() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let _host = ready(&hub, &["s1", "s2"]).await;
    let long = json!({"wait_seconds": 60});
    let waiting = (0..5).map(|_| of_session(&hub, "s2", Operation::MessagesReceive, &long));
    let (displaced, _, others) = select_all(waiting.map(Box::pin)).await;
    let displaced = displaced.unwrap();
    assert_eq!(
        (&displaced["messages"], &displaced["waiting"]),
        (&json!([]), &json!(false))
    );
    let wish = json!({"to": "s2", "body": "look"});
    let (told, _) = tokio::join!(join_all(others), of_session(&hub, "s1", Operation::MessagesSend, &wish));
    for told in told {
        assert_eq!(told.unwrap()["waiting"], true);
    }
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
    let no = refused(hub.order(Operation::MessagesThreads, &json!({"cursor": id})).await);
    assert!(no.contains("unknown field `cursor`"), "{no}");
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
    let told = of_session(&hub, "s1", Operation::MessagesReceive, &json!({}))
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
        let told = of_session(&hub, "s2", Operation::MessagesReceive, &json!({}))
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
