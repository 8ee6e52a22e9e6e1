//! What holds for every text and every call.

use muster_domain::policy::Ruling;
use muster_policy::{Facts, Policies, Source, classify};
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

/// Rules of every kind, some of which cannot be evaluated for most calls.
const RULES: &[&str] = &[
    "permit(principal, action, resource);",
    "@grant(\"true\") permit(principal, action == Action::\"Bash\", resource);",
    "@grant(\"true\") permit(principal, action in Action::\"read_only\", resource);",
    "permit(principal, action, resource) when { context.input.missing };",
    "@decision(\"approval_required\") forbid(principal, action in Action::\"publish_external\", resource);",
    "@decision(\"approval_required\") forbid(principal, action, resource) when { context.input.command like \"*git*\" };",
    "@decision(\"escalation_required\") forbid(principal, action in Action::\"local_finalize\", resource);",
    "@decision(\"escalation_required\") forbid(principal, action, resource) when { context.input.missing == 1 };",
    "forbid(principal, action in Action::\"repair_destructive\", resource);",
    "forbid(principal, action, resource in Path::\"/etc\");",
    "forbid(principal, action, resource) when { context.words.contains(\"-f\") && context.programs.contains(\"rm\") };",
];

const PIECES: &[&str] = &[
    "rm",
    "-rf",
    "/",
    "git",
    "push",
    "--force",
    "commit",
    "&&",
    ";",
    "|",
    "\n",
    " ",
    "'",
    "\"",
    "$(",
    "(",
    ")",
    "`",
    "<<E",
    "E",
    ">",
    "\\",
    "sudo",
    "bash -c",
    "$X",
    "~",
    "é",
    "#",
    "&",
    "find",
    "-exec",
    "{}",
    "dd of=/dev/sda",
    "ls",
    "x",
];

fn line() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 0..24);
    prop_oneof![
        pieces.clone().prop_map(|pieces| pieces.join(" ")),
        pieces.prop_map(|pieces| pieces.concat()),
        any::<String>(),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let key = prop_oneof![
        any::<String>(),
        prop::sample::select(&["command", "file_path", "cmd", "query", "__entity", "__extn", "type"][..])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn policies(rules: &[&str]) -> Policies {
    let text = rules.join("\n");
    Policies::parse(&[Source {
        name: "a.cedar".to_owned(),
        text,
    }])
    .unwrap_or_else(|error| panic!("{error}"))
}

fn tool() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(
            &[
                "Bash",
                "shell",
                "Write",
                "Read",
                "apply_patch",
                "mcp__a__b",
                "read_only"
            ][..]
        )
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_rules_or_a_refusal(text in any::<String>(), rule in prop::sample::select(RULES), at in any::<prop::sample::Index>()) {
        let mut mixed: Vec<char> = rule.chars().collect();
        mixed.splice(at.index(mixed.len())..at.index(mixed.len()), text.chars());
        for text in [text, mixed.into_iter().collect()] {
            if let Err(error) = Policies::parse(&[Source { name: "a.cedar".to_owned(), text }]) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn any_call_is_classed_and_judged(tool in tool(), input in json_value(), cwd in any::<String>(), session in any::<String>()) {
        let facts = Facts { cwd: &cwd, session: &session, ..Facts::of_call(&tool, &input) };
        let classed = classify(&facts);
        prop_assert!(classed.families.contains(&classed.family));
        prop_assert!(policies(RULES).evaluate(&facts).is_some(), "the first rule permits everything");
    }

    #[test]
    fn any_line_is_classed_and_judged(line in line(), cwd in prop_oneof![Just(String::new()), Just("/home/dev".to_owned())]) {
        let input = json!({ "command": line });
        let facts = Facts { cwd: &cwd, ..Facts::of_call("Bash", &input) };
        let classed = classify(&facts);
        prop_assert_eq!(Some(&classed.family), classed.families.last());
        prop_assert!(policies(RULES).evaluate(&facts).is_some());
    }

    #[test]
    fn more_rules_never_loosen_a_verdict(
        line in line(),
        (fewer, more) in subsequence(RULES, 0..RULES.len()).prop_flat_map(|more| {
            let length = more.len();
            (subsequence(more.clone(), 0..=length), Just(more))
        }),
    ) {
        let input = json!({ "command": line });
        let facts = Facts::of_call("Bash", &input);
        let decided = |rules: &[&str]| policies(rules).evaluate(&facts).map(|verdict| verdict.decision);
        let (before, after) = (decided(&fewer), decided(&more));
        prop_assert!(before <= after, "{before:?} became {after:?}");
        if before > Some(Ruling::Allow) {
            prop_assert!(after > Some(Ruling::Allow));
        }
    }

    #[test]
    fn the_order_of_rules_changes_no_decision(line in line(), rules in subsequence(RULES, 0..=RULES.len()).prop_shuffle()) {
        let input = json!({ "command": line });
        let facts = Facts::of_call("Bash", &input);
        let mut sorted = rules.clone();
        sorted.sort_unstable();
        let decided = |rules: &[&str]| policies(rules).evaluate(&facts).map(|verdict| (verdict.decision, verdict.grant));
        prop_assert_eq!(decided(&rules), decided(&sorted));
    }
}

#[test]
fn the_deepest_and_the_longest_call_is_judged() {
    let mut deep = json!("x");
    for _ in 0..100 {
        deep = json!({ "a": [deep] });
    }
    let long = json!({ "command": "echo ; ".repeat(20_000), "deep": deep, "text": "x".repeat(4 << 20) });
    let rules = policies(RULES);
    assert!(rules.evaluate(&Facts::of_call("Bash", &long)).is_some());
}
