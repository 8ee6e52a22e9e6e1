//! Which hub a command talks to.

use crate::args::Global;
use anyhow::Context as _;
use muster_bus::operator::Key;
use muster_bus::service::Credentials;
use muster_bus::{Bus, Options};
use muster_domain::names::SessionId;
use muster_runtime::exit::Failure;
use muster_runtime::paths::Dirs;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where a hub listens when nobody says otherwise.
pub(crate) const DEFAULT_URL: &str = "nats://127.0.0.1:4222";

/// The operator's token, in a state folder.
pub(crate) const OPERATOR_TOKEN: &str = "operator.token";

/// The services' key for the hub that `up` starts, in its state folder.
pub(crate) const SERVICES_KEY: &str = "services.nk";

/// What a running `muster up` tells the other commands, in its state folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Its process.
    pub(crate) pid: u32,
    /// The hub.
    pub(crate) nats: String,
    /// The hub's monitoring address.
    pub(crate) monitor: String,
    /// Where agents' hooks are posted.
    pub(crate) ingest: String,
    /// The socket the installed hook uses.
    pub(crate) socket: PathBuf,
    /// The orchestrator's health and metrics.
    pub(crate) orchestrator: String,
    /// Stream, snapshot, REST.
    pub(crate) notifier: String,
    /// The file of the operator's token. The token itself is told to nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operator_token: Option<PathBuf>,
    /// The file of the services' key for the hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nats_credentials: Option<PathBuf>,
}

impl Running {
    fn file(state: &Path) -> PathBuf {
        state.join("running.json")
    }

    /// What runs, or ran last, in this state folder.
    pub(crate) fn read(state: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::file(state)).ok()?).ok()
    }

    /// Tells the other commands.
    pub(crate) fn write(&self, state: &Path) -> anyhow::Result<()> {
        let file = Self::file(state);
        std::fs::write(&file, serde_json::to_vec_pretty(self)?).with_context(|| format!("writing {}", file.display()))
    }

    /// Nothing runs any more.
    pub(crate) fn remove(state: &Path) {
        // A file that is not there is what was wanted; any other trouble leaves a hint that is out of date.
        let _ = std::fs::remove_file(Self::file(state));
    }
}

/// The `up` that runs, or ran last, on the default state folder.
pub(crate) fn default_running() -> Option<Running> {
    Running::read(&Dirs::from_env().ok()?.state.join("up"))
}

/// The `up`, or `up --demo`, on a default state folder, whose hub this is.
pub(crate) fn running_with(url: &str) -> Option<Running> {
    let state = Dirs::from_env().ok()?.state;
    ["up", "demo"]
        .iter()
        .filter_map(|folder| Running::read(&state.join(folder)))
        .find(|running| place(&running.nats) == place(url))
}

/// Host and port of an address, however it is written.
fn place(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("nats://").unwrap_or(url).trim_end_matches('/');
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, "4222"));
    (if host == "localhost" { "127.0.0.1" } else { host }, port)
}

/// The hub's address: the flag's, else that of the `up` on the default state folder, else the default.
pub(crate) fn url(global: &Global) -> String {
    let started = || default_running().map(|running| running.nats);
    global
        .nats
        .clone()
        .or_else(started)
        .unwrap_or_else(|| DEFAULT_URL.to_owned())
}

/// The session whose agent runs this command, as Claude Code tells its children. What it asked itself it cannot answer.
const OWN_SESSION: &str = "CLAUDE_CODE_SESSION_ID";

/// What makes a request an operator's.
///
/// # Errors
/// When there is no token, or one that others can read.
pub(crate) fn operator(global: &Global) -> anyhow::Result<Credentials> {
    let file = token_file(global)?;
    let key = Key::read(&file).map_err(|error| {
        let text = format!(
            "this needs the operator's token, and {}: {error}; name its file with --operator-token",
            file.display()
        );
        Failure::Config(text)
    })?;
    let session = std::env::var(OWN_SESSION).ok();
    Ok(Credentials {
        operator: Some(key),
        session: session.and_then(|id| SessionId::new(&id).ok()),
    })
}

/// The flag's, else that of the `up` whose hub is used, else the one the orchestrator makes by default.
fn token_file(global: &Global) -> anyhow::Result<PathBuf> {
    if let Some(file) = &global.operator_token {
        return Ok(file.clone());
    }
    if let Some(file) = running_with(&url(global)).and_then(|running| running.operator_token) {
        return Ok(file);
    }
    Ok(Dirs::from_env()?.state.join(OPERATOR_TOKEN))
}

/// The flag's, else those of the `up` whose hub is used, if this user may read them; else this command is a guest, who may ask
/// the orchestrator and nothing else.
fn credentials(global: &Global, url: &str) -> Option<PathBuf> {
    let found = || {
        running_with(url)?
            .nats_credentials
            .filter(|file| std::fs::File::open(file).is_ok())
    };
    global.nats_credentials.clone().or_else(found)
}

/// Connects, or says what to do about it.
///
/// # Errors
/// [`Failure::Usage`] when what was given names no hub, or no file; [`Failure::Unavailable`] when no hub answers.
pub(crate) async fn connect(global: &Global) -> anyhow::Result<Bus> {
    let mut options = Options::new(url(global), format!("muster/{}", std::process::id()));
    options.credentials = credentials(global, &options.url);
    options.ca_file.clone_from(&global.nats_ca);
    let shown = options.shown_url();
    Bus::connect(&options).await.map_err(|error| {
        if error.is_misconfigured() {
            return Failure::Usage(error.to_string()).into();
        }
        let error = anyhow::Error::from(error);
        let cause = error.root_cause();
        let advice = "start one with `muster up`, or name another with --nats";
        Failure::Unavailable(format!("no hub answers at {shown} ({cause}); {advice}")).into()
    })
}

/// Whether this command may read a stream. Asked before one is read: a reader waits for whatever goes away by itself.
///
/// # Errors
/// When it may not, with what to do; when there is no such stream, or the hub cannot say now.
pub(crate) async fn may_read(bus: &Bus, stream: &str) -> anyhow::Result<()> {
    let found = bus.stream_state(stream).await.map(drop);
    found.map_err(|error| {
        let advice = "on a hub with users, name the services' key, or credentials, with --nats-credentials";
        Failure::Unavailable(format!("{error}; {advice}")).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_the_same_however_its_address_is_written() {
        for other in ["127.0.0.1:4222", "localhost", "nats://localhost:4222/"] {
            assert_eq!(place(other), place(DEFAULT_URL), "{other}");
        }
        // Whoever names a user does not want to be another.
        for other in [
            "nats://127.0.0.1:14222",
            "nats://anna:pw@127.0.0.1:4222",
            "tls://127.0.0.1:4222",
        ] {
            assert_ne!(place(other), place(DEFAULT_URL), "{other}");
        }
    }
}
