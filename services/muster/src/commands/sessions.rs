//! `muster sessions`: what runs, waits and costs.

mod list;
mod query;
mod show;

use crate::args::Global;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List sessions: those that wait for somebody first, then the most recent
    List(list::Args),
    /// List sessions that a query names, as in 'agent=codex errors>2 last_seen>=24h'; those that began last first
    Query(query::Args),
    /// Show one session with its turns
    Show(show::Args),
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List(args) => list::run(args, global).await,
        Command::Query(args) => query::run(args, global).await,
        Command::Show(args) => show::run(args, global).await,
    }
}
