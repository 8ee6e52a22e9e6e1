//! The state folder: one `up` at a time.

use super::Args;
use crate::hub::{OPERATOR_TOKEN, SERVICES_KEY};
use muster_bus::server::Users;
use muster_runtime::exit::Failure;
use muster_runtime::paths::Dirs;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

/// A claimed state folder. Letting it go lets the next `up` have it; the kernel does so too when this process is killed.
pub(super) struct State {
    pub(super) dir: PathBuf,
    runtime: PathBuf,
    /// The operator's token: where everybody looks, or with everything else in a folder of its own.
    pub(super) operator_token: PathBuf,
    /// The key by which services prove themselves to the hub.
    pub(super) services_key: PathBuf,
    /// Who may do what on the hub.
    pub(super) users: Users,
    _claim: File,
}

impl State {
    /// Makes the folder and claims it.
    pub(super) fn claim(args: &Args) -> anyhow::Result<Self> {
        let dirs = Dirs::from_env().map_err(|error| Failure::Config(error.to_string()))?;
        let usual = dirs.state.join(OPERATOR_TOKEN);
        // A folder of its own has sockets of its own, so that two never answer each other's hooks.
        let (dir, runtime) = match &args.state_dir {
            Some(dir) => (std::path::absolute(dir)?, std::path::absolute(dir)?),
            None if args.demo => (dirs.state.join("demo"), dirs.state.join("demo")),
            None => (dirs.state.join("up"), dirs.runtime),
        };
        let own = args.state_dir.is_some() || args.demo;
        let operator_token = if own { dir.join(OPERATOR_TOKEN) } else { usual };
        // Named by the one who called, or found by the environment.
        let unusable = |error: std::io::Error| {
            let text = format!("cannot keep anything in the state folder {}: {error}", dir.display());
            if args.state_dir.is_some() {
                Failure::Usage(format!("{text}; name another with --state-dir"))
            } else {
                Failure::Config(format!("{text}; name one with --state-dir, or set XDG_STATE_HOME"))
            }
        };
        std::fs::create_dir_all(&dir).map_err(unusable)?;
        let mut claim = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(dir.join("lock"))
            .map_err(unusable)?;
        if flock(&claim, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut by = String::new();
            // Who holds it wrote its pid into it; without one, the message is only less helpful.
            let _ = claim.read_to_string(&mut by);
            let by = by.trim();
            let by = if by.is_empty() {
                String::new()
            } else {
                format!(" (pid {by})")
            };
            anyhow::bail!(Failure::Unavailable(format!(
                "another `muster up`{by} runs on {}; stop it, or give this one a --state-dir and ports of its own",
                dir.display()
            )));
        }
        claim.set_len(0)?;
        write!(claim, "{}", std::process::id())?;
        let services_key = dir.join(SERVICES_KEY);
        let users = Users::read_or_make(&services_key).map_err(|error| {
            let text = format!("the services' key for the hub, {}: {error}", services_key.display());
            Failure::Config(text)
        })?;
        Ok(Self {
            dir,
            runtime,
            operator_token,
            services_key,
            users,
            _claim: claim,
        })
    }

    /// The socket the installed hook uses, or that of one host of several.
    pub(super) fn socket(&self, host: Option<&str>) -> PathBuf {
        self.runtime
            .join(host.map_or_else(|| "ingest.sock".to_owned(), |host| format!("{host}.sock")))
    }

    /// The spool of this host, or of one of several.
    pub(super) fn spool(&self, host: Option<&str>) -> PathBuf {
        self.dir
            .join(host.map_or_else(|| "spool".to_owned(), |host| format!("spool-{host}")))
    }
}
