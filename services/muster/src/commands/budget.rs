//! `muster budget`: what sessions may spend before they are held.

use crate::args::Global;
use crate::ask::{self, AskError};
use crate::{format, hub, output};
use clap::Subcommand;
use muster_bus::Bus;
use muster_domain::budget::{Level, Measure, Scope, Window};
use muster_domain::names::{AgentName, HostName};
use muster_runtime::exit::Failure;
use muster_wire::api::{
    BudgetRow, BudgetsList, BudgetsListRequest, BudgetsRemoveRequest, BudgetsRemoved, BudgetsSet, BudgetsSetRequest,
    StandingRow,
};
use muster_wire::subject::Operation;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Budgets, and how they stand
    List,
    /// Set a budget, or another limit for one
    Set(SetArgs),
    /// End a budget, and what it holds
    Remove {
        /// As `list` shows it
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    amount: AmountArgs,
    /// Count anew each minute, hour or day (UTC)
    #[arg(long, value_name = "WINDOW", value_parser = window, conflicts_with = "calls_per_minute")]
    per: Option<Window>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct ScopeArgs {
    /// All sessions together
    #[arg(long)]
    fleet: bool,
    /// The sessions of this host together; `each` for each host
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The sessions of this agent together; `each` for each agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// This session; `each` for each session
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct AmountArgs {
    /// Dollars
    #[arg(long, value_name = "DOLLARS")]
    usd: Option<f64>,
    /// Tokens of every kind
    #[arg(long, value_name = "N")]
    tokens: Option<f64>,
    /// Tool calls
    #[arg(long, value_name = "N")]
    calls: Option<f64>,
    /// Tool calls each minute
    #[arg(long, value_name = "N")]
    calls_per_minute: Option<f64>,
}

#[derive(Debug, thiserror::Error)]
#[error("windows are minute, hour and day")]
struct NoWindow;

fn window(text: &str) -> Result<Window, NoWindow> {
    let all = [Window::Minute, Window::Hour, Window::Day];
    all.into_iter().find(|window| window.as_str() == text).ok_or(NoWindow)
}

impl ScopeArgs {
    async fn scope(self, bus: &Bus) -> anyhow::Result<Scope> {
        let named = |name: String| (name != "each").then_some(name);
        let wrong = |error: muster_domain::names::NameError| anyhow::Error::from(Failure::Usage(error.to_string()));
        Ok(match self {
            Self { host: Some(host), .. } => Scope::Host {
                host: named(host)
                    .map(|name| HostName::new(&name))
                    .transpose()
                    .map_err(wrong)?,
            },
            Self { agent: Some(agent), .. } => Scope::Agent {
                agent: named(agent)
                    .map(|name| AgentName::new(&name))
                    .transpose()
                    .map_err(wrong)?,
            },
            Self {
                session: Some(start), ..
            } => match named(start) {
                None => Scope::Session {
                    host: None,
                    session: None,
                },
                Some(start) => {
                    let (host, session) = ask::session(bus, &start, None).await.map_err(AskError::fatal)?;
                    Scope::Session {
                        host: Some(host),
                        session: Some(session),
                    }
                }
            },
            Self { .. } => Scope::Fleet,
        })
    }
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    match args.verb {
        Verb::List => list(&bus, global).await?,
        Verb::Set(args) => set(&bus, global, args).await?,
        Verb::Remove { id } => {
            let request = BudgetsRemoveRequest {
                id,
                request_id: Some(ask::request_id()),
            };
            let done: BudgetsRemoved = ask::command(&bus, global, Operation::BudgetsRemove, &request).await?;
            if global.json {
                output::json(&done)?;
            } else if done.removed {
                output::line(&format!("removed {}", done.id));
            } else {
                return Err(
                    Failure::Usage(format!("no such budget: {}; `muster budget list` shows them", done.id)).into(),
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(bus: &Bus, global: &Global, args: SetArgs) -> anyhow::Result<()> {
    let (measure, limit, window) = match args.amount {
        AmountArgs { usd: Some(limit), .. } => (Measure::Usd, limit, args.per),
        AmountArgs {
            tokens: Some(limit), ..
        } => (Measure::Tokens, limit, args.per),
        AmountArgs {
            calls_per_minute: Some(limit),
            ..
        } => (Measure::Calls, limit, Some(Window::Minute)),
        AmountArgs { calls, .. } => (Measure::Calls, calls.unwrap_or_default(), args.per),
    };
    let request = BudgetsSetRequest {
        scope: args.scope.scope(bus).await?,
        measure,
        limit,
        window,
        request_id: Some(ask::request_id()),
    };
    let BudgetsSet { budget } = ask::command(bus, global, Operation::BudgetsSet, &request).await?;
    if global.json {
        return output::json(&budget);
    }
    output::line(&format!("{}: {}", budget.id, amount(budget.measure, budget.limit)));
    Ok(())
}

async fn list(bus: &Bus, global: &Global) -> anyhow::Result<()> {
    let (_, list): (_, BudgetsList) = ask::ask(bus, Operation::BudgetsList, &BudgetsListRequest {})
        .await
        .map_err(AskError::fatal)?;
    if global.json {
        return output::json(&list.budgets);
    }
    if list.budgets.is_empty() {
        output::line("no budgets");
        return Ok(());
    }
    let rows: Vec<[String; 5]> = list.budgets.iter().flat_map(rows).collect();
    output::line(&format::table(["BUDGET", "LIMIT", "WHO", "USED", "LEVEL"], &rows));
    Ok(())
}

/// A line for the budget and one for each who used something of it; the first of them stands beside the budget.
fn rows(budget: &BudgetRow) -> Vec<[String; 5]> {
    let limit = amount(budget.measure, budget.limit);
    let none = ["-".to_owned(), "-".to_owned(), "-".to_owned()];
    let mut rows: Vec<[String; 5]> = Vec::new();
    let mut standings: Vec<[String; 3]> = budget.standings.iter().map(|row| standing(budget, row)).collect();
    if budget.more > 0 {
        standings.push([format!("{} more", budget.more), "-".to_owned(), "-".to_owned()]);
    }
    if standings.is_empty() {
        standings.push(none);
    }
    for (n, [who, used, level]) in standings.into_iter().enumerate() {
        let (id, limit) = if n == 0 {
            (budget.id.clone(), limit.clone())
        } else {
            (String::new(), String::new())
        };
        rows.push([id, limit, who, used, level]);
    }
    rows
}

fn standing(budget: &BudgetRow, row: &StandingRow) -> [String; 3] {
    let level = match row.level {
        Level::Under => "-",
        Level::Warned => "warned",
        Level::Exceeded => "exceeded",
    };
    [
        row.subject.to_string(),
        amount(budget.measure, row.spent),
        level.to_owned(),
    ]
}

fn amount(measure: Measure, amount: f64) -> String {
    match measure {
        Measure::Usd => format::usd(Some(amount)),
        Measure::Tokens => format!("{amount} tokens"),
        Measure::Calls => format!("{amount} calls"),
    }
}
