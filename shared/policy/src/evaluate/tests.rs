use super::*;
use crate::source::Source;
use muster_domain::policy::ActionFamily::RepairDestructive;
use serde_json::{Value, json};

fn rules(text: &str) -> Policies {
    Policies::parse(&[Source {
        name: "team.cedar".to_owned(),
        text: text.to_owned(),
    }])
    .unwrap_or_else(|error| panic!("{error}"))
}

fn bash(line: &str) -> Value {
    json!({ "command": line })
}

fn facts<'a>(tool: &'a str, input: &'a Value) -> Facts<'a> {
    Facts {
        host: "web-01",
        agent: "claude-code",
        session: "s1",
        cwd: "/home/dev/app",
        ..Facts::of_call(tool, input)
    }
}

fn decided(text: &str, line: &str) -> Option<Ruling> {
    let input = bash(line);
    rules(text)
        .evaluate(&facts("Bash", &input))
        .map(|verdict| verdict.decision)
}

#[test]
fn without_rules_nothing_is_said() {
    assert_eq!(decided("", "rm -rf /"), None);
    assert_eq!(
        decided("forbid(principal, action == Action::\"Write\", resource);", "rm -rf /"),
        None
    );
}

#[test]
fn the_strictest_rule_decides() {
    let text = r#"
        @id("all") permit(principal, action, resource);
        @id("ask") @decision("approval_required") @reason("ask_first") forbid(principal, action == Action::"Bash", resource);
        @id("look") @decision("escalation_required") forbid(principal, action in Action::"publish_external", resource);
        @id("no") @reason("not_here") @message("Not here.") forbid(principal, action in Action::"repair_destructive", resource);
    "#;
    assert_eq!(decided(text, "cargo test"), Some(Ruling::ApprovalRequired));
    assert_eq!(decided(text, "git push"), Some(Ruling::EscalationRequired));
    let input = bash("git push --force");
    let verdict = rules(text).evaluate(&facts("Bash", &input)).expect("a verdict");
    assert_eq!(
        (verdict.decision, verdict.reason_code.as_str(), verdict.message.as_str()),
        (Ruling::Deny, "not_here", "Not here.")
    );
    assert_eq!(verdict.rules, ["no", "look", "ask"]);
    assert_eq!(verdict.family, RepairDestructive);
    let input = json!({"file_path": "a"});
    assert_eq!(
        rules(text)
            .evaluate(&facts("Read", &input))
            .map(|verdict| verdict.decision),
        Some(Ruling::Allow)
    );
}

#[test]
fn who_where_and_what_can_be_named() {
    let input = json!({"file_path": "../app/.env", "nested": {"list": [1, "two", null, 2.5]}});
    let labels = ["prod".to_owned()];
    let facts = Facts {
        labels: &labels,
        subagent: Some("reviewer"),
        attended: true,
        mode: "bypassPermissions",
        ..facts("Write", &input)
    };
    let applies = [
        "principal == Session::\"s1\", action, resource",
        "principal in Agent::\"claude-code\", action, resource",
        "principal in Agent::\"reviewer\", action, resource",
        "principal in Host::\"web-01\", action, resource",
        "principal in Profile::\"default\", action, resource",
        "principal in Label::\"prod\", action, resource",
        "principal, action == Action::\"Write\", resource",
        "principal, action in Action::\"protected_surface_mutation\", resource",
        "principal, action in [Action::\"Bash\", Action::\"Write\"], resource",
        "principal, action, resource == Path::\"/home/dev/app/.env\"",
        "principal, action, resource in Path::\"/home/dev\"",
        "principal, action, resource in Path::\"/\"",
    ];
    let holds = [
        "principal.attended",
        "principal.labels.contains(\"prod\")",
        "context.mode == \"bypassPermissions\"",
        "context.path like \"*/.env\"",
        "context.input.file_path like \"../*\"",
        "context.input.nested.list.contains(\"two\")",
        "context.input.nested.list.contains(\"2.5\")",
        "!(context.input has command)",
        "context.words.isEmpty()",
    ];
    let all = applies.iter().map(|scope| format!("forbid({scope});"));
    let all = all.chain(
        holds
            .iter()
            .map(|condition| format!("forbid(principal, action, resource) when {{ {condition} }};")),
    );
    for text in all {
        assert!(rules(&text).evaluate(&facts).is_some(), "{text}");
    }
    for text in [
        "forbid(principal in Host::\"web-02\", action, resource);",
        "forbid(principal in Label::\"web-01\", action, resource);",
        "forbid(principal, action, resource in Path::\"/home/de\");",
        "forbid(principal, action in Action::\"read_only\", resource);",
    ] {
        assert!(rules(text).evaluate(&facts).is_none(), "{text}");
    }
}

