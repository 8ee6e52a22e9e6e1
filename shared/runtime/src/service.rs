//! The `main` of every service: parse, load, start telemetry, run, drain, exit.
//!
//! It is here whole, because a service that forgets one of the steps works until the day it matters. What remains to a
//! service is its name, its defaults, and what it does with a [`Context`].

mod flags;
mod healthcheck;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches};
use muster_telemetry::Metrics;
use serde::de::DeserializeOwned;

use crate::config::{self, Sources};
use crate::drain::Drain;
use crate::health::Health;
use crate::{exit, http, signal};

pub use flags::Flags;
use flags::{Command, ConfigCommand, Invocation};

/// How long the last spans and metrics may take; within the ten seconds a container runtime waits, after the drain.
const FLUSH: Duration = Duration::from_secs(2);

/// Variables of one meaning for all services.
const ALIASES: &[(&str, &str)] = &[("MUSTER_TOKEN_FILE", "http.token_file")];

/// What a service is called and how it is configured.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    pub name: &'static str,
    pub version: &'static str,
    /// `MUSTER_INGEST__`
    pub env_prefix: &'static str,
    /// The commented TOML with every key, embedded.
    pub defaults: &'static str,
}

/// What every service's configuration has.
pub trait Settings: DeserializeOwned {
    fn telemetry(&self) -> &muster_telemetry::Config;
    fn http(&self) -> &http::Config;
}

/// What a service is given to run with.
#[derive(Clone)]
pub struct Context {
    pub drain: Drain,
    pub metrics: Metrics,
    pub health: Health,
    /// Tells apart processes of one service: host name and process id.
    pub instance: String,
}

impl Context {
    /// For a service that does not own its process.
    pub fn new(service: &'static str) -> Self {
        Self {
            drain: Drain::new(),
            metrics: Metrics::new(service),
            health: Health::new(),
            instance: instance(),
        }
    }
}

impl Service {
    /// Where this service's configuration comes from, given the flags and the environment.
    pub fn sources(&self, flags: Flags, env: impl IntoIterator<Item = (String, String)>) -> Sources {
        Sources {
            file: flags.config,
            env_prefix: self.env_prefix,
            env: env.into_iter().collect(),
            aliases: ALIASES,
            overrides: flags.set,
        }
    }
}

/// The whole `main` of a service.
pub fn main<C, F>(service: &Service, run: impl FnOnce(C, Context) -> F) -> ExitCode
where
    C: Settings,
    F: Future<Output = anyhow::Result<()>>,
{
    let command = Invocation::command().name(service.name).version(service.version);
    let invocation = match command
        .try_get_matches()
        .and_then(|matches| Invocation::from_arg_matches(&matches))
    {
        Ok(invocation) => invocation,
        Err(error) => {
            // Help and version are errors to clap, and not to us.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::DRAINED });
        }
    };
    // Variables that are not UTF-8 cannot be ours.
    let env =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let sources = service.sources(invocation.flags, env);
    let config: C = match config::load(service.defaults, &sources) {
        Ok(config) => config,
        Err(error) => return complain(exit::CONFIG, &error),
    };
    match invocation.command.unwrap_or(Command::Run) {
        Command::Run => start(service, config, run),
        Command::Config {
            command: ConfigCommand::Check,
        } => ExitCode::from(exit::DRAINED),
        Command::Config {
            command: ConfigCommand::Dump,
        } => match config::dump(service.defaults, &sources) {
            Ok(text) => print(&text),
            Err(error) => complain(exit::CONFIG, &error),
        },
        Command::Healthcheck => match healthcheck::ready(config.http().listen) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(1, &error),
        },
    }
}

fn start<C, F>(service: &Service, config: C, run: impl FnOnce(C, Context) -> F) -> ExitCode
where
    C: Settings,
    F: Future<Output = anyhow::Result<()>>,
{
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(exit::UNAVAILABLE, &error),
    };
    let mut context = Context::new(service.name);
    let telemetry = {
        let _inside = runtime.enter();
        muster_telemetry::init(config.telemetry(), service.name, service.version, &context.instance)
    };
    context.metrics = telemetry.metrics();
    let result = runtime.block_on(async {
        signal::drain_on_shutdown(&context.drain)?;
        tracing::info!(version = service.version, "starting {}", service.name);
        Box::pin(run(config, context)).await
    });
    let code = exit::report(result);
    telemetry.shutdown(FLUSH);
    // Blocking work that did not drain has had its time.
    runtime.shutdown_background();
    code
}

fn instance() -> String {
    let host = rustix::system::uname();
    format!("{}-{}", host.nodename().to_string_lossy(), std::process::id())
}

/// Before there is a log, on stderr and without its decoration.
#[expect(clippy::print_stderr, reason = "there is no log yet")]
fn complain(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(code)
}

#[expect(clippy::print_stdout, reason = "what the command was asked for")]
fn print(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::from(exit::DRAINED)
}
