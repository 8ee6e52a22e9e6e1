//! A tool call against 200 rules, as a host judges it before the tool runs: beside the same call against one rule, which is
//! what classing it and putting it into the rules' words costs, and beside reading the same hook's JSON.

use crate::table::{Reach, Row, Unit};
use muster_policy::{Facts, Policies, Source};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 7;
/// Checks of a round; the number is their mean.
const CHECKS: usize = 2000;
const RULES: usize = 200;
/// Longest that a check may take, in milliseconds.
const REACH_MS: f64 = 0.2;

/// Rules of every kind that `docs/policy.md` shows, none of which applies to the calls: nothing ends early.
fn rules(count: usize) -> Policies {
    let rule = |n: usize| match n % 5 {
        0 => format!(
            "forbid (principal, action == Action::\"Bash\", resource) when {{ context.commands.contains(\"deploy{n} now\") }};"
        ),
        1 => format!("forbid (principal in Label::\"team={n}\", action in Action::\"publish_external\", resource);"),
        2 => format!("@decision(\"approval_required\") forbid (principal, action, resource in Path::\"/srv/{n}\");"),
        3 => format!(
            "forbid (principal, action, resource) when {{ context.input has command && context.input.command like \"*secret{n}*\" }};"
        ),
        _ => format!(
            "permit (principal in Host::\"db-{n}\", action, resource) when {{ context.words.containsAll([\"-r\", \"-f{n}\"]) }};"
        ),
    };
    let text: Vec<String> = (0..count).map(rule).collect();
    Policies::parse(&[Source {
        name: "bench.cedar".to_owned(),
        text: text.join("\n"),
    }])
    .unwrap_or_else(|error| panic!("{error}"))
}

fn hooks() -> Vec<Value> {
    let hook = |tool: &str, input: Value| {
        json!({"session_id": "78e6edba-fbb9-4db4-878f-fd73757b08ad", "cwd": "/home/dev/app", "hook_event_name": "PreToolUse",
            "permission_mode": "default", "tool_name": tool, "tool_input": input, "tool_use_id": "toolu_01"})
    };
    vec![
        hook(
            "Bash",
            json!({"command": "cd web && npm test -- --watch=false 2>&1 | tail -n 50", "description": "Run the tests"}),
        ),
        hook(
            "Bash",
            json!({"command": "git add -A && git commit -m \"$(cat <<'EOF'\nSay why\n\nAnd how.\nEOF\n)\"", "timeout": 120_000}),
        ),
        hook(
            "Edit",
            json!({"file_path": "/home/dev/app/src/main.rs", "old_string": "a".repeat(400), "new_string": "b".repeat(500)}),
        ),
        hook("Read", json!({"file_path": "/home/dev/app/README.md", "limit": 200})),
        hook(
            "mcp__tracker__create_issue",
            json!({"title": "A title", "labels": ["bug", "web"], "body": "c".repeat(300)}),
        ),
    ]
}

/// Milliseconds of one of `CHECKS`.
fn mean(mut once: impl FnMut(usize)) -> f64 {
    let began = Instant::now();
    (0..CHECKS).for_each(&mut once);
    began.elapsed().as_secs_f64() * 1000.0 / CHECKS as f64
}

pub(crate) fn rows() -> Vec<Row> {
    let (many, one, hooks) = (rules(RULES), rules(1), hooks());
    let texts: Vec<String> = hooks.iter().map(Value::to_string).collect();
    let judge = |policies: &Policies, n: usize| {
        let hook = &hooks[n % hooks.len()];
        let facts = Facts {
            host: "web-01",
            agent: "claude-code",
            session: "78e6edba-fbb9-4db4-878f-fd73757b08ad",
            cwd: "/home/dev/app",
            ..Facts::of_call(hook["tool_name"].as_str().unwrap_or_default(), &hook["tool_input"])
        };
        assert!(
            black_box(policies.evaluate(black_box(&facts))).is_none(),
            "no rule applies"
        );
    };
    let mut absolute = Row::new(
        "policy check, 200 rules, beside one rule",
        Unit::Millis,
        Reach::Never(REACH_MS),
    );
    let mut parsed = Row::new("  beside reading the hook's JSON", Unit::Millis, Reach::Reported);
    for _ in 0..ROUNDS {
        let floor = mean(|n| judge(&one, n));
        let ours = mean(|n| judge(&many, n));
        let reading = mean(|n| {
            black_box(serde_json::from_str::<Value>(black_box(&texts[n % texts.len()])).is_ok());
        });
        absolute.round(ours, floor);
        parsed.round(ours, reading);
    }
    vec![absolute, parsed]
}
