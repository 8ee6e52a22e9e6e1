//! The command line that all services share.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[derive(Debug, Parser)]
pub(super) struct Invocation {
    #[command(flatten)]
    pub(super) flags: Flags,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// Where configuration comes from, besides the defaults and the environment.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// Read this TOML file over the defaults
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one key over everything else; may be repeated
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the service (what happens without a command)
    Run,
    /// Look at the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Ask the running service whether it is ready; exits 1 when not
    Healthcheck,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every value in force, with its source
    Dump,
    /// Say what is wrong, or nothing
    Check,
}

#[derive(Debug, thiserror::Error)]
#[error("write it as section.key=value")]
struct NotAPair;

fn pair(text: &str) -> Result<(String, String), NotAPair> {
    let (key, value) = text.split_once('=').ok_or(NotAPair)?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Invocation::command().debug_assert();
    }

    #[test]
    fn flags_go_before_or_after_the_command() {
        let before = Invocation::try_parse_from(["x", "--set", "http.listen=127.0.0.1:1", "config", "dump"]).unwrap();
        let after = Invocation::try_parse_from(["x", "config", "dump", "--set", "http.listen=127.0.0.1:1"]).unwrap();
        assert_eq!(before.flags.set, after.flags.set);
        assert_eq!(after.flags.set, [("http.listen".to_owned(), "127.0.0.1:1".to_owned())]);
        assert!(Invocation::try_parse_from(["x", "--set", "nonsense"]).is_err());
    }
}
