//! Every agent's answers: those that its real program was seen to honour (`recorded.jsonl`), and the table of the rest.

use super::*;
use crate::translate::{self, Circumstances};
use muster_domain::family::{EventType, HookName};
use muster_wire::data::hook::VerdictBy;

fn asked(agent: &str, hook: &HookName, payload: &Value) -> Option<Asked> {
    Asked::read(agent, hook, payload.as_object()?)
}

fn permission(agent: &str, tool: &str, input: &Value) -> Asked {
    let payload = json!({"tool_name": tool, "tool_input": input});
    asked(agent, &HookName::PermissionRequest, &payload).unwrap()
}

fn approve() -> Decision {
    Decision::Approve {
        for_session: false,
        updated_input: None,
    }
}

fn deny(reason: &str) -> Decision {
    Decision::Deny {
        reason: reason.to_owned(),
        interrupt: false,
    }
}

fn verdict(decision: VerdictKind, reason: &str) -> Verdict {
    Verdict {
        decision,
        by: VerdictBy::Policy,
        reason: reason.to_owned(),
        rule: None,
    }
}

fn answered(answers: &Value) -> Decision {
    Decision::Approve {
        for_session: false,
        updated_input: Some(json!({"questions": "as the log shows them", "answers": answers})),
    }
}

/// The reason wherever the agent's contract has it.
fn reason(answer: &Value) -> &str {
    let output = &answer["hookSpecificOutput"];
    let places = [
        &output["permissionDecisionReason"],
        &output["decision"]["message"],
        &answer["reason"],
        &answer["message"],
        &answer["permissionDecisionReason"],
    ];
    places.into_iter().find_map(Value::as_str).unwrap_or_default()
}

#[test]
fn what_the_real_agents_honoured_is_what_they_get() {
    for line in include_str!("recorded.jsonl").lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let (agent, hook) = (row["agent"].as_str().unwrap(), row["hook"].as_str().unwrap());
        let around = Circumstances {
            hint: Some(hook.to_owned()),
            ..Circumstances::default()
        };
        let observation = translate::hook(agent, row["stdin"].to_string().as_bytes(), around).unwrap();
        let EventType::AgentHook(name) = &observation.event_type else {
            panic!("another family: {row}");
        };
        let reason = reason(&row["answer"]);
        let before_tool = |kind| Vendor::of(agent).before_tool(&observation.notes.hook, &verdict(kind, reason));
        let ask = || Asked::read(agent, name, &observation.data).unwrap();
        let answer = match row["decision"].as_str().unwrap() {
            "approve" => ask().answer(&approve()),
            "deny" => ask().answer(&deny(reason)),
            "verdict-deny" => before_tool(VerdictKind::Deny),
            "verdict-ask" => before_tool(VerdictKind::Ask),
            other => panic!("{other}"),
        };
        assert_eq!(answer.as_ref(), Some(&row["answer"]), "{row}");
    }
}

#[test]
fn a_verdict_is_told_as_far_as_the_agent_heeds_it() {
    let pre = |word: &str| {
        let output =
            json!({"hookEventName": "PreToolUse", "permissionDecision": word, "permissionDecisionReason": "R"});
        Some(json!({"hookSpecificOutput": output}))
    };
    let cursor = |word: &str| Some(json!({"permission": word, "user_message": "R", "agent_message": "R"}));
    let copilot = |word: &str| Some(json!({"permissionDecision": word, "permissionDecisionReason": "R"}));
    use VerdictKind::{Allow, Ask, Deny};
    let table = [
        ("claude-code", "PreToolUse", Deny, pre("deny")),
        ("claude-code", "PreToolUse", Ask, pre("ask")),
        ("claude-code", "PreToolUse", Allow, pre("allow")),
        ("generic", "PreToolUse", Deny, pre("deny")),
        ("codex", "PreToolUse", Deny, pre("deny")),
        ("codex", "PreToolUse", Allow, None),
        ("qwen-code", "PreToolUse", Allow, pre("allow")),
        ("gemini-cli", "BeforeTool", Allow, None),
        ("copilot-cli", "preToolUse", Ask, copilot("ask")),
        ("copilot-cli", "preToolUse", Allow, copilot("allow")),
        ("cursor", "beforeShellExecution", Ask, cursor("ask")),
        ("cursor", "preToolUse", Deny, cursor("deny")),
        ("cursor", "preToolUse", Allow, cursor("allow")),
    ];
    for (agent, hook, kind, expected) in table {
        let answer = Vendor::of(agent).before_tool(hook, &verdict(kind, "R"));
        assert_eq!(answer, expected, "{agent} {hook} {kind:?}");
    }
}

#[test]
fn an_agent_that_cannot_be_made_to_ask_does_not_run_what_a_person_must_approve() {
    for (agent, hook, word) in [
        ("codex", "PreToolUse", "/hookSpecificOutput/permissionDecision"),
        ("gemini-cli", "BeforeTool", "/decision"),
        ("cursor", "preToolUse", "/permission"),
    ] {
        let answer = Vendor::of(agent).before_tool(hook, &verdict(VerdictKind::Ask, "R"));
        let answer = answer.unwrap();
        assert_eq!(answer.pointer(word), Some(&json!("deny")), "{answer}");
        assert!(answer.to_string().contains("R (a person must approve this"), "{answer}");
    }
}

