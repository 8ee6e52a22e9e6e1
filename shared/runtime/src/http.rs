//! What every HTTP surface has in common: who may call, how long they may take, and how they are refused.
//!
//! A port on loopback is not private. Any page in a browser on the same machine can send requests to it, and by DNS
//! rebinding also read the answers. So each surface checks `Host`, `Origin` and the declared content type, and asks for a
//! token wherever it can be reached from another machine. See [`Guard`].

mod body;
mod guard;
mod problem;
mod serve;

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::config::{ByteSize, HumanDuration, SecretFile};

pub use body::{content_type, read_body};
pub use guard::{BringsOwn, Guard, GuardError, bearer};
pub use problem::Problem;
pub use serve::serve;

/// The `[http]` section of every service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    /// Names besides loopback and `listen` under which the service is called, with or without a port.
    #[serde(default)]
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages besides the service's own, as browsers send them: `https://console.example`.
    #[serde(default)]
    pub allowed_origins: Vec<String>,
    /// Required where `listen` is not loopback.
    #[serde(default)]
    pub token_file: Option<SecretFile>,
    /// Beyond it, callers are told to come back.
    #[serde(default = "max_connections")]
    pub max_connections: usize,
    /// For the head of a request, also the wait for the next one on a connection.
    #[serde(default = "ten_seconds")]
    pub header_timeout: HumanDuration,
    /// Silence while a body is being sent.
    #[serde(default = "ten_seconds")]
    pub body_timeout: HumanDuration,
    /// The whole body, so that a byte now and then does not hold a connection for ever.
    #[serde(default = "one_minute")]
    pub body_deadline: HumanDuration,
    #[serde(default = "max_body")]
    pub max_body: ByteSize,
    /// How long open responses may go on after the drain was requested.
    #[serde(default = "five_seconds")]
    pub grace: HumanDuration,
}

impl Config {
    /// Everything but the address at its default.
    pub fn on(listen: SocketAddr) -> Self {
        Self {
            listen,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            token_file: None,
            max_connections: max_connections(),
            header_timeout: ten_seconds(),
            body_timeout: ten_seconds(),
            body_deadline: one_minute(),
            max_body: max_body(),
            grace: five_seconds(),
        }
    }
}

/// Some 500 agents with a hook and a stream each, below the usual limit of 1024 open files.
fn max_connections() -> usize {
    900
}

fn ten_seconds() -> HumanDuration {
    Duration::from_secs(10).into()
}

fn one_minute() -> HumanDuration {
    Duration::from_secs(60).into()
}

/// Half of the ten seconds that container runtimes leave between SIGTERM and SIGKILL.
fn five_seconds() -> HumanDuration {
    Duration::from_secs(5).into()
}

fn max_body() -> ByteSize {
    ByteSize::mib(8)
}

#[cfg(test)]
mod tests;
