//! `muster hold`, `release`, `holds`, `away`, `back`: orders that hosts enforce.

use crate::args::Global;
use crate::ask::{self, AskError};
use crate::{format, hub, output};
use muster_bus::Bus;
use muster_domain::hold::{Mode, Selector};
use muster_domain::ids::EventId;
use muster_domain::names::{AgentName, HostName};
use muster_domain::time::Timestamp;
use muster_runtime::exit::Failure;
use muster_wire::api::{
    HoldRow, HoldsList, HoldsListRequest, HoldsReleaseRequest, HoldsReleased, HoldsSet, HoldsSetRequest,
};
use muster_wire::subject::Operation;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long `hold` waits for the hosts to say that they enforce it: what is promised, and a little.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(6);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);

/// For whom.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// Every session
    #[arg(long)]
    all: bool,
    /// Every session on this host
    #[arg(long, value_name = "HOST")]
    host: Option<HostName>,
    /// Every session of this agent, as in claude-code
    #[arg(long, value_name = "AGENT")]
    agent: Option<AgentName>,
    /// Every session that carries this label
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Option<(String, String)>,
    /// One session: the beginning of its id is enough
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("a label is KEY=VALUE")]
struct NoLabel;

fn label(text: &str) -> Result<(String, String), NoLabel> {
    let (key, value) = text.split_once('=').ok_or(NoLabel)?;
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() {
        return Err(NoLabel);
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[derive(Debug, clap::Args)]
pub(crate) struct HoldArgs {
    #[command(flatten)]
    whom: Whom,
    /// Why; agents are shown it
    #[arg(long)]
    reason: Option<String>,
    /// For how long, as in 30m; without it, until it is released
    #[arg(long = "for", value_name = "DURATION", value_parser = format::span_arg)]
    span: Option<Duration>,
    /// Do not wait for the hosts to say that they enforce it
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AwayArgs {
    #[command(flatten)]
    whom: Whom,
    /// For how long, as in 2h; without it, until `muster back`
    #[arg(long = "for", value_name = "DURATION", value_parser = format::span_arg)]
    span: Option<Duration>,
}

/// Which to end.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The hold of this id, or of ids that begin so
    id: Option<String>,
    /// All of them, whomever they are for
    #[arg(long)]
    all: bool,
    /// Those set for this host
    #[arg(long, value_name = "HOST")]
    host: Option<HostName>,
    /// Those set for this agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<AgentName>,
    /// Those set for this label
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Option<(String, String)>,
    /// Those set for this session
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    which: Which,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BackArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Those that are over, too
    #[arg(long)]
    past: bool,
}

impl Whom {
    async fn selector(self, bus: &Bus) -> anyhow::Result<Selector> {
        Ok(match self {
            Self { host: Some(host), .. } => Selector::Host { host },
            Self { agent: Some(agent), .. } => Selector::Agent { agent },
            Self {
                label: Some((key, value)),
                ..
            } => Selector::Label { key, value },
            Self {
                session: Some(start), ..
            } => {
                let (host, session) = ask::session(bus, &start, None).await.map_err(AskError::fatal)?;
                Selector::Session {
                    host: Some(host),
                    session,
                }
            }
            Self { .. } => Selector::All,
        })
    }
}

pub(crate) async fn hold(args: HoldArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let mut row = set(&bus, global, Mode::Hold, args.whom, args.reason, args.span).await?;
    if !args.no_wait {
        row = confirmed(&bus, row).await?;
    }
    if global.json {
        output::json(&row)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!("held {}: {}", row.selector, row.id));
    if row.unconfirmed.is_empty() {
        output::line(&format!(
            "enforced on {}",
            hosts(row.hosts.iter().map(|host| &host.host))
        ));
    } else {
        output::remark(&format!(
            "not confirmed by {}; `muster holds` shows when it is",
            hosts(row.unconfirmed.iter())
        ));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn away(args: AwayArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let row = set(&bus, global, Mode::Away, args.whom, None, args.span).await?;
    if global.json {
        output::json(&row)?;
    } else {
        output::line(&format!("away from {}: {}", row.selector, row.id));
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(
    bus: &Bus,
    global: &Global,
    mode: Mode,
    whom: Whom,
    reason: Option<String>,
    span: Option<Duration>,
) -> anyhow::Result<HoldRow> {
    let request = HoldsSetRequest {
        mode,
        selector: whom.selector(bus).await?,
        reason,
        expires_in_ms: span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        request_id: Some(ask::request_id()),
    };
    let HoldsSet { hold } = ask::command(bus, global, Operation::HoldsSet, &request).await?;
    Ok(hold)
}

/// The row once every host confirmed it, or the time for that is over.
async fn confirmed(bus: &Bus, mut row: HoldRow) -> anyhow::Result<HoldRow> {
    let until = Instant::now() + CONFIRMED_WITHIN;
    while !row.unconfirmed.is_empty() && Instant::now() < until {
        sleep(LOOK).await;
        let list = holds(bus, false).await?;
        match list.holds.into_iter().find(|hold| hold.id == row.id) {
            Some(now) => row = now,
            // Somebody released it meanwhile.
            None => break,
        }
    }
    Ok(row)
}

async fn holds(bus: &Bus, past: bool) -> anyhow::Result<HoldsList> {
    let request = HoldsListRequest { past };
    let (_, list) = ask::ask(bus, Operation::HoldsList, &request)
        .await
        .map_err(AskError::fatal)?;
    Ok(list)
}

pub(crate) async fn release(args: ReleaseArgs, global: &Global) -> anyhow::Result<ExitCode> {
    end(Mode::Hold, args.which, args.reason, global).await
}

pub(crate) async fn back(args: BackArgs, global: &Global) -> anyhow::Result<ExitCode> {
    end(Mode::Away, args.which, None, global).await
}

async fn end(mode: Mode, which: Which, reason: Option<String>, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let mut request = HoldsReleaseRequest {
        mode: Some(mode),
        reason,
        request_id: Some(ask::request_id()),
        ..HoldsReleaseRequest::default()
    };
    match which {
        Which { id: Some(start), .. } => request.id = Some(picked(&bus, &start).await?),
        Which { all: true, .. } => request.all = true,
        Which {
            host,
            agent,
            label,
            session,
            ..
        } => {
            let whom = Whom {
                all: false,
                host,
                agent,
                label,
                session,
            };
            request.selector = Some(whom.selector(&bus).await?);
        }
    }
    let done: HoldsReleased = ask::command(&bus, global, Operation::HoldsRelease, &request).await?;
    if global.json {
        output::json(&done)?;
        return Ok(ExitCode::SUCCESS);
    }
    if done.released.is_empty() {
        output::line("nothing to release");
    }
    for row in &done.released {
        output::line(&format!("released {}: {}", row.selector, row.id));
    }
    for row in &done.kept {
        let by = &row.by;
        output::remark(&format!(
            "{} stays held by {by}: raise or remove the budget",
            row.selector
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The one order whose id begins so.
async fn picked(bus: &Bus, start: &str) -> anyhow::Result<EventId> {
    if let Ok(id) = start.parse() {
        return Ok(id);
    }
    let list = holds(bus, false).await?;
    let found: Vec<EventId> = list
        .holds
        .iter()
        .map(|hold| hold.id)
        .filter(|id| id.to_string().starts_with(start))
        .collect();
    match found[..] {
        [id] => Ok(id),
        [] => Err(Failure::Usage(format!("no hold's id begins with {start:?}")).into()),
        _ => Err(Failure::Usage(format!("several holds' ids begin with {start:?}: give more of it")).into()),
    }
}

pub(crate) async fn list(args: ListArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let list = holds(&bus, args.past).await?;
    if global.json {
        if args.past {
            output::json(&json!({"holds": list.holds, "past": list.past}))?;
        } else {
            output::json(&list.holds)?;
        }
    } else if list.holds.is_empty() && list.past.is_empty() {
        output::line("nothing is held");
    } else {
        output::line(&table(&list, format::now()));
    }
    Ok(ExitCode::SUCCESS)
}

fn hosts<'a>(names: impl Iterator<Item = &'a HostName>) -> String {
    let names: Vec<&str> = names.map(HostName::as_str).collect();
    if names.is_empty() {
        return "no host (none is known)".to_owned();
    }
    names.join(", ")
}

fn table(list: &HoldsList, now: Timestamp) -> String {
    let rows: Vec<[String; 7]> = list
        .holds
        .iter()
        .chain(&list.past)
        .map(|row| {
            let ends = match (&row.released, row.expires_at) {
                (Some(end), _) => format!("released by {}", end.by),
                (None, Some(at)) => format!("in {}", format::age(at, now)),
                (None, None) => "-".to_owned(),
            };
            let enforced = if row.unconfirmed.is_empty() {
                format!("all {}", row.hosts.len())
            } else {
                format!("not by {}", hosts(row.unconfirmed.iter()))
            };
            [
                row.mode.as_str().to_owned(),
                row.selector.to_string(),
                format::age(now, row.at),
                ends,
                row.id.to_string(),
                enforced,
                format::shorten(&format!("{}: {}", row.by, row.reason.as_deref().unwrap_or("-")), 80),
            ]
        })
        .collect();
    format::table(["MODE", "FOR", "AGE", "ENDS", "ID", "ENFORCED", "BY"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_a_key() {
        assert_eq!(label("team = web").unwrap(), ("team".to_owned(), "web".to_owned()));
        assert!(label("team").is_err());
        assert!(label("=web").is_err());
    }
}
