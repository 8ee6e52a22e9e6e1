//! `muster config`: the configuration in force of a service, each value with its source.

use crate::args::Global;
use crate::output;
use muster_runtime::config::{self, ConfigError};
use muster_runtime::service::{Flags, Service};
use serde::de::DeserializeOwned;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose
    service: Which,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Which {
    Ingest,
    Orchestrator,
    Notifier,
}

pub(crate) fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let text = match args.service {
        Which::Ingest => in_force::<muster_ingest::Config>(&muster_ingest::SERVICE, args.flags),
        Which::Orchestrator => in_force::<muster_orchestrator::Config>(&muster_orchestrator::SERVICE, args.flags),
        Which::Notifier => in_force::<muster_notifier::Config>(&muster_notifier::SERVICE, args.flags),
    }?;
    if global.json {
        output::json(&document(&text))?;
    } else {
        output::line(text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// Every value, once the service would take them all.
fn in_force<C: DeserializeOwned>(service: &Service, flags: Flags) -> Result<String, ConfigError> {
    let sources = service.sources(flags, super::environment());
    config::load::<C>(service.defaults, &sources)?;
    config::dump(service.defaults, &sources)
}

/// `{"key": {"value": …, "source": …}}` of lines `key = value  # source`.
fn document(text: &str) -> serde_json::Value {
    let entry = |line: &str| {
        let (setting, source) = line.rsplit_once("  # ").unwrap_or((line, ""));
        let (key, value) = setting.split_once(" = ")?;
        // TOML's scalars and flat lists are JSON's, but for what JSON does not have.
        let value: serde_json::Value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        Some((key.to_owned(), serde_json::json!({ "value": value, "source": source })))
    };
    text.lines().filter_map(entry).collect::<serde_json::Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_reads_as_json() {
        let dumped = document("http.listen = \"127.0.0.1:1\"  # --set\nhttp.max_connections = 900  # defaults\n");
        assert_eq!(dumped["http.listen"]["value"], "127.0.0.1:1");
        assert_eq!(
            dumped["http.max_connections"],
            serde_json::json!({"value": 900, "source": "defaults"})
        );
    }
}