#[test]
fn claude_code_gets_interruption_and_changed_input_and_others_never_do() {
    let interrupting = Decision::Deny {
        reason: "R".to_owned(),
        interrupt: true,
    };
    let changed = Decision::Approve {
        for_session: true,
        updated_input: Some(json!({"command": "ls -l"})),
    };
    let claude = permission("claude-code", "Bash", &json!({"command": "ls"}));
    let decision = |answer: Option<Value>| answer.unwrap()["hookSpecificOutput"]["decision"].clone();
    assert_eq!(
        decision(claude.answer(&interrupting)),
        json!({"behavior": "deny", "message": "R", "interrupt": true})
    );
    assert_eq!(
        decision(claude.answer(&changed))["updatedInput"],
        json!({"command": "ls -l"})
    );
    for agent in ["codex", "qwen-code", "copilot-cli"] {
        let ask = permission(agent, "Bash", &json!({"command": "ls"}));
        let denied = ask.answer(&interrupting).unwrap().to_string();
        assert!(!denied.contains("interrupt"), "{denied}");
        let refused = ask.answer(&changed).unwrap().to_string();
        assert!(
            refused.contains("deny") && refused.contains("changed input"),
            "{refused}"
        );
        assert!(!refused.contains("updatedInput"), "{refused}");
    }
}

#[test]
fn for_the_session_means_the_rules_the_agent_suggests_and_no_wider_mode() {
    let for_session = Decision::Approve {
        for_session: true,
        updated_input: None,
    };
    let update = |suggestions: Value, tool: &str, input: Value| {
        let payload = json!({"tool_name": tool, "tool_input": input, "permission_suggestions": suggestions});
        let ask = asked("claude-code", &HookName::PermissionRequest, &payload).unwrap();
        ask.answer(&for_session).unwrap()["hookSpecificOutput"]["decision"]["updatedPermissions"].clone()
    };
    let rules = json!([{"toolName": "Bash", "ruleContent": "npm test"}]);
    let suggested = json!([{"type": "addRules", "rules": rules, "behavior": "allow", "destination": "localSettings"}]);
    assert_eq!(
        update(suggested, "Bash", json!({"command": "npm test"})),
        json!([{"type": "addRules", "rules": rules, "behavior": "allow", "destination": "session"}])
    );
    let own = |rule: Value| json!({"type": "addRules", "rules": [rule], "behavior": "allow", "destination": "session"});
    for (tool, input) in [
        ("WebFetch", json!({"url": "https://example.org"})),
        ("Bash", json!({"command": "rm -rf /tmp/x/*"})),
    ] {
        assert_eq!(
            update(json!([]), tool, input),
            Value::Null,
            "no rule is as narrow as what was approved, so it is approved once"
        );
    }
    let folder = json!({"type": "addDirectories", "directories": ["/x"], "destination": "session"});
    let mode = json!({"type": "setMode", "mode": "acceptEdits", "destination": "session"});
    assert_eq!(
        update(json!([mode]), "Write", json!({"file_path": "/w/a", "content": ""})),
        Value::Null,
        "to write one file is not to write any"
    );
    assert_eq!(
        update(json!([folder, mode]), "Bash", json!({"command": "touch a"})),
        json!([folder, own(json!({"toolName": "Bash", "ruleContent": "touch a"}))])
    );
}

#[test]
fn a_question_is_answered_with_its_own_words() {
    let input = json!({"questions": [{"question": "Which?", "options": [{"label": "Red"}, {"label": "Blue"}]}]});
    let payload = json!({"tool_name": "AskUserQuestion", "tool_input": input});
    let answers = json!({"Which?": "Blue"});
    let mut given = input;
    given["answers"] = answers.clone();

    let held = asked("claude-code", &HookName::PreToolUse, &payload).unwrap();
    assert_eq!(held.question, Question::Dialog);
    let output = json!({"hookEventName": "PreToolUse", "permissionDecision": "allow", "updatedInput": given});
    assert_eq!(
        held.answer(&answered(&answers)),
        Some(json!({ "hookSpecificOutput": output }))
    );
    assert_eq!(held.answer(&approve()), None, "to allow a question is not to answer it");
    assert_eq!(reason(&held.answer(&deny("R")).unwrap()), "R");

    // Beside its dialog it is asked about like any other tool.
    let beside = asked("claude-code", &HookName::PermissionRequest, &payload).unwrap();
    let decision = json!({"behavior": "allow", "updatedInput": given});
    let output = json!({"hookEventName": "PermissionRequest", "decision": decision});
    assert_eq!(
        beside.answer(&answered(&answers)),
        Some(json!({ "hookSpecificOutput": output }))
    );
}

#[test]
fn a_plan_is_approved_as_it_was_written() {
    let input = json!({"plan": "1. Do it", "planFilePath": "/p.md"});
    let payload = json!({"tool_name": "ExitPlanMode", "tool_input": input});
    let plan = asked("claude-code", &HookName::PreToolUse, &payload).unwrap();
    let output = json!({"hookEventName": "PreToolUse", "permissionDecision": "allow", "updatedInput": input});
    assert_eq!(plan.answer(&approve()), Some(json!({ "hookSpecificOutput": output })));
}

#[test]
fn nothing_else_is_asked() {
    let payload = json!({"tool_name": "Bash", "tool_input": {"command": "ls"}});
    for (agent, hook) in [
        ("claude-code", HookName::PreToolUse),
        ("claude-code", HookName::PostToolUse),
        ("codex", HookName::PreToolUse),
        ("gemini-cli", HookName::PermissionRequest),
        ("cursor", HookName::PermissionRequest),
    ] {
        assert_eq!(asked(agent, &hook, &payload), None, "{agent} {hook:?}");
    }
}
