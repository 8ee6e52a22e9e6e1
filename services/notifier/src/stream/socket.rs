//! The same frames over a WebSocket, for clients that have no server-sent events.
//!
//! A frame is one text message, `{"id", "event", "data"}`; an id alone is a place without an event. What the client says is
//! not listened to, but for its going.

use super::outlet::Chunk;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Nothing that a client has to say is longer.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// The response that becomes a socket, which is given these chunks.
pub(super) fn upgrade(socket: WebSocketUpgrade, chunks: mpsc::Receiver<Chunk>) -> Response {
    socket
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(|socket| pass_on(socket, chunks))
}

/// Until the client or the stream ends. Whoever fills the stream notices, because nobody takes from it any more.
async fn pass_on(mut socket: WebSocket, mut chunks: mpsc::Receiver<Chunk>) {
    loop {
        let sent = tokio::select! {
            chunk = chunks.recv() => match chunk {
                Some(Ok(chunk)) => socket.send(message(&chunk)).await,
                None => {
                    // A client that does not take it sees the connection end.
                    let _ = socket.send(Message::Close(None)).await;
                    return;
                }
            },
            said = socket.recv() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => Ok(()),
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

/// A frame as a message. One that says nothing but that the stream is there is a ping.
fn message(chunk: &[u8]) -> Message {
    let text = String::from_utf8_lossy(chunk);
    let mut said: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
    for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
        let value = match name {
            "data" => RawValue::from_string(value.to_owned()),
            "id" | "event" => RawValue::from_string(Value::from(value).to_string()),
            _ => continue,
        };
        if let Ok(value) = value {
            said.insert(name, value);
        }
    }
    match serde_json::to_string(&said) {
        Ok(text) if !said.is_empty() => Message::text(text),
        Ok(_) | Err(_) => Message::Ping(bytes::Bytes::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Place, about, alive};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_frame_is_one_message_and_a_sign_of_life_a_ping() {
        let place = Place { incarnation: 1, seq: 2 };
        let frame = about(Some(place), "gap", &json!({"missed": 3, "why": "a: b\n\"c\""}));
        let Message::Text(text) = message(&frame) else {
            panic!("no text")
        };
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({"id": "1-2", "event": "gap", "data": {"missed": 3, "why": "a: b\n\"c\""}})
        );
        assert_eq!(message(&alive(Some(place))), Message::text(r#"{"id":"1-2"}"#));
        assert_eq!(message(&alive(None)), Message::Ping(bytes::Bytes::new()));
    }
}
