//! `muster policy dry-run`: tool calls of the past against rules of today.
//!
//! What is compared is what an agent is told: no, ask, yes, or nothing. What it was told then stands beside each call in
//! the log. Inputs are judged as they were stored: secrets taken out, and what is very long cut.

mod tally;

use super::rules::Which;
use crate::args::Global;
use crate::{format, hub, output};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use muster_bus::read::Start;
use muster_domain::family::{EventType, Family, HookName};
use muster_domain::policy::Ruling;
use muster_domain::time::Timestamp;
use muster_policy::{Facts, Policies};
use muster_wire::call::ToolCall;
use muster_wire::data::hook::{HookNote, NOTE_KEY, VerdictBy, VerdictKind};
use muster_wire::{Envelope, Filter, decode, topology};
use serde_json::{Map, Value};
use std::process::ExitCode;
use tally::{Call, Tally, Told};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// From then: an age as in 7d, or a time
    #[arg(long, value_name = "WHEN", default_value = "7d", value_parser = format::moment_arg)]
    since: Timestamp,
    /// How many calls to show for each rule
    #[arg(long, value_name = "N", default_value_t = 3)]
    examples: usize,
}

pub(super) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let policies = args.which.read(global).await?;
    let bus = hub::connect(global).await?;
    hub::may_read(&bus, topology::EVENTS).await?;
    let hooks = Filter::all().family(Family::AgentHook);
    let mut reader = bus.read(topology::EVENTS, std::slice::from_ref(&hooks), Start::Time(args.since));
    let end = reader.open().await.context("reading the log")?.last_seq;
    let progress = ProgressBar::new(reader.pending().unwrap_or_default());
    progress.set_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} events  {per_sec}  {eta}",
    )?);
    let mut tally = Tally::new(args.examples);
    while reader.pending() != Some(0) {
        let stored = reader.next().await.context("reading the log")?;
        if stored.seq > end {
            break;
        }
        progress.inc(1);
        match stored.envelope() {
            Ok(envelope) => judge(&policies, stored.seq, stored.at, &envelope, &mut tally),
            Err(_) => tally.unreadable += 1,
        }
    }
    progress.finish_and_clear();
    let report = tally.report(args.since, policies.fingerprint());
    if global.json {
        output::json(&report)?;
    } else {
        report.shown().iter().for_each(|line| output::line(line));
    }
    Ok(ExitCode::SUCCESS)
}

fn judge(policies: &Policies, seq: u64, at: Timestamp, envelope: &Envelope, tally: &mut Tally) {
    let EventType::AgentHook(hook) = &envelope.event_type else {
        return;
    };
    if *decode::moment(hook) != HookName::PreToolUse {
        return;
    }
    let payload: Map<String, Value> = serde_json::from_str(envelope.data.get()).unwrap_or_default();
    let Some(call) = ToolCall::read(&payload) else {
        return;
    };
    let notes: HookNote = payload
        .get(NOTE_KEY)
        .and_then(|notes| serde_json::from_value(notes.clone()).ok())
        .unwrap_or_default();
    let labels: Vec<String> = notes
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let text = |name: Option<&str>| name.unwrap_or_default().to_owned();
    let (host, agent) = (
        text(envelope.host.as_ref().map(|name| name.as_str())),
        text(envelope.agent.as_ref().map(|name| name.as_str())),
    );
    let session = text(envelope.session.as_ref().map(|id| id.as_str()));
    let facts = Facts {
        host: &host,
        agent: &agent,
        subagent: call.subagent,
        session: &session,
        profile: envelope.profile.as_ref().map_or("default", |profile| profile.as_str()),
        labels: &labels,
        attended: notes.attended == Some(true) && !notes.away,
        mode: call.mode,
        cwd: call.cwd,
        tool: call.tool,
        input: &call.input,
    };
    let examined = policies.examine(&facts);
    let would = examined
        .verdict
        .as_ref()
        .map_or(Told::Nothing, |verdict| match verdict.decision {
            Ruling::Deny => Told::Deny,
            Ruling::ApprovalRequired | Ruling::EscalationRequired => Told::Ask,
            Ruling::Allow if verdict.grant => Told::Allow,
            Ruling::Allow => Told::Nothing,
        });
    let then = notes.verdict.as_ref();
    let was = then.map_or(Told::Nothing, |verdict| match verdict.decision {
        VerdictKind::Deny => Told::Deny,
        VerdictKind::Ask => Told::Ask,
        VerdictKind::Allow => Told::Allow,
    });
    tally.add(Call {
        seq,
        at,
        host,
        session,
        what: what(call.tool, &call.input),
        tool: call.tool.to_owned(),
        // A hold or a circuit would have spoken first.
        kept: then.is_some_and(|verdict| verdict.by != VerdictBy::Policy),
        was,
        was_by: then.and_then(|verdict| verdict.rule.clone()),
        would,
        by: examined.verdict.and_then(|verdict| verdict.rules.into_iter().next()),
        family: examined.classed.family,
        unevaluated: examined.unevaluated,
    });
}

/// One line of what is called.
fn what(tool: &str, input: &Value) -> String {
    let named = ["command", "file_path", "path", "url", "query", "pattern"]
        .iter()
        .find_map(|key| input.get(key)?.as_str());
    let text = named.map_or_else(|| input.to_string(), str::to_owned);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{tool}: {}", format::shorten(&line, 100))
}
