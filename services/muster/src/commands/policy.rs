//! `muster policy`: which rules are in force, others in their place, and what rules come to, for one call or for history.

mod activate;
mod dry_run;
mod rules;
mod show;
mod test;

use crate::args::Global;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put rules in force on every host, in place of those there are; needs the operator's token
    Activate(activate::Args),
    /// The rules in force
    Show(show::Args),
    /// What rules come to for one tool call
    Test(Box<test::Args>),
    /// What rules would have changed, had they been in force
    DryRun(dry_run::Args),
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Activate(args) => activate::run(args, global).await,
        Command::Show(args) => show::run(args, global).await,
        Command::Test(args) => test::run(*args, global).await,
        Command::DryRun(args) => dry_run::run(args, global).await,
    }
}
