//! What an event keeps of a payload that is too large for it: everything short, and the beginning of what is long.
//!
//! A reader of the log still sees which tool ran on which file and how it began; the whole payload lies in the object
//! store under its digest.

use serde_json::{Map, Value};

/// How much of each part is kept. Tried from the most generous on, until it fits.
struct Allowance {
    text_bytes: usize,
    items: usize,
    depth: usize,
}

const ALLOWANCES: &[Allowance] = &[
    Allowance {
        text_bytes: 4096,
        items: 256,
        depth: 64,
    },
    Allowance {
        text_bytes: 1024,
        items: 64,
        depth: 16,
    },
    Allowance {
        text_bytes: 256,
        items: 32,
        depth: 6,
    },
    Allowance {
        text_bytes: 64,
        items: 16,
        depth: 3,
    },
];

/// The preview of `payload` in at most `limit_bytes` of JSON. What fits stays as it is.
pub(crate) fn preview(payload: &Map<String, Value>, limit_bytes: usize) -> Map<String, Value> {
    for allowance in ALLOWANCES {
        let short = object(payload, allowance, allowance.depth);
        if serde_json::to_vec(&short).is_ok_and(|bytes| bytes.len() <= limit_bytes) {
            return short;
        }
    }
    Map::new()
}

fn object(members: &Map<String, Value>, allowance: &Allowance, depth: usize) -> Map<String, Value> {
    members
        .iter()
        // A name cut short would be another name.
        .filter(|(key, _)| key.len() <= allowance.text_bytes)
        .take(allowance.items)
        .map(|(key, value)| (key.clone(), shortened(value, allowance, depth)))
        .collect()
}

fn shortened(value: &Value, allowance: &Allowance, depth: usize) -> Value {
    match value {
        Value::String(text) if text.len() > allowance.text_bytes => {
            let end = text.floor_char_boundary(allowance.text_bytes);
            format!("{}[... {} bytes more ...]", &text[..end], text.len() - end).into()
        }
        Value::Array(_) | Value::Object(_) if depth == 0 => Value::Null,
        Value::Array(items) => items
            .iter()
            .take(allowance.items)
            .map(|item| shortened(item, allowance, depth - 1))
            .collect(),
        Value::Object(members) => Value::Object(object(members, allowance, depth - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LIMIT: usize = 64 * 1024;

    fn of(value: Value) -> Map<String, Value> {
        let Value::Object(members) = value else {
            panic!("not an object");
        };
        preview(&members, LIMIT)
    }

    #[test]
    fn the_beginning_of_a_long_text_and_everything_short_stay() {
        let content = "ü".repeat(1_000_000);
        let short = of(json!({"session_id": "s", "tool_input": {"file_path": "/a", "content": content}, "n": 5}));
        assert_eq!((&short["session_id"], &short["n"]), (&json!("s"), &json!(5)));
        assert_eq!(short["tool_input"]["file_path"], "/a");
        let kept = short["tool_input"]["content"].as_str().unwrap();
        assert!(
            kept.starts_with("üü") && kept.ends_with("[... 1995904 bytes more ...]"),
            "{}",
            kept.len()
        );
    }

    #[test]
    fn whatever_the_shape_the_preview_fits() {
        let many: Map<String, Value> = (0..100_000)
            .map(|n| (format!("key-{n}"), json!([n, {"x": "y".repeat(50)}])))
            .collect();
        let mut deep = json!("x".repeat(500));
        for _ in 0..100 {
            deep = json!({"a": deep, "b": "y".repeat(2000), "c": ["z".repeat(100), 1, 2]});
        }
        let long_key = "k".repeat(200_000);
        for value in [
            Value::Object(many),
            json!({"list": vec![deep; 300]}),
            json!({long_key: 1, "a": 2}),
        ] {
            let short = of(value);
            assert!(serde_json::to_vec(&short).unwrap().len() <= LIMIT);
            assert!(!short.is_empty());
        }
    }
}
