//! What a turn loop and Claude Code say to each other in stream-json.
//!
//! Only what the loop steers by is read; every line is reported as it came, whatever it holds.

use serde_json::{Value, json};
use uuid::Uuid;

/// A line for the agent, without its end.
pub(super) fn prompt(id: Uuid, text: &str) -> Value {
    json!({"type": "user", "uuid": id.to_string(), "message": {"role": "user", "content": text}})
}

/// Ends the turn under way; the agent goes on.
pub(super) fn interrupt(id: Uuid) -> Value {
    control(id, &json!({"subtype": "interrupt"}))
}

/// Another model from the next prompt on.
pub(super) fn set_model(id: Uuid, model: &str) -> Value {
    control(id, &json!({"subtype": "set_model", "model": model}))
}

fn control(id: Uuid, request: &Value) -> Value {
    json!({"type": "control_request", "request_id": id.to_string(), "request": request})
}

/// What a line of the agent means to the loop.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// The agent's words.
    Text(String),
    /// It calls a tool: the name, and in short with what.
    Call(String, String),
    /// The conversation was shortened.
    Compacted,
    /// A control request was answered; the mistake where it was refused.
    Answered(Option<Uuid>, Option<String>),
    /// A turn is over.
    Ended(Outcome),
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Outcome {
    /// The prompts it answered, where the agent says so.
    pub(super) prompts: Vec<Uuid>,
    /// What went wrong; nothing where all is well.
    pub(super) problem: Option<Problem>,
    pub(super) duration_ms: Option<u64>,
    /// Of the whole run so far.
    pub(super) run_cost_usd: Option<f64>,
}

/// Why a turn did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The conversation does not fit into the model's window.
    TooLong,
    /// The model's provider wants fewer requests.
    RateLimit,
    /// It was interrupted.
    Interrupted,
    /// Anything else, in the agent's words.
    Error(String),
}

/// Reads a line; what the loop does not steer by is nothing. Lenient about every member: a turn whose end is not understood
/// would never be over.
pub(super) fn read(line: &str) -> Vec<Heard> {
    let Ok(line) = serde_json::from_str::<Value>(line) else {
        return Vec::new();
    };
    match (line["type"].as_str(), line["subtype"].as_str()) {
        (Some("assistant"), _) if line["parent_tool_use_id"].is_null() => {
            let content = line["message"]["content"].as_array();
            content.into_iter().flatten().filter_map(block).collect()
        }
        (Some("system"), Some("compact_boundary")) => vec![Heard::Compacted],
        (Some("control_response"), _) => {
            let response = &line["response"];
            let problem = (response["subtype"] == "error").then(|| text(&response["error"]).unwrap_or_default());
            vec![Heard::Answered(id(&response["request_id"]), problem)]
        }
        (Some("result"), _) => vec![Heard::Ended(outcome(&line))],
        _ => Vec::new(),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

fn id(value: &Value) -> Option<Uuid> {
    value.as_str()?.parse().ok()
}

fn block(block: &Value) -> Option<Heard> {
    match block["type"].as_str()? {
        "text" => text(&block["text"]).map(Heard::Text),
        "tool_use" => Some(Heard::Call(text(&block["name"])?, brief(&block["input"]))),
        _ => None,
    }
}

/// The first of a tool's arguments that says what it is about.
fn brief(input: &Value) -> String {
    let telling = ["command", "file_path", "pattern", "url", "description", "prompt"];
    let told = telling.iter().find_map(|member| input[member].as_str());
    told.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

fn outcome(line: &Value) -> Outcome {
    let said = text(&line["result"]);
    let problem = match line["terminal_reason"].as_str() {
        _ if line["is_error"] != true && line["subtype"].as_str().is_none_or(|class| class == "success") => None,
        Some("prompt_too_long") => Some(Problem::TooLong),
        Some("aborted_tools" | "aborted_streaming") => Some(Problem::Interrupted),
        _ if line["api_error_status"] == 429 => Some(Problem::RateLimit),
        _ if said
            .as_deref()
            .is_some_and(|said| said.starts_with("Prompt is too long")) =>
        {
            Some(Problem::TooLong)
        }
        reason => {
            let told = said.or_else(|| text(&line["errors"][0]));
            let told = told.or_else(|| reason.map(ToOwned::to_owned));
            Some(Problem::Error(
                told.unwrap_or_else(|| "the agent did not say why".to_owned()),
            ))
        }
    };
    let prompts = line["user_message_uuids"].as_array();
    let prompts = prompts.into_iter().flatten().chain([&line["user_message_uuid"]]);
    Outcome {
        prompts: prompts.filter_map(id).collect(),
        problem,
        duration_ms: line["duration_ms"].as_u64(),
        run_cost_usd: line["total_cost_usd"].as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: &str) -> Option<Problem> {
        match &read(line)[..] {
            [Heard::Ended(outcome)] => outcome.problem.clone(),
            other => panic!("{other:?}"),
        }
    }

    // As Claude Code 2.1.330 printed them.
    #[test]
    fn the_agents_results_are_told_apart() {
        assert_eq!(
            problem(r#"{"type":"result","subtype":"success","is_error":false,"result":"Hi."}"#),
            None
        );
        let interrupted = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_tools","errors":["[ede_diagnostic] …"]}"#;
        assert_eq!(problem(interrupted), Some(Problem::Interrupted));
        let limited = r#"{"type":"result","subtype":"success","is_error":true,"terminal_reason":"api_error","api_error_status":429,"result":"API Error: Request rejected (429)"}"#;
        assert_eq!(problem(limited), Some(Problem::RateLimit));
        let long = r#"{"type":"result","subtype":"success","is_error":true,"result":"Prompt is too long"}"#;
        assert_eq!(problem(long), Some(Problem::TooLong));
        let gone = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"errors":["No conversation found"]}"#;
        assert_eq!(problem(gone), Some(Problem::Error("No conversation found".to_owned())));
    }

    #[test]
    fn words_and_calls_are_heard_and_a_subagents_are_not() {
        let line = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"Well."},{"type":"tool_use","id":"t","name":"Bash","input":{"command":"ls\n-l"}}]}}"#;
        let expected = [Heard::Text("Well.".into()), Heard::Call("Bash".into(), "ls".into())];
        assert_eq!(read(line), expected);
        let inside = line.replacen("\"assistant\"", "\"assistant\",\"parent_tool_use_id\":\"t1\"", 1);
        assert!(read(&inside).is_empty());
        assert!(read("plain text").is_empty());
    }

    #[test]
    fn an_answered_control_request_is_known_by_its_id() {
        let id = Uuid::from_u128(7);
        let line = format!(
            r#"{{"type":"control_response","response":{{"subtype":"error","request_id":"{id}","error":"no such model"}}}}"#
        );
        assert_eq!(
            read(&line),
            [Heard::Answered(Some(id), Some("no such model".to_owned()))]
        );
        assert_eq!(interrupt(id)["request"]["subtype"], "interrupt");
        assert_eq!(set_model(id, "opus")["request"]["model"], "opus");
    }
}
