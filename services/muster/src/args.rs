//! The command line. Each command's own flags stand with the command.

use crate::commands;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Gathers the coding-agent sessions of many machines into one control plane.
#[derive(Debug, Parser)]
#[command(name = "muster", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Invocation {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command knows.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// The hub; without it, the one that `muster up` started, else nats://127.0.0.1:4222
    #[arg(long, global = true, env = "MUSTER_NATS", hide_env_values = true, value_name = "URL")]
    pub(crate) nats: Option<String>,
    /// Credentials (.creds or NKey seed) for a hub with users
    #[arg(long, global = true, env = "MUSTER_NATS_CREDENTIALS", value_name = "FILE")]
    pub(crate) nats_credentials: Option<PathBuf>,
    /// Certificates to trust besides the system's
    #[arg(long, global = true, env = "MUSTER_NATS_CA", value_name = "FILE")]
    pub(crate) nats_ca: Option<PathBuf>,
    /// The operator's token, which answering and deciding need; without it, that of the `muster up` whose hub is used, else
    /// `operator.token` in muster's state folder
    #[arg(long, global = true, env = "MUSTER_OPERATOR_TOKEN_FILE", value_name = "FILE")]
    pub(crate) operator_token: Option<PathBuf>,
    /// Print for programs: one JSON document, or one JSON document a line where output goes on
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything on this machine: a hub and the three services
    Up(Box<commands::up::Args>),
    /// Have an agent report its sessions: put muster's hooks into its settings
    Enroll(commands::enroll::Args),
    /// Take muster's hooks out of an agent's settings again
    Unenroll(commands::enroll::LeaveArgs),
    /// Say what works and what does not; exits 1 when something does not
    Doctor(commands::doctor::Args),
    /// What runs, waits and costs
    Sessions(commands::sessions::Args),
    /// Have a session do something: stop, compact its context, use another model; or begin one
    Session(commands::session::Args),
    /// What sessions and operators tell and ask one another
    Message(commands::message::Args),
    /// What hosts are told to do for their sessions, and what became of it
    Effects(commands::effects::Args),
    /// Find words in prompts, tool calls, messages of agents, and errors
    Search(commands::search::Args),
    /// Sessions added up: by state, agent, model and host
    Summary(commands::summary::Args),
    /// Hot files, slow tools, sinks of tokens, and agents that fail most
    Metrics(commands::summary::MetricsArgs),
    /// How long turns take, how they end, what they use
    Stats(commands::stats::Args),
    /// What somebody should look at: sessions that are stuck, wait, fail, or cost too much
    Alerts(commands::alerts::Args),
    /// What waits for an answer
    Approvals(commands::approvals::Args),
    /// Let an agent do what it asked for; needs the operator's token
    Approve(commands::approvals::ApproveArgs),
    /// Tell an agent no; needs the operator's token
    Deny(commands::approvals::DenyArgs),
    /// Deny new tool calls, of one session or of many, until they are released
    Hold(commands::hold::HoldArgs),
    /// Let held sessions go on
    Release(commands::hold::ReleaseArgs),
    /// What is held or marked away, and which hosts enforce it
    Holds(commands::hold::ListArgs),
    /// Mark sessions as unattended: their questions wait for an answer from elsewhere
    Away(commands::hold::AwayArgs),
    /// Somebody sits before these sessions again
    Back(commands::hold::BackArgs),
    /// What people and agents say of sessions
    Feedback(commands::feedback::Args),
    /// Sessions that are kept, and those that deserve it
    Case(commands::case::Args),
    /// Queries, and what is done about the sessions that they find
    Rule(commands::rule::Args),
    /// Sessions that wait for somebody to look at them
    Review(commands::review::Args),
    /// What sessions may spend before they are held
    Budget(commands::budget::Args),
    /// Whether a change makes sessions cheaper, shorter or better
    Experiment(commands::experiment::Args),
    /// Which tool calls may happen: rules in force, others in their place, and what they come to
    Policy(commands::policy::Args),
    /// Agents that keep failing, and when they may be run again
    Circuit(commands::circuit::Args),
    /// Who works on which workspace: begin, keep, end or take over work
    Lease(commands::lease::Args),
    /// What has to be passed, in order, before leased work goes on
    Gate(commands::guards::GateArgs),
    /// What waits for somebody in leased work
    Escalation(commands::guards::EscalationArgs),
    /// What leased work leaves to whoever goes on with it
    Handoff(commands::handoff::Args),
    /// What is needed to go on with work that is interrupted
    Recovery(commands::handoff::RecoveryArgs),
    /// What is known of the work on a workspace: shown, drawn from it, admitted, made durable, compacted
    Memory(Box<commands::memory::Args>),
    /// What a subagent needs to begin in a workspace
    Bootstrap(commands::bootstrap::Args),
    /// Whether a session shall go on with the context it has
    Context(commands::checkpoint::ContextArgs),
    /// How work stands, in the middle of it
    Checkpoint(commands::checkpoint::Args),
    /// How work stands at its end, and whether it can be left
    Closeout(commands::checkpoint::Args),
    /// Every event as it is stored
    Tail(commands::tail::Args),
    /// What happened, again, in its own rhythm or faster
    Replay(commands::replay::Args),
    /// Drive an agent turn by turn as its session is told to; or run a command, and report what it prints, uses and returns
    Run(commands::run::Args),
    /// Give an agent muster's tools: be its MCP server, over standard input and output
    Mcp(commands::mcp::Args),
    /// Walk the log: nothing missing, nothing counted twice; exits 1 when something is wrong
    Audit(commands::audit::Args),
    /// Create or update the hub's streams, buckets and consumers
    Migrate(commands::migrate::Args),
    /// Print a service's configuration in force, each value with its source
    Config(commands::config::Args),
    /// Be the hook that an agent runs (what `enroll` installs where there is no muster-hook)
    #[command(disable_help_flag = true)]
    Hook {
        /// What muster-hook takes
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<std::ffi::OsString>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use muster_wire::subject::Operation;

    #[test]
    fn the_command_line_is_consistent() {
        Invocation::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_table_of_operations_is_there() {
        for operation in Operation::ALL {
            let mut command = &Invocation::command();
            for word in operation.command().into_iter().flat_map(str::split_whitespace) {
                command = command
                    .find_subcommand(word)
                    .unwrap_or_else(|| panic!("{operation}: no {word}"));
            }
        }
    }

    #[test]
    fn a_wrapped_command_keeps_its_own_flags() {
        let words = [
            "muster", "run", "--agent", "codex", "--", "codex", "exec", "--json", "hello",
        ];
        let invocation = Invocation::try_parse_from(words).unwrap();
        assert!(!invocation.global.json, "the command's --json is not ours");
    }
}
