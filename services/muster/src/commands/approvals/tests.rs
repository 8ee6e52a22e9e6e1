use super::*;
use serde_json::{Value, json};

fn document(id: &str) -> Value {
    json!({
        "id": id, "host": "web-01", "session": "78e6edba-fbb9", "agent": "claude-code", "profile": null,
        "at": "2026-11-21T12:00:00Z", "deadline": "2026-11-21T12:09:30Z", "fallback": "agent", "stage": "asked",
        "asked": {
            "kind": "permission_request", "tool_name": "Bash", "tool_use_id": null, "agent_id": null, "prompt_id": null,
            "input_digest": "0000000000000001", "summary": "make\u{1b}[2J", "cwd": "/w", "permission_mode": "default",
            "tool_input": {"command": "make"}, "suggestions": null, "overflow": null
        },
        "resolution": null
    })
}

pub(super) fn row(id: &str) -> ApprovalRow {
    serde_json::from_str(&document(id).to_string()).unwrap()
}

pub(super) fn answered(id: &str) -> ApprovalRow {
    let mut document = document(id);
    document["asked"]["tool_input"] = Value::Null;
    document["resolution"] = json!({
        "at": "2026-11-21T12:00:10Z",
        "answer": {"outcome": "denied", "by": {"kind": "operator", "name": "op-anna"}, "reason": "not\u{202e} now"}
    });
    serde_json::from_str(&document.to_string()).unwrap()
}

#[test]
fn a_row_tells_what_waits_where_and_for_how_long() {
    let rows = [
        row("0198f3c2-0000-7000-8000-00000000aaaa"),
        answered("0198f3c2-0000-7000-8000-00000000bbbb"),
    ];
    let now = muster_wire::time::parse("2026-11-21T12:00:13Z").unwrap();
    let table = table(&rows, true, now);
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(lines[1], r"00aaaa 13s 9m17s web-01 78e6edba Bash make\u{1b}[2J");
    assert!(lines[2].starts_with("00bbbb 13s denied by anna web-01"), "{table}");
    let resolution = rows[1].resolution.as_ref().unwrap();
    assert_eq!(ended(resolution, now), r"denied by anna, 3s ago: not\u{202e} now");
}
