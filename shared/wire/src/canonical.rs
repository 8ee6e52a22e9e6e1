//! The digest of a tool's input: the same for the same input, however it was written.
//!
//! It joins a permission request to its call. So keys are sorted, and what only explains the call is left out: Codex puts
//! the model's reason into the request as `description`, and the call itself has none.

use muster_domain::fact::InputDigest;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::io;

/// The key that explains a call without being part of it.
const EXPLANATION: &str = "description";

/// The first eight bytes of SHA-256 over the input with sorted keys and without its top-level `description`.
pub fn input_digest(input: &RawValue) -> InputDigest {
    let mut hash = Hashing::default();
    let written = match serde_json::from_str::<Value>(input.get()) {
        Ok(Value::Object(mut members)) => {
            members.remove(EXPLANATION);
            write(&Value::Object(members), &mut hash)
        }
        Ok(value) => write(&value, &mut hash),
        // Nested too deep, or a number beyond f64: compared as it was written.
        Err(_) => {
            hash.0.update(input.get());
            Ok(())
        }
    };
    debug_assert!(written.is_ok(), "invariant: a hasher takes every byte");
    let digest = hash.0.finalize();
    InputDigest(digest.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

/// The digest as events carry it: 16 hexadecimal digits.
pub fn hex(digest: InputDigest) -> String {
    format!("{:016x}", digest.0)
}

/// Reads what [`hex`] wrote.
pub fn parse_hex(text: &str) -> Option<InputDigest> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = digits.then(|| u64::from_str_radix(text, 16).ok())?;
    number.map(InputDigest)
}

fn write(value: &Value, to: &mut Hashing) -> serde_json::Result<()> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => serde_json::to_writer(to, value),
        Value::Array(items) => {
            to.0.update(b"[");
            for item in items {
                write(item, to)?;
                to.0.update(b",");
            }
            to.0.update(b"]");
            Ok(())
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(key, _)| *key);
            to.0.update(b"{");
            for (key, value) in sorted {
                serde_json::to_writer(&mut *to, key)?;
                to.0.update(b":");
                write(value, to)?;
                to.0.update(b",");
            }
            to.0.update(b"}");
            Ok(())
        }
    }
}

/// A hash that can be written to, so that what it covers is never built as one text.
#[derive(Default)]
pub(crate) struct Hashing(pub(crate) Sha256);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> InputDigest {
        input_digest(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn order_space_and_explanation_do_not_matter() {
        let plain = of(r#"{"command":"ls","cwd":"/"}"#);
        assert_eq!(of(r#"{ "cwd":"\u002f", "command":"ls", "description":"list" }"#), plain);
        assert_ne!(of(r#"{"command":"ls -l","cwd":"/"}"#), plain);
        assert_ne!(of(r#"{"a":[1,2]}"#), of(r#"{"a":[12]}"#));
        assert_ne!(of(r#"{"a":{"description":1}}"#), of(r#"{"a":{}}"#));
    }

    #[test]
    fn the_digest_is_pinned_because_events_carry_it() {
        assert_eq!(hex(of(r#"{"command":"ls"}"#)), "583368b2fae507d3");
        assert_eq!(parse_hex(&hex(InputDigest(7))), Some(InputDigest(7)));
        assert_eq!(parse_hex("7"), None);
        assert_eq!(parse_hex("+00000000000000f"), None);
    }

    #[test]
    fn what_cannot_be_read_is_compared_as_written() {
        let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
        assert_eq!(of(&deep), of(&deep));
        assert_ne!(of("1e999"), of("2e999"));
    }
}
