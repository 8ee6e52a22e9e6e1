//! What an operator can choose; `config.default.toml` is the manual.

use crate::approvals;
use crate::effects::SpawnConfig;
use crate::optimize;
use crate::spool;
use anyhow::Context as _;
use muster_domain::names::{HostName, Profile};
use muster_runtime::config::{ByteSize, HumanDuration};
use muster_runtime::paths::Dirs;
use muster_runtime::service::{Service, Settings};
use muster_runtime::{drain, http};
use serde::Deserialize;
use std::path::PathBuf;

/// Every key with its default and its meaning.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// What this service is called.
pub const SERVICE: Service = Service {
    name: "muster-ingest",
    version: env!("CARGO_PKG_VERSION"),
    env_prefix: "MUSTER_INGEST__",
    defaults: DEFAULTS,
};

/// One field a part.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub host: Host,
    pub nats: Nats,
    pub http: http::Config,
    pub socket: Socket,
    pub spool: Spool,
    pub intake: Intake,
    pub approvals: Approvals,
    pub spawn: SpawnConfig,
    pub optimizer: optimize::Config,
    pub watch: Watch,
    pub telemetry: muster_telemetry::Config,
    pub shutdown: drain::Config,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    pub name: String,
    pub profile: Profile,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    pub url: String,
    pub credentials_file: PathBuf,
    pub ca_file: PathBuf,
    pub name: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Socket {
    pub path: PathBuf,
    pub max_connections: usize,
    pub idle_timeout: HumanDuration,
    pub read_timeout: HumanDuration,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    pub dir: PathBuf,
    pub max_bytes: ByteSize,
    pub reserve_bytes: ByteSize,
    pub retain_after_ack: HumanDuration,
    pub overflow_max_bytes: ByteSize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    pub in_flight_max_bytes: ByteSize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    pub wait: HumanDuration,
    pub hidden_dialog_wait: HumanDuration,
    pub hub_away: HumanDuration,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    pub enabled: bool,
}

impl Settings for Config {
    fn telemetry(&self) -> &muster_telemetry::Config {
        &self.telemetry
    }

    fn http(&self) -> &http::Config {
        &self.http
    }
}

impl Host {
    /// The host's name, as chosen or as the machine calls itself.
    pub(crate) fn resolved(&self) -> anyhow::Result<HostName> {
        if self.name.is_empty() {
            HostName::from_hostname(&machine()).context("set host.name: this machine has no usable name")
        } else {
            HostName::new(&self.name).context("host.name")
        }
    }
}

/// What the machine calls itself.
pub(crate) fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl Nats {
    pub(crate) fn options(&self, instance: &str) -> muster_bus::Options {
        let given = |path: &PathBuf| (!path.as_os_str().is_empty()).then(|| path.clone());
        let name = if self.name.is_empty() {
            format!("ingest/{instance}")
        } else {
            self.name.clone()
        };
        muster_bus::Options {
            credentials: given(&self.credentials_file),
            ca_file: given(&self.ca_file),
            ..muster_bus::Options::new(&self.url, name)
        }
    }
}

impl Socket {
    /// Where the socket is: the same place where `muster-hook` looks.
    pub(crate) fn resolved(&self) -> anyhow::Result<PathBuf> {
        if !self.path.as_os_str().is_empty() {
            return Ok(self.path.clone());
        }
        if let Some(path) = std::env::var_os("MUSTER_SOCKET").filter(|path| !path.is_empty()) {
            return Ok(path.into());
        }
        Ok(Dirs::from_env().context("set socket.path")?.runtime.join("ingest.sock"))
    }
}

impl Approvals {
    pub(crate) fn settings(&self) -> approvals::Settings {
        approvals::Settings {
            wait: self.wait.get(),
            hidden_dialog_wait: self.hidden_dialog_wait.get(),
            hub_away: self.hub_away.get(),
        }
    }
}

impl Spool {
    pub(crate) fn resolved(&self) -> anyhow::Result<PathBuf> {
        if self.dir.as_os_str().is_empty() {
            Ok(Dirs::from_env().context("set spool.dir")?.state.join("ingest"))
        } else {
            Ok(self.dir.clone())
        }
    }

    pub(crate) fn options(&self) -> spool::Options {
        spool::Options {
            max_bytes: self.max_bytes.as_u64(),
            reserve_bytes: self.reserve_bytes.as_u64(),
            retain_after_ack: self.retain_after_ack.get(),
            ..spool::Options::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_runtime::config::{Sources, load};

    #[test]
    fn the_defaults_are_a_whole_configuration() {
        let config: Config = load(DEFAULTS, &Sources::default()).unwrap();
        assert_eq!(config.http.listen.port(), 4180);
        assert_eq!(config.optimizer.level, optimize::Level::Trim);
        assert!(config.host.resolved().is_ok());
    }

    #[test]
    fn a_tool_gets_a_level_of_its_own() {
        let overrides = vec![("optimizer.tools.Bash".to_owned(), "caveman".to_owned())];
        let config: Config = load(
            DEFAULTS,
            &Sources {
                overrides,
                ..Sources::default()
            },
        )
        .unwrap();
        assert_eq!(config.optimizer.tools["Bash"], optimize::Level::Caveman);
    }
}
