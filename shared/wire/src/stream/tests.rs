use super::*;
use proptest::prelude::*;

fn turns() -> StreamTurns {
    StreamTurns::new(RunId::new("run-1").unwrap())
}

fn play(lines: &[&str]) -> Vec<String> {
    let mut turns = turns();
    let said = lines.iter().flat_map(|line| turns.line(line));
    said.map(|(kind, data)| format!("{} {}", kind.as_str(), data.get()))
        .collect()
}

#[test]
fn a_run_of_claude_code_yields_its_turn_once() {
    let said = play(&[
        r#"{"type":"system","subtype":"hook_started","session_id":"s1"}"#,
        r#"{"type":"system","subtype":"init","cwd":"/app","session_id":"s1","model":"m[1m]"}"#,
        r#"{"type":"assistant","message":{"id":"a","content":[{"type":"text","text":"x"}],"usage":{"input_tokens":100,"cache_read_input_tokens":20,"output_tokens":1}},"parent_tool_use_id":null}"#,
        r#"{"type":"assistant","message":{"id":"a","content":[{"type":"tool_use","id":"t1","name":"Task"}],"usage":{"input_tokens":100}},"parent_tool_use_id":null}"#,
        r#"{"type":"system","subtype":"task_started","task_id":"a107","tool_use_id":"t1","description":"sub job","subagent_type":"general-purpose"}"#,
        r#"{"type":"assistant","message":{"id":"b","content":[{"type":"tool_use","id":"t2","name":"Bash"}],"usage":{"input_tokens":9}},"parent_tool_use_id":"t1"}"#,
        r#"{"type":"result","subtype":"success","is_error":false,"duration_ms":545,"num_turns":2,"stop_reason":"end_turn","total_cost_usd":0.03105,"usage":{"input_tokens":2400,"output_tokens":84},"modelUsage":{"m[1m]":{"contextWindow":1000000}},"terminal_reason":"completed"}"#,
    ]);
    assert_eq!(
        said,
        [
            r#"turn_start {"run":"run-1","index":0,"cwd":"/app"}"#,
            r#"model_changed {"model":"m[1m]"}"#,
            r#"token_usage_changed {"used_tokens":121,"usage":{"input_tokens":100,"output_tokens":1,"cache_read_input_tokens":20,"cache_creation_input_tokens":0}}"#,
            r#"note {"text":"sub job","link":{"agent_id":"a107","tool_use_id":"t1"}}"#,
            r#"turn_end {"run":"run-1","index":0,"ok":true,"result":"success","duration_ms":545,"num_turns":2,"usage":{"input_tokens":2400,"output_tokens":84,"cache_read_input_tokens":0,"cache_creation_input_tokens":0},"run_cost_usd":0.03105,"tools":{"Bash":1,"Task":1},"stop_reason":"end_turn","terminal_reason":"completed"}"#,
            r#"token_usage_changed {"used_tokens":121,"window_tokens":1000000,"usage":{"input_tokens":2400,"output_tokens":84,"cache_read_input_tokens":0,"cache_creation_input_tokens":0}}"#,
        ]
    );
}

#[test]
fn a_background_command_is_no_subagent() {
    assert!(
        play(&[
            r#"{"type":"system","subtype":"task_started","task_id":"b1","tool_use_id":"t1","task_type":"local_bash"}"#
        ])
        .is_empty()
    );
}

