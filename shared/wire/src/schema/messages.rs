//! Messages.

use super::{cursor, object, request_id, rows, text, time};
use serde_json::{Value, json};

pub(super) fn send() -> Value {
    let properties = json!({
        "to": text("a session's id, host/session, operator, or * for every live session"),
        "body": text("what; 4096 bytes at most"),
        "reply_to": text("id of the message that it answers"),
        "request_id": request_id(),
    });
    object(properties, &["to", "body"])
}

pub(super) fn ask() -> Value {
    let properties = json!({
        "question": text("what is asked; 4096 bytes at most"),
        "options": {"type": "array", "items": {"type": "string"}, "description": "among what the answer is chosen; any words without them"},
        "multi": {"type": "boolean", "description": "whether several options may be chosen"},
        "to": text("a session's id, host/session, or operator, which it is without it"),
        "ttl_seconds": {"type": "integer", "minimum": 1, "maximum": 21600, "description": "for how long it waits; 3600 without it"},
        "request_id": request_id(),
    });
    object(properties, &["question"])
}

pub(super) fn remind() -> Value {
    let properties = json!({
        "body": text("of what; 4096 bytes at most"),
        "in_seconds": {"type": "integer", "minimum": 1, "description": "in how many seconds"},
        "at": time("when, instead"),
        "request_id": request_id(),
    });
    object(properties, &["body"])
}

pub(super) fn receive() -> Value {
    let properties = json!({
        "max": {"type": "integer", "minimum": 1, "maximum": 32, "description": "how many at most"},
        "wait_seconds": {"type": "integer", "minimum": 0, "maximum": 180, "description": "how long to wait where there is none"},
        "request_id": request_id(),
    });
    object(properties, &[])
}

pub(super) fn ack() -> Value {
    let ids =
        json!({"type": "array", "items": {"type": "string"}, "description": "ids of the messages that were read"});
    object(json!({"ids": ids, "request_id": request_id()}), &["ids"])
}

pub(super) fn answer() -> Value {
    let properties = json!({
        "id": text("the question's id"),
        "choices": {"type": "array", "items": {"type": "string"}, "description": "what is chosen among its options"},
        "text": text("in words"),
        "request_id": request_id(),
    });
    object(properties, &["id"])
}

pub(super) fn cancel() -> Value {
    object(
        json!({"id": text("the message's id"), "request_id": request_id()}),
        &["id"],
    )
}

pub(super) fn list() -> Value {
    let properties = json!({
        "session": text("this session's; without it, your own"),
        "host": text("its host; may be left out while no two hosts have the id"),
        "all": {"type": "boolean", "description": "also those that were read, answered or given up lately"},
        "cursor": cursor(),
        "limit": rows(),
    });
    object(properties, &[])
}

pub(super) fn threads() -> Value {
    let properties = json!({
        "session": text("this session's; without it, your own"),
        "host": text("its host; may be left out while no two hosts have the id"),
        "limit": rows(),
    });
    object(properties, &[])
}
