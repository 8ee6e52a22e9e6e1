//! `muster approvals show`: everything that somebody needs to answer.

use super::{ended, host, input as rendered, left, line, session, which};
use crate::args::Global;
use crate::ask::AskError;
use crate::{format, hub, output};
use anyhow::Context as _;
use muster_bus::Bus;
use muster_domain::approval::{Fallback, Kind, Stage};
use muster_domain::time::Timestamp;
use muster_runtime::exit::Failure;
use muster_wire::RawData;
use muster_wire::api::ApprovalRow;
use muster_wire::topology::PAYLOADS;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The beginning or the end of its id
    id: String,
}

pub(super) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let mut row = which::find(&bus, &args.id).await.map_err(AskError::fatal)?;
    if row.asked.overflow.is_some() {
        row.asked.tool_input = RawValue::from_string(input(&bus, &row).await?).ok();
    }
    if global.json {
        output::json(&row)?;
    } else {
        output::line(&whole(&row, format::now()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The input, whole: from the payload store where the event has only a part of it.
pub(super) async fn input(bus: &Bus, row: &ApprovalRow) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Payload {
        tool_input: RawData,
    }
    let held = row.asked.tool_input.as_deref().map_or("null", RawValue::get);
    let Some(object) = &row.asked.overflow else {
        return Ok(held.to_owned());
    };
    let payload = bus.objects(&PAYLOADS).get(object).await?;
    let payload = payload.context(Failure::Unavailable(format!(
        "the whole input is not in the store yet, or not any more: {object}"
    )))?;
    let payload: Payload = serde_json::from_slice(&payload).context("reading the whole payload")?;
    Ok(payload.tool_input.get().to_owned())
}

fn whole(row: &ApprovalRow, now: Timestamp) -> String {
    let asked = &row.asked;
    let text = |text: &Option<String>| text.as_deref().map(line);
    let state = match &row.resolution {
        Some(resolution) => ended(resolution, now),
        None => {
            let stage = match row.stage {
                Some(Stage::Reminded) => ", announced again",
                Some(Stage::Escalated) => ", escalated",
                Some(Stage::Asked) | None => "",
            };
            format!("waits for {}{stage}", format::age(now, row.at))
        }
    };
    let what = match asked.kind {
        Kind::PermissionRequest => "permission",
        Kind::Question => "question",
        Kind::PolicyCheck => "policy check",
    };
    let fallback = match row.fallback {
        Fallback::Agent => "the agent's own dialog decides",
        Fallback::Deny => "it is denied",
    };
    let deadline = match row.resolution {
        Some(_) => None,
        None => Some(format!(
            "{} left ({}); then {fallback}",
            left(row, now),
            muster_wire::time::format(row.deadline)
        )),
    };
    let agent = row
        .agent
        .as_ref()
        .map(ToString::to_string)
        .map(|agent| match &asked.agent_id {
            Some(subagent) => format!("{agent}, subagent {subagent}"),
            None => agent,
        });
    let facts = [
        ("state", Some(state)),
        ("deadline", deadline),
        ("host", Some(host(row))),
        ("session", Some(session(row))),
        ("agent", agent.as_deref().map(line)),
        ("cwd", text(&asked.cwd)),
        ("mode", text(&asked.permission_mode)),
        ("call", asked.tool_use_id.as_ref().map(|call| line(call.as_str()))),
    ];
    let mut lines = vec![format!("{what} for {}  {}", line(asked.tool_name.as_str()), row.id)];
    for (name, value) in facts {
        lines.extend(value.map(|value| format!("  {name:9} {value}")));
    }
    if let Some(suggestions) = &asked.suggestions {
        lines.push("  the agent offers to allow, for good or for the session:".to_owned());
        let offered: Value = serde_json::from_str(suggestions.get()).unwrap_or_default();
        let one = |value: &Value| format!("    {}", line(&value.to_string()));
        match offered.as_array() {
            Some(several) => lines.extend(several.iter().map(one)),
            None => lines.push(one(&offered)),
        }
    }
    if let Some(input) = &asked.tool_input {
        lines.push(String::new());
        lines.push(
            rendered::of(asked.tool_name.as_str(), input.get())
                .trim_end()
                .to_owned(),
        );
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answered, row};
    use super::*;

    const ID: &str = "0198f3c2-0000-7000-8000-00000000aaaa";

    #[test]
    fn whoever_answers_sees_what_runs_where_and_until_when() {
        let now = muster_wire::time::parse("2026-11-21T12:00:13Z").unwrap();
        let mut asked = row(ID);
        asked.asked.suggestions = RawValue::from_string(r#"[{"type":"addRules"}]"#.to_owned()).ok();
        let shown = whole(&asked, now);
        for part in [
            "permission for Bash",
            "waits for 13s",
            "9m17s left",
            "the agent's own dialog decides",
            "web-01",
            "78e6edba-fbb9",
            "/w",
            r#"    {"type":"addRules"}"#,
            "\n\nmake",
        ] {
            assert!(shown.contains(part), "{part:?} is missing in\n{shown}");
        }
        let shown = whole(&answered(ID), now);
        assert!(
            shown.contains("denied by anna, 3s ago") && !shown.contains("left"),
            "{shown}"
        );
    }
}
