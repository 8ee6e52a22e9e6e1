//! Where things are: the settings of a scope, the program to name in them, the kept originals.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Error, Options};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of this user's sessions.
    User,
    /// Sessions in the current folder.
    Project,
}

/// The program an agent runs at each hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Launcher {
    /// `muster-hook` itself, which starts faster.
    Own(PathBuf),
    /// `muster hook`, where only `muster` was built or installed.
    MultiCall(PathBuf),
}

impl Launcher {
    /// `muster-hook` beside the running `muster`, or else that one.
    pub(crate) fn beside(muster: PathBuf) -> Self {
        let sibling = muster.with_file_name("muster-hook");
        if sibling.is_file() {
            Self::Own(sibling)
        } else {
            Self::MultiCall(muster)
        }
    }

    pub(crate) fn argv(&self) -> Vec<String> {
        let (path, verb) = match self {
            Self::Own(path) => (path, None),
            Self::MultiCall(path) => (path, Some("hook".to_owned())),
        };
        // JSON has no other strings; such a path would not work in any settings file.
        std::iter::once(path.to_string_lossy().into_owned())
            .chain(verb)
            .collect()
    }
}

/// The tools, as an agent is told of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tools {
    /// Its list of servers.
    pub(crate) file: PathBuf,
    /// What it starts.
    pub(crate) argv: Vec<String>,
}

impl Options {
    /// As the command line means it: the environment says where home and state are, the running
    /// program says what to install.
    ///
    /// # Errors
    ///
    /// [`Error::NoPlace`] when neither `HOME` nor the more specific variable is set.
    pub(crate) fn from_environment(
        scope: Scope,
        fail_closed: Vec<String>,
        tools: Option<Vec<String>>,
    ) -> Result<Self, Error> {
        let io = |action, path: &str| {
            let path = PathBuf::from(path);
            move |source| Error::Io { action, path, source }
        };
        let cwd = std::env::current_dir().map_err(io("find", "."))?;
        let muster = std::env::current_exe().map_err(io("find", "muster"))?;
        let env = |name: &str| std::env::var_os(name);
        let argv = tools.map(|flags| {
            let words = [muster.to_string_lossy().into_owned(), "mcp".to_owned()];
            words.into_iter().chain(flags).collect()
        });
        let mut options = Self::new(scope, fail_closed, Launcher::beside(muster), &cwd, &env)?;
        options.tools = match argv {
            None => None,
            Some(argv) => Some(Tools {
                file: servers_file(scope, &cwd, &env)?,
                argv,
            }),
        };
        Ok(options)
    }

    pub(super) fn new(
        scope: Scope,
        fail_closed: Vec<String>,
        launcher: Launcher,
        cwd: &Path,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Error> {
        let set = |name| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let under_home = |path| Some(set("HOME")?.join(path));
        let config = match scope {
            Scope::User => set("CLAUDE_CONFIG_DIR").or_else(|| under_home(".claude")),
            Scope::Project => Some(cwd.join(".claude")),
        };
        let missing = |what, variable| Error::NoPlace { what, variable };
        let config = config.ok_or(missing("Claude Code's settings", "CLAUDE_CONFIG_DIR or HOME"))?;
        let state = set("XDG_STATE_HOME").or_else(|| under_home(".local/state"));
        let state = state.ok_or(missing("the state folder", "XDG_STATE_HOME or HOME"))?;
        Ok(Self {
            settings: cwd.join(config).join("settings.json"),
            launcher,
            fail_closed,
            tools: None,
            state: state.join("muster/enroll"),
        })
    }
}

/// Where Claude Code keeps its servers: with what else it remembers of its user, or beside the project.
fn servers_file(scope: Scope, cwd: &Path, env: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf, Error> {
    let set = |name| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = match scope {
        Scope::Project => return Ok(cwd.join(".mcp.json")),
        Scope::User => set("CLAUDE_CONFIG_DIR").or_else(|| set("HOME")),
    };
    let folder = folder.ok_or(Error::NoPlace {
        what: "Claude Code's list of servers",
        variable: "CLAUDE_CONFIG_DIR or HOME",
    })?;
    Ok(cwd.join(folder).join(".claude.json"))
}
