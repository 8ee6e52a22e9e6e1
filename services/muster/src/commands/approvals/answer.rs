//! `muster approve` and `muster deny`.

use super::{about, ended, show, which};
use crate::args::Global;
use crate::ask::{AskError, order};
use crate::{format, hub, output};
use anyhow::Context as _;
use muster_bus::Bus;
use muster_domain::approval::Scope;
use muster_runtime::exit::Failure;
use muster_wire::RawData;
use muster_wire::api::{ApprovalRow, ApprovalsResolveRequest, ApprovalsResolved, Taken, Verdict};
use muster_wire::subject::Operation;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::process::ExitCode;
use uuid::Uuid;

/// Somebody else's answer was first.
const LATE: u8 = 1;

#[derive(Debug, clap::Args)]
struct WhichArgs {
    /// The beginning or the end of its id, as `muster approvals` shows it
    #[arg(required_unless_present = "latest", conflicts_with = "latest")]
    id: Option<String>,
    /// The one that waits, if it is the only one
    #[arg(long)]
    latest: bool,
    /// Why, in your words; a denied agent reads it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 your answer counts, 1 another one was first, 64 no such approval, 78 no operator token."
)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Also calls like it, until the session ends
    #[arg(long)]
    always_for_session: bool,
    /// Answer a question: the question, its heading or its number, and the label chosen or words of your own; may be repeated
    #[arg(long, value_name = "QUESTION=LABEL", conflicts_with = "input")]
    answer: Vec<String>,
    /// Run it with this input instead
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 your answer counts, 1 another one was first, 64 no such approval, 78 no operator token."
)]
pub(crate) struct DenyArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Have the agent stop, instead of trying something else
    #[arg(long)]
    interrupt: bool,
}

pub(crate) async fn approve(args: ApproveArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let (input, answers) = (args.input, args.answer);
    let scope = if args.always_for_session {
        Scope::Session
    } else {
        Scope::Once
    };
    resolve(args.which, global, Verdict::Approve, async |bus, row, request| {
        request.scope = scope;
        request.updated_input = match &input {
            Some(text) => Some(object(text)?),
            None if answers.is_empty() => None,
            None => answered(&show::input(bus, row).await?, &answers)?,
        };
        Ok(())
    })
    .await
}

pub(crate) async fn deny(args: DenyArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let interrupt = args.interrupt;
    resolve(args.which, global, Verdict::Deny, async |_, _, request| {
        request.interrupt = interrupt;
        Ok(())
    })
    .await
}

async fn resolve(
    args: WhichArgs,
    global: &Global,
    decision: Verdict,
    complete: impl AsyncFnOnce(&Bus, &ApprovalRow, &mut ApprovalsResolveRequest) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let operator = hub::operator(global)?;
    let bus = hub::connect(global).await?;
    let row = match &args.id {
        Some(given) => which::find(&bus, given).await,
        None => which::latest(&bus).await,
    };
    let row = row.map_err(AskError::fatal)?;
    let mut request = ApprovalsResolveRequest {
        id: row.id,
        decision,
        reason: args.reason,
        scope: Scope::Once,
        interrupt: false,
        answers: None,
        updated_input: None,
        request_id: Some(Uuid::now_v7().to_string()),
    };
    if row.resolution.is_none() {
        complete(&bus, &row, &mut request).await?;
    }
    let asked = order(&bus, &operator, Operation::ApprovalsResolve, &request).await;
    let (_, answer): (_, ApprovalsResolved) = asked.map_err(AskError::fatal)?;
    if global.json {
        output::json(&answer)?;
    } else {
        output::line(&told(&row, &answer));
    }
    Ok(match answer.outcome {
        Taken::Applied => ExitCode::SUCCESS,
        Taken::AlreadyResolved => ExitCode::from(LATE),
    })
}

