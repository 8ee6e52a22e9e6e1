//! Reading JSON that agents wrote.

use crate::reject::Reject;
use muster_wire::incoming::check_depth;
use muster_wire::limits::JSON_DEPTH_MAX;
use serde::Deserialize;
use serde_json::Value;

/// Reads one document.
///
/// JavaScript agents cut text between the two halves of a character and write the orphan as `\ud83d`, which is legal JSON
/// that no Unicode string can hold. Such a half is read as the replacement character rather than costing the event.
///
/// # Errors
/// [`Reject::NotUtf8`], [`Reject::TooDeep`] or [`Reject::BrokenJson`].
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Reject> {
    let text = std::str::from_utf8(bytes).map_err(|_| Reject::NotUtf8)?;
    if !check_depth(bytes, JSON_DEPTH_MAX) {
        return Err(Reject::TooDeep);
    }
    let error = match read(text) {
        Ok(value) => return Ok(value),
        Err(error) => error.to_string(),
    };
    if error.contains("surrogate") || error.contains("hex escape") {
        return read(&without_orphans(text)).map_err(|_| Reject::BrokenJson(error));
    }
    Err(Reject::BrokenJson(error))
}

/// serde_json's own limit is one level short of ours, so it is lifted where ours has been checked.
fn read(text: &str) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    let value = Value::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// The text with every `\uD800`–`\uDFFF` that has no partner replaced.
fn without_orphans(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        let length = match unit(escape) {
            Some(0xD800..=0xDBFF) if matches!(escape.get(6..).and_then(unit), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                whole.push_str("\\ufffd");
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            Some(_) => 6,
            // The escaped character with its backslash, so that `\\` does not start another escape.
            None => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (kept, after) = escape.split_at(length.min(escape.len()));
        whole.push_str(kept);
        rest = after;
    }
    whole.push_str(rest);
    whole
}

fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_kind_of_broken_input_is_told_apart() {
        assert!(matches!(parse(b"\xff{}"), Err(Reject::NotUtf8)));
        assert!(matches!(parse(b"{\"a\":"), Err(Reject::BrokenJson(_))));
        assert!(matches!(parse(b"{} x"), Err(Reject::BrokenJson(_))));
        let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(parse(&nested(128)).is_ok());
        assert!(matches!(parse(&nested(129)), Err(Reject::TooDeep)));
        assert!(matches!(parse(&nested(1_000_000)), Err(Reject::TooDeep)));
    }

    #[test]
    fn half_a_character_does_not_cost_the_event() {
        let read = parse(br#"{"a":"x\ud83d","b":"\ud83d\ude00 \\ud83d","c":"\ude00\n"}"#).unwrap();
        assert_eq!(read, json!({"a": "x\u{fffd}", "b": "😀 \\ud83d", "c": "\u{fffd}\n"}));
        assert!(matches!(parse(br#""\ud83"#), Err(Reject::BrokenJson(_))));
        assert!(matches!(parse(br#""\u12"#), Err(Reject::BrokenJson(_))));
    }
}
