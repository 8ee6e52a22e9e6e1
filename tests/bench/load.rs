//! Observations as agents report them, in posts of many: prompts, tool calls and stops of many sessions.

use bytes::Bytes;
use reqwest::Client;
use serde_json::json;
use std::fmt::Write as _;

/// Events of one prompt: itself, three tool calls from both sides, the stop.
const PROMPT_EVENTS: usize = 8;
/// Makes a stored event about half a kilobyte.
const FILL: &str = "ok";

/// NDJSON of `events` events; those of post `number` are other ones than those of any other post.
pub(crate) fn ndjson(number: usize, events: usize, sessions: usize) -> Bytes {
    let mut body = String::with_capacity(events * 300);
    for index in 0..events {
        let event = number * events + index;
        let (prompt, step) = (event / PROMPT_EVENTS, event % PROMPT_EVENTS);
        let session = format!("{:08x}-fbb9-4db4-878f-fd73757b08ad", prompt % sessions);
        let prompt_id = format!("p{prompt}");
        let call = format!("c{prompt}-{}", step.div_ceil(2));
        let (kind, data) = match step {
            0 => ("user_prompt_submit", json!({"prompt_id": prompt_id, "prompt": FILL})),
            7 => ("stop", json!({"prompt_id": prompt_id})),
            _ if step % 2 == 1 => {
                let input = json!({"command": FILL});
                (
                    "pre_tool_use",
                    json!({"prompt_id": prompt_id, "tool_name": "Bash", "tool_use_id": call, "tool_input": input}),
                )
            }
            _ => {
                let response = json!({"stdout": FILL});
                (
                    "post_tool_use",
                    json!({"prompt_id": prompt_id, "tool_name": "Bash", "tool_use_id": call, "tool_response": response}),
                )
            }
        };
        let event =
            json!({"kind": format!("agent.hook.{kind}"), "session": session, "agent": "claude-code", "data": data});
        writeln!(body, "{event}").expect("invariant: a string can be written to");
    }
    body.into()
}

/// Posts one body, all of which is accepted.
pub(crate) async fn post(http: &Client, url: &str, body: Bytes) {
    let request = http
        .post(format!("{url}/v1/events"))
        .header("content-type", "application/x-ndjson")
        .body(body);
    let response = request.send().await.expect("ingest answers");
    let (status, text) = (response.status(), response.text().await.expect("an answer"));
    assert!(
        status.is_success() && text.contains("\"rejected\":[]"),
        "{status}: {text:.400}"
    );
}
