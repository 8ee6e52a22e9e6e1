//! What was ever written still reads, and what agents really send is understood.
//!
//! The files in `golden/` are excerpts of payloads recorded from the agents, and beside each what becomes of it. After a
//! change on purpose, `MUSTER_BLESS=1 cargo test --test contract` writes the right-hand sides again; the difference is then
//! what a reviewer reads. `envelope.v1.jsonl` is never written again: it stands for what is in logs.
#![expect(clippy::unwrap_used, reason = "clippy takes only functions marked #[test] for tests")]

mod alerts;
mod emitters;
mod envelopes;
mod operations;
mod parity;
mod payloads;
mod watched;

use muster_wire::RawData;
use std::path::PathBuf;

fn golden(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "contract", "golden", file]
        .iter()
        .collect()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(golden(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn raw(json: &str) -> RawData {
    serde_json::value::RawValue::from_string(json.to_owned()).unwrap()
}

/// Compares with what stands in a golden file, line by line.
fn expect(file: &str, found: &[String]) {
    if std::env::var_os("MUSTER_BLESS").is_some() {
        std::fs::write(golden(file), found.join("\n") + "\n").unwrap();
    }
    let text = read(file);
    let expected: Vec<&str> = text.lines().collect();
    for (n, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found, expected, "{file}:{}", n + 1);
    }
    assert_eq!(found.len(), expected.len(), "{file} has another number of lines");
}
