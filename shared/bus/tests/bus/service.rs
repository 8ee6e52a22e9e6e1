use crate::hub::{SOON, connect, hub, stranger};
use bytes::Bytes;
use muster_bus::Bus;
use muster_bus::service::{Failure, RequestError, Serving, serve};
use muster_wire::Request;
use muster_wire::subject::{Caller, Operation};
use std::time::{Duration, Instant};
use tokio::time::timeout;

fn asking(operation: Operation) -> Request {
    Request {
        operation,
        caller: Caller::new("op-anna").unwrap(),
    }
}

async fn ask(bus: &Bus, operation: Operation) -> Result<Bytes, RequestError> {
    bus.request(&asking(operation), "question".into(), SOON).await
}

/// Answers one question with what was asked.
async fn answer(serving: &mut Serving) {
    let incoming = timeout(SOON, serving.next()).await.unwrap().unwrap();
    assert_eq!(incoming.request().caller.as_str(), "op-anna");
    assert_eq!(&**incoming.body(), b"question");
    let operation = incoming.request().operation.to_string();
    incoming.respond(Ok(operation.into())).await.unwrap();
}

#[tokio::test]
async fn a_question_is_answered_and_without_a_leader_fails_at_once() {
    let (server, bus) = hub().await;
    let begun = Instant::now();
    assert_eq!(ask(&bus, Operation::Hello).await, Err(RequestError::NoOrchestrator));
    assert!(begun.elapsed() < Duration::from_secs(2));

    let leader = connect(&server).await;
    let mut serving = serve(&leader, "0.1.0", Operation::ALL, 4).await.unwrap();
    for operation in Operation::ALL {
        let (answered, ()) = tokio::join!(ask(&bus, *operation), answer(&mut serving));
        assert_eq!(answered.unwrap(), operation.to_string());
    }

    let client = stranger(&server).await.client();
    let info = client.request("$SRV.INFO.orchestrator", Bytes::new()).await.unwrap();
    let info: serde_json::Value = serde_json::from_slice(&info.payload).unwrap();
    assert_eq!(info["endpoints"].as_array().unwrap().len(), Operation::ALL.len());

    serving.stop().await.unwrap();
    assert_eq!(ask(&bus, Operation::Hello).await, Err(RequestError::NoOrchestrator));
    // Only the subscriptions are gone.
    assert!(leader.is_connected());
    assert!(client.request("$SRV.PING.orchestrator", Bytes::new()).await.is_err());
    let mut serving = serve(&leader, "0.1.0", Operation::ALL, 4).await.unwrap();
    let (answered, ()) = tokio::join!(ask(&bus, Operation::Hello), answer(&mut serving));
    assert!(answered.is_ok());
}

#[tokio::test]
async fn a_no_carries_its_reason_and_its_body() {
    let (_server, bus) = hub().await;
    let mut serving = serve(&bus, "0.1.0", &[Operation::SessionsStatus], 4).await.unwrap();
    let failure = Failure {
        code: 404,
        text: "no such session".to_owned(),
        body: "{\"error\":{}}".into(),
    };
    let refusing = async {
        let incoming = serving.next().await.unwrap();
        incoming.respond(Err(failure.clone())).await.unwrap();
    };
    let (answered, ()) = tokio::join!(ask(&bus, Operation::SessionsStatus), refusing);
    assert_eq!(answered, Err(RequestError::Failed(failure)));
}

#[tokio::test]
async fn an_answer_that_the_hub_would_not_take_is_answered_as_too_large() {
    let (_server, bus) = hub().await;
    let mut serving = serve(&bus, "0.1.0", &[Operation::Hello], 4).await.unwrap();
    let answering = async {
        for bytes in [2 << 20, 1 << 20, 1000 * 1024] {
            let incoming = serving.next().await.unwrap();
            incoming.respond(Ok(vec![b'x'; bytes].into())).await.unwrap();
        }
    };
    let asking = async {
        for _ in 0..2 {
            let Err(RequestError::Failed(failure)) = ask(&bus, Operation::Hello).await else {
                panic!("an answer");
            };
            assert_eq!(failure.code, 413);
            let told: muster_wire::api::Failure = serde_json::from_slice(&failure.body).unwrap();
            assert!(told.error.detail.contains("limit"), "{}", told.error.detail);
        }
        assert_eq!(ask(&bus, Operation::Hello).await.unwrap().len(), 1000 * 1024);
    };
    tokio::join!(asking, answering);
}

#[tokio::test]
async fn no_more_questions_are_taken_than_there_are_places() {
    let (_server, bus) = hub().await;
    let mut serving = serve(&bus, "0.1.0", &[Operation::Hello], 2).await.unwrap();
    let asking = futures_util::future::join_all((0..3).map(|_| ask(&bus, Operation::Hello)));
    let answering = async {
        let first = serving.next().await.unwrap();
        let second = serving.next().await.unwrap();
        assert!(timeout(Duration::from_millis(200), serving.next()).await.is_err());
        first.respond(Ok(Bytes::new())).await.unwrap();
        let third = timeout(SOON, serving.next()).await.unwrap().unwrap();
        second.respond(Ok(Bytes::new())).await.unwrap();
        third.respond(Ok(Bytes::new())).await.unwrap();
    };
    let (answers, ()) = tokio::join!(asking, answering);
    assert!(answers.iter().all(Result::is_ok));
}
