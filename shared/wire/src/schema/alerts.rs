//! Alerts, and turns added up.

use super::{object, rows, text, time};
use muster_domain::alert::{Rule, Severity};
use serde_json::{Value, json};

pub(super) fn turns_stats() -> Value {
    let properties = json!({
        "since": time("only turns that began since then"),
        "host": text("only on this host"),
        "agent": text("only of this product, as in claude-code"),
        "session": text("only of this session"),
    });
    object(properties, &[])
}

pub(super) fn alerts_list() -> Value {
    let rules: Vec<&str> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
    let severities: Vec<&str> = Severity::ALL.iter().map(|severity| severity.as_str()).collect();
    let properties = json!({
        "state": {"enum": ["open", "all"], "description": "open: those that stand; all: also the latest that are over"},
        "rule": {"enum": rules, "description": "only of this rule"},
        "session": text("only of this session"),
        "host": text("only on this host"),
        "severity": {"enum": severities, "description": "only of at least this severity"},
        "since": time("only those that still stand, or were cleared since then"),
        "limit": rows(),
    });
    object(properties, &[])
}
