//! What is seen of processes is written and read as it stands in logs, member by member.

use crate::{raw, read};
use muster_domain::family::{EventType, Family};
use muster_wire::Envelope;
use muster_wire::data::Payload;
use muster_wire::data::host::Capabilities;
use muster_wire::data::process::Process;
use muster_wire::data::watch::{Descendant, Executed, FileLeft, FileOpened, FileRenamed, FileWritten, Socket};
use serde::Deserialize;
use std::collections::BTreeSet;

/// What a payload of this shape says, written again.
fn again<'a, P: Payload + Deserialize<'a>>(data: &'a str) -> String {
    let payload: P = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
    payload.to_raw().get().to_owned()
}

fn written(event_type: &EventType, data: &str) -> Option<String> {
    Some(match event_type.to_string().as_str() {
        "process.lifecycle.exited" => again::<Process>(data),
        "process.lifecycle.descendant_started" | "process.lifecycle.descendant_exited" => again::<Descendant>(data),
        "process.process.exec" => again::<Executed>(data),
        "process.file.open" => again::<FileOpened>(data),
        "process.file.write" => again::<FileWritten>(data),
        "process.file.close" | "process.file.unlink" => again::<FileLeft>(data),
        "process.file.rename" => again::<FileRenamed>(data),
        "process.network.connect" | "process.network.listen" => again::<Socket>(data),
        "host.status.capability" => again::<Capabilities>(data),
        _ => return None,
    })
}

#[test]
fn what_is_seen_of_processes_has_one_shape_a_kind() {
    let text = read("envelope.v1.jsonl");
    let mut kinds = BTreeSet::new();
    for line in text.lines() {
        let envelope = Envelope::decode(line.as_bytes()).unwrap();
        let data = envelope.data.get();
        // Before processes were watched, events of these families stood in logs only as reporters made them up.
        let typed = data.contains(r#""run":"#) || envelope.event_type.family() == Family::HostStatus;
        if let Some(written) = typed.then(|| written(&envelope.event_type, data)).flatten() {
            assert_eq!(written, raw(data).get(), "{}", envelope.event_type);
            kinds.insert(envelope.event_type);
        }
    }
    assert_eq!(kinds.iter().filter(|kind| kind.is_sampled()).count(), 10);
    assert_eq!(kinds.len(), 12);
}
