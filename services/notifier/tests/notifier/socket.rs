//! Observers over a WebSocket: the same frames, one a message.

use crate::harness::{Event, Hub, Notifier, SOON};
use futures_util::{SinkExt as _, StreamExt as _};
use muster_testkit::eventually;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The next message that says something; `None` when the socket is closed.
async fn said(socket: &mut Socket) -> Option<Value> {
    loop {
        let message = tokio::time::timeout(SOON, socket.next())
            .await
            .expect("the socket is silent");
        match message?.unwrap() {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["event"].is_string() {
                    return Some(message);
                }
            }
            Message::Close(_) => return None,
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_socket_an_observer_is_given_the_same_and_resumes_the_same() {
    let hub = Hub::start().await;
    let notifier = Notifier::start(&hub, &[]).await;
    let registered = notifier.post("/api/v1/observers", &json!({"categories": ["file"], "capacity": 2}));
    let observer: Value = registered.send().await.unwrap().json().await.unwrap();
    let path = format!("/api/v1/observers/{}", observer["id"].as_str().unwrap());
    let address = format!("{}{path}/attach", notifier.base.replace("http:", "ws:"));
    let write = |n: usize| Event::of("process.file.write").data(&n).outgoing();

    let (mut socket, _) = connect_async(&address).await.unwrap();
    assert_eq!(said(&mut socket).await.unwrap()["event"], "hello");
    hub.publish(&[write(0)]).await;
    let first = said(&mut socket).await.unwrap();
    assert_eq!(
        (&first["event"], &first["data"]["data"]),
        (&json!("process.file.write"), &json!(0))
    );
    socket.send(Message::text("is anybody there?")).await.unwrap();
    socket.close(None).await.unwrap();
    eventually(SOON, async || {
        let (_, shown) = notifier.json(&path).await;
        (shown["status"]["disconnected"] == true).then_some(())
    })
    .await;

    hub.publish(&[write(1), write(2), write(3)]).await;
    eventually(SOON, async || {
        let (_, shown) = notifier.json(&path).await;
        (shown["status"]["pending"] == 2).then_some(())
    })
    .await;
    let resumed = format!("{address}?last_event_id={}", first["id"].as_str().unwrap());
    let (mut socket, _) = connect_async(&resumed).await.unwrap();
    assert_eq!(said(&mut socket).await.unwrap()["event"], "hello");
    let gap = said(&mut socket).await.unwrap();
    assert_eq!(gap["data"], json!({"first_missing": 2, "last_missing": 2, "missed": 1}));
    for n in [2, 3] {
        assert_eq!(said(&mut socket).await.unwrap()["data"]["data"], n);
    }

    let Err(Error::Http(refused)) = connect_async(&address).await else {
        panic!("two are attached")
    };
    assert_eq!(refused.status().as_u16(), 409);
    let mut foreign = address.as_str().into_client_request().unwrap();
    foreign
        .headers_mut()
        .insert("origin", "https://evil.example".parse().unwrap());
    let Err(Error::Http(refused)) = connect_async(foreign).await else {
        panic!("a page of another origin is attached")
    };
    assert_eq!(refused.status().as_u16(), 403);
    let half = notifier.get(&format!("{path}/attach")).header("upgrade", "websocket");
    assert_eq!(half.send().await.unwrap().status(), StatusCode::BAD_REQUEST);

    let _second = connect_async(format!("{address}?steal=true")).await.unwrap();
    assert_eq!(said(&mut socket).await.unwrap()["event"], "stolen");
    assert_eq!(said(&mut socket).await, None);
}