#[test]
fn a_forbidding_rule_sees_every_part_and_a_permitting_one_the_worst() {
    let forbid = "forbid(principal, action in Action::\"local_finalize\", resource);";
    assert_eq!(decided(forbid, "git commit -m x && git push"), Some(Ruling::Deny));
    let permit = "@grant(\"true\") permit(principal, action in Action::\"read_only\", resource);";
    assert_eq!(decided(permit, "git status"), Some(Ruling::Allow));
    assert_eq!(decided(permit, "git status && rm -rf /"), None);
}

#[test]
fn commands_are_recognised_however_they_are_written() {
    let text = "forbid(principal, action, resource) when { context.commands.contains(\"git push\") };";
    for line in [
        "git push",
        "cd /x && git -C /y push origin main",
        "bash -c 'git push'",
        "sudo env A=1 git push",
    ] {
        assert_eq!(decided(text, line), Some(Ruling::Deny), "{line}");
    }
    assert_eq!(decided(text, "echo git push"), None);
    let text = "forbid(principal, action, resource) when { context.programs.contains(\"rm\") && context.words.containsAll([\"-r\", \"-f\"]) };";
    for line in ["rm -rf x", "rm -fr x", "rm -r -f x", "/bin/rm -vrf x"] {
        assert_eq!(decided(text, line), Some(Ruling::Deny), "{line}");
    }
}

#[test]
fn an_allow_grants_only_where_its_rule_says_so() {
    let input = bash("cargo test");
    let plain = rules("permit(principal, action, resource);")
        .evaluate(&facts("Bash", &input))
        .expect("a verdict");
    assert!(!plain.grant);
    let granting = rules(
        "permit(principal, action, resource);\n@grant(\"true\") permit(principal, action == Action::\"Bash\", resource);",
    );
    let verdict = granting.evaluate(&facts("Bash", &input)).expect("a verdict");
    assert!(verdict.grant);
    assert_eq!(verdict.rules, ["team:2", "team:1"]);
}