fn told(row: &ApprovalRow, answer: &ApprovalsResolved) -> String {
    let resolution = answer.approval.resolution.as_ref();
    match answer.outcome {
        Taken::Applied => {
            let how = resolution.map_or_else(String::new, super::how);
            format!("{how}: {}", about(row))
        }
        Taken::AlreadyResolved => {
            let how = resolution.map_or_else(String::new, |resolution| ended(resolution, format::now()));
            format!("already {how}")
        }
    }
}

fn object(text: &str) -> anyhow::Result<RawData> {
    let input = serde_json::from_str::<Map<String, Value>>(text)
        .and_then(|_| RawValue::from_string(text.to_owned()))
        .context(Failure::Usage(
            "--input is a JSON object, like the input it replaces".to_owned(),
        ))?;
    Ok(input)
}

/// The agent's own questions with the answers in them.
fn answered(input: &str, given: &[String]) -> anyhow::Result<Option<RawData>> {
    let mut input: Map<String, Value> = serde_json::from_str(input).unwrap_or_default();
    let questions = input.get("questions").and_then(Value::as_array).cloned();
    let questions = questions
        .filter(|questions| !questions.is_empty())
        .ok_or_else(|| Failure::Usage("this asks no questions; leave --answer out".to_owned()))?;
    let mut answers = Map::new();
    for given in given {
        let (question, label) = given
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("{given:?} is not of the form QUESTION=LABEL")))?;
        let question = asked(&questions, question.trim(), label.trim())
            .ok_or_else(|| Failure::Usage(format!("no question is, or is headed or numbered, {question:?}")))?;
        // Several labels of one question are one text, as the agent's own dialog gives them.
        match answers.get_mut(&question.0) {
            Some(Value::String(before)) => *before = format!("{before}, {}", question.1),
            _ => {
                answers.insert(question.0, Value::String(question.1));
            }
        }
    }
    input.insert("answers".to_owned(), Value::Object(answers));
    Ok(Some(to_raw_value(&input)?))
}

/// The question's own text, and the label as the question spells it.
fn asked(questions: &[Value], given: &str, label: &str) -> Option<(String, String)> {
    let number = given.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let same = |value: &Value| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(given));
    let question = questions
        .iter()
        .find(|question| same(&question["question"]) || same(&question["header"]))
        .or_else(|| questions.get(number?))?;
    let labels = question["options"].as_array().into_iter().flatten();
    let known = labels
        .filter_map(|option| option["label"].as_str())
        .find(|known| known.eq_ignore_ascii_case(label));
    Some((
        question["question"].as_str()?.to_owned(),
        known.unwrap_or(label).to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: &str = r#"{"questions":[
        {"question":"Which database?","header":"Database","options":[{"label":"SQLite"},{"label":"Postgres"}]},
        {"question":"Which checks?","header":"Checks","multiSelect":true,"options":[{"label":"fmt"},{"label":"clippy"}]}]}"#;

    fn answers(given: &[&str]) -> anyhow::Result<Value> {
        let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
        let input: Value = serde_json::from_str(answered(INPUT, &given)?.unwrap().get())?;
        assert_eq!(input["questions"].as_array().unwrap().len(), 2, "the questions stay");
        Ok(input["answers"].clone())
    }

    #[test]
    fn a_question_is_named_by_its_text_its_heading_or_its_number() {
        let expected = serde_json::json!({"Which database?": "SQLite", "Which checks?": "fmt, clippy"});
        for database in ["Which database?=SQLite", "database=sqlite", "1=SQLITE"] {
            assert_eq!(answers(&[database, "2=fmt", "checks=clippy"]).unwrap(), expected);
        }
        let own = answers(&["1=none at all"]).unwrap();
        assert_eq!(own["Which database?"], "none at all");
        for wrong in ["3=x", "0=x", "Colour=red", "SQLite"] {
            assert!(answers(&[wrong]).is_err(), "{wrong}");
        }
        assert!(answered(r#"{"command":"make"}"#, &["1=x".to_owned()]).is_err());
    }
}
