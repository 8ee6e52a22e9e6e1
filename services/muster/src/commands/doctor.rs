//! `muster doctor`: what works, what does not, and what to do about it.
//!
//! Each check stands alone: what cannot be looked at because something before it failed says so in one line instead of
//! failing too.

mod hooks;
mod hub;
mod local;
mod presence;

use crate::args::Global;
use crate::output;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The hub's monitoring address; without it, the one of `muster up`
    #[arg(long, value_name = "URL")]
    monitor: Option<String>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Status,
    detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Ok,
            detail: detail.into(),
            advice: None,
        }
    }

    fn warn(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Warn,
            detail: detail.into(),
            advice: Some(advice.into()),
        }
    }

    fn fail(name: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Fail,
            detail: detail.into(),
            advice: Some(advice.into()),
        }
    }
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let url = crate::hub::url(global);
    let running = crate::hub::running_with(&url);
    let monitor = args
        .monitor
        .or_else(|| running.as_ref().map(|running| running.monitor.clone()));

    let mut checks = Vec::new();
    let enrolled = hooks::enrolled(&mut checks);
    let bus = hub::connect(global, &url, &mut checks).await;
    if let Some(monitor) = &monitor {
        hub::monitor(monitor, &mut checks).await;
    }
    let ingest = local::ingest(running.as_ref(), enrolled, &mut checks).await;
    if let Some(bus) = &bus {
        hub::streams(bus, &mut checks).await;
        hub::orchestrator(bus, &mut checks).await;
        presence::hosts(bus, ingest.as_ref(), &mut checks).await;
    }
    if let Some(running) = &running {
        local::ready("ingest_ready", &running.ingest, &mut checks).await;
        local::ready("orchestrator_ready", &running.orchestrator, &mut checks).await;
        local::ready("notifier_ready", &running.notifier, &mut checks).await;
    }

    let failed = checks.iter().any(|check| check.status == Status::Fail);
    if global.json {
        output::json(&serde_json::json!({ "ok": !failed, "checks": checks }))?;
    } else {
        checks.iter().for_each(|check| output::line(&shown(check)));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn shown(check: &Check) -> String {
    let status = match check.status {
        Status::Ok => "ok  ",
        Status::Warn => "warn",
        Status::Fail => "FAIL",
    };
    let advice = check
        .advice
        .as_deref()
        .map_or_else(String::new, |advice| format!("\n{:25}→ {advice}", ""));
    format!("{status} {:20}{}{advice}", check.name, check.detail)
}
