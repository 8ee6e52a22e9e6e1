//! A client of the stream that reads frames as the specification says, and gives up on silence.

use crate::harness::SOON;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use std::time::Duration;

/// A frame; a comment alone is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Frame {
    pub(crate) id: Option<String>,
    pub(crate) event: String,
    pub(crate) data: Value,
}

/// An open stream.
pub(crate) struct Sse {
    response: Response,
    buffer: Vec<u8>,
}

impl Sse {
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        assert!(
            response.headers()["cache-control"]
                .to_str()
                .unwrap()
                .contains("no-cache")
        );
        Self {
            response,
            buffer: Vec::new(),
        }
    }

    /// The next frame; `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let text: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(frame) = parse(std::str::from_utf8(&text).unwrap()) {
                    return Some(frame);
                }
                continue;
            }
            let chunk = tokio::time::timeout(SOON, self.response.chunk())
                .await
                .expect("the stream is silent");
            self.buffer.extend_from_slice(&chunk.ok()??);
        }
    }

    pub(crate) async fn expect(&mut self, event: &str) -> Frame {
        let frame = self.next().await.expect("the stream has ended");
        assert_eq!(frame.event, event, "{frame:?}");
        frame
    }

    /// The numbers in the data of the next `count` events, and the last event's id.
    pub(crate) async fn numbers(&mut self, count: usize) -> (Vec<u64>, String) {
        let mut numbers = Vec::with_capacity(count);
        let mut id = String::new();
        while numbers.len() < count {
            let frame = self.next().await.expect("the stream has ended");
            if frame.event.is_empty() {
                continue;
            }
            assert_eq!(frame.event, "agent.hook.stop", "{frame:?}");
            numbers.push(frame.data["data"].as_u64().unwrap());
            id = frame.id.unwrap();
        }
        (numbers, id)
    }

    /// Whether nothing but comments comes for a moment.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(300), self.next())
            .await
            .is_err()
    }
}

fn parse(text: &str) -> Option<Frame> {
    let mut frame = Frame::default();
    let mut said = false;
    for line in text.lines() {
        let Some((name, value)) = line.split_once(": ").filter(|(name, _)| !name.is_empty()) else {
            continue;
        };
        said = true;
        match name {
            "id" => frame.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut frame.event),
            "data" => frame.data = serde_json::from_str(value).unwrap(),
            other => panic!("a field {other:?} in {text:?}"),
        }
    }
    said.then_some(frame)
}
