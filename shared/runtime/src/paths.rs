//! Where files go, by the XDG base directory specification.

use std::ffi::OsString;
use std::path::PathBuf;

const FOLDER: &str = "muster";

/// The folders of one user; none is created here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    pub config: PathBuf,
    /// What must survive a restart: the spool, the hub's store.
    pub state: PathBuf,
    /// What can be had again: a fetched nats-server.
    pub cache: PathBuf,
    /// Sockets. Machines without a login session have no such folder, and use `state`.
    pub runtime: PathBuf,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither HOME nor {missing} is an absolute path: set one of them")]
pub struct NoHome {
    missing: &'static str,
}

impl Dirs {
    /// # Errors
    ///
    /// [`NoHome`] where the environment names no place for one of the folders.
    pub fn from_env() -> Result<Self, NoHome> {
        Self::find(|name| std::env::var_os(name))
    }

    /// # Errors
    ///
    /// [`NoHome`] where `get` names no place for one of the folders.
    pub fn find(get: impl Fn(&str) -> Option<OsString>) -> Result<Self, NoHome> {
        // The specification has relative paths ignored.
        let absolute = |name: &str| get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = |name: &'static str, below_home: &str| {
            absolute(name)
                .or_else(|| Some(absolute("HOME")?.join(below_home)))
                .map(|base| base.join(FOLDER))
                .ok_or(NoHome { missing: name })
        };
        let state = folder("XDG_STATE_HOME", ".local/state")?;
        Ok(Self {
            config: folder("XDG_CONFIG_HOME", ".config")?,
            cache: folder("XDG_CACHE_HOME", ".cache")?,
            runtime: absolute("XDG_RUNTIME_DIR").map_or_else(|| state.clone(), |base| base.join(FOLDER)),
            state,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)]) -> Result<Dirs, NoHome> {
        Dirs::find(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.into())
        })
    }

    #[test]
    fn folders_follow_xdg_and_fall_back_to_home() {
        let dirs = find(&[
            ("HOME", "/home/u"),
            ("XDG_STATE_HOME", "/s"),
            ("XDG_CACHE_HOME", "relative"),
        ])
        .unwrap();
        assert_eq!(dirs.state, PathBuf::from("/s/muster"));
        assert_eq!(dirs.cache, PathBuf::from("/home/u/.cache/muster"));
        assert_eq!(dirs.config, PathBuf::from("/home/u/.config/muster"));
        assert_eq!(dirs.runtime, dirs.state);
    }

    #[test]
    fn without_any_home_the_message_says_what_to_set() {
        assert!(find(&[]).unwrap_err().to_string().contains("XDG_STATE_HOME"));
    }
}
