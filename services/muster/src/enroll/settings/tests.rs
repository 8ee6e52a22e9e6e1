use proptest::prelude::*;

use super::*;

const EVENTS: [&str; 3] = ["PreToolUse", "Stop", "SessionEnd"];

fn entries(command: &str) -> Vec<Entry> {
    let entry = |event| Entry {
        event,
        handler: Handler {
            command: command.to_owned(),
            args: vec!["--agent".to_owned(), "claude-code".to_owned()],
            timeout_seconds: 10,
            fail_closed: event == "PreToolUse",
        },
    };
    EVENTS.into_iter().map(entry).collect()
}

fn merged(text: &str) -> String {
    match merge(text, &entries("/opt/muster-hook")).map(|merged| merged.change) {
        Ok(Change::First(after)) => after,
        other => panic!("{:?} for {text}", other.err()),
    }
}

fn removed(text: &str, before: Option<&str>) -> String {
    remove(text, before)
        .ok()
        .and_then(|removed| removed.text)
        .expect("entries of ours")
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Formatting as people and programs leave it.
const WEIRD: [&str; 14] = [
    "{}",
    "{}\n",
    "{\n}\n",
    "{ }",
    "{\"model\":\"opus\"}",
    "{\n  \"model\": \"opus\"\n}\n",
    "{\n\t\"model\": \"opus\",\n\t\"env\": {\"A\": \"1\"}\n}",
    "{\r\n    \"model\": \"opus\"\r\n}\r\n",
    "\n\n  { \"a\"  :1.50e+3 ,\n\"b\":\"\\u00e9\\/\" }  \n\n",
    "{\"hooks\":{}}",
    "{\"hooks\": {\n}, \"z\": [1,\n2]}",
    "{\"hooks\":{\"Stop\":[]},\"a\":1}",
    "{\n  \"hooks\": {\n    \"PreToolUse\": [\n      {\"matcher\": \"Bash\", \"hooks\": [{\"type\": \"command\", \"command\": \"mine.sh\"}]}\n    ]\n  },\n  \"x\": {}\n}\n",
    "{\n    \"hooks\" : { \"Notification\":[ {\"hooks\":[{\"type\":\"http\",\"url\":\"http://x\"} ] } ]\n ,\"Stop\" : [{\"hooks\":[]}]}}",
];

#[test]
fn whatever_the_formatting_the_rest_keeps_its_text() {
    for text in WEIRD {
        let after = merged(text);
        let got = value(&after);
        for event in EVENTS {
            let groups = got["hooks"][event].as_array().unwrap();
            let ours = &groups.last().unwrap()["hooks"][0];
            assert_eq!(ours["command"], "/opt/muster-hook", "{after}");
            assert_eq!(ours.get("onFailure").is_some(), event == "PreToolUse");
        }
        // Each line that was there and holds a whole member is there still, in order.
        let mut rest = after.as_str();
        for line in text.lines().filter(|line| line.trim_end().ends_with([',', '\"', '1'])) {
            let line = line.trim_end_matches(',');
            let at = rest.find(line).unwrap_or_else(|| panic!("{line:?} lost in {after}"));
            rest = &rest[at + line.len()..];
        }
        assert_eq!(after.ends_with('\n'), text.ends_with('\n'), "{after:?}");
        let crlf = after.matches("\r\n").count();
        let expected = if text.contains('\r') {
            after.matches('\n').count()
        } else {
            0
        };
        assert_eq!(crlf, expected, "line ends of {after:?}");
    }
}

#[test]
fn a_second_merge_changes_nothing() {
    for text in WEIRD {
        let after = merged(text);
        let again = merge(&after, &entries("/opt/muster-hook")).unwrap();
        assert_eq!(again.change, Change::None);
        assert!(again.changed.is_empty());
    }
}

#[test]
fn removal_gives_back_the_same_settings() {
    for text in WEIRD {
        let back = removed(&merged(text), Some(text));
        assert_eq!(value(&back), value(text), "{back}");
    }
}

#[test]
fn indentation_and_order_follow_the_file() {
    let text = "{\n\t\"z\": 1,\n\t\"a\": 2\n}\n";
    let after = merged(text);
    assert!(
        after.starts_with("{\n\t\"z\": 1,\n\t\"a\": 2,\n\t\"hooks\": {\n\t\t\"PreToolUse\": [\n\t\t\t{\n"),
        "{after}"
    );
    assert!(!after.contains("  "), "{after}");
}

#[test]
fn own_hooks_on_the_same_event_stay_in_front() {
    let text = r#"{"hooks":{"PreToolUse":[{"matcher":"Bash","hooks":[{"type":"command","command":"a"}]},{"hooks":[{"type":"command","command":"muster-hook-lookalike"}]}]}}"#;
    let after = value(&merged(text));
    let groups = after["hooks"]["PreToolUse"].as_array().unwrap();
    assert_eq!(groups[..2], value(text)["hooks"]["PreToolUse"].as_array().unwrap()[..]);
    assert_eq!(groups.len(), 3);
    assert!(groups[2].get("matcher").is_none());
}

#[test]
fn a_moved_binary_is_updated_in_place() {
    let first = merged("{\"a\":1}");
    // Under a matcher and beside another handler: the owner moved it there, and it stays there.
    let moved = first.replacen(
        "\"hooks\": [",
        "\"matcher\": \"Bash\", \"hooks\": [{\"type\":\"command\",\"command\":\"x\"},",
        1,
    );
    let result = merge(&moved, &entries("/new/place/muster-hook")).unwrap();
    let Change::Again(after) = result.change else {
        panic!("{:?}", result.change);
    };
    assert_eq!(result.changed, EVENTS);
    assert!(!after.contains("/opt/"), "{after}");
    let group = &value(&after)["hooks"]["PreToolUse"][0];
    assert_eq!(
        (group["matcher"].as_str(), group["hooks"].as_array().map(Vec::len)),
        (Some("Bash"), Some(2))
    );
}

#[test]
fn doubled_entries_and_those_of_other_events_go() {
    let handler = r#"{"hooks":[{"type":"command","command":"/x/muster","args":["hook","--agent","claude-code"]}]}"#;
    let text = format!(r#"{{"hooks":{{"Stop":[{handler},{handler}],"MessageDisplay":[{handler}]}}}}"#);
    let Ok(Merged {
        change: Change::Again(after),
        ..
    }) = merge(&text, &entries("/opt/muster-hook"))
    else {
        panic!("not changed");
    };
    assert_eq!(after.matches("\"command\":").count(), EVENTS.len(), "{after}");
    assert!(
        !after.contains("MessageDisplay") && !after.contains("/x/muster"),
        "{after}"
    );
}

#[test]
fn what_cannot_be_merged_for_certain_is_refused() {
    let comments = ["{ // c\n}", "{\"a\":1,}", "{/* c */}", "{a:1}"];
    for text in comments {
        assert_eq!(merge(text, &entries("/m")).err(), Some(Fault::Comments), "{text}");
    }
    for text in ["{", "{\"a\":}", "\u{feff}{}", "{}{}", "nonsense text"] {
        assert!(
            matches!(
                merge(text, &entries("/m")).err(),
                Some(Fault::NotJson(_) | Fault::Comments)
            ),
            "{text}"
        );
    }
    let shapes = [
        ("[]", "the whole"),
        ("null", "the whole"),
        ("{\"hooks\":[]}", "\"hooks\""),
        ("{\"hooks\":null}", "\"hooks\""),
        ("{\"hooks\":{\"Stop\":{}}}", "\"hooks.Stop\""),
        ("{\"hooks\":{\"Custom\":1}}", "\"hooks.Custom\""),
    ];
    for (text, at) in shapes {
        let Some(Fault::Shape { at: got, .. }) = merge(text, &entries("/m")).err() else {
            panic!("{text}");
        };
        assert_eq!(got, at);
    }
}

#[test]
fn disabled_hooks_are_warned_about() {
    let merged = merge("{\"disableAllHooks\": true}", &entries("/m")).unwrap();
    assert!(merged.warnings[0].contains("disableAllHooks"));
}

#[test]
fn changes_made_since_survive_removal() {
    let before = "{\n  \"model\": \"opus\"\n}\n";
    let edited = merged(before).replace("\"opus\"", "\"sonnet\",\n  \"env\": {\"A\": \"1\"}");
    let back = removed(&edited, Some(before));
    assert_eq!(back, "{\n  \"model\": \"sonnet\",\n  \"env\": {\"A\": \"1\"}\n}\n");
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"\\\\é]{0,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Settings with hooks of their own on some of our events, in some formatting.
fn settings() -> impl Strategy<Value = String> {
    let own = prop::collection::vec(
        prop::collection::vec("[a-z./]{1,8}", 0..3).prop_map(|commands| {
            let handlers = commands
                .into_iter()
                .map(|command| serde_json::json!({"type":"command","command":command}));
            serde_json::json!({"matcher":"*","hooks":handlers.collect::<Vec<_>>()})
        }),
        0..3,
    );
    let event = prop::sample::select(vec!["PreToolUse", "Stop", "Notification"]);
    let hooks = prop::option::of(prop::collection::btree_map(event, own, 0..3));
    let others = prop::collection::btree_map("[a-g]{1,4}", json(), 0..4);
    (others, hooks, 0..4_usize, any::<bool>()).prop_map(|(others, hooks, style, newline)| {
        let mut members: serde_json::Map<_, _> = others.into_iter().collect();
        if let Some(hooks) = hooks {
            members.insert("hooks".to_owned(), serde_json::json!(hooks));
        }
        let value = Value::Object(members);
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let text = match style {
            0 => value.to_string(),
            1 => pretty,
            2 => pretty.replace("\n", "\r\n"),
            _ => pretty
                .lines()
                .map(|line| {
                    let depth = line.len() - line.trim_start().len();
                    format!("{}{}", "\t".repeat(depth / 2), line.trim_start())
                })
                .collect::<Vec<_>>()
                .join("\n"),
        };
        if newline { text + "\n" } else { text }
    })
}

proptest! {
    #[test]
    fn merge_then_remove_is_the_identity_on_any_settings(text in settings()) {
        let after = merged(&text);
        let again = merge(&after, &entries("/opt/muster-hook")).unwrap();
        prop_assert_eq!(again.change, Change::None);
        let mut without = value(&after);
        // Everything of the owner's is a part of what came out, key order included.
        let keys = |value: &Value| value.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>());
        let mut expected = keys(&value(&text)).unwrap_or_default();
        if !expected.iter().any(|key| key == "hooks") {
            expected.push("hooks".to_owned());
        }
        prop_assert_eq!(keys(&without).unwrap_or_default(), expected);
        without = value(&removed(&after, Some(&text)));
        prop_assert_eq!(without, value(&text));
    }

    #[test]
    fn no_text_makes_merge_or_remove_panic(text in "[{}\\[\\]\":,a-z0-9 \n/*]{0,40}") {
        let _ = merge(&text, &entries("/m"));
        let _ = remove(&text, None);
    }
}