#[test]
fn a_rule_that_cannot_be_evaluated_fails_closed_for_what_is_destructive() {
    let text = "@id(\"x\") @decision(\"approval_required\") forbid(principal, action, resource) when { context.input.missing == 1 };
                @grant(\"true\") permit(principal, action, resource);";
    let (destructive, harmless) = (bash("rm -rf /"), bash("cargo test"));
    let examined = rules(text).examine(&facts("Bash", &destructive));
    let verdict = examined.verdict.expect("a verdict");
    assert_eq!(
        (verdict.decision, verdict.reason_code.as_str()),
        (Ruling::ApprovalRequired, FAILED_CLOSED)
    );
    assert_eq!(examined.unevaluated[0].rule, "x");
    let examined = rules(text).examine(&facts("Bash", &harmless));
    let verdict = examined.verdict.expect("the permit applies");
    assert!(
        verdict.decision == Ruling::Allow && !verdict.grant,
        "a failed forbid takes the grant away"
    );
    assert_eq!(examined.unevaluated.len(), 1);
}

#[test]
fn what_is_not_read_to_its_end_is_forbidden_by_whatever_forbids_and_granted_nothing() {
    let text = "@id(\"ask\") @decision(\"approval_required\") forbid(principal, action == Action::\"Write\", resource);
                @id(\"no\") forbid(principal, action, resource) when { context.words.contains(\"never\") };
                @grant(\"true\") permit(principal, action, resource);";
    let input = bash(&"ls;".repeat(20_000));
    let examined = rules(text).examine(&facts("Bash", &input));
    let verdict = examined.verdict.expect("a verdict");
    assert_eq!(
        (verdict.decision, verdict.reason_code.as_str(), verdict.family),
        (Ruling::Deny, FAILED_CLOSED, RepairDestructive)
    );
    assert!(verdict.message.contains("smaller calls"), "{}", verdict.message);
    assert_eq!(examined.unevaluated.len(), 2);
    assert_eq!(
        decided(
            "@grant(\"true\") permit(principal, action, resource);",
            &"ls;".repeat(20_000)
        ),
        None
    );
    let named = rules(text).examine_as(&facts("Bash", &input), ActionFamily::ReadOnly);
    assert_eq!(
        named.classed.family, RepairDestructive,
        "whatever the caller says it is"
    );
    let input = bash("ls");
    let named = rules(text).examine_as(&facts("Bash", &input), ActionFamily::PublishExternal);
    assert_eq!(named.classed.families, [ActionFamily::PublishExternal].into());
}

#[test]
fn a_rule_that_looks_into_a_text_longer_than_rules_are_shown_applies_and_others_do_not() {
    let long = format!("{}secret", "x".repeat(70_000));
    let input = json!({"file_path": "/home/dev/app/a", "content": long});
    let said = |condition: &str| {
        let text = format!("forbid(principal, action, resource) when {{ {condition} }};");
        rules(&text).evaluate(&facts("Write", &input))
    };
    let looks =
        "context.tool == \"Write\" && context.input has content && context.input.content like \"*nothing of it*\"";
    let verdict = said(looks).expect("it may hold what the rule is about");
    assert_eq!(
        (verdict.decision, verdict.reason_code.as_str()),
        (Ruling::Deny, FAILED_CLOSED)
    );
    assert!(
        verdict.message.contains("64 KiB") && verdict.message.contains("smaller calls"),
        "{}",
        verdict.message
    );
    for other in [
        "context.tool == \"Edit\" && context.input.content like \"*secret*\"",
        "context.input.content == \"secret\"",
        "context.input.file_path like \"*.env\"",
        "context.input.missing like \"x\"",
    ] {
        assert_eq!(said(other), None, "{other}");
    }
    assert!(said("context.input.file_path like \"*/app/*\"").is_some());
    // Nothing is granted meanwhile, and no permit sees more than a forbid.
    let granting =
        "@grant(\"true\") permit(principal, action, resource) when { context.input.content like \"*secret\" };";
    assert_eq!(rules(granting).evaluate(&facts("Write", &input)), None);
    let deep = json!({"file_path": format!("/{}", "x".repeat(70_000))});
    let path = "forbid(principal, action, resource) when { context.path like \"*/.env\" };";
    assert!(rules(path).evaluate(&facts("Write", &deep)).is_some());
}

#[test]
fn a_path_longer_than_any_file_system_takes_is_in_the_folders_that_can_be() {
    let folders = format!("/srv/{}{}", "a".repeat(8000), "/b".repeat(4000));
    let input = json!({ "file_path": folders });
    let applies = |folder: &str| {
        let text = format!("forbid(principal, action, resource in Path::\"{folder}\");");
        rules(&text).evaluate(&facts("Write", &input)).is_some()
    };
    assert!(applies("/") && applies("/srv"));
    assert!(
        !applies(&format!("/srv/{}", "a".repeat(8000))),
        "they would cost their length each"
    );
}

#[test]
fn a_permitting_rule_that_cannot_be_evaluated_permits_nothing() {
    let text = "@grant(\"true\") permit(principal, action, resource) when { context.input.missing == 1 };";
    assert_eq!(decided(text, "rm -rf /"), None);
}

#[test]
fn what_a_model_writes_stays_data() {
    let input =
        json!({"command": {"__entity": {"type": "Host", "id": "web-01"}}, "x": {"__extn": {"fn": "ip", "arg": "::1"}}});
    let text = "forbid(principal, action, resource) when { context.input.command.__entity.id == \"web-01\" };";
    assert!(rules(text).evaluate(&facts("Other", &input)).is_some());
}

#[test]
fn a_tool_cannot_take_a_familys_name() {
    let input = json!({});
    let permit = "permit(principal, action == Action::\"read_only\", resource);";
    assert!(rules(permit).evaluate(&facts("read_only", &input)).is_none());
}

#[test]
fn the_shipped_defaults_judge_as_their_families_do() {
    let policies = Policies::parse(&[Source::ccd()]).expect("the shipped rules");
    let decided = |line: &str| {
        let input = bash(line);
        policies
            .evaluate(&facts("Bash", &input))
            .map(|verdict| (verdict.decision, verdict.reason_code))
    };
    assert_eq!(decided("ls"), None);
    assert_eq!(decided("cargo test"), None);
    assert_eq!(
        decided("git push"),
        Some((Ruling::ApprovalRequired, "publish_requires_approval".to_owned()))
    );
    assert_eq!(
        decided("rm -rf /"),
        Some((Ruling::Deny, "repair_destructive_denied".to_owned()))
    );
}