// As Claude Code 2.1.330 printed them.
#[test]
fn a_turn_that_was_refused_is_no_success_though_its_agent_says_so() {
    let class = |result: &str| {
        let line = format!(r#"{{"type":"result",{result}}}"#);
        let end = play(&[&line])
            .into_iter()
            .find_map(|said| Some(said.strip_prefix("turn_end ")?.to_owned()));
        let end: crate::data::turn::TurnEnd = serde_json::from_str(&end.unwrap()).unwrap();
        (end.ok, end.result)
    };
    for (result, expected) in [
        (
            r#""subtype":"success","is_error":false,"terminal_reason":"completed""#,
            (true, "success"),
        ),
        (
            r#""subtype":"success","is_error":true,"terminal_reason":"api_error","api_error_status":429"#,
            (false, "rate_limit"),
        ),
        (
            r#""subtype":"success","is_error":true,"terminal_reason":"prompt_too_long","api_error_status":400"#,
            (false, "prompt_too_long"),
        ),
        (r#""subtype":"success","is_error":true"#, (false, "error")),
        (
            r#""subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_tools""#,
            (false, "error_during_execution"),
        ),
    ] {
        assert_eq!(class(result), (expected.0, expected.1.to_owned()), "{result}");
    }
}

#[test]
fn compaction_is_told_once_each_way() {
    let said = play(&[
        r#"{"type":"system","subtype":"status","status":"compacting"}"#,
        r#"{"type":"system","subtype":"status","status":"compacting"}"#,
        r#"{"type":"system","subtype":"compact_boundary","compact_metadata":{"trigger":"auto","pre_tokens":900,"post_tokens":90}}"#,
        r#"{"type":"system","subtype":"status","status":null}"#,
    ]);
    let kinds: Vec<_> = said.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(
        kinds,
        ["turn_state_changed", "turn_state_changed", "token_usage_changed"]
    );
}

#[test]
fn codex_counts_cached_tokens_apart() {
    let mut turns = turns();
    assert!(turns.line(r#"{"type":"thread.started","thread_id":"01a1"}"#).is_empty());
    assert_eq!(turns.session().map(SessionId::as_str), Some("01a1"));
    let said = play(&[
        r#"{"type":"turn.started"}"#,
        r#"{"type":"item.started","item":{"id":"i2","type":"command_execution"}}"#,
        r#"{"type":"item.completed","item":{"id":"i2","type":"command_execution"}}"#,
        r#"{"type":"item.completed","item":{"id":"i4","type":"agent_message","text":"x"}}"#,
        r#"{"type":"turn.completed","usage":{"input_tokens":3600,"cached_input_tokens":2400,"output_tokens":126}}"#,
        r#"{"type":"turn.started"}"#,
        r#"{"type":"turn.failed","error":{"message":"stub"}}"#,
    ]);
    assert_eq!(
        said[1],
        r#"turn_end {"run":"run-1","index":0,"ok":true,"result":"success","usage":{"input_tokens":1200,"output_tokens":126,"cache_read_input_tokens":2400,"cache_creation_input_tokens":0},"tools":{"command_execution":1}}"#
    );
    assert!(said[3].starts_with(r#"turn_end {"run":"run-1","index":1,"ok":false,"result":"error""#));
}

#[test]
fn gemini_names_tools_and_result_its_own_way() {
    let said = play(&[
        r#"{"type":"init","session_id":"g","model":"gemini-2.5-pro"}"#,
        r#"{"type":"tool_use","tool_name":"write_file","tool_id":"w1","parameters":{}}"#,
        r#"{"type":"result","status":"success","stats":{"input_tokens":3600,"output_tokens":126,"cached":2400,"duration_ms":5376}}"#,
    ]);
    assert_eq!(
        said[2],
        r#"turn_end {"run":"run-1","index":0,"ok":true,"result":"success","duration_ms":5376,"usage":{"input_tokens":1200,"output_tokens":126,"cache_read_input_tokens":2400,"cache_creation_input_tokens":0},"tools":{"write_file":1}}"#
    );
}

#[test]
fn a_turn_that_its_process_left_is_ended() {
    let mut turns = turns();
    assert!(turns.finish("exited").is_empty());
    let _ = turns.line(r#"{"type":"turn.started"}"#);
    assert_eq!(turns.finish("exited").len(), 1);
    assert!(turns.finish("exited").is_empty());
}

#[test]
fn an_odd_field_costs_no_line() {
    let said = play(&[
        r#"{"type":"result","subtype":"success","duration_ms":"long","usage":[],"total_cost_usd":1.5,"model":7}"#,
    ]);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains(r#""run_cost_usd":1.5"#));
}

proptest! {
    #[test]
    fn any_text_is_taken(lines in prop::collection::vec("\\PC{0,80}", 0..5)) {
        let mut turns = turns();
        for line in &lines {
            let _ = turns.line(line);
        }
    }
}
